// Chains of convolution, batch normalisation and activation. See ops.h.
//
// Link by link, a training step reads and writes each activation about a dozen times for batch
// normalisation and the activation alone, and where a tensor is larger than the caches that is most
// of the step. Fused, forward writes each convolution's output once and reads it once; backward
// reads it twice, and writes and reads one gradient of its size. The barrier that batch statistics
// are, over the whole batch, stands between two passes; everything else is inside one
// (engine/chain_internal.h).
#include "engine/chain_internal.h"
#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using chain::LinkShape;

namespace {

// Floats of the widest tensor from which fusing pays: below, everything stays in the second and
// third cache between two passes anyway.
constexpr int64_t kFusedFloats = 256 * 1024;
// Depthwise passes share out whole images.
constexpr int kFewestImages = 8;

// Shape of a link that reads `in`.
LinkShape ShapeOf(const Tape& tape, const Shape& in, const ConvLink& link) {
  const Shape filter = tape.shape(link.filter);
  LinkShape shape;
  shape.n = in.dim[0];
  shape.h = in.dim[1];
  shape.w = in.dim[2];
  shape.c = in.dim[3];
  shape.k = filter.dim[3];
  shape.r = filter.dim[0];
  shape.s = filter.dim[1];
  shape.stride = link.conv.stride;
  shape.pad = link.conv.pad;
  shape.depthwise = link.conv.groups > 1;
  return shape;
}

bool CanFuse(const Tape& tape, const LinkShape& shape, const ConvLink& link) {
  if (!link.norm.training || tape.shape(link.filter).rank != 4 || shape.n < 1) return false;
  if (link.conv.groups == 1) {
    return shape.r == 1 && shape.s == 1 && shape.stride == 1 && shape.pad == 0 &&
           tape.shape(link.filter).dim[2] == shape.c;
  }
  return link.conv.groups == shape.c && shape.k == shape.c && shape.r == shape.s &&
         (shape.s == 3 || shape.s == 5 || shape.s == 7) && shape.stride >= 1 && shape.stride <= 2 &&
         shape.pad >= 0 && shape.pad < shape.s && shape.oh() >= 1 && shape.ow() >= 1;
}

// What the backward pass needs, in the arena.
struct SavedLink {
  Var filter, gamma, beta;
  LinkShape shape;
  float* y;
  internal::Normalization norm;
};
struct Saved {
  Var x, out;
  int count;
  bool residual;
  SavedLink* links;
};

chain::Source SourceOf(const Tape& tape, const Saved& saved, int i) {
  if (i == 0) return {tape.value(saved.x), nullptr};
  return {saved.links[i - 1].y, &saved.links[i - 1].norm};
}

internal::GradientChannels NewChannels(Arena& arena, int c) {
  float* const floats = arena.Floats(int64_t{2} * c);
  return {floats, floats + c};
}

internal::GradientPartials NewPartials(Arena& arena, int64_t chunks, int c) {
  return {arena.Floats(chunks * c), arena.Floats(chunks * c)};
}

// dy of the last link's normalisation, from the gradient of the chain's result.
chain::GradSource LastGradient(Tape& tape, const SavedLink& link, const float* dout) {
  const int c = link.shape.k;
  const int64_t rows = link.shape.pixels_out(), chunk = internal::ChunkRows(c);
  const int64_t chunks = internal::Chunks(rows, c);
  const internal::GradientPartials partials = NewPartials(tape.arena(), chunks, c);
  const internal::GradientChannels channels = NewChannels(tape.arena(), c);
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(rows, chunk, [&](int64_t begin, int64_t end, int) {
    const int64_t at = begin / chunk * c;
    kernels.normalize_sums[link.norm.function()](link.y + begin * c, dout + begin * c,
                                                 link.norm.channels(), end - begin, c,
                                                 partials.sum + at, partials.centred + at);
  });
  internal::FinishGradient(partials, chunks, rows, c, link.norm, tape.AccumulateGrad(link.gamma),
                           tape.AccumulateGrad(link.beta), channels, tape.pool());
  return {dout, link.y, &link.norm, channels};
}

void ChainBackward(Tape& tape, const Saved& saved) {
  const float* const dout = tape.grad(saved.out);
  bool fresh = false;
  float* const dx = tape.AccumulateGrad(saved.x, &fresh);
  if (saved.residual && dx != nullptr) {
    const auto& kernels = simd::Elementwise();
    internal::ForElements(tape, tape.shape(saved.x).size(), [&](int64_t i, int64_t n) {
      kernels.scale(dout + i, 1, dx + i, n, !fresh);
    });
    fresh = false;
  }
  chain::GradSource dy = LastGradient(tape, saved.links[saved.count - 1], dout);
  for (int i = saved.count - 1; i >= 0; --i) {
    const SavedLink& link = saved.links[i];
    const chain::Source x = SourceOf(tape, saved, i);
    chain::GradTarget target;
    int64_t chunks = 0;
    if (i == 0) {
      target.dz = dx;
      target.accumulate = !fresh;
    } else {
      chunks = chain::GradientChunks(link.shape);
      target.dz = tape.arena().Floats(link.shape.pixels_in() * link.shape.c);
      target.partials = NewPartials(tape.arena(), chunks, link.shape.c);
    }
    chain::Backward(link.shape, x, dy, tape.value(link.filter), target,
                    tape.AccumulateGrad(link.filter), tape.pool());
    if (i == 0) break;
    const SavedLink& before = saved.links[i - 1];
    dy = {target.dz, before.y, &before.norm, NewChannels(tape.arena(), link.shape.c)};
    internal::FinishGradient(target.partials, chunks, before.shape.pixels_out(), link.shape.c,
                             before.norm, tape.AccumulateGrad(before.gamma),
                             tape.AccumulateGrad(before.beta), dy.channels, tape.pool());
  }
}

Var Unfused(Tape& tape, Var x, const ConvLink* links, int count, bool residual) {
  Var y = x;
  for (int i = 0; i < count; ++i) {
    const ConvLink& link = links[i];
    y = Conv2d(tape, y, link.filter, link.conv);
    const bool adds = residual && i == count - 1 && link.norm.activation == Activation::kNone;
    y = adds ? BatchNormAdd(tape, y, x, link.gamma, link.beta, link.running_mean, link.running_var,
                            link.norm)
             : BatchNorm(tape, y, link.gamma, link.beta, link.running_mean, link.running_var,
                         link.norm);
    if (residual && i == count - 1 && !adds) y = Add(tape, y, x);
  }
  return y;
}

}  // namespace

