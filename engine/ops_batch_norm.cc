// Batch normalisation (Ioffe and Szegedy 2015) with what follows it, a residual sum and an
// activation, in the same pass. See ops.h.
//
// Forward reads x twice and writes y once: a pass for the moments, a pass that normalises and
// activates. Backward reads x and dout twice and writes dx once: a pass for the two sums, a pass
// for dx; the activation's slope is recomputed from x, so nothing of x's size is stored.
#include "engine/batch_norm_internal.h"
#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using internal::Chunking;
using internal::ChunkRows;
using internal::Normalization;
using internal::RowGrain;

namespace {

Chunking ChunksOf(int64_t rows, int c) { return {rows, rows, ChunkRows(c)}; }

void BatchStatistics(Tape& tape, const float* x, int64_t rows, int c,
                     const internal::NormParameters& parameters, const BatchNormOptions& options,
                     const Normalization& norm) {
  ThreadPool& pool = tape.pool();
  const Chunking chunking = ChunksOf(rows, c);
  // Worker 0 is this thread, and the kernels ask for no scratch.
  const internal::MomentPartials partials = internal::NewMomentPartials(
      static_cast<float*>(pool.Scratch(
          0, static_cast<size_t>(internal::MomentFloats(chunking, c)) * sizeof(float))),
      chunking, c);
  const auto& kernels = simd::Elementwise();
  pool.ParallelFor(rows, chunking.chunk, [&](int64_t begin, int64_t end, int) {
    const int64_t at = begin / chunking.chunk * c;
    kernels.moments(x + begin * c, end - begin, c, partials.shift + at, partials.sum + at,
                    partials.sum_squares + at);
  });
  internal::FinishMoments(partials, chunking, c, parameters, options, norm, pool);
}

// dgamma, dbeta and dx from g: `dout` before the activation's slope is taken where g is null,
// otherwise g itself is written first, chunk by chunk, from dout and the output y.
struct Gradient {
  Var x, gamma, beta;
  const float *dout, *y;
  float* g;
};

void BatchNormBackward(Tape& tape, const Gradient& gradient, const Normalization& norm) {
  const Shape shape = tape.shape(gradient.x);
  const int c = shape.last();
  const int64_t rows = shape.rows();
  const Chunking chunking = ChunksOf(rows, c);
  const float* const x = tape.value(gradient.x);
  ThreadPool& pool = tape.pool();
  const auto& kernels = simd::Elementwise();
  const int activation = gradient.g != nullptr ? 0 : norm.function();
  const float* const dout = gradient.g != nullptr ? gradient.g : gradient.dout;
  const simd::BatchNormChannels channels = norm.channels();

  float* sums = static_cast<float*>(
      pool.Scratch(0, static_cast<size_t>(2 * chunking.count() * c + 2 * c) * sizeof(float)));
  const internal::GradientPartials partials{sums, sums + chunking.count() * c};
  float* const slope = partials.centred + chunking.count() * c;
  const internal::GradientChannels out{slope, slope + c};
  pool.ParallelFor(rows, chunking.chunk, [&](int64_t begin, int64_t end, int) {
    if (gradient.g != nullptr) {
      const float* const y = gradient.y + begin * c;
      kernels.unary_backward[norm.function()](y, y, gradient.dout + begin * c,
                                              gradient.g + begin * c, (end - begin) * c, false);
    }
    const int64_t at = begin / chunking.chunk * c;
    kernels.normalize_sums[activation](x + begin * c, dout + begin * c, channels, end - begin, c,
                                       partials.sum + at, partials.centred + at);
  });
  internal::FinishGradient(partials, chunking.count(), rows, c, norm,
                           tape.AccumulateGrad(gradient.gamma), tape.AccumulateGrad(gradient.beta),
                           out, pool);
  bool fresh = false;
  float* dx = tape.AccumulateGrad(gradient.x, &fresh);
  if (dx == nullptr) return;
  pool.ParallelFor(rows, RowGrain(c), [&](int64_t begin, int64_t end, int) {
    kernels.normalize_backward[activation](x + begin * c, dout + begin * c, channels, out.slope,
                                           out.offset, dx + begin * c, end - begin, c, !fresh);
  });
}

// The gradient of `residual` is g, the gradient before the activation: where it is the first
// contribution, its memory holds g for the rest of the pass.
void BatchNormAddBackward(Tape& tape, Gradient gradient, Var residual, Var out,
                          const Normalization& norm) {
  const int64_t size = tape.shape(out).size();
  const auto& kernels = simd::Elementwise();
  bool fresh = false;
  float* const dresidual = tape.AccumulateGrad(residual, &fresh);
  gradient.g = dresidual != nullptr && fresh ? dresidual : tape.arena().Floats(size);
  BatchNormBackward(tape, gradient, norm);
  if (dresidual == nullptr || fresh) return;
  internal::ForElements(tape, size, [&](int64_t i, int64_t n) {
    kernels.add(dresidual + i, gradient.g + i, dresidual + i, n);
  });
}

}  // namespace

