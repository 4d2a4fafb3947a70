// Winograd convolution F(4x4,3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks" (arXiv 1509.09308), section 4: dense 3x3 filters with stride 1. Four outputs each way
// come from six inputs by 36 multiplications where the definition takes 144; the 36 products of
// matrices of a block of tiles are register tiles, and what is transformed stays in the
// second-level cache.
//
// Rounding. The interpolation points are 0, +-5/8, +-3/2 and infinity rather than the paper's 0,
// +-1, +-2, infinity: half the error, at the same price. Measured on standard normal data against
// double, for 16, 64 and 128 channels: an error of at most 0.9e-6, 1.6e-6, 1.6e-6 of the largest
// output, a quarter more where multiply-adds are not fused, and 5e-7, 8e-7, 1.1e-6 root mean
// square; with 0, +-1, +-2: 2.5e-6, 3.9e-6, 5.4e-6.
// tests/engine_winograd_test.cc holds these to a bound. An infinity in x becomes a not-a-number in
// every output of the 4x4 tiles that read it; the direct kernels keep it.
//
// The bits do not depend on the number of threads, and are the same for all targets that fuse their
// multiply-adds.
#pragma once

#include <cstdint>

#include "engine/conv.h"
#include "engine/simd/winograd.h"
#include "engine/threads.h"

namespace rhnas::engine::conv {

enum class Pass { kForward, kBackwardData, kBackwardFilter };

// Whether the estimates of engine/conv_winograd_cost.cc say that Winograd is faster. A function of
// the shape alone, since the two ways round differently. False for shapes it cannot do.
bool WinogradPays(const ConvShape& shape, Pass pass);
// Dense, 3x3, stride 1, padding up to 2.
bool WinogradFits(const ConvShape& shape);

// REQUIRES (all three): WinogradFits(shape). As the functions of engine/conv.h.
void WinogradForward(const ConvShape& shape, const float* x, const float* f, float* y,
                     bool accumulate, ThreadPool& pool);
void WinogradBackwardData(const ConvShape& shape, const float* dy, const float* f, float* dx,
                          bool accumulate, ThreadPool& pool);
void WinogradBackwardFilter(const ConvShape& shape, const float* x, const float* dy, float* df,
                            bool accumulate, ThreadPool& pool);

// A filter transformed and packed once, for inference: plan, pack into memory of the caller's, run.
struct WinogradFilter {
  int channels = 1, columns = 1;
  const simd::WinogradKernels* kernels = nullptr;
  int vecs = 0, panels = 0;

  int Width(int panel) const;       // columns of a panel, with those that pad it to whole vectors
  int64_t Point(int panel) const;   // floats from point to point
  int64_t Offset(int panel) const;  // floats before the panel
  int64_t floats() const { return Offset(panels); }
};
// For the active target.
WinogradFilter PlanWinogradFilter(int channels, int columns);
// f[3][3][channels][columns]; `to` has plan.floats() floats, aligned to 64 bytes.
void PackWinogradFilter(const WinogradFilter& plan, const float* f, float* to, ThreadPool& pool);

// y (+)= the correlation of images x [images][h][w][channels] with a 3x3 filter, x zero outside,
// output (0, 0) under tap (0, 0) at x (-top, -left).
struct WinogradImages {
  int images = 1, h = 1, w = 1;
  int top = 1, left = 1;
  const float* x = nullptr;
  int out_h = 1, out_w = 1;
  float* y = nullptr;
  bool accumulate = false;
  const simd::Epilogue* epilogue = nullptr;  // residual images follow without gaps
};
void WinogradCorrelate(const WinogradFilter& plan, const float* packed,
                       const WinogradImages& images, ThreadPool& pool);

}  // namespace rhnas::engine::conv
