// Pointwise links of a fused chain: blocks of pixels that stay in the second-level cache from the
// normalisation of what is read to the sums over what is written. See chain_internal.h.
#include <algorithm>

#include "engine/chain_internal.h"
#include "engine/conv_block.h"
#include "engine/conv_internal.h"

namespace rhnas::engine::chain {

namespace {

// Floats that a block touches: within half of a second-level cache of 1 MiB (cores of the last
// years have 0.5 to 2), the packed filter beside them.
constexpr int64_t kForwardFloats = 96 * 1024, kBackwardFloats = 128 * 1024;
// Float sums over more rows lose digits (as internal::ChunkRows); fewer make the sums dear.
constexpr int64_t kMostPixels = 512, kFewestPixels = 32;
// Partial filter gradients are written once and read once: at most 2 MiB of them, and enough parts
// for a handful of threads.
constexpr int64_t kPartialFloats = 512 * 1024, kFewestParts = 8, kMostParts = 32;

float* Normalized(const Source& x, int64_t pixel, int64_t pixels, int c, float* scratch) {
  simd::Elementwise().normalize[x.norm->function()](x.data + pixel * c, x.norm->channels(), scratch,
                                                    pixels, c);
  return scratch;
}

}  // namespace

Parts PartsOf(int64_t units, int64_t filter_floats) {
  const int64_t most =
      std::clamp<int64_t>(kPartialFloats / filter_floats, kFewestParts, kMostParts);
  return {units, std::min(units, most)};
}

void AddPartials(const float* partial, int64_t parts, int64_t filter_floats, float* dfilter,
                 ThreadPool& pool) {
  const auto& kernels = simd::ConvKernelsFor(ActiveTarget());
  pool.ParallelFor(filter_floats, 4096, [&](int64_t begin, int64_t end, int) {
    kernels.add_parts(dfilter + begin, partial + begin, filter_floats, static_cast<int>(parts),
                      end - begin, true);
  });
}

int64_t PointwiseBlock(const LinkShape& shape, bool backward) {
  const int64_t floats = backward ? kBackwardFloats : kForwardFloats;
  const int64_t pixel = backward ? 3 * (shape.c + shape.k) : 2 * shape.c + shape.k;
  const int64_t block = std::clamp(floats / pixel / 16 * 16, kFewestPixels, kMostPixels);
  return std::min(block, shape.pixels_out());
}

void PointwiseForward(const LinkShape& shape, const Source& x, const float* filter, float* y,
                      const internal::MomentPartials& moments, ThreadPool& pool) {
  const int c = shape.c, k = shape.k;
  const int64_t block = PointwiseBlock(shape, false), rows = shape.pixels_out();
  const conv::PackedFilter plan = conv::PlanFilter({1, 1, c, k}, block);
  const conv::Scratch scratch(pool, plan.floats(), x.norm != nullptr ? block * c : 0);
  conv::PackFilter(plan, filter, {0, 0, k, 1}, scratch.shared());
  pool.ParallelFor(rows, block, [&](int64_t begin, int64_t end, int worker) {
    conv::Block run;
    run.pixels = end - begin;
    run.x = x.norm == nullptr ? x.data + begin * c
                              : Normalized(x, begin, run.pixels, c, scratch.Own(worker));
    run.x_pixel = c;
    run.y = y + begin * k;
    run.y_pixel = k;
    // What the next block reads and writes.
    simd::Fetch fetch;
    const int64_t ahead = std::min(block, rows - end);
    fetch.Add(y + end * k, ahead * k, true);
    fetch.Add(x.data + end * c, ahead * c);
    run.fetch = &fetch;
    conv::CorrelateBlock(plan, scratch.shared(), run);
    internal::TakeMoments(run.y, run.pixels, k, begin / block, moments);
  });
}

void PointwiseBackward(const LinkShape& shape, const Source& x, const GradSource& dy,
                       const float* filter, const GradTarget& dx, float* dfilter,
                       ThreadPool& pool) {
  const int c = shape.c, k = shape.k;
  const int64_t block = PointwiseBlock(shape, true), rows = shape.pixels_out();
  const int64_t filter_floats = int64_t{c} * k;
  const Parts parts = PartsOf(conv::CeilDiv(rows, block), filter_floats);
  const conv::PackedFilter plan = conv::PlanFilter({1, 1, k, c}, block);
  const int64_t packed_floats = conv::CeilDiv(plan.floats(), 16) * 16;
  const conv::Scratch scratch(
      pool, packed_floats + (dfilter != nullptr ? parts.count * filter_floats : 0),
      block * k + block * c + 16);
  if (dx.dz != nullptr) conv::PackFilter(plan, filter, {0, 0, 1, k}, scratch.shared());
  float* const partial = scratch.shared() + packed_floats;
  const auto& kernels = simd::Elementwise();
  pool.ParallelFor(parts.count, 1, [&](int64_t part, int64_t, int worker) {
    float* const dy_block = scratch.Own(worker);
    float* const z_block = dy_block + conv::CeilDiv(block * k, 16) * 16;
    for (int64_t unit = parts.begin(part); unit < parts.begin(part + 1); ++unit) {
      const int64_t begin = unit * block, pixels = std::min(block, rows - begin);
      kernels.normalize_backward[dy.norm->function()](
          dy.y + begin * k, dy.dz + begin * k, dy.norm->channels(), dy.channels.slope,
          dy.channels.offset, dy_block, pixels, k, false);
      // What the next block reads is fetched while this one is multiplied.
      const int64_t ahead = std::min(block, rows - begin - pixels);
      if (dfilter != nullptr) {
        conv::OuterBlock outer;
        outer.x = x.norm == nullptr ? x.data + begin * c : Normalized(x, begin, pixels, c, z_block);
        outer.x_pixel = c;
        outer.dy = dy_block;
        outer.dy_pixel = k;
        outer.pixels = pixels;
        outer.channels = c;
        outer.columns = k;
        outer.df = partial + part * filter_floats;
        outer.df_channel = k;
        outer.accumulate = unit > parts.begin(part);
        outer.fetch[0] = dy.dz + (begin + pixels) * k;
        outer.fetch[1] = dy.y + (begin + pixels) * k;
        outer.fetch_floats[0] = outer.fetch_floats[1] = ahead * k;
        conv::AccumulateOuterBlock(outer);
      }
      if (dx.dz == nullptr) continue;
      conv::Block run;
      run.x = dy_block;
      run.x_pixel = k;
      run.y = dx.dz + begin * c;
      run.y_pixel = c;
      run.pixels = pixels;
      run.accumulate = dx.accumulate;
      simd::Fetch fetch;
      fetch.Add(run.y + pixels * c, ahead * c, true);
      fetch.Add(x.data + (begin + pixels) * c, ahead * c);
      if (dfilter == nullptr) {
        fetch.Add(dy.dz + (begin + pixels) * k, ahead * k);
        fetch.Add(dy.y + (begin + pixels) * k, ahead * k);
      }
      run.fetch = &fetch;
      conv::CorrelateBlock(plan, scratch.shared(), run);
      if (x.norm == nullptr) continue;
      kernels.normalize_sums[x.norm->function()](x.data + begin * c, run.y, x.norm->channels(),
                                                 pixels, c, dx.partials.sum + unit * c,
                                                 dx.partials.centred + unit * c);
    }
  });
  if (dfilter != nullptr) AddPartials(partial, parts.count, filter_floats, dfilter, pool);
}

}  // namespace rhnas::engine::chain
