// Dense work on a block of pixels inside one worker: a correlation with a packed filter (a matrix
// product when the filter is 1x1) with an epilogue, and the filter gradient of a matrix product.
// The callers (engine/conv_dense.cc, fused passes, inference) cut the work into blocks, share them
// among threads and own all memory: nothing here allocates or knows of threads.
//
// Every output element is one chain of Fma steps in the order r, s, channel, started at zero or,
// with accumulate, at what the output holds: the same bits however the pixels are cut into blocks.
#pragma once

#include <cstdint>

#include "engine/simd/conv_kernels.h"

namespace rhnas::engine::conv {

using simd::Epilogue;

// How a filter f[r][s][channel][column], or a matrix (r = s = 1), is laid out for the register
// tiles of one target: panels of columns, each with all its reduction steps in a row. Group by
// group where a convolution has groups: plan one, pack each.
struct PackedFilter {
  int r = 1, s = 1, channels = 1, columns = 1;
  const simd::ConvKernels* kernels = nullptr;
  int vecs = 0, half = 0, last = 0;  // of all columns: vectors, half vector, columns in the last
  int panels = 0;

  struct Panel {
    int column, vecs, half, last;
    int width;       // floats of a packed step
    int64_t offset;  // of the panel in the packed floats
  };
  Panel PanelAt(int p) const;
  int64_t steps() const { return int64_t{r} * s * channels; }
  int64_t floats() const;  // that the packed filter takes
};

// REQUIRES: all at least 1.
struct FilterSize {
  int r = 1, s = 1, channels = 1, columns = 1;
};
// For the active target. `pixels`: how many a run of a block (see Block) usually has; other numbers
// work too. The cut into panels depends on it, the bits of the result do not.
PackedFilter PlanFilter(const FilterSize& size, int64_t pixels);
// The second form counts the cost of packing when it is for so many runs only; 0 is for ever.
PackedFilter PlanFilter(const FilterSize& size, int64_t pixels, const simd::ConvKernels& kernels,
                        int64_t runs = 0);

// Where the filter to be packed has its elements, in floats; may be negative. For a matrix W
// [channels][columns]: {0, 0, columns, 1}; for its transpose, stored [columns][channels]:
// {0, 0, 1, channels}.
struct FilterStrides {
  int64_t r = 0, s = 0, channel = 0, column = 0;
};
// Packs all of it; `to` has plan.floats() floats, best aligned to 64 bytes.
void PackFilter(const PackedFilter& plan, const float* from, const FilterStrides& strides,
                float* to);
// Only filter rows [first, last) of one panel; `to` is where the first of them goes.
void PackPanel(const PackedFilter& plan, int panel, const float* from, const FilterStrides& strides,
               int first, int last, float* to);

// Only channels [first, last) of one filter row of one panel; `from` and `to` are where that row
// has its channel 0.
void PackPanelRow(const PackedFilter& plan, int panel, const float* from,
                  const FilterStrides& strides, int first, int last, float* to);

// Runs of pixels: y[i][j][column] (+)= sum over r, s, channel of
//   x[i * stride + r][j * stride + s][channel] * f[r][s][channel][column]
// for i < rows, j < pixels. There is no padding: the rows of x have their halo. Strides in floats.
struct Block {
  const float* x = nullptr;
  int64_t x_pixel = 0, x_row = 0;
  float* y = nullptr;
  int64_t y_pixel = 0, y_row = 0;
  int64_t pixels = 0;
  int rows = 1, stride = 1;
  bool accumulate = false;
  const Epilogue* epilogue = nullptr;  // bias per column of the filter; applied to finished outputs
  simd::Fetch* fetch = nullptr;        // memory to be fetched meanwhile; used up
};
// `packed`: from PackFilter, with the same plan.
void CorrelateBlock(const PackedFilter& plan, const float* packed, const Block& block);

// df[channel][column] (+)= sum over pixels of x[p][channel] * dy[p][column], one chain of Fma steps
// in the order of pixels: with accumulate it goes on from what df holds, so that several blocks in
// order give the bits of one. Where x and dy are larger than the second-level cache, cut them.
struct OuterBlock {
  const float* x = nullptr;
  int64_t x_pixel = 0;
  const float* dy = nullptr;
  int64_t dy_pixel = 0;
  int64_t pixels = 0;
  int channels = 1, columns = 1;
  float* df = nullptr;
  int64_t df_channel = 0;  // floats from channel to channel
  bool accumulate = true;
  // Memory to be fetched into the second-level cache meanwhile.
  const float* fetch[2] = {nullptr, nullptr};
  int64_t fetch_floats[2] = {0, 0};
};
void AccumulateOuterBlock(const OuterBlock& block);

}  // namespace rhnas::engine::conv
