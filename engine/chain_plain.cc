// Links of a chain that no fused pass takes: dense and grouped convolutions, and tensors that stay
// in the caches. Normalised values stand in the arena while the convolution runs. See
// chain_internal.h.
#include "engine/chain_internal.h"
#include "engine/conv.h"
#include "engine/ops_internal.h"

namespace rhnas::engine::chain {

namespace {

const float* Normalized(const LinkShape& shape, const Source& x, Tape& tape) {
  if (x.norm == nullptr) return x.data;
  const int c = shape.c;
  float* const z = tape.arena().Floats(shape.pixels_in() * c);
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(
      shape.pixels_in(), internal::RowGrain(c), [&](int64_t begin, int64_t end, int) {
        kernels.normalize[x.norm->function()](x.data + begin * c, x.norm->channels(), z + begin * c,
                                              end - begin, c);
      });
  return z;
}

}  // namespace

void PlainForward(const LinkShape& shape, const Source& x, const float* filter, float* y,
                  const internal::MomentPartials& moments, Tape& tape) {
  ConvForward(shape, Normalized(shape, x, tape), filter, y, false, tape.pool());
  const int k = shape.k;
  const int64_t chunk = internal::ChunkRows(k);
  tape.pool().ParallelFor(shape.pixels_out(), chunk, [&](int64_t begin, int64_t end, int) {
    internal::TakeMoments(y + begin * k, end - begin, k, begin / chunk, moments);
  });
}

void PlainBackward(const LinkShape& shape, const Source& x, const GradSource& dy,
                   const float* filter, const GradTarget& dx, float* dfilter, Tape& tape) {
  const int c = shape.c, k = shape.k;
  ThreadPool& pool = tape.pool();
  const auto& kernels = simd::Elementwise();
  float* const dy_all = tape.arena().Floats(shape.pixels_out() * k);
  pool.ParallelFor(shape.pixels_out(), internal::RowGrain(k), [&](int64_t begin, int64_t end, int) {
    kernels.normalize_backward[dy.norm->function()](
        dy.y + begin * k, dy.dz + begin * k, dy.norm->channels(), dy.channels.slope,
        dy.channels.offset, dy_all + begin * k, end - begin, k, false);
  });
  if (dfilter != nullptr) {
    ConvBackwardFilter(shape, Normalized(shape, x, tape), dy_all, dfilter, true, pool);
  }
  if (dx.dz == nullptr) return;
  ConvBackwardData(shape, dy_all, filter, dx.dz, dx.accumulate, pool);
  if (x.norm == nullptr) return;
  const int64_t chunk = internal::ChunkRows(c);
  pool.ParallelFor(shape.pixels_in(), chunk, [&](int64_t begin, int64_t end, int) {
    const int64_t at = begin / chunk * c;
    kernels.normalize_sums[x.norm->function()](x.data + begin * c, dx.dz + begin * c,
                                               x.norm->channels(), end - begin, c,
                                               dx.partials.sum + at, dx.partials.centred + at);
  });
}

}  // namespace rhnas::engine::chain
