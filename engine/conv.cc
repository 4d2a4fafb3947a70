// Convolutions and matrix products, taken to the few loops that do the work: a correlation for
// forward and backward-data, a filter gradient for the rest; depthwise passes, Winograd's and small
// products of their own.
#include "engine/conv.h"

#include "engine/check.h"
#include "engine/conv_internal.h"
#include "engine/conv_winograd.h"
#include "engine/cpu.h"
#include "engine/small_product.h"

namespace rhnas::engine {

namespace {

using conv::Correlation;
using conv::FilterGradient;

bool IsDepthwise(const ConvShape& shape) {
  return shape.groups == shape.c && shape.groups == shape.k && shape.groups > 1;
}

void CheckShape(const ConvShape& s) {
  RHNAS_CHECK(s.n >= 1 && s.h >= 1 && s.w >= 1 && s.c >= 1, "input [%d,%d,%d,%d]", s.n, s.h, s.w,
              s.c);
  RHNAS_CHECK(s.k >= 1 && s.r >= 1 && s.s >= 1, "filter [%d,%d,..,%d]", s.r, s.s, s.k);
  RHNAS_CHECK(s.stride >= 1 && s.pad >= 0, "stride %d, pad %d", s.stride, s.pad);
  RHNAS_CHECK(s.groups >= 1 && s.c % s.groups == 0 && s.k % s.groups == 0,
              "%d input and %d output channels in %d groups", s.c, s.k, s.groups);
  RHNAS_CHECK(s.h + 2 * s.pad >= s.r && s.w + 2 * s.pad >= s.s,
              "filter %dx%d on a padded image of %dx%d", s.r, s.s, s.h + 2 * s.pad,
              s.w + 2 * s.pad);
  RHNAS_CHECK(!IsDepthwise(s) || s.s <= conv::kMaxDepthwiseWidth,
              "a depthwise filter of width %d, at most %d", s.s, conv::kMaxDepthwiseWidth);
}

// The pixels that one phase of a strided backward-data pass covers: their first, how many.
struct Phase {
  int first, count;
  int tap, taps;  // first filter tap that reaches them, and how many
  int shift;      // top or left of the correlation over dy
};

// Input pixel h gets dy[i] * f[r] for all i * stride + r = h + pad. Pixels with the same
// (h + pad) mod stride see the same taps tap, tap + stride, ..; reversed, they are a stride-1
// correlation over dy.
Phase MakePhase(int phase, int size, int pad, int filter, int stride) {
  Phase p;
  p.first = ((phase - pad) % stride + stride) % stride;
  p.count = p.first < size ? (size - 1 - p.first) / stride + 1 : 0;
  p.tap = phase;
  p.taps = phase < filter ? (filter - 1 - phase) / stride + 1 : 0;
  p.shift = p.taps - 1 - (p.first + pad - phase) / stride;
  return p;
}

}  // namespace

void ConvForward(const ConvShape& shape, const float* x, const float* f, float* y, bool accumulate,
                 ThreadPool& pool) {
  CheckShape(shape);
  if (conv::WinogradPays(shape, conv::Pass::kForward)) {
    return conv::WinogradForward(shape, x, f, y, accumulate, pool);
  }
  ConvForwardDirect(shape, x, f, y, accumulate, pool);
}

void ConvForwardDirect(const ConvShape& shape, const float* x, const float* f, float* y,
                       bool accumulate, ThreadPool& pool) {
  CheckShape(shape);
  if (IsDepthwise(shape)) {
    return conv::DepthwiseForward(shape, x, f, y, accumulate,
                                  simd::DepthwiseKernelsFor(ActiveTarget()), pool);
  }
  Correlation job;
  job.images = shape.n;
  job.groups = shape.groups;
  job.channels = shape.c / shape.groups;
  job.columns = shape.k / shape.groups;
  job.r = shape.r;
  job.s = shape.s;
  job.stride = shape.stride;
  job.top = job.left = shape.pad;
  job.x = x;
  job.h = shape.h;
  job.w = shape.w;
  job.x_pixel = shape.c;
  job.f = f;
  job.f_column = 1;
  job.f_channel = shape.k;
  job.f_s = job.f_channel * job.channels;
  job.f_r = job.f_s * shape.s;
  job.f_group = job.columns;
  job.y = y;
  job.out_h = shape.oh();
  job.out_w = shape.ow();
  job.y_pixel = shape.k;
  job.y_row = job.y_pixel * job.out_w;
  job.y_image = job.y_row * job.out_h;
  job.accumulate = accumulate;
  conv::CorrelateDense(job, simd::ConvKernelsFor(ActiveTarget()), pool);
}

void ConvBackwardData(const ConvShape& shape, const float* dy, const float* f, float* dx,
                      bool accumulate, ThreadPool& pool) {
  CheckShape(shape);
  if (conv::WinogradPays(shape, conv::Pass::kBackwardData)) {
    return conv::WinogradBackwardData(shape, dy, f, dx, accumulate, pool);
  }
  if (IsDepthwise(shape)) {
    return conv::DepthwiseBackwardData(shape, dy, f, dx, accumulate,
                                       simd::DepthwiseKernelsFor(ActiveTarget()), pool);
  }
  const simd::ConvKernels& kernels = simd::ConvKernelsFor(ActiveTarget());
  const int64_t channels = shape.c / shape.groups, columns = shape.k / shape.groups;
  const int64_t tap = channels * shape.k;  // floats from filter tap to filter tap
  const int stride = shape.stride;
  for (int v = 0; v < stride; v++) {
    const Phase vertical = MakePhase(v, shape.h, shape.pad, shape.r, stride);
    for (int u = 0; u < stride; u++) {
      const Phase horizontal = MakePhase(u, shape.w, shape.pad, shape.s, stride);
      if (vertical.count == 0 || horizontal.count == 0) continue;
      const bool no_taps = vertical.taps == 0 || horizontal.taps == 0;
      if (no_taps && accumulate) continue;
      Correlation job;
      job.images = shape.n;
      job.groups = shape.groups;
      job.channels = static_cast<int>(columns);
      job.columns = static_cast<int>(channels);
      job.r = no_taps ? 0 : vertical.taps;
      job.s = no_taps ? 0 : horizontal.taps;
      job.top = vertical.shift;
      job.left = horizontal.shift;
      job.x = dy;
      job.h = shape.oh();
      job.w = shape.ow();
      job.x_pixel = shape.k;
      // The last tap first: taps run backward.
      job.f = f + ((vertical.tap + int64_t{stride} * (vertical.taps - 1)) * shape.s +
                   horizontal.tap + int64_t{stride} * (horizontal.taps - 1)) *
                      tap;
      job.f_r = -stride * tap * shape.s;
      job.f_s = -stride * tap;
      job.f_channel = 1;
      job.f_column = shape.k;
      job.f_group = columns;
      job.out_h = vertical.count;
      job.out_w = horizontal.count;
      job.y = dx + (int64_t{vertical.first} * shape.w + horizontal.first) * shape.c;
      job.y_pixel = int64_t{stride} * shape.c;
      job.y_row = job.y_pixel * shape.w;
      job.y_image = int64_t{shape.h} * shape.w * shape.c;
      job.accumulate = accumulate;
      conv::CorrelateDense(job, kernels, pool);
    }
  }
}

void ConvBackwardFilter(const ConvShape& shape, const float* x, const float* dy, float* df,
                        bool accumulate, ThreadPool& pool) {
  CheckShape(shape);
  if (conv::WinogradPays(shape, conv::Pass::kBackwardFilter)) {
    return conv::WinogradBackwardFilter(shape, x, dy, df, accumulate, pool);
  }
  FilterGradient job;
  job.images = shape.n;
  job.groups = shape.groups;
  job.channels = shape.c / shape.groups;
  job.columns = shape.k / shape.groups;
  job.r = shape.r;
  job.s = shape.s;
  job.stride = shape.stride;
  job.pad = shape.pad;
  job.x = x;
  job.h = shape.h;
  job.w = shape.w;
  job.dy = dy;
  job.out_h = shape.oh();
  job.out_w = shape.ow();
  job.df = df;
  job.accumulate = accumulate;
  if (IsDepthwise(shape)) {
    conv::FilterGradientDepthwise(job, simd::DepthwiseKernelsFor(ActiveTarget()), pool);
  } else {
    conv::FilterGradientDense(job, simd::ConvKernelsFor(ActiveTarget()), pool);
  }
}

// A matrix product is a pointwise convolution on one image of one row: a b with a as the image is
// the forward pass, a b^T the backward-data pass, a^T b the filter gradient.
void Gemm(const GemmShape& shape, const float* a, const float* b, float* c, bool accumulate,
          ThreadPool& pool) {
  const int m = shape.m, n = shape.n, k = shape.k;
  RHNAS_CHECK(m >= 1 && n >= 1 && k >= 1, "m %d, n %d, k %d", m, n, k);
  if (IsSmallGemm(shape)) return SmallGemm(shape, a, b, nullptr, c, accumulate, pool);
  const simd::ConvKernels& kernels = simd::ConvKernelsFor(ActiveTarget());
  if (!shape.transpose_a) {
    Correlation job;
    job.channels = k;
    job.columns = n;
    job.x = a;
    job.w = job.out_w = m;
    job.x_pixel = k;
    job.f = b;
    job.f_channel = shape.transpose_b ? 1 : n;
    job.f_column = shape.transpose_b ? k : 1;
    job.f_s = job.f_r = job.f_channel * k;
    job.y = c;
    job.y_pixel = n;
    job.accumulate = accumulate;
    conv::CorrelateDense(job, kernels, pool);
    return;
  }
  FilterGradient job;
  job.channels = m;
  job.columns = n;
  job.x = a;
  job.dy = b;
  job.w = job.out_w = k;
  job.df = c;
  job.accumulate = accumulate;
  job.dy_turned = shape.transpose_b;
  conv::FilterGradientDense(job, kernels, pool);
}

}  // namespace rhnas::engine
