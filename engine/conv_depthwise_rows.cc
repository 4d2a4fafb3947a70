// Bands of rows of a depthwise convolution: the loops over rows, blocks of channels and groups of
// taps around engine/simd/depthwise.inl.
//
// The source is read in place. Filters wider than the widest kernel, and strides above two, are
// taken apart by columns of taps, each pass adding to the one before.
#include "engine/conv_depthwise.h"
#include "engine/conv_internal.h"

namespace rhnas::engine::conv {

namespace {

// Channels are taken in blocks so that the rows and filters a tile of 8 outputs needs stay in half
// of a 32 KiB first-level cache.
constexpr int64_t kTileFloats = 4096;
constexpr int kChannelQuantum = 32;

int64_t ChannelBlock(int64_t channels, int64_t floats_per_channel) {
  if (channels * floats_per_channel <= kTileFloats) return channels;
  const int64_t block =
      Max(1, kTileFloats / floats_per_channel / kChannelQuantum) * kChannelQuantum;
  return Min(channels, block);
}

int FloorDiv(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
int UpDiv(int a, int b) { return -FloorDiv(-a, b); }

// What the rows of a band have in common.
simd::DepthwiseArgs RowArgs(const DepthwiseBand& band, int64_t channel, int64_t block) {
  simd::DepthwiseArgs args;
  args.x_row = band.from_row;
  args.x_pixel = band.from_pixel;
  args.y_pixel = band.to_pixel;
  args.width = band.to_width;
  args.channels = static_cast<int>(Min(block, band.channels - channel));
  args.accumulate = band.accumulate;
  args.stream = band.stream;
  return args;
}

// Nothing reaches this row: the bias, held between the clamps, through a pass of no taps.
void EmptyRow(const DepthwiseBand& band, simd::DepthwiseArgs args,
              const simd::DepthwiseKernels& kernels) {
  args.taps = args.low = args.high = 0;
  args.x = band.from;
  args.f = band.f;
  args.f_row = args.f_tap = 0;
  kernels.row[1][1](args);
}

void ForwardRow(const DepthwiseBand& band, int i, int64_t channel, simd::DepthwiseArgs args,
                const TapPass* passes, int pass_count, const simd::DepthwiseKernels& kernels) {
  const int top = i * band.stride - band.pad;
  const int r_low = top < 0 ? -top : 0;
  const int r_high = static_cast<int>(Min(band.r, band.from_height - top));
  args.y = band.to + (i - band.first) * band.to_row + channel;
  if (r_high <= r_low) {
    args.bias = band.bias != nullptr ? band.bias + channel : nullptr;
    args.low_value = band.low_value;
    args.high_value = band.high_value;
    return EmptyRow(band, args, kernels);
  }
  args.taps = r_high - r_low;
  args.f_row = band.s * band.f_tap;
  args.f_tap = band.f_tap;
  const float* const x = band.from + (top + r_low - band.from_first) * band.from_row + channel;
  const float* const f = band.f + r_low * args.f_row + channel;
  for (int p = 0; p < pass_count; p++) {
    const TapPass& pass = passes[p];
    const ColumnRange inside = InsideColumns(pass.first - band.pad, pass.pixels, band.from_width);
    args.x = x + (pass.first - band.pad) * band.from_pixel;
    args.f = f + pass.first * band.f_tap;
    args.x_pixel = band.from_pixel * pass.pixels;
    args.low = inside.low;
    args.high = inside.high;
    args.bias = p == 0 && band.bias != nullptr ? band.bias + channel : nullptr;
    if (p + 1 == pass_count) {
      args.low_value = band.low_value;
      args.high_value = band.high_value;
    }
    kernels.row[pass.taps][pass.stride](args);
    args.accumulate = true;
  }
}

// Any filter and stride: one column of taps after the other.
void BackwardColumns(const DepthwiseBand& band, const simd::DepthwiseArgs& row, int stride,
                     const simd::DepthwiseKernels& kernels) {
  simd::DepthwiseArgs args = row;
  if (!args.accumulate) EmptyRow(band, row, kernels);
  args.accumulate = true;
  args.stream = false;
  args.low = 0;
  args.y_pixel = stride * row.y_pixel;
  for (int s = 0; s < band.s; s++) {
    // from[i] goes to to[i * stride + s - pad].
    const int first = static_cast<int>(Max(0, UpDiv(band.pad - s, stride)));
    const int last = static_cast<int>(
        Min(band.from_width - 1, FloorDiv(band.to_width - 1 + band.pad - s, stride)));
    if (first > last) continue;
    args.x = row.x + first * row.x_pixel;
    args.y = row.y + (first * stride + s - band.pad) * row.y_pixel;
    args.f = row.f + s * row.f_tap;
    args.width = args.high = last - first + 1;
    kernels.row[1][1](args);
  }
}

void BackwardRow(const DepthwiseBand& band, int h, int64_t channel, simd::DepthwiseArgs args,
                 const simd::DepthwiseKernels& kernels) {
  // Row i of `from` reaches row h through filter row r = h + pad - i * stride.
  const int from_low = static_cast<int>(Max(0, UpDiv(h + band.pad - band.r + 1, band.stride)));
  const int from_high =
      static_cast<int>(Min(band.from_height - 1, FloorDiv(h + band.pad, band.stride)));
  args.y = band.to + (h - band.first) * band.to_row + channel;
  if (from_low > from_high) {
    if (!args.accumulate) EmptyRow(band, args, kernels);
    return;
  }
  args.taps = from_high - from_low + 1;
  args.x = band.from + (from_low - band.from_first) * band.from_row + channel;
  args.f_tap = band.f_tap;
  args.f_row = -band.stride * band.s * band.f_tap;
  args.f = band.f + int64_t{h + band.pad - from_low * band.stride} * band.s * band.f_tap + channel;
  args.low = 0;
  args.high = band.from_width;
  if (band.stride == 2 && band.s <= 7 && kernels.spread[band.s] != nullptr) {
    return kernels.spread[band.s](args, band.pad);
  }
  if (band.stride == 1 && band.s <= 7 && kernels.row[band.s][1] != nullptr) {
    // Reversed, the taps are a correlation over `from`.
    const int left = band.s - 1 - band.pad;
    args.f += (band.s - 1) * band.f_tap;
    args.f_tap = -band.f_tap;
    args.x -= left * band.from_pixel;
    args.low = left;
    args.high = left + band.from_width;
    return kernels.row[band.s][1](args);
  }
  BackwardColumns(band, args, band.stride, kernels);
}

}  // namespace

void DepthwiseForwardRows(const DepthwiseBand& band, const simd::DepthwiseKernels& kernels) {
  TapPass passes[kMaxDepthwiseWidth];
  const int pass_count = MakePasses(band.s, band.stride, kernels.row, passes, kMaxDepthwiseWidth);
  const int64_t block =
      ChannelBlock(band.channels, Max(1, band.r) * int64_t{8 * band.stride + 2 * band.s});
  for (int64_t channel = 0; channel < band.channels; channel += block) {
    const simd::DepthwiseArgs args = RowArgs(band, channel, block);
    for (int i = band.first; i < band.first + band.rows; i++) {
      ForwardRow(band, i, channel, args, passes, pass_count, kernels);
    }
  }
}

void DepthwiseBackwardRows(const DepthwiseBand& band, const simd::DepthwiseKernels& kernels) {
  const int64_t block = ChannelBlock(band.channels, band.r * int64_t{8 + 2 * band.s});
  for (int64_t channel = 0; channel < band.channels; channel += block) {
    const simd::DepthwiseArgs args = RowArgs(band, channel, block);
    for (int h = band.first; h < band.first + band.rows; h++) {
      BackwardRow(band, h, channel, args, kernels);
    }
  }
}

}  // namespace rhnas::engine::conv
