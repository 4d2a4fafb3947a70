// The inner kernels of convolution and matrix product, as one table per target. The loops around
// them (bands, panels, threads) are engine/conv_dense.cc and engine/conv_block.cc, the same for
// every target. Filter gradients: engine/simd/outer_kernels.h; depthwise kernels:
// engine/simd/depthwise_kernels.h.
//
// Every output element is one chain of Fma steps in the order of the reduction, started at zero or,
// with accumulate, at the value the output holds. So blocking the reduction does not change a bit,
// and neither does the vector width.
#pragma once

#include <cstdint>
#include <limits>

#include "engine/cpu.h"

namespace rhnas::engine::simd {

// Widest panel of output channels, in vectors.
constexpr int kMaxVecs = 4;

// What happens to a finished output element as it is stored: + bias[column], then + residual, then
// clamped to [low, high] (NaN stays). ReLU: low 0; ReLU6: 0 and 6.
struct Epilogue {
  const float* bias = nullptr;
  const float* residual = nullptr;  // added: one element for each of the output's
  int64_t residual_pixel = 0;       // floats from pixel to pixel of the residual
  int64_t residual_row = 0;         // and from row to row
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

// Memory to be fetched into the second-level cache while something else is computed, a few lines
// at a time: what the next block reads, when it comes from beyond the caches.
struct Fetch {
  static constexpr int kMostRanges = 4;
  static constexpr int64_t kLine = 64;  // bytes; the same on every machine this is tuned for
  struct Range {
    const char *at, *end;
    bool write;
  };
  Range range[kMostRanges];
  int ranges = 0;
  int lines_a_tile = 1;

  void Add(const float* from, int64_t floats, bool write = false) {
    if (ranges == kMostRanges || floats <= 0) return;
    const char* const at = reinterpret_cast<const char*>(from);
    range[ranges++] = {at, at + floats * static_cast<int64_t>(sizeof(float)), write};
  }
  int64_t lines() const {
    int64_t lines = 0;
    for (int i = 0; i < ranges; i++) lines += (range[i].end - range[i].at) / kLine + 1;
    return lines;
  }
};

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
  int64_t rows;   // at least 1
  int last;       // columns to write in the panel's last vector
  int64_t ahead;  // floats a step to fetch of the next tile's rows; used when outer = inner = 1
  bool accumulate;
  bool stream;  // write past the caches; c aligned to a vector, whole vectors only
  // Applied as the tile is stored; bias and residual point at the panel's first column and at row
  // 0, residual_row is not used. Null: none.
  const Epilogue* epilogue = nullptr;
  Fetch* fetch = nullptr;  // some of it with each register tile; null: nothing
};

struct ConvKernels {
  int lanes;
  int half_lanes;  // of a half vector that may end a panel; 0: there is none
  // [vectors][half]: rows a register tile may have; 0: no such panel.
  int tile_rows[kMaxVecs + 1][2];
  void (*tile[kMaxVecs + 1][2])(const TileArgs& args);
  // to[row * to_row + i] = i < columns ? from[row * from_row + i] : 0, for i < to_row.
  void (*copy_rows)(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
                    int64_t to_row);
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
