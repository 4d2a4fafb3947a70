// The inner kernels of convolution and matrix product, as one table per target. The loops around
// them (bands, panels, threads) are engine/conv_dense.cc and engine/conv_depthwise.cc, the same for
// every target.
//
// Every output element is one chain of Fma steps in the order of the reduction, started at zero or,
// with accumulate, at the value the output holds. So blocking the reduction does not change a bit,
// and neither does the vector width.
#pragma once

#include <cstdint>

#include "engine/cpu.h"

namespace rhnas::engine::simd {

// Widest panel of output channels, in vectors.
constexpr int kMaxVecs = 4;

// c[row][column] (+)= sum over outer, inner, step of a[..][row] * b[..][column]; b is one panel of
// output channels, all reduction steps in a row, readable over its whole width.
struct TileArgs {
  const float* a;
  int64_t a_row, a_outer, a_inner;  // floats from row to row (pixels), and between segments
  int outer, inner;                 // segments of the reduction
  int64_t steps;                    // contiguous floats of a in one segment
  const float* b;
  int64_t b_step;  // floats of b from step to step
  float* c;
  int64_t c_row;
  int64_t rows;
  int tile_rows;  // rows of a register tile, at most max_rows of the panel's width
  int last;       // columns to write in the panel's last vector
  int64_t ahead;  // floats to step through the next tile's rows when fetching them early; or 0
  bool accumulate;
  bool stream;  // write past the caches; c aligned to a vector, whole vectors only
};

// c[row][column] (+)= sum over images, outer, step of a[row] * b[column]: the filter gradient. Rows
// are contiguous in a, columns in b; only `last` floats of the last vector of b are read.
struct OuterArgs {
  const float* a;
  int64_t a_image, a_outer, a_step;
  const float* b;
  int64_t b_image, b_outer, b_step;
  int images, outer;
  int64_t steps;
  float* c;
  int64_t c_row;
  int64_t rows;
  int tile_rows;
  int last;
  bool accumulate;
};

// One row of a depthwise correlation, `width` outputs: y[j][c] (+)= sum over r, s of
// x[r][j * stride + s][c] * f[r][s][c]. Columns of x outside [low, high) are left out.
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
  bool stream;  // write past the caches; y aligned to a vector, whole vectors only
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
  const float* next_x;  // what the next call will read, to be fetched early; or null
  const float* next_dy;
  bool accumulate;
};

struct ConvKernels {
  int lanes;
  int half_lanes;  // of a half vector that may end a panel; 0: there is none
  // [vectors][half]: rows a register tile may have; 0: no such panel.
  int max_rows[kMaxVecs + 1][2];
  void (*tile[kMaxVecs + 1][2])(const TileArgs& args);
  // Here a half vector counts as a last vector of `last` columns.
  void (*outer[kMaxVecs + 1][2])(const OuterArgs& args);
  // [taps in a row, 1..7][stride 1 or 2]; null where a correlation has to be taken apart.
  void (*depthwise[8][3])(const DepthwiseArgs& args);
  void (*depthwise_filter[8][3])(const DepthwiseFilterArgs& args);
  // to[column * to_row + row] = from[row * from_row + column].
  void (*transpose)(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
                    int64_t to_row);
  // to[i] = (keep ? to[i] : 0) + from[0][i] + from[1][i] + ..., parts `stride` floats apart.
  void (*add_parts)(float* to, const float* from, int64_t stride, int parts, int64_t count,
                    bool keep);
};

// REQUIRES: target compiled in; running its functions needs a CPU that has it.
const ConvKernels& ConvKernelsFor(Target target);

}  // namespace rhnas::engine::simd