namespace chain {

internal::Chunking MomentChunks(const LinkShape& shape) {
  const int64_t rows = shape.pixels_out();
  if (!shape.depthwise) return {rows, rows, PointwiseBlock(shape, false)};
  return {rows, int64_t{shape.oh()} * shape.ow(),
          int64_t{DepthwiseBand(shape, false)} * shape.ow()};
}

int64_t GradientChunks(const LinkShape& shape) {
  if (!shape.depthwise) {
    const int64_t block = PointwiseBlock(shape, true);
    return (shape.pixels_out() + block - 1) / block;
  }
  const int band = DepthwiseBand(shape, true);
  return int64_t{shape.n} * ((shape.oh() + band - 1) / band);
}

void Forward(const LinkShape& shape, const Source& x, const float* filter, float* y,
             const internal::MomentPartials& moments, ThreadPool& pool) {
  const auto pass = shape.depthwise ? DepthwiseForward : PointwiseForward;
  pass(shape, x, filter, y, moments, pool);
}

void Backward(const LinkShape& shape, const Source& x, const GradSource& dy, const float* filter,
              const GradTarget& dx, float* dfilter, ThreadPool& pool) {
  if (dx.dz == nullptr && dfilter == nullptr) return;
  const auto pass = shape.depthwise ? DepthwiseBackward : PointwiseBackward;
  pass(shape, x, dy, filter, dx, dfilter, pool);
}

bool CanFuse(const Tape& tape, Var x, const ConvLink* links, int count) {
  Shape in = tape.shape(x);
  if (in.rank != 4) return false;
  for (int i = 0; i < count; ++i) {
    const LinkShape shape = ShapeOf(tape, in, links[i]);
    if (!engine::CanFuse(tape, shape, links[i])) return false;
    in = Shape(shape.n, shape.oh(), shape.ow(), shape.k);
  }
  return true;
}

Var Fused(Tape& tape, Var x, const ConvLink* links, int count, bool residual) {
  Shape shape = tape.shape(x);
  bool needs_grad = tape.needs_grad(x);
  Arena& arena = tape.arena();
  // Shapes first: the result stands below what only the backward pass needs.
  for (int i = 0; i < count; ++i) {
    const LinkShape link = ShapeOf(tape, shape, links[i]);
    shape = Shape(link.n, link.oh(), link.ow(), link.k);
    needs_grad = needs_grad || tape.needs_grad(links[i].filter) ||
                 tape.needs_grad(links[i].gamma) || tape.needs_grad(links[i].beta);
  }
  const Var out = tape.NewValue(shape, needs_grad);
  const Arena::Mark before = arena.mark();
  Saved saved{
      x, out, count, residual,
      static_cast<SavedLink*>(arena.Allocate(sizeof(SavedLink) * static_cast<size_t>(count)))};
  Shape in = tape.shape(x);
  for (int i = 0; i < count; ++i) {
    const ConvLink& link = links[i];
    const LinkShape at = ShapeOf(tape, in, link);
    in = Shape(at.n, at.oh(), at.ow(), at.k);
    RHNAS_CHECK(tape.shape(link.gamma) == Shape(at.k) && tape.shape(link.beta) == Shape(at.k),
                "BatchNorm of %s with gamma %s and beta %s", in.ToString().c_str(),
                tape.shape(link.gamma).ToString().c_str(),
                tape.shape(link.beta).ToString().c_str());
    saved.links[i] = SavedLink{link.filter,
                               link.gamma,
                               link.beta,
                               at,
                               arena.Floats(in.size()),
                               internal::NewNormalization(arena, at.k, link.norm)};
  }
  for (int i = 0; i < count; ++i) {
    const ConvLink& link = links[i];
    const SavedLink& at = saved.links[i];
    const Arena::Mark mark = arena.mark();
    const internal::Chunking chunking = MomentChunks(at.shape);
    const internal::MomentPartials moments = internal::NewMomentPartials(
        arena.Floats(internal::MomentFloats(chunking, at.shape.k)), chunking, at.shape.k);
    Forward(at.shape, SourceOf(tape, saved, i), tape.value(link.filter), at.y, moments,
            tape.pool());
    internal::FinishMoments(
        moments, chunking, at.shape.k,
        {tape.value(link.gamma), tape.value(link.beta), link.running_mean, link.running_var},
        link.norm, at.norm, tape.pool());
    arena.ReleaseTo(mark);
  }
  const SavedLink& last = saved.links[count - 1];
  const int c = shape.last();
  float* const value = tape.mutable_value(out);
  const float* const added = tape.value(x);
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(
      shape.rows(), internal::RowGrain(c), [&](int64_t begin, int64_t end, int) {
        const float* const y = last.y + begin * c;
        if (residual) {
          kernels.normalize_add[last.norm.function()](y, added + begin * c, last.norm.channels(),
                                                      value + begin * c, end - begin, c);
        } else {
          kernels.normalize[last.norm.function()](y, last.norm.channels(), value + begin * c,
                                                  end - begin, c);
        }
      });
  if (needs_grad) {
    tape.OnBackward(out, [t = &tape, saved] { ChainBackward(*t, saved); });
  } else {
    arena.ReleaseTo(before);
  }
  return out;
}

}  // namespace chain

Var ConvChain(Tape& tape, Var x, const ConvLink* links, int count, bool residual) {
  RHNAS_CHECK(count >= 1, "ConvChain of %d links", count);
  const Shape in = tape.shape(x);
  // A residual sum goes before the activation of BatchNormAdd and after that of a chain.
  const bool plain_end = !residual || links[count - 1].norm.activation == Activation::kNone;
  if (!plain_end || !chain::CanFuse(tape, x, links, count)) {
    return Unfused(tape, x, links, count, residual);
  }
  Shape shape = in;
  int64_t widest = 0;
  for (int i = 0; i < count; ++i) {
    const LinkShape link = ShapeOf(tape, shape, links[i]);
    shape = Shape(link.n, link.oh(), link.ow(), link.k);
    widest = std::max(widest, shape.size());
  }
  RHNAS_CHECK(!residual || shape == in, "ConvChain from %s to %s with a residual sum",
              in.ToString().c_str(), shape.ToString().c_str());
  if (widest < kFusedFloats || in.dim[0] < kFewestImages) {
    return Unfused(tape, x, links, count, residual);
  }
  return chain::Fused(tape, x, links, count, residual);
}

}  // namespace rhnas::engine