// residual: null for none.
static Var Normalized(Tape& tape, Var x, const Var* residual, Var gamma, Var beta,
                      float* running_mean, float* running_var, const BatchNormOptions& options) {
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  const int64_t rows = shape.rows();
  RHNAS_CHECK(tape.shape(gamma) == Shape(c) && tape.shape(beta) == Shape(c),
              "BatchNorm of %s with gamma %s and beta %s", shape.ToString().c_str(),
              tape.shape(gamma).ToString().c_str(), tape.shape(beta).ToString().c_str());
  const bool reads_running = !options.training || options.update_running;
  RHNAS_CHECK(!reads_running || (running_mean != nullptr && running_var != nullptr),
              "BatchNorm of %s without running statistics", shape.ToString().c_str());
  RHNAS_CHECK(options.epsilon > 0, "BatchNorm with epsilon %g", double{options.epsilon});

  const Var out =
      tape.NewValue(shape, tape.needs_grad(x) || tape.needs_grad(gamma) || tape.needs_grad(beta) ||
                               (residual != nullptr && tape.needs_grad(*residual)));
  const Normalization norm = internal::NewNormalization(tape.arena(), c, options);
  const internal::NormParameters parameters{tape.value(gamma), tape.value(beta), running_mean,
                                            running_var};
  const float* const vx = tape.value(x);
  if (options.training) {
    BatchStatistics(tape, vx, rows, c, parameters, options, norm);
  } else {
    internal::UseRunning(c, parameters, options, norm);
  }
  float* const y = tape.mutable_value(out);
  const float* const added = residual != nullptr ? tape.value(*residual) : nullptr;
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(rows, RowGrain(c), [&](int64_t begin, int64_t end, int) {
    if (added != nullptr) {
      kernels.normalize_add[norm.function()](vx + begin * c, added + begin * c, norm.channels(),
                                             y + begin * c, end - begin, c);
    } else {
      kernels.normalize[norm.function()](vx + begin * c, norm.channels(), y + begin * c,
                                         end - begin, c);
    }
  });
  if (!tape.needs_grad(out)) return out;
  if (residual == nullptr) {
    tape.OnBackward(out, [t = &tape, x, gamma, beta, out, norm] {
      BatchNormBackward(*t, {x, gamma, beta, t->grad(out), nullptr, nullptr}, norm);
    });
  } else {
    tape.OnBackward(out, [t = &tape, x, gamma, beta, out, norm, r = *residual] {
      BatchNormAddBackward(*t, {x, gamma, beta, t->grad(out), t->value(out), nullptr}, r, out,
                           norm);
    });
  }
  return out;
}

Var BatchNorm(Tape& tape, Var x, Var gamma, Var beta, float* running_mean, float* running_var,
              const BatchNormOptions& options) {
  return Normalized(tape, x, nullptr, gamma, beta, running_mean, running_var, options);
}

Var BatchNormAdd(Tape& tape, Var x, Var residual, Var gamma, Var beta, float* running_mean,
                 float* running_var, const BatchNormOptions& options) {
  internal::CheckSameShape(tape, x, residual, "BatchNormAdd");
  if (options.activation != Activation::kHSwish) {
    return Normalized(tape, x, &residual, gamma, beta, running_mean, running_var, options);
  }
  // Its slope cannot be told from its output.
  BatchNormOptions plain = options;
  plain.activation = Activation::kNone;
  const Var y = Normalized(tape, x, nullptr, gamma, beta, running_mean, running_var, plain);
  return Activate(tape, Add(tape, y, residual), options.activation);
}

}  // namespace rhnas::engine
