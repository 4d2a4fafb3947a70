// Depthwise rows of an InferProgram. See infer.h.
#include <cstring>
#include <limits>

#include "engine/infer_internal.h"

namespace rhnas::engine::infer {

Depthwise::Depthwise(const InferConv& conv)
    : channels_(conv.k),
      r_(conv.r),
      s_(conv.s),
      stride_(conv.stride),
      pad_(conv.pad),
      activation_(conv.activation),
      filter_(int64_t{conv.r} * conv.s * conv.k),
      bias_(conv.k),
      kernels_(&simd::DepthwiseKernelsFor(ActiveTarget())) {
  std::memcpy(filter_.data(), conv.filter, static_cast<size_t>(filter_.size()) * sizeof(float));
  std::memcpy(bias_.data(), conv.bias, static_cast<size_t>(conv.k) * sizeof(float));
}

// Filters wider than the widest kernel, and strides above two, are taken apart by columns of taps,
// each pass adding to the one before; a single tap of any stride is a pass over spread pixels.
void Depthwise::Row(const Source& source, int row, int channel, int channels, float* y,
                    int64_t y_pixel, int width) const {
  const int top = row * stride_ - pad_;
  const int r_low = top < 0 ? -top : 0;
  const int r_high = static_cast<int>(Min(r_, source.h - top));
  simd::DepthwiseArgs args;
  args.taps = r_high > r_low ? r_high - r_low : 0;
  args.x_row = source.x_row;
  args.f_row = int64_t{s_} * channels_;
  args.f_tap = channels_;
  args.y = y;
  args.y_pixel = y_pixel;
  args.width = width;
  args.channels = channels;
  args.accumulate = false;
  args.stream = false;
  args.bias = bias_.data() + channel;
  float low, high;
  ClampOf(activation_, &low, &high);
  const float* const x =
      args.taps > 0 ? source.x + int64_t{top + r_low - source.first_row} * source.x_row : source.x;
  const float* const f = filter_.data() + r_low * args.f_row + channel;
  for (int first = 0; first < s_;) {
    int taps = static_cast<int>(Min(7, s_ - first)), spread = 1, step = stride_;
    if (stride_ > 2) {
      taps = 1;
    } else {
      while (taps > 1 && kernels_->row[taps][stride_] == nullptr) taps--;
    }
    if (taps == 1) {
      spread = stride_;
      step = 1;
    }
    const int start = first - pad_;  // pixel of the first column
    args.x = x + start * source.x_pixel;
    args.x_pixel = source.x_pixel * spread;
    args.low = start < 0 ? static_cast<int>(CeilDiv(-start, spread)) : 0;
    args.high = source.w > start ? (source.w - 1 - start) / spread + 1 : 0;
    args.f = f + int64_t{first} * channels_;
    first += taps;
    if (first >= s_) {
      args.low_value = low;
      args.high_value = high;
    }
    kernels_->row[taps][step](args);
    args.accumulate = true;
    args.bias = nullptr;
  }
  FinishActivation(activation_, y, width, y_pixel, channels);
}

}  // namespace rhnas::engine::infer
