// Depthwise convolution on a band of rows inside one worker: forward (with the end of an inference
// layer) and backward-data, on blocks that a fused pass keeps in cache or on rows of a whole image.
// The callers own all memory and share bands among threads: nothing here allocates or knows of
// threads.
//
// Every output element is one chain of Fma steps, source rows and columns ascending, however the
// image is cut into bands and blocks of channels.
#pragma once

#include <cstdint>
#include <limits>

#include "engine/simd/depthwise_kernels.h"

namespace rhnas::engine::conv {

// Columns of taps that a depthwise filter may have.
constexpr int kMaxDepthwiseWidth = 64;

// Rows [first, first + rows) of `to`, the result, from the rows of `from` that they need. Pixels of
// `from` outside its height x width are zero and never read: neither image is padded.
//   forward:       to[i][j][c]  (+)= sum over r, s of from[i * stride + r - pad][j * stride + s -
//                                    pad][c] * f[r][s][c]
//   backward-data: from[i][j][c] * f[r][s][c] is added to to[i * stride + r - pad][j * stride + s -
//                                    pad][c]
struct DepthwiseBand {
  int r = 1, s = 1, stride = 1, pad = 0;  // of the convolution, in either direction

  const float* from = nullptr;  // pixel (from_first, 0): a block may begin below the image's top
  int from_first = 0;
  int from_height = 1, from_width = 1;  // of the whole image
  int64_t from_row = 0, from_pixel = 0;

  const float* f = nullptr;  // [r][s], f_tap floats from tap to tap
  int64_t f_tap = 0;

  float* to = nullptr;  // pixel (first, 0)
  int first = 0, rows = 1;
  int to_width = 1;
  int64_t to_row = 0, to_pixel = 0;

  int channels = 1;
  bool accumulate = false;
  bool stream = false;  // write past the caches; see simd::DepthwiseArgs

  // What the next band will read, to be fetched meanwhile.
  const float* next_from = nullptr;
  int64_t next_from_floats = 0;

  // Forward only; see simd::DepthwiseArgs.
  const float* bias = nullptr;
  float low_value = -std::numeric_limits<float>::infinity();
  float high_value = std::numeric_limits<float>::infinity();
};

// The rows of `from` that a band needs.
struct DepthwiseRows {
  int first, until;
};
DepthwiseRows SourceRows(const DepthwiseBand& band, bool backward);

// REQUIRES (both): s <= kMaxDepthwiseWidth; all rows of `from` inside the image that the band needs
// are there.
void DepthwiseForwardRows(const DepthwiseBand& band, const simd::DepthwiseKernels& kernels);
void DepthwiseBackwardRows(const DepthwiseBand& band, const simd::DepthwiseKernels& kernels);

}  // namespace rhnas::engine::conv
