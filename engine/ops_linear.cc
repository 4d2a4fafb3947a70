// A perceptron's layer in one record: product, bias and activation. Bit for bit what Matmul,
// AddChannels and Tanh give, which are its reference; see ops.h.
#include "engine/conv.h"
#include "engine/ops.h"
#include "engine/ops_internal.h"
#include "engine/small_product.h"

namespace rhnas::engine {

using internal::ForElements;

namespace {

void Forward(Tape& tape, const GemmShape& shape, const float* x, const float* weight,
             const float* bias, float* y) {
  if (IsSmallGemm(shape)) return SmallGemm(shape, x, weight, bias, y, false, tape.pool());
  Gemm(shape, x, weight, y, false, tape.pool());
  const int n = shape.n;
  const auto add_row = simd::Elementwise().add_row;
  tape.pool().ParallelFor(shape.m, internal::RowGrain(n), [&](int64_t begin, int64_t end, int) {
    add_row(y + begin * n, bias, y + begin * n, end - begin, n);
  });
}

// dz: gradient before the activation.
void Backward(Tape& tape, const GemmShape& shape, Var x, Var weight, Var bias, const float* dz) {
  const int m = shape.m, n = shape.n, k = shape.k;
  bool fresh = false;
  if (float* db = tape.AccumulateGrad(bias, &fresh)) {
    const auto column_sum = simd::Elementwise().column_sum;
    internal::SumChunks(tape, m, n, db, !fresh, [&](int64_t row, int64_t rows, float* partial) {
      column_sum(dz + row * n, rows, n, partial);
    });
  }
  if (float* dx = tape.AccumulateGrad(x, &fresh)) {  // dz weight^T
    Gemm({m, k, n, false, true}, dz, tape.value(weight), dx, !fresh, tape.pool());
  }
  if (float* dw = tape.AccumulateGrad(weight, &fresh)) {  // x^T dz
    Gemm({k, n, m, true, false}, tape.value(x), dz, dw, !fresh, tape.pool());
  }
}

Var Layer(Tape& tape, Var x, Var weight, Var bias, bool tanh, const char* operation) {
  const Shape sx = tape.shape(x), sw = tape.shape(weight), sb = tape.shape(bias);
  internal::CheckRank(sx, 2, operation);
  internal::CheckRank(sw, 2, operation);
  RHNAS_CHECK(sw.dim[0] == sx.dim[1] && sb.rank == 1 && sb.dim[0] == sw.dim[1],
              "%s of %s with weight %s and bias %s", operation, sx.ToString().c_str(),
              sw.ToString().c_str(), sb.ToString().c_str());
  const GemmShape shape{sx.dim[0], sw.dim[1], sx.dim[1]};
  const Var out =
      tape.NewValue(Shape(shape.m, shape.n),
                    tape.needs_grad(x) || tape.needs_grad(weight) || tape.needs_grad(bias));
  float* y = tape.mutable_value(out);
  Forward(tape, shape, tape.value(x), tape.value(weight), tape.value(bias), y);
  if (tanh) {
    const auto forward = simd::Elementwise().unary[simd::kTanh];
    ForElements(tape, int64_t{shape.m} * shape.n,
                [&](int64_t i, int64_t count) { forward(y + i, y + i, count); });
  }
  if (!tape.needs_grad(out)) return out;
  tape.OnBackward(out, [t = &tape, x, weight, bias, out, shape, tanh] {
    const float* dz = t->grad(out);
    if (tanh) {
      const int64_t size = int64_t{shape.m} * shape.n;
      const float *value = t->value(out), *dout = dz;
      float* d = t->arena().Floats(size);
      const auto backward = simd::Elementwise().unary_backward[simd::kTanh];
      ForElements(*t, size, [&](int64_t i, int64_t count) {
        backward(value + i, value + i, dout + i, d + i, count, false);
      });
      dz = d;
    }
    Backward(*t, shape, x, weight, bias, dz);
  });
  return out;
}

}  // namespace

Var Linear(Tape& tape, Var x, Var weight, Var bias) {
  return Layer(tape, x, weight, bias, false, "Linear");
}

Var LinearTanh(Tape& tape, Var x, Var weight, Var bias) {
  return Layer(tape, x, weight, bias, true, "LinearTanh");
}

}  // namespace rhnas::engine
