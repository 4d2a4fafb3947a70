// What the parts of the convolution code share; callers use engine/conv.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/conv.h"
#include "engine/conv_depthwise.h"
#include "engine/simd/conv_kernels.h"
#include "engine/simd/depthwise_kernels.h"
#include "engine/threads.h"

namespace rhnas::engine::conv {

// A correlation with its own strides everywhere, for each image, group, i, j, column:
//   y[i][j][column] (+)= sum over r, s, channel of
//       x[i * stride + r - top][j * stride + s - left][channel] * f[r][s][channel][column]
// with x zero outside its h x w pixels. The forward pass is one; a backward-data pass is one for
// each pair of phases of its stride. Strides are in floats and may be negative in f.
struct Correlation {
  int images = 1, groups = 1, channels = 1, columns = 1;  // channels and columns of one group
  int r = 1, s = 1, stride = 1, top = 0, left = 0;

  const float* x = nullptr;
  int h = 1, w = 1;
  int64_t x_pixel = 1;  // rows and images follow without gaps

  const float* f = nullptr;
  int64_t f_r = 0, f_s = 0, f_channel = 0, f_column = 0, f_group = 0;

  float* y = nullptr;
  int out_h = 1, out_w = 1;
  int64_t y_image = 0, y_row = 0, y_pixel = 0;

  bool accumulate = false;
};

// Outputs of more floats than this are written past the caches: 8 MiB, about what one program can
// count on in a third-level cache. Fetching them first, to write them, would cost a third of the
// traffic of a bandwidth-bound layer.
constexpr int64_t kStreamFloats = 2 * 1024 * 1024;

// y (+)= correlation, by register tiles of pixels x columns.
void CorrelateDense(const Correlation& job, const simd::ConvKernels& kernels, ThreadPool& pool);

// Passes of depthwise convolutions, each output one chain.
void DepthwiseForward(const ConvShape& shape, const float* x, const float* f, float* y,
                      bool accumulate, const simd::DepthwiseKernels& kernels, ThreadPool& pool);
void DepthwiseBackwardData(const ConvShape& shape, const float* dy, const float* f, float* dx,
                           bool accumulate, const simd::DepthwiseKernels& kernels,
                           ThreadPool& pool);

// Filter gradient: df[r][s][channel][column] (+)= sum over images, i, j of
//   x[i * stride + r - pad][j * stride + s - pad][channel] * dy[i][j][column].
struct FilterGradient {
  int images = 1, groups = 1, channels = 1, columns = 1;  // of one group
  int r = 1, s = 1, stride = 1, pad = 0;
  const float* x = nullptr;
  int h = 1, w = 1;
  const float* dy = nullptr;
  bool dy_turned = false;  // [columns][pixels] instead, for a matrix product of two transposes
  int out_h = 1, out_w = 1;
  float* df = nullptr;
  bool accumulate = false;
};

void FilterGradientDense(const FilterGradient& job, const simd::ConvKernels& kernels,
                         ThreadPool& pool);
void FilterGradientDepthwise(const FilterGradient& job, const simd::DepthwiseKernels& kernels,
                             ThreadPool& pool);

// Taps [first, first + taps) of each row of a depthwise filter in one pass; the stride of the
// kernel, and how many pixels of x one of its columns stands for.
struct TapPass {
  int first, taps, stride, pixels;
};
template <typename Kernel>
int MakePasses(int s, int stride, const Kernel (&kernels)[8][3], TapPass* passes, int limit) {
  int count = 0;
  for (int first = 0; first < s && count < limit; count++) {
    int taps = s - first < 7 ? s - first : 7;
    if (stride <= 2) {
      while (taps > 1 && kernels[taps][stride] == nullptr) taps--;
    } else {
      taps = 1;
    }
    const bool direct = stride <= 2 && kernels[taps][stride] != nullptr;
    if (!direct) taps = 1;  // one tap of any stride is a stride-1 pass over spread pixels
    passes[count] = direct ? TapPass{first, taps, stride, 1} : TapPass{first, 1, 1, stride};
    first += taps;
  }
  return count;
}

// Columns of a pass, of which [low, high) are inside an image of width w when the first is pixel
// `start` (which may be negative) and each is `pixels` further.
struct ColumnRange {
  int low, high;
};
inline ColumnRange InsideColumns(int start, int pixels, int w) {
  ColumnRange inside;
  inside.low = start < 0 ? (pixels - 1 - start) / pixels : 0;
  inside.high = w > start ? (w - 1 - start) / pixels + 1 : 0;
  return inside;
}

// Pixels whose distance is a multiple of a large power of two share few sets of a first-level
// cache. True where `lines` of them, one of each pixel that a kernel comes back to, do not stay
// there; then their channels are copied to a block of kPackedChannels a pixel, kPackedPixel floats
// from pixel to pixel, an odd number of lines.
constexpr int kPackedChannels = 64, kPackedPixel = kPackedChannels + 16;
bool PixelsCollide(int64_t channels, int64_t lines);
// `channels` floats of each of `pixels` pixels.
void PackPixels(const float* from, int64_t from_pixel, int64_t pixels, int64_t channels, float* to);

// Scratch of one call: a part that all workers see and a part of each worker's own, all reserved
// before the work starts, so that a warm call allocates nothing whoever gets which block.
class Scratch {
 public:
  Scratch(ThreadPool& pool, int64_t shared_floats, int64_t own_floats);
  float* shared() const { return shared_; }
  // Of the calling worker.
  float* Own(int worker) const;

 private:
  ThreadPool& pool_;
  float* shared_;
  int64_t shared_floats_, own_floats_;
};

// Rows [top, top + rows) and columns [left, left + width) of an image of h x w pixels, zero outside
// of it, to a packed block.
void CopyPadded(const float* image, int h, int w, int64_t pixel, int top, int left, int rows,
                int width, float* to);

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

}  // namespace rhnas::engine::conv
