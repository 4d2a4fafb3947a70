// The inner kernels of depthwise convolution, as one table per target. The loops around them
// (bands, channels, threads) are engine/conv_depthwise.cc, engine/conv_depthwise_rows.cc and
// engine/conv_depthwise_filter.cc, the same for every target.
//
// Every output element is one chain of Fma steps in the order of the filter taps.
#pragma once

#include <cstdint>
#include <limits>

#include "engine/cpu.h"

namespace rhnas::engine::simd {

// One row of a depthwise correlation, `width` outputs: y[j][c] (+)= sum over r, s of
// x[r][j * stride + s][c] * f[r][s][c]. Columns of x outside [low, high) are left out.
//
// The end of an inference layer costs nothing where it is not asked for: the chain of an output
// starts from bias[c] instead of zero, and what is stored is the sum held between low_value and
// high_value (a NaN stays one).
struct DepthwiseArgs {
  const float* x;  // column 0, which may lie outside the image
  int64_t x_row, x_pixel;
  int low, high;
  const float* f;
  int64_t f_row, f_tap;
  int taps;  // filter rows
  float* y;
  int64_t y_pixel;
  int width, channels;
  bool accumulate;
  bool stream;                  // write past the caches; y aligned to a vector, whole vectors only
  const float* bias = nullptr;  // one of each channel, or none
  float low_value = -std::numeric_limits<float>::infinity();
  float high_value = std::numeric_limits<float>::infinity();
};

// A band of rows of a depthwise correlation: row i of y as DepthwiseArgs has it, from the rows
// i * row_stride + r of x, of which those outside [row_low, row_high) are left out too.
//
// `spread` makes a band of a stride-2 backward-data pass from it: x is the gradient of the output,
// y that of the input, and
//   y[h][j][c] (+)= sum over all i, r with 2 * i + r = h + row_offset, k, s with 2 * k + s = j +
//   offset, of x[i][k][c] * f[r][s][c];
// row_stride, bias and clamps mean nothing there.
struct DepthwiseBandArgs {
  const float* x;
  int64_t x_row, x_pixel;
  int row_stride, row_low, row_high, low, high;
  int row_offset = 0, offset = 0;  // at least 0
  const float* f;
  int64_t f_row, f_tap;
  int taps;  // filter rows
  float* y;
  int64_t y_row, y_pixel;
  int height, width, channels;
  bool accumulate, stream;
  const float* bias = nullptr;
  float low_value = -std::numeric_limits<float>::infinity();
  float high_value = std::numeric_limits<float>::infinity();
  // What the next band will read, to be fetched into a second-level cache meanwhile.
  const float* next_x = nullptr;
  int64_t next_x_floats = 0;
};

// Filter gradient of a depthwise correlation over a band of output rows of some images:
// df[r][s][c] (+)= sum over images, i, j of
//     x[i * row_stride + r][j * stride + s][c] * dy[i][j][c].
// Rows of x outside [row_low, row_high) and columns outside [low, high) are left out.
struct DepthwiseFilterArgs {
  const float* x;  // row 0, column 0 of the window of output (0, 0)
  int64_t x_image, x_row, x_pixel;
  int row_stride, row_low, row_high, low, high;
  const float* dy;
  int64_t dy_image, dy_row, dy_pixel;
  int images, height, width;
  float* df;
  int64_t df_row, df_tap;
  int taps;  // filter rows
  int channels;
  // What the next call will read, to be fetched meanwhile; or null.
  const float* next_x;
  const float* next_dy;
  int64_t next_x_floats = 0, next_dy_floats = 0;
  bool accumulate;
};

struct DepthwiseKernels {
  // [taps in a row, 1..7][stride 1 or 2]; null where a correlation has to be taken apart.
  void (*row[8][3])(const DepthwiseArgs& args);
  void (*band[8][3])(const DepthwiseBandArgs& args);
  void (*spread[8])(const DepthwiseBandArgs& args);  // [taps in a row]; null as above
  void (*filter[8][3])(const DepthwiseFilterArgs& args);
};

// REQUIRES: target compiled in; running its functions needs a CPU that has it.
const DepthwiseKernels& DepthwiseKernelsFor(Target target);

}  // namespace rhnas::engine::simd
