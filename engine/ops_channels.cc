// A row of channels broadcast over all other dimensions. See ops.h.
#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using internal::RowGrain;
using internal::SumChunks;

namespace {

void CheckChannels(const Tape& tape, Var x, Var b, const char* operation) {
  const Shape sx = tape.shape(x), sb = tape.shape(b);
  RHNAS_CHECK(sb.rank == 1 && sb.last() == sx.last(), "%s of %s and %s", operation,
              sx.ToString().c_str(), sb.ToString().c_str());
}

}  // namespace

Var AddChannels(Tape& tape, Var x, Var b) {
  CheckChannels(tape, x, b, "AddChannels");
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  const Var out = tape.NewValue(shape, tape.needs_grad(x) || tape.needs_grad(b));
  const float *vx = tape.value(x), *vb = tape.value(b);
  float* y = tape.mutable_value(out);
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(shape.rows(), RowGrain(c), [&](int64_t begin, int64_t end, int) {
    kernels.add_row(vx + begin * c, vb, y + begin * c, end - begin, c);
  });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, b, out] {
      const Shape s = t->shape(x);
      const int channels = s.last();
      const float* dout = t->grad(out);
      const auto& k = simd::Elementwise();
      bool fresh = false;
      if (float* dx = t->AccumulateGrad(x, &fresh)) {
        internal::ForElements(
            *t, s.size(), [&](int64_t i, int64_t n) { k.scale(dout + i, 1, dx + i, n, !fresh); });
      }
      if (float* db = t->AccumulateGrad(b, &fresh)) {
        SumChunks(*t, s.rows(), channels, db, !fresh,
                  [&](int64_t row, int64_t rows, float* partial) {
                    k.column_sum(dout + row * channels, rows, channels, partial);
                  });
      }
    });
  }
  return out;
}

Var MulChannels(Tape& tape, Var x, Var b) {
  CheckChannels(tape, x, b, "MulChannels");
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  const Var out = tape.NewValue(shape, tape.needs_grad(x) || tape.needs_grad(b));
  const float *vx = tape.value(x), *vb = tape.value(b);
  float* y = tape.mutable_value(out);
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(shape.rows(), RowGrain(c), [&](int64_t begin, int64_t end, int) {
    kernels.mul_row(vx + begin * c, vb, y + begin * c, end - begin, c, false);
  });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, b, out] {
      const Shape s = t->shape(x);
      const int channels = s.last();
      const float *value = t->value(x), *factor = t->value(b), *dout = t->grad(out);
      const auto& k = simd::Elementwise();
      bool fresh = false;
      if (float* dx = t->AccumulateGrad(x, &fresh)) {
        t->pool().ParallelFor(s.rows(), RowGrain(channels), [&](int64_t begin, int64_t end, int) {
          k.mul_row(dout + begin * channels, factor, dx + begin * channels, end - begin, channels,
                    !fresh);
        });
      }
      if (float* db = t->AccumulateGrad(b, &fresh)) {
        SumChunks(
            *t, s.rows(), channels, db, !fresh, [&](int64_t row, int64_t rows, float* partial) {
              k.column_dot(value + row * channels, dout + row * channels, rows, channels, partial);
            });
      }
    });
  }
  return out;
}

}  // namespace rhnas::engine
