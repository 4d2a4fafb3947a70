// Sums to a scalar, and mixtures of equal shapes. See ops.h.
#include <cstring>

#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using internal::ForElements;
using internal::kGrain;

namespace {

// Sum of chunk(begin, count) over the blocks of [0, n), added in order in double.
template <typename F>
double SumBlocks(Tape& tape, int64_t n, const F& chunk) {
  ThreadPool& pool = tape.pool();
  const int64_t blocks = (n + kGrain - 1) / kGrain;
  // Worker 0 is this thread, and no chunk asks for scratch.
  float* partial =
      static_cast<float*>(pool.Scratch(0, static_cast<size_t>(blocks) * sizeof(float)));
  ForElements(tape, n,
              [&](int64_t begin, int64_t count) { partial[begin / kGrain] = chunk(begin, count); });
  double sum = 0;
  for (int64_t i = 0; i < blocks; ++i) sum += double{partial[i]};
  return sum;
}

Var ScaledSum(Tape& tape, Var x, double factor) {
  const Var out = tape.NewValue(Shape(), tape.needs_grad(x));
  const float* vx = tape.value(x);
  const auto& kernels = simd::Elementwise();
  const double sum = SumBlocks(tape, tape.shape(x).size(), [&](int64_t begin, int64_t count) {
    return kernels.sum(vx + begin, count);
  });
  *tape.mutable_value(out) = static_cast<float>(sum * factor);
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out, factor] {
      const float dsum = static_cast<float>(double{*t->grad(out)} * factor);
      bool fresh = false;
      float* dx = t->AccumulateGrad(x, &fresh);
      const auto& k = simd::Elementwise();
      ForElements(*t, t->shape(x).size(), [&](int64_t begin, int64_t count) {
        if (fresh) std::memset(dx + begin, 0, static_cast<size_t>(count) * sizeof(float));
        k.add_scalar(dx + begin, dsum, dx + begin, count);
      });
    });
  }
  return out;
}

struct Mixture {
  const Var* xs;
  const float* forward;
  int count;
};

}  // namespace

Var Sum(Tape& tape, Var x) { return ScaledSum(tape, x, 1); }

Var Mean(Tape& tape, Var x) {
  return ScaledSum(tape, x, 1 / static_cast<double>(tape.shape(x).size()));
}

Var WeightedSum(Tape& tape, const Var* xs, int count, Var weights, const float* forward) {
  RHNAS_CHECK(count >= 1, "WeightedSum of %d inputs", count);
  RHNAS_CHECK(tape.shape(weights) == Shape(count), "WeightedSum of %d inputs with weights %s",
              count, tape.shape(weights).ToString().c_str());
  const float* factors = forward != nullptr ? forward : tape.value(weights);
  const Shape shape = tape.shape(xs[0]);
  bool needs_grad = tape.needs_grad(weights);
  for (int i = 0; i < count; ++i) {
    internal::CheckSameShape(tape, xs[0], xs[i], "WeightedSum");
    needs_grad = needs_grad || (factors[i] != 0 && tape.needs_grad(xs[i]));
  }
  const Var out = tape.NewValue(shape, needs_grad);
  const Mixture mixture{internal::Keep(tape, xs, count),
                        forward != nullptr ? internal::Keep(tape, forward, count) : factors, count};
  float* y = tape.mutable_value(out);
  const auto& kernels = simd::Elementwise();
  ForElements(tape, shape.size(), [&](int64_t begin, int64_t n) {
    bool first = true;
    for (int i = 0; i < count; ++i) {
      // An input of weight 0 is not read: in a supernet it is the path that was not taken.
      if (mixture.forward[i] == 0) continue;
      kernels.scale(tape.value(xs[i]) + begin, mixture.forward[i], y + begin, n, !first);
      first = false;
    }
    if (first) std::memset(y + begin, 0, static_cast<size_t>(n) * sizeof(float));
  });
  if (needs_grad) {
    tape.OnBackward(out, [t = &tape, weights, out, mixture] {
      const float* dout = t->grad(out);
      const int64_t size = t->shape(out).size();
      const auto& k = simd::Elementwise();
      for (int i = 0; i < mixture.count; ++i) {
        if (mixture.forward[i] == 0) continue;  // exactly no gradient: the branch is not run
        bool fresh = false;
        float* dx = t->AccumulateGrad(mixture.xs[i], &fresh);
        if (dx == nullptr) continue;
        ForElements(*t, size, [&](int64_t begin, int64_t n) {
          k.scale(dout + begin, mixture.forward[i], dx + begin, n, !fresh);
        });
      }
      if (float* dweights = t->AccumulateGrad(weights)) {
        for (int i = 0; i < mixture.count; ++i) {
          const float* x = t->value(mixture.xs[i]);
          dweights[i] += static_cast<float>(SumBlocks(*t, size, [&](int64_t begin, int64_t n) {
            return k.dot(dout + begin, x + begin, n);
          }));
        }
      }
    });
  }
  return out;
}

}  // namespace rhnas::engine
