// Convolution and matrix kernels on plain memory: blocked, vectorised, multi-threaded, chosen for
// the active target (engine/cpu.h). No autodiff here; engine/ops.h wraps these.
//
// Layouts: images N H W C; filters R S C/groups K (so a pointwise filter is a C x K matrix and a
// depthwise filter is R S 1 K). Cross-correlation, zero padding, dilation 1. Floats in, floats out.
// Results do not depend on the number of threads. Dense 3x3 filters at stride 1 go by Winograd
// where that is estimated to be faster; it rounds more (engine/conv_winograd.h).
#pragma once

#include <cstdint>

#include "engine/threads.h"

namespace rhnas::engine {

struct ConvShape {
  int n = 1, h = 1, w = 1, c = 1;  // input images
  int k = 1, r = 1, s = 1;         // filters
  int stride = 1, pad = 0, groups = 1;

  int oh() const { return (h + 2 * pad - r) / stride + 1; }
  int ow() const { return (w + 2 * pad - s) / stride + 1; }
  int64_t input_size() const { return int64_t{n} * h * w * c; }
  int64_t output_size() const { return int64_t{n} * oh() * ow() * k; }
  int64_t filter_size() const { return int64_t{r} * s * (c / groups) * k; }
  int64_t macs() const { return output_size() * r * s * (c / groups); }
};

// REQUIRES (all four): c and k divisible by groups; oh(), ow() >= 1; a depthwise filter at most 64
// wide; pointers not overlapping.
// With accumulate the result is added to what the output holds, otherwise it replaces it.

// y[n,oh,ow,k] = sum x * f
void ConvForward(const ConvShape& shape, const float* x, const float* f, float* y, bool accumulate,
                 ThreadPool& pool);
// The same, never by Winograd: integers whose sums of absolute products stay below 2^24 give the
// exact integer, on every target.
void ConvForwardDirect(const ConvShape& shape, const float* x, const float* f, float* y,
                       bool accumulate, ThreadPool& pool);
// dx[n,h,w,c] = sum dy * f
void ConvBackwardData(const ConvShape& shape, const float* dy, const float* f, float* dx,
                      bool accumulate, ThreadPool& pool);
// df[r,s,c/groups,k] = sum x * dy
void ConvBackwardFilter(const ConvShape& shape, const float* x, const float* dy, float* df,
                        bool accumulate, ThreadPool& pool);

// c[m,n] = op(a) * op(b), row-major, op is transpose when asked: a is m x k (or k x m), b k x n (or
// n x k).
struct GemmShape {
  int m = 1, n = 1, k = 1;
  bool transpose_a = false, transpose_b = false;
};
void Gemm(const GemmShape& shape, const float* a, const float* b, float* c, bool accumulate,
          ThreadPool& pool);

}  // namespace rhnas::engine
