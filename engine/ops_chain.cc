// Chains of convolution, batch normalisation and activation. See ops.h.
//
// Link by link, a training step reads and writes each activation about a dozen times for batch
// normalisation and the activation alone, and where a tensor is larger than the caches that is most
// of the step. Fused, forward writes each convolution's output once and reads it once; backward
// reads it twice, and writes and reads one gradient of its size. The barrier that batch statistics
// are, over the whole batch, stands between two passes; everything else is inside one
// (engine/chain_internal.h).
#include <algorithm>

#include "engine/chain_internal.h"
#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using chain::Kind;
using chain::LinkShape;
using chain::Passes;

namespace {

// Floats of the wider side from which a fused pass pays: below, everything stays in the second and
// third cache between two passes anyway.
constexpr int64_t kFusedFloats = 256 * 1024;
// Depthwise passes share out whole images.
constexpr int kFewestImages = 8;
// Where the outputs inside a chain take 24 MiB and more together, they are computed again on the
// way back: a twentieth of the time of a MobileNetV2 step for a third of its memory.
constexpr int64_t kKeptFloats = 6 * 1024 * 1024;

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
  shape.groups = link.conv.groups;
  return shape;
}

bool Fits(const Tape& tape, const LinkShape& shape, const ConvLink& link) {
  return shape.stride >= 1 && shape.pad >= 0 && shape.groups >= 1 && shape.c % shape.groups == 0 &&
         shape.k % shape.groups == 0 && tape.shape(link.filter).dim[2] == shape.c / shape.groups &&
         shape.h + 2 * shape.pad >= shape.r && shape.w + 2 * shape.pad >= shape.s;
}

Kind KindOf(const LinkShape& shape, Passes passes) {
  const bool large =
      std::max(shape.pixels_in() * shape.c, shape.pixels_out() * shape.k) >= kFusedFloats;
  if (passes == Passes::kPlain || (passes == Passes::kAsTheyPay && !large)) return Kind::kPlain;
  if (shape.groups == 1) {
    const bool pointwise = shape.r == 1 && shape.s == 1 && shape.stride == 1 && shape.pad == 0;
    return pointwise ? Kind::kPointwise : Kind::kPlain;
  }
  const bool kernel = shape.r == shape.s && (shape.s == 3 || shape.s == 5) && shape.stride <= 2 &&
                      shape.pad < shape.s;
  const bool shared = passes == Passes::kFused || shape.n >= kFewestImages;
  const bool depthwise = shape.groups == shape.c && shape.k == shape.c;
  return depthwise && kernel && shared ? Kind::kDepthwise : Kind::kPlain;
}

