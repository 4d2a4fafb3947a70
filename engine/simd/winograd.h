// The inner kernels of Winograd convolution F(4x4,3x3) (Lavin and Gray, arXiv 1509.09308), as one
// table per target. The loops around them are engine/conv_winograd.cc and
// engine/conv_winograd_gradient.cc; what the six interpolation points are, and how much they round,
// stands in engine/conv_winograd.h.
//
// A transformed tile has 36 points. Transforms work on one tile at a time, element by element over
// channels; Gemm is a product of matrices for each point, every element one chain of Fma steps in
// the order of the reduction. So the vector width changes no bit.
#pragma once

#include <cstdint>

#include "engine/cpu.h"
#include "engine/simd/conv_kernels.h"

namespace rhnas::engine::simd {

constexpr int kWinogradPoints = 36;
constexpr int kWinogradTile = 4, kWinogradInput = 6;  // outputs and inputs of a tile, each way

// Tiles of pixels, next to each other in a row of tiles, to their 36 points each:
// to[point * to_point + tile * to_tile + channel]. Pixel (i, j) of a tile is at row[i] + j * pixel,
// where its column left + j is inside [0, width), and zero elsewhere; from tile to tile, row[i]
// moves by row_next[i] and `left` by 4. The caller lets rows outside the image show to zeros. Whole
// vectors are written: zeros after the last channel.
struct WinogradLoad {
  const float* row[kWinogradInput];
  int64_t row_next[kWinogradInput];
  int64_t pixel;
  int left, width;
  int tiles;
  int64_t channels;
  float* to;
  int64_t to_tile, to_point;
};

// The 36 points of tiles next to each other to rows x 4 outputs each, y (+)=, fewer in the last
// tile: `width` columns of output in all. The epilogue has its pointers at the first output.
// from[point * from_point + tile * from_tile + channel], whole vectors.
struct WinogradStore {
  const float* from;
  int64_t from_tile, from_point;
  float* y;
  int64_t y_row, y_pixel;
  int rows, width;  // rows at most 4
  int64_t channels;
  bool accumulate;
  const Epilogue* epilogue;  // or null
};

// Filters of `channels` input channels x `columns` output channels, taps at f + r * f_r + s * f_s +
// channel * f_channel, output channels contiguous; to[point * to_point + channel * width], zero
// from `columns` to `width`, which is whole vectors.
struct WinogradFilterLoad {
  const float* f;
  int64_t f_r, f_s, f_channel;
  int64_t channels, columns, width;
  float* to;
  int64_t to_point;
};

// For each point: c[row][column] (+)= sum over step of a[..] * b[step * b_step + column], over
// `vecs` vectors of columns. An element of a is at row * a_row + step, or, where `turned`, at
// row + step * a_row.
struct WinogradGemm {
  const float* a;
  int64_t a_row, a_point;
  const float* b;
  int64_t b_step, b_point;
  float* c;
  int64_t c_row, c_point;
  int64_t rows, steps;
  int vecs;  // at most kWinogradVecs
  bool turned, accumulate;
};
constexpr int kWinogradVecs = 2;

// The 36 points of a filter gradient (one input channel, `columns` output channels) added to its
// nine taps: df[r * df_r + s * df_s + column] (+)= .
struct WinogradFilterStore {
  const float* from;
  int64_t from_point;
  float* df;
  int64_t df_r, df_s;
  int64_t columns;
  bool accumulate;
};

struct WinogradKernels {
  int lanes;
  int max_rows[kWinogradVecs + 1];  // of a register tile of so many vectors
  void (*load_input)(const WinogradLoad& args);
  void (*load_gradient)(const WinogradLoad& args);  // of a 4x4 tile of outputs: rows 0 to 3
  void (*load_filter)(const WinogradFilterLoad& args);
  void (*gemm)(const WinogradGemm& args);
  void (*store_output)(const WinogradStore& args);
  void (*store_filter)(const WinogradFilterStore& args);
};

// REQUIRES: target compiled in; running its functions needs a CPU that has it.
const WinogradKernels& WinogradKernelsFor(Target target);

}  // namespace rhnas::engine::simd
