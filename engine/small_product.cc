// Which orientation a small product takes, and what has to be turned for it. See small_product.h.
#include "engine/small_product.h"

#include "engine/simd/small_product.h"

namespace rhnas::engine {

namespace {

// Above these the packed panels of engine/conv_dense.cc win: they read b in order, and several
// threads share them.
constexpr int64_t kMostMacs = 192 * 1024;
constexpr int64_t kMostFloats = 8 * 1024;  // of each operand: 32 KiB, a first-level cache
// Reductions over this many rows are cut into chunks there (engine/conv_filter.cc).
constexpr int kMostReduction = 512;
constexpr int kSwapReduction = 8;

}  // namespace

bool IsSmallGemm(const GemmShape& s) {
  // Products of up to 2^31 each fit 64 bits two at a time.
  return s.k <= kMostReduction && int64_t{s.m} * s.k <= kMostFloats &&
         int64_t{s.k} * s.n <= kMostFloats && int64_t{s.m} * s.n <= kMostFloats &&
         int64_t{s.m} * s.n * s.k <= kMostMacs;
}

void SmallGemm(const GemmShape& shape, const float* a, const float* b, const float* bias, float* c,
               bool accumulate, ThreadPool& pool) {
  const simd::SmallKernels& kernels = simd::SmallKernelsFor(ActiveTarget());
  const int m = shape.m, n = shape.n, k = shape.k;
  // With few columns and many rows the rows fill the vectors, c^T = op(b)^T op(a)^T, if the
  // reduction is long enough to pay for turning c.
  const bool swap = bias == nullptr && 2 * n <= kernels.lanes && m > n && k >= kSwapReduction;
  const int64_t turned_floats =
      swap ? (shape.transpose_a ? 0 : int64_t{m} * k) : (shape.transpose_b ? int64_t{k} * n : 0);
  float* scratch = nullptr;
  if (turned_floats > 0 || swap) {
    const int64_t floats = turned_floats + (swap ? int64_t{m} * n : 0);
    scratch = static_cast<float*>(pool.Scratch(0, static_cast<size_t>(floats) * sizeof(float)));
  }
  simd::SmallProduct job;
  job.steps = k;
  job.bias = bias;
  if (!swap) {
    job.rows = m;
    job.columns = n;
    job.a = a;
    job.a_row = shape.transpose_a ? 1 : k;
    job.a_step = shape.transpose_a ? m : 1;
    job.b = b;
    job.b_step = n;
    if (shape.transpose_b) {
      kernels.transpose(b, k, n, k, scratch, n);
      job.b = scratch;
    }
    job.c = c;
    job.c_row = n;
    job.accumulate = accumulate;
    kernels.product(job);
    return;
  }
  float* const turned_c = scratch + turned_floats;
  job.rows = n;
  job.columns = m;
  job.a = b;
  job.a_row = shape.transpose_b ? k : 1;
  job.a_step = shape.transpose_b ? 1 : n;
  job.b = a;
  job.b_step = m;
  if (!shape.transpose_a) {
    kernels.transpose(a, k, m, k, scratch, m);
    job.b = scratch;
  }
  job.c = turned_c;
  job.c_row = m;
  job.accumulate = accumulate;
  if (accumulate) kernels.transpose(c, n, m, n, turned_c, m);
  kernels.product(job);
  kernels.transpose(turned_c, m, n, m, c, n);
}

}  // namespace rhnas::engine
