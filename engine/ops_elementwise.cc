// Sums, products and scalings, element by element. See ops.h.
#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using internal::CheckSameShape;
using internal::ForElements;
using simd::Elementwise;

namespace {

// dx (+)= factor * dout
void PassGradient(Tape& tape, Var x, const float* dout, float factor) {
  bool fresh = false;
  float* dx = tape.AccumulateGrad(x, &fresh);
  if (dx == nullptr) return;
  const auto& kernels = Elementwise();
  ForElements(tape, tape.shape(x).size(),
              [&](int64_t i, int64_t n) { kernels.scale(dout + i, factor, dx + i, n, !fresh); });
}

// dx (+)= other * dout
void PassProductGradient(Tape& tape, Var x, const float* other, const float* dout) {
  bool fresh = false;
  float* dx = tape.AccumulateGrad(x, &fresh);
  if (dx == nullptr) return;
  const auto& kernels = Elementwise();
  ForElements(tape, tape.shape(x).size(),
              [&](int64_t i, int64_t n) { kernels.mul(other + i, dout + i, dx + i, n, !fresh); });
}

}  // namespace

Var Add(Tape& tape, Var a, Var b) {
  CheckSameShape(tape, a, b, "Add");
  const Var out = tape.NewValue(tape.shape(a), tape.needs_grad(a) || tape.needs_grad(b));
  const float *va = tape.value(a), *vb = tape.value(b);
  float* y = tape.mutable_value(out);
  const auto& kernels = Elementwise();
  ForElements(tape, tape.shape(a).size(),
              [&](int64_t i, int64_t n) { kernels.add(va + i, vb + i, y + i, n); });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, a, b, out] {
      PassGradient(*t, a, t->grad(out), 1);
      PassGradient(*t, b, t->grad(out), 1);
    });
  }
  return out;
}

Var Sub(Tape& tape, Var a, Var b) {
  CheckSameShape(tape, a, b, "Sub");
  const Var out = tape.NewValue(tape.shape(a), tape.needs_grad(a) || tape.needs_grad(b));
  const float *va = tape.value(a), *vb = tape.value(b);
  float* y = tape.mutable_value(out);
  const auto& kernels = Elementwise();
  ForElements(tape, tape.shape(a).size(),
              [&](int64_t i, int64_t n) { kernels.sub(va + i, vb + i, y + i, n); });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, a, b, out] {
      PassGradient(*t, a, t->grad(out), 1);
      PassGradient(*t, b, t->grad(out), -1);
    });
  }
  return out;
}

Var Mul(Tape& tape, Var a, Var b) {
  CheckSameShape(tape, a, b, "Mul");
  const Var out = tape.NewValue(tape.shape(a), tape.needs_grad(a) || tape.needs_grad(b));
  const float *va = tape.value(a), *vb = tape.value(b);
  float* y = tape.mutable_value(out);
  const auto& kernels = Elementwise();
  ForElements(tape, tape.shape(a).size(),
              [&](int64_t i, int64_t n) { kernels.mul(va + i, vb + i, y + i, n, false); });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, a, b, out] {
      PassProductGradient(*t, a, t->value(b), t->grad(out));
      PassProductGradient(*t, b, t->value(a), t->grad(out));
    });
  }
  return out;
}

Var Scale(Tape& tape, Var x, float factor) {
  const Var out = tape.NewValue(tape.shape(x), tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  const auto& kernels = Elementwise();
  ForElements(tape, tape.shape(x).size(),
              [&](int64_t i, int64_t n) { kernels.scale(vx + i, factor, y + i, n, false); });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out,
                    [t = &tape, x, factor, out] { PassGradient(*t, x, t->grad(out), factor); });
  }
  return out;
}

Var AddScalar(Tape& tape, Var x, float term) {
  const Var out = tape.NewValue(tape.shape(x), tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  const auto& kernels = Elementwise();
  ForElements(tape, tape.shape(x).size(),
              [&](int64_t i, int64_t n) { kernels.add_scalar(vx + i, term, y + i, n); });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out] { PassGradient(*t, x, t->grad(out), 1); });
  }
  return out;
}

}  // namespace rhnas::engine