// What the backward pass needs, in the arena.
struct SavedLink {
  Var filter, gamma, beta;
  LinkShape shape;
  float* y;  // null: to be computed again
  internal::Normalization norm;
};
struct Saved {
  Var x, residual, out;
  int count;
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

// Runs link i; the moments of its output stay in the arena.
internal::MomentPartials RunLink(Tape& tape, const Saved& saved, int i) {
  const SavedLink& link = saved.links[i];
  const internal::Chunking chunking = chain::MomentChunks(link.shape);
  const internal::MomentPartials moments = internal::NewMomentPartials(
      tape.arena().Floats(internal::MomentFloats(chunking, link.shape.k)), chunking, link.shape.k);
  chain::Forward(link.shape, SourceOf(tape, saved, i), tape.value(link.filter), link.y, moments,
                 tape);
  return moments;
}

// The gradient that reaches the last link's normalisation before any activation of its own: that
// of the result, through the activation after a residual sum, whose other term gets it too.
const float* PassResidual(Tape& tape, const Saved& saved, Activation activation) {
  const float* const dout = tape.grad(saved.out);
  if (!saved.residual.valid()) return dout;
  const int64_t size = tape.shape(saved.out).size();
  const auto& kernels = simd::Elementwise();
  bool fresh = false;
  float* const dresidual = tape.AccumulateGrad(saved.residual, &fresh);
  if (activation == Activation::kNone) {
    if (dresidual == nullptr) return dout;
    internal::ForElements(tape, size, [&](int64_t i, int64_t n) {
      kernels.scale(dout + i, 1, dresidual + i, n, !fresh);
    });
    return dout;
  }
  const bool shares = dresidual != nullptr && fresh;
  float* const g = shares ? dresidual : tape.arena().Floats(size);
  const float* const out = tape.value(saved.out);
  internal::ForElements(tape, size, [&](int64_t i, int64_t n) {
    kernels.unary_backward[static_cast<int>(activation)](out + i, out + i, dout + i, g + i, n,
                                                         false);
    if (dresidual != nullptr && !shares) kernels.add(dresidual + i, g + i, dresidual + i, n);
  });
  return g;
}

// dy of the last link's normalisation.
chain::GradSource LastGradient(Tape& tape, const Saved& saved) {
  SavedLink& link = saved.links[saved.count - 1];
  const float* const dz = PassResidual(tape, saved, link.norm.activation);
  if (saved.residual.valid()) link.norm.activation = Activation::kNone;  // it is behind us
  const int c = link.shape.k;
  const int64_t rows = link.shape.pixels_out(), chunk = internal::ChunkRows(c);
  const int64_t chunks = internal::Chunks(rows, c);
  const internal::GradientPartials partials = NewPartials(tape.arena(), chunks, c);
  const internal::GradientChannels channels = NewChannels(tape.arena(), c);
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(rows, chunk, [&](int64_t begin, int64_t end, int) {
    const int64_t at = begin / chunk * c;
    kernels.normalize_sums[link.norm.function()](link.y + begin * c, dz + begin * c,
                                                 link.norm.channels(), end - begin, c,
                                                 partials.sum + at, partials.centred + at);
  });
  internal::FinishGradient(partials, chunks, rows, c, link.norm, tape.AccumulateGrad(link.gamma),
                           tape.AccumulateGrad(link.beta), channels, tape.pool());
  return {dz, link.y, &link.norm, channels};
}

void ChainBackward(Tape& tape, const Saved& saved) {
  Arena& arena = tape.arena();
  for (int i = 0; i + 1 < saved.count; ++i) {
    SavedLink& link = saved.links[i];
    if (link.y != nullptr) continue;
    link.y = arena.Floats(link.shape.pixels_out() * link.shape.k);
    const Arena::Mark mark = arena.mark();
    chain::Forward(link.shape, SourceOf(tape, saved, i), tape.value(link.filter), link.y, {}, tape);
    arena.ReleaseTo(mark);
  }
  chain::GradSource dy = LastGradient(tape, saved);
  for (int i = saved.count - 1; i >= 0; --i) {
    const SavedLink& link = saved.links[i];
    const chain::Source x = SourceOf(tape, saved, i);
    chain::GradTarget target;
    int64_t chunks = 0;
    if (i == 0) {
      bool fresh = false;
      target.dz = tape.AccumulateGrad(saved.x, &fresh);
      target.accumulate = !fresh;
    } else {
      chunks = chain::GradientChunks(link.shape);
      target.dz = arena.Floats(link.shape.pixels_in() * link.shape.c);
      target.partials = NewPartials(arena, chunks, link.shape.c);
    }
    const Arena::Mark mark = arena.mark();
    chain::Backward(link.shape, x, dy, tape.value(link.filter), target,
                    tape.AccumulateGrad(link.filter), tape);
    arena.ReleaseTo(mark);
    if (i == 0) break;
    const SavedLink& before = saved.links[i - 1];
    dy = {target.dz, before.y, &before.norm, NewChannels(arena, link.shape.c)};
    internal::FinishGradient(target.partials, chunks, before.shape.pixels_out(), link.shape.c,
                             before.norm, tape.AccumulateGrad(before.gamma),
                             tape.AccumulateGrad(before.beta), dy.channels, tape.pool());
  }
}

Var Unfused(Tape& tape, Var x, const ConvLink* links, int count, Var residual) {
  Var y = x;
  for (int i = 0; i < count; ++i) {
    const ConvLink& link = links[i];
    y = Conv2d(tape, y, link.filter, link.conv);
    y = residual.valid() && i == count - 1
            ? BatchNormAdd(tape, y, residual, link.gamma, link.beta, link.running_mean,
                           link.running_var, link.norm)
            : BatchNorm(tape, y, link.gamma, link.beta, link.running_mean, link.running_var,
                        link.norm);
  }
  return y;
}

}  // namespace

