// Bands of rows of a depthwise convolution: the loops over rows, blocks of channels and groups of
// taps around engine/simd/depthwise.inl.
//
// The source is read in place. Filters wider than the widest kernel, and strides above two, are
// taken apart by columns of taps, each pass adding to the one before.
#include "engine/conv_depthwise.h"

#include <cstring>

#include "engine/conv_internal.h"

namespace rhnas::engine::conv {

namespace {

int FloorDiv(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
int UpDiv(int a, int b) { return -FloorDiv(-a, b); }

simd::DepthwiseBandArgs BandArgs(const DepthwiseBand& band) {
  simd::DepthwiseBandArgs args;
  args.x = band.from;
  args.x_row = band.from_row;
  args.x_pixel = band.from_pixel;
  args.row_stride = 1;
  args.row_low = args.row_high = args.low = args.high = 0;
  args.f = band.f;
  args.f_row = band.s * band.f_tap;
  args.f_tap = band.f_tap;
  args.taps = band.r;
  args.y = band.to;
  args.y_row = band.to_row;
  args.y_pixel = band.to_pixel;
  args.height = band.rows;
  args.width = band.to_width;
  args.channels = band.channels;
  args.accumulate = band.accumulate;
  args.stream = band.stream;
  args.next_x = band.next_from;
  args.next_x_floats = band.next_from_floats;
  return args;
}

// Any filter and stride: one column of taps of one row of `from` after the other.
void BackwardTaps(const DepthwiseBand& band, const simd::DepthwiseKernels& kernels) {
  simd::DepthwiseBandArgs args = BandArgs(band);
  args.next_x = nullptr;
  if (!band.accumulate) {
    args.taps = 0;  // zeros
    kernels.band[1][1](args);
  }
  args.accumulate = true;
  args.stream = false;
  args.y_pixel = band.stride * band.to_pixel;
  args.height = 1;
  args.f_row = -band.stride * args.f_row;
  for (int row = 0; row < band.rows; row++) {
    // Row i of `from` reaches row h through filter row h + pad - i * stride.
    const int h = band.first + row;
    const int low = static_cast<int>(Max(0, UpDiv(h + band.pad - band.r + 1, band.stride)));
    const int high =
        static_cast<int>(Min(band.from_height - 1, FloorDiv(h + band.pad, band.stride)));
    if (low > high) continue;
    args.taps = args.row_high = high - low + 1;
    for (int s = 0; s < band.s; s++) {
      // from[i] goes to to[i * stride + s - pad].
      const int first = static_cast<int>(Max(0, UpDiv(band.pad - s, band.stride)));
      const int last = static_cast<int>(
          Min(band.from_width - 1, FloorDiv(band.to_width - 1 + band.pad - s, band.stride)));
      if (first > last) continue;
      args.x = band.from + (low - band.from_first) * band.from_row + first * band.from_pixel;
      args.y = band.to + row * band.to_row + (first * band.stride + s - band.pad) * band.to_pixel;
      args.f = band.f + (int64_t{h + band.pad - low * band.stride} * band.s + s) * band.f_tap;
      args.width = args.high = last - first + 1;
      kernels.band[1][1](args);
    }
  }
}

}  // namespace

bool PixelsCollide(int64_t channels, int64_t lines) {
  // 64 sets of 8 lines, as in most machines. Copying pays from two sets a pixel position on.
  constexpr int64_t kLineFloats = 16, kSets = 64, kWays = 8;
  if (channels % kLineFloats != 0) return false;
  int64_t step = channels / kLineFloats, shared = 1;
  while (step % 2 == 0 && shared < kSets) {
    step /= 2;
    shared *= 2;
  }
  return shared >= kSets / 2 && lines > kWays * kSets / shared;
}

void PackPixels(const float* from, int64_t from_pixel, int64_t pixels, int64_t channels,
                float* to) {
  for (int64_t i = 0; i < pixels; i++) {
    std::memcpy(to + i * kPackedPixel, from + i * from_pixel,
                static_cast<size_t>(channels) * sizeof(float));
  }
}

DepthwiseRows SourceRows(const DepthwiseBand& band, bool backward) {
  const int last = band.first + band.rows - 1;
  DepthwiseRows rows;
  if (backward) {
    rows.first = UpDiv(band.first + band.pad - band.r + 1, band.stride);
    rows.until = FloorDiv(last + band.pad, band.stride) + 1;
  } else {
    rows.first = band.first * band.stride - band.pad;
    rows.until = last * band.stride - band.pad + band.r;
  }
  rows.first = static_cast<int>(Max(0, Min(rows.first, band.from_height)));
  rows.until = static_cast<int>(Max(rows.first, Min(rows.until, band.from_height)));
  return rows;
}

void DepthwiseForwardRows(const DepthwiseBand& band, const simd::DepthwiseKernels& kernels) {
  TapPass passes[kMaxDepthwiseWidth];
  const int pass_count = MakePasses(band.s, band.stride, kernels.band, passes, kMaxDepthwiseWidth);
  simd::DepthwiseBandArgs args = BandArgs(band);
  const int top = band.first * band.stride - band.pad;
  args.row_stride = band.stride;
  args.row_low = -top;
  args.row_high = band.from_height - top;
  args.bias = band.bias;
  for (int p = 0; p < pass_count; p++) {
    const TapPass& pass = passes[p];
    const ColumnRange inside = InsideColumns(pass.first - band.pad, pass.pixels, band.from_width);
    args.x = band.from + (top - band.from_first) * band.from_row +
             (pass.first - band.pad) * band.from_pixel;
    args.f = band.f + pass.first * band.f_tap;
    args.x_pixel = band.from_pixel * pass.pixels;
    args.low = inside.low;
    args.high = inside.high;
    if (p + 1 == pass_count) {
      args.low_value = band.low_value;
      args.high_value = band.high_value;
    }
    kernels.band[pass.taps][pass.stride](args);
    args.accumulate = true;
    args.bias = nullptr;
  }
}

void DepthwiseBackwardRows(const DepthwiseBand& band, const simd::DepthwiseKernels& kernels) {
  simd::DepthwiseBandArgs args = BandArgs(band);
  if (band.stride == 2 && band.s <= 7 && kernels.spread[band.s] != nullptr) {
    args.x -= band.from_first * band.from_row;
    args.row_high = band.from_height;
    args.high = band.from_width;
    args.row_offset = band.first + band.pad;
    args.offset = band.pad;
    return kernels.spread[band.s](args);
  }
  if (band.stride == 1 && band.s <= 7 && kernels.band[band.s][1] != nullptr) {
    // Reversed, the taps are a correlation over `from`.
    const int top = band.first - (band.r - 1 - band.pad), left = band.s - 1 - band.pad;
    args.f += ((band.r - 1) * int64_t{band.s} + band.s - 1) * band.f_tap;
    args.f_row = -args.f_row;
    args.f_tap = -args.f_tap;
    args.x += (top - band.from_first) * band.from_row - left * band.from_pixel;
    args.row_low = -top;
    args.row_high = band.from_height - top;
    args.low = left;
    args.high = left + band.from_width;
    return kernels.band[band.s][1](args);
  }
  BackwardTaps(band, kernels);
}

}  // namespace rhnas::engine::conv
