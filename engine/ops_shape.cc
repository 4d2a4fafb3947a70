// Rearranging: channel shuffle, concatenation, reshape, gathers. See ops.h.
#include <cstring>

#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using internal::RowGrain;

Var ChannelShuffle(Tape& tape, Var x, int groups) {
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  RHNAS_CHECK(groups >= 1 && c % groups == 0, "ChannelShuffle of %s in %d groups",
              shape.ToString().c_str(), groups);
  const int width = c / groups;
  const Var out = tape.NewValue(shape, tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  tape.pool().ParallelFor(shape.rows(), RowGrain(c), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      for (int g = 0; g < groups; ++g) {
        for (int j = 0; j < width; ++j) y[row * c + j * groups + g] = vx[row * c + g * width + j];
      }
    }
  });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out, groups, width] {
      const int channels = groups * width;
      const float* dout = t->grad(out);
      bool fresh = false;
      float* dx = t->AccumulateGrad(x, &fresh);
      t->pool().ParallelFor(t->shape(x).rows(), RowGrain(channels),
                            [&](int64_t begin, int64_t end, int) {
                              for (int64_t row = begin; row < end; ++row) {
                                const float* from = dout + row * channels;
                                float* to = dx + row * channels;
                                for (int g = 0; g < groups; ++g) {
                                  for (int j = 0; j < width; ++j) {
                                    const float d = from[j * groups + g];
                                    to[g * width + j] = fresh ? d : to[g * width + j] + d;
                                  }
                                }
                              }
                            });
    });
  }
  return out;
}

Var Concat(Tape& tape, const Var* xs, int count) {
  RHNAS_CHECK(count >= 1, "Concat of %d inputs", count);
  Shape shape = tape.shape(xs[0]);
  RHNAS_CHECK(shape.rank >= 1, "Concat of a scalar (input %d)", 0);
  bool needs_grad = tape.needs_grad(xs[0]);
  for (int i = 1; i < count; ++i) {
    const Shape next = tape.shape(xs[i]);
    bool fits = next.rank == shape.rank;
    for (int d = 0; fits && d + 1 < shape.rank; ++d) fits = next.dim[d] == shape.dim[d];
    RHNAS_CHECK(fits, "Concat of %s and %s", shape.ToString().c_str(), next.ToString().c_str());
    shape.dim[shape.rank - 1] += next.last();
    needs_grad = needs_grad || tape.needs_grad(xs[i]);
  }
  const int c = shape.last();
  const Var out = tape.NewValue(shape, needs_grad);
  float* y = tape.mutable_value(out);
  int offset = 0;
  for (int i = 0; i < count; ++i) {
    const float* x = tape.value(xs[i]);
    const int width = tape.shape(xs[i]).last();
    tape.pool().ParallelFor(shape.rows(), RowGrain(width), [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        std::memcpy(y + row * c + offset, x + row * width,
                    static_cast<size_t>(width) * sizeof(float));
      }
    });
    offset += width;
  }
  if (needs_grad) {
    const Var* inputs = internal::Keep(tape, xs, count);
    tape.OnBackward(out, [t = &tape, inputs, count, out] {
      const Shape s = t->shape(out);
      const float* dout = t->grad(out);
      const auto& kernels = simd::Elementwise();
      int first = 0;
      for (int i = 0; i < count; ++i) {
        const int width = t->shape(inputs[i]).last();
        bool fresh = false;
        if (float* dx = t->AccumulateGrad(inputs[i], &fresh)) {
          t->pool().ParallelFor(s.rows(), RowGrain(width), [&](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
              kernels.scale(dout + row * s.last() + first, 1, dx + row * width, width, !fresh);
            }
          });
        }
        first += width;
      }
    });
  }
  return out;
}

Var Reshape(Tape& tape, Var x, const Shape& shape) {
  const Var out = tape.NewShared(x, shape);
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out] {
      const float* dout = t->grad(out);
      bool fresh = false;
      float* dx = t->AccumulateGrad(x, &fresh);
      const auto& kernels = simd::Elementwise();
      internal::ForElements(*t, t->shape(x).size(), [&](int64_t i, int64_t n) {
        kernels.scale(dout + i, 1, dx + i, n, !fresh);
      });
    });
  }
  return out;
}

Var Pick(Tape& tape, Var x, const int32_t* index) {
  const Shape shape = tape.shape(x);
  internal::CheckRank(shape, 2, "Pick");
  const int rows = shape.dim[0], c = shape.dim[1];
  const Var out = tape.NewValue(Shape(rows), tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  for (int i = 0; i < rows; ++i) {
    RHNAS_CHECK(index[i] >= 0 && index[i] < c, "Pick: index %d in row %d of %s", index[i], i,
                shape.ToString().c_str());
    y[i] = vx[int64_t{i} * c + index[i]];
  }
  if (tape.needs_grad(out)) {
    const int32_t* kept = internal::Keep(tape, index, rows);
    tape.OnBackward(out, [t = &tape, x, out, kept, rows, c] {
      const float* dout = t->grad(out);
      float* dx = t->AccumulateGrad(x);
      for (int i = 0; i < rows; ++i) dx[int64_t{i} * c + kept[i]] += dout[i];
    });
  }
  return out;
}

Var Gather(Tape& tape, Var x, const int32_t* index, int count) {
  RHNAS_CHECK(count >= 1, "Gather of %d elements", count);
  const int64_t size = tape.shape(x).size();
  const Var out = tape.NewValue(Shape(count), tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  for (int j = 0; j < count; ++j) {
    RHNAS_CHECK(index[j] >= 0 && index[j] < size, "Gather: index %d at %d of %lld elements",
                index[j], j, static_cast<long long>(size));
    y[j] = vx[index[j]];
  }
  if (tape.needs_grad(out)) {
    const int32_t* kept = internal::Keep(tape, index, count);
    tape.OnBackward(out, [t = &tape, x, out, kept, count] {
      const float* dout = t->grad(out);
      float* dx = t->AccumulateGrad(x);
      for (int j = 0; j < count; ++j) dx[kept[j]] += dout[j];
    });
  }
  return out;
}

}  // namespace rhnas::engine
