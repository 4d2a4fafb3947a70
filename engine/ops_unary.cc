// Functions of one variable: activations, exponential, logarithm. The slopes stand beside the
// functions in engine/simd/elementwise.inl. See ops.h.
#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using internal::ForElements;

namespace {

static_assert(static_cast<int>(Activation::kNone) == simd::kIdentity);
static_assert(static_cast<int>(Activation::kRelu) == simd::kRelu);
static_assert(static_cast<int>(Activation::kRelu6) == simd::kRelu6);
static_assert(static_cast<int>(Activation::kHSwish) == simd::kHSwish);

Var Apply(Tape& tape, Var x, simd::Unary function) {
  const Var out = tape.NewValue(tape.shape(x), tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  const auto forward = simd::Elementwise().unary[function];
  ForElements(tape, tape.shape(x).size(), [&](int64_t i, int64_t n) { forward(vx + i, y + i, n); });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out, function] {
      bool fresh = false;
      float* dx = t->AccumulateGrad(x, &fresh);
      const float *value = t->value(x), *result = t->value(out), *dout = t->grad(out);
      const auto backward = simd::Elementwise().unary_backward[function];
      ForElements(*t, t->shape(x).size(), [&](int64_t i, int64_t n) {
        backward(value + i, result + i, dout + i, dx + i, n, !fresh);
      });
    });
  }
  return out;
}

}  // namespace

Var Exp(Tape& tape, Var x) { return Apply(tape, x, simd::kExp); }
Var Log(Tape& tape, Var x) { return Apply(tape, x, simd::kLog); }
Var Relu(Tape& tape, Var x) { return Apply(tape, x, simd::kRelu); }
Var Relu6(Tape& tape, Var x) { return Apply(tape, x, simd::kRelu6); }
Var HSwish(Tape& tape, Var x) { return Apply(tape, x, simd::kHSwish); }
Var Sigmoid(Tape& tape, Var x) { return Apply(tape, x, simd::kSigmoid); }
Var Tanh(Tape& tape, Var x) { return Apply(tape, x, simd::kTanh); }

Var Activate(Tape& tape, Var x, Activation activation) {
  if (activation == Activation::kNone) return x;
  return Apply(tape, x, static_cast<simd::Unary>(activation));
}

}  // namespace rhnas::engine