namespace chain {

internal::Chunking MomentChunks(const LinkShape& shape) {
  const int64_t rows = shape.pixels_out();
  switch (shape.kind) {
    case Kind::kPointwise:
      return {rows, rows, PointwiseBlock(shape, false)};
    case Kind::kDepthwise:
      return {rows, int64_t{shape.oh()} * shape.ow(),
              int64_t{DepthwiseBand(shape, false)} * shape.ow()};
    case Kind::kPlain:
      break;
  }
  return {rows, rows, internal::ChunkRows(shape.k)};
}

int64_t GradientChunks(const LinkShape& shape) {
  if (shape.kind == Kind::kDepthwise) {
    const int band = DepthwiseBand(shape, true);
    return int64_t{shape.n} * ((shape.oh() + band - 1) / band);
  }
  const int64_t rows = shape.pixels_in();
  const int64_t chunk =
      shape.kind == Kind::kPlain ? internal::ChunkRows(shape.c) : PointwiseBlock(shape, true);
  return (rows + chunk - 1) / chunk;
}

void Forward(const LinkShape& shape, const Source& x, const float* filter, float* y,
             const internal::MomentPartials& moments, Tape& tape) {
  switch (shape.kind) {
    case Kind::kPointwise:
      return PointwiseForward(shape, x, filter, y, moments, tape.pool());
    case Kind::kDepthwise:
      return DepthwiseForward(shape, x, filter, y, moments, tape.pool());
    case Kind::kPlain:
      return PlainForward(shape, x, filter, y, moments, tape);
  }
}

void Backward(const LinkShape& shape, const Source& x, const GradSource& dy, const float* filter,
              const GradTarget& dx, float* dfilter, Tape& tape) {
  if (dx.dz == nullptr && dfilter == nullptr) return;
  switch (shape.kind) {
    case Kind::kPointwise:
      return PointwiseBackward(shape, x, dy, filter, dx, dfilter, tape.pool());
    case Kind::kDepthwise:
      return DepthwiseBackward(shape, x, dy, filter, dx, dfilter, tape.pool());
    case Kind::kPlain:
      return PlainBackward(shape, x, dy, filter, dx, dfilter, tape);
  }
}

bool CanChain(const Tape& tape, Var x, const ConvLink* links, int count, Var residual) {
  Shape in = tape.shape(x);
  // The slope of h-swish cannot be told from what follows the sum.
  if (residual.valid() && links[count - 1].norm.activation == Activation::kHSwish) return false;
  for (int i = 0; i < count; ++i) {
    if (in.rank != 4 || tape.shape(links[i].filter).rank != 4) return false;
    const LinkShape shape = ShapeOf(tape, in, links[i]);
    if (!links[i].norm.training || !Fits(tape, shape, links[i])) return false;
    in = Shape(shape.n, shape.oh(), shape.ow(), shape.k);
  }
  return true;
}

Var Run(Tape& tape, Var x, const ConvLink* links, int count, Var residual, Passes passes) {
  Arena& arena = tape.arena();
  Shape shape = tape.shape(x);
  bool needs_grad = tape.needs_grad(x) || (residual.valid() && tape.needs_grad(residual));
  int64_t inner = 0;  // floats of all y but the last
  for (int i = 0; i < count; ++i) {
    if (i > 0) inner += shape.size();
    const LinkShape link = ShapeOf(tape, shape, links[i]);
    shape = Shape(link.n, link.oh(), link.ow(), link.k);
    needs_grad = needs_grad || tape.needs_grad(links[i].filter) ||
                 tape.needs_grad(links[i].gamma) || tape.needs_grad(links[i].beta);
  }
  RHNAS_CHECK(!residual.valid() || tape.shape(residual) == shape, "ConvChain to %s plus %s",
              shape.ToString().c_str(), tape.shape(residual).ToString().c_str());
  // First the result, then what backward needs, then what only forward does.
  const Var out = tape.NewValue(shape, needs_grad);
  const Arena::Mark before = arena.mark();
  const Saved saved{
      x, residual, out, count,
      static_cast<SavedLink*>(arena.Allocate(sizeof(SavedLink) * static_cast<size_t>(count)))};
  Shape in = tape.shape(x);
  for (int i = 0; i < count; ++i) {
    const ConvLink& link = links[i];
    LinkShape at = ShapeOf(tape, in, link);
    at.kind = KindOf(at, passes);
    in = Shape(at.n, at.oh(), at.ow(), at.k);
    RHNAS_CHECK(link.norm.epsilon > 0, "BatchNorm with epsilon %g", double{link.norm.epsilon});
    RHNAS_CHECK(
        !link.norm.update_running || (link.running_mean != nullptr && link.running_var != nullptr),
        "BatchNorm of %s without running statistics", in.ToString().c_str());
    RHNAS_CHECK(tape.shape(link.gamma) == Shape(at.k) && tape.shape(link.beta) == Shape(at.k),
                "BatchNorm of %s with gamma %s and beta %s", in.ToString().c_str(),
                tape.shape(link.gamma).ToString().c_str(),
                tape.shape(link.beta).ToString().c_str());
    saved.links[i] =
        SavedLink{link.filter, link.gamma, link.beta,
                  at,          nullptr,    internal::NewNormalization(arena, at.k, link.norm)};
  }
  const SavedLink& last = saved.links[count - 1];
  saved.links[count - 1].y = arena.Floats(shape.size());
  const bool keeps = inner < kKeptFloats;
  const Arena::Mark kept = arena.mark();
  for (int i = 0; i + 1 < count; ++i) {
    const LinkShape& link = saved.links[i].shape;
    saved.links[i].y = arena.Floats(link.pixels_out() * link.k);
  }
  for (int i = 0; i < count; ++i) {
    const ConvLink& link = links[i];
    const SavedLink& at = saved.links[i];
    const Arena::Mark mark = arena.mark();
    const internal::MomentPartials moments = RunLink(tape, saved, i);
    internal::FinishMoments(
        moments, MomentChunks(at.shape), at.shape.k,
        {tape.value(link.gamma), tape.value(link.beta), link.running_mean, link.running_var},
        link.norm, at.norm, tape.pool());
    arena.ReleaseTo(mark);
  }
  const int c = shape.last();
  float* const value = tape.mutable_value(out);
  const float* const added = residual.valid() ? tape.value(residual) : nullptr;
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(
      shape.rows(), internal::RowGrain(c), [&](int64_t begin, int64_t end, int) {
        const float* const y = last.y + begin * c;
        if (added != nullptr) {
          kernels.normalize_add[last.norm.function()](y, added + begin * c, last.norm.channels(),
                                                      value + begin * c, end - begin, c);
        } else {
          kernels.normalize[last.norm.function()](y, last.norm.channels(), value + begin * c,
                                                  end - begin, c);
        }
      });
  if (!needs_grad) {
    arena.ReleaseTo(before);
    return out;
  }
  if (!keeps) {
    for (int i = 0; i + 1 < count; ++i) saved.links[i].y = nullptr;
    arena.ReleaseTo(kept);
  }
  tape.OnBackward(out, [t = &tape, saved] { ChainBackward(*t, saved); });
  return out;
}

}  // namespace chain

Var ConvChain(Tape& tape, Var x, const ConvLink* links, int count, Var residual) {
  RHNAS_CHECK(count >= 1, "ConvChain of %d links", count);
  if (!chain::CanChain(tape, x, links, count, residual)) {
    return Unfused(tape, x, links, count, residual);
  }
  return chain::Run(tape, x, links, count, residual, chain::Passes::kAsTheyPay);
}

}  // namespace rhnas::engine
