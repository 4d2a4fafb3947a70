// Depthwise rows of an InferProgram. See infer.h.
#include <cstring>

#include "engine/conv_depthwise.h"
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

void Depthwise::Rows(const Source& source, int first, int last, int channel, int channels, float* y,
                     int64_t y_pixel, int width) const {
  conv::DepthwiseBand band;
  band.r = r_;
  band.s = s_;
  band.stride = stride_;
  band.pad = pad_;
  band.from = source.x;
  band.from_first = source.first_row;
  band.from_height = source.h;
  band.from_width = source.w;
  band.from_row = source.x_row;
  band.from_pixel = source.x_pixel;
  band.f = filter_.data() + channel;
  band.f_tap = channels_;
  band.to = y;
  band.first = first;
  band.rows = last - first;
  band.to_width = width;
  band.to_row = width * y_pixel;
  band.to_pixel = y_pixel;
  band.channels = channels;
  band.bias = bias_.data() + channel;
  ClampOf(activation_, &band.low_value, &band.high_value);
  conv::DepthwiseForwardRows(band, *kernels_);
  FinishActivation(activation_, y, int64_t{width} * band.rows, y_pixel, channels);
}

}  // namespace rhnas::engine::infer
