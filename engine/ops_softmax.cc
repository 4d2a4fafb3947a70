// Softmax, its logarithm, Gumbel-softmax: over the last dimension, each row in order. See ops.h.
//
// Everything is a function of x - max(x) <= 0, so nothing overflows; a difference beyond float
// becomes minus infinity, whose exponential is 0.
#include <cmath>

#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

namespace {

// Below this a temperature has no effect on values (differences of distinct floats are far larger),
// and its inverse, by which gradients are scaled, stays far inside float.
constexpr float kLowestTemperature = 1e-30f;

// Exponentials cost about ten times a streamed element.
int64_t RowGrain(int c) { return std::max<int64_t>(1, internal::kGrain / 10 / c); }

// Which entries of a row may be taken; rows of the mask may be shared by all rows.
struct Mask {
  const uint8_t* allowed = nullptr;  // null: all
  int64_t row_stride = 0;

  bool Allows(int64_t row, int j) const {
    return allowed == nullptr || allowed[row * row_stride + j] != 0;
  }
};

Mask KeepMask(Tape& tape, const Shape& shape, const uint8_t* mask, int64_t mask_rows) {
  if (mask == nullptr) return {};
  RHNAS_CHECK(mask_rows == 1 || mask_rows == shape.rows(), "a mask of %lld rows for %s",
              static_cast<long long>(mask_rows), shape.ToString().c_str());
  const int c = shape.last();
  for (int64_t row = 0; row < mask_rows; ++row) {
    bool any = false;
    for (int j = 0; j < c; ++j) any = any || mask[row * c + j] != 0;
    RHNAS_CHECK(any, "row %lld of the mask for %s allows nothing", static_cast<long long>(row),
                shape.ToString().c_str());
  }
  return {internal::Keep(tape, mask, mask_rows * c), mask_rows == 1 ? 0 : int64_t{c}};
}

float RowMax(const float* x, int c, const Mask& mask, int64_t row) {
  bool first = true;
  float max = 0;
  for (int j = 0; j < c; ++j) {
    if (!mask.Allows(row, j)) continue;
    if (first || x[j] > max) max = x[j];
    first = false;
  }
  return max;
}

// Rows whose exponentials are taken in one go: a row of two choices fills no vector.
constexpr int64_t kRowsTogether = 32;

// Of rows [row, row + rows), at most kRowsTogether: p = exp((x - max) / temperature) on what is
// allowed, 0 elsewhere; the maximum and the sum of each row. p may be x.
void ExpRows(const float* x, float* p, int64_t rows, int c, float temperature, const Mask& mask,
             int64_t row, float* max, float* sum) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* from = x + i * c;
    float* const to = p + i * c;
    max[i] = RowMax(from, c, mask, row + i);
    for (int j = 0; j < c; ++j) {
      to[j] = mask.Allows(row + i, j) ? (from[j] - max[i]) / temperature : 0;
    }
  }
  simd::Elementwise().unary[simd::kExp](p, p, rows * c);
  for (int64_t i = 0; i < rows; ++i, p += c) {
    sum[i] = 0;
    for (int j = 0; j < c; ++j) {
      if (!mask.Allows(row + i, j)) p[j] = 0;
      sum[i] += p[j];
    }
  }
}

void SoftmaxRows(const float* x, float* p, int64_t rows, int c, float temperature, const Mask& mask,
                 int64_t row) {
  float max[kRowsTogether], sum[kRowsTogether];
  ExpRows(x, p, rows, c, temperature, mask, row, max, sum);
  for (int64_t i = 0; i < rows; ++i, p += c) {
    const float inverse = 1 / sum[i];
    for (int j = 0; j < c; ++j) p[j] *= inverse;
  }
}

// fn(first row, rows) over all rows, at most kRowsTogether at a time.
template <typename F>
void ForRows(Tape& tape, const Shape& shape, const F& fn) {
  tape.pool().ParallelFor(shape.rows(), RowGrain(shape.last()),
                          [&](int64_t begin, int64_t end, int) {
                            for (int64_t row = begin; row < end; row += kRowsTogether) {
                              fn(row, std::min(kRowsTogether, end - row));
                            }
                          });
}

// dx (+)= p (dout - <dout, p>) / temperature: exactly 0 where p is.
void RowSoftmaxBackward(const float* p, const float* dout, float* dx, int c, float temperature,
                        bool fresh) {
  float mean = 0;
  for (int j = 0; j < c; ++j) mean += p[j] == 0 ? 0 : dout[j] * p[j];
  for (int j = 0; j < c; ++j) {
    const float d = p[j] == 0 ? 0 : p[j] * (dout[j] - mean) / temperature;
    dx[j] = fresh ? d : dx[j] + d;
  }
}

void SoftmaxBackward(Tape& tape, Var x, const float* p, const float* dout, float temperature) {
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  bool fresh = false;
  float* dx = tape.AccumulateGrad(x, &fresh);
  tape.pool().ParallelFor(shape.rows(), RowGrain(c), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * c;
      RowSoftmaxBackward(p + at, dout + at, dx + at, c, temperature, fresh);
    }
  });
}

}  // namespace

Var Softmax(Tape& tape, Var x, const uint8_t* mask, int64_t mask_rows) {
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  const Mask kept = KeepMask(tape, shape, mask, mask_rows);
  const Var out = tape.NewValue(shape, tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* p = tape.mutable_value(out);
  ForRows(tape, shape, [&](int64_t row, int64_t rows) {
    SoftmaxRows(vx + row * c, p + row * c, rows, c, 1, kept, row);
  });
  if (tape.needs_grad(out)) {
    tape.OnBackward(
        out, [t = &tape, x, out] { SoftmaxBackward(*t, x, t->value(out), t->grad(out), 1); });
  }
  return out;
}

Var LogSoftmax(Tape& tape, Var x, const uint8_t* mask, int64_t mask_rows) {
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  const Mask kept = KeepMask(tape, shape, mask, mask_rows);
  const Var out = tape.NewValue(shape, tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  ForRows(tape, shape, [&](int64_t row, int64_t rows) {
    float max[kRowsTogether], log_sum[kRowsTogether];
    ExpRows(vx + row * c, y + row * c, rows, c, 1, kept, row, max, log_sum);
    simd::Elementwise().unary[simd::kLog](log_sum, log_sum, rows);
    for (int64_t i = 0; i < rows; ++i) {
      const float* from = vx + (row + i) * c;
      float* to = y + (row + i) * c;
      for (int j = 0; j < c; ++j) {
        to[j] = kept.Allows(row + i, j) ? (from[j] - max[i]) - log_sum[i] : 0;
      }
    }
  });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out, kept] {
      const Shape s = t->shape(x);
      const int channels = s.last();
      const float *log_p = t->value(out), *dout = t->grad(out);
      bool fresh = false;
      float* dx = t->AccumulateGrad(x, &fresh);
      ForRows(*t, s, [&](int64_t row, int64_t rows) {
        constexpr int64_t kPart = 256;
        float p[kPart], sum[kRowsTogether];
        for (int64_t i = 0; i < rows; ++i) {
          sum[i] = 0;
          for (int j = 0; j < channels; ++j) {
            sum[i] += kept.Allows(row + i, j) ? dout[(row + i) * channels + j] : 0;
          }
        }
        int64_t i = 0;
        int j = 0;
        for (int64_t at = row * channels, end = (row + rows) * channels; at < end; at += kPart) {
          const int64_t count = std::min(kPart, end - at);
          simd::Elementwise().unary[simd::kExp](log_p + at, p, count);
          for (int64_t e = 0; e < count; ++e) {
            const float d = kept.Allows(row + i, j) ? dout[at + e] - p[e] * sum[i] : 0;
            dx[at + e] = fresh ? d : dx[at + e] + d;
            if (++j == channels) {
              j = 0;
              ++i;
            }
          }
        }
      });
    });
  }
  return out;
}

Var GumbelSoftmax(Tape& tape, Var x, const float* noise, float temperature, bool hard) {
  RHNAS_CHECK(temperature > 0 && std::isfinite(temperature), "GumbelSoftmax at temperature %g",
              double{temperature});
  const float raised = std::max(temperature, kLowestTemperature);
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  const Var out = tape.NewValue(shape, tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  float* soft = hard ? tape.arena().Floats(shape.size()) : y;
  ForRows(tape, shape, [&](int64_t row, int64_t rows) {
    const int64_t at = row * c, count = rows * c;
    for (int64_t i = at; i < at + count; ++i) y[i] = vx[i] + noise[i];
    SoftmaxRows(y + at, soft + at, rows, c, raised, {}, row);
    if (!hard) return;
    for (float* one_hot = y + at; one_hot < y + at + count; one_hot += c) {
      int best = 0;
      for (int j = 1; j < c; ++j) best = one_hot[j] > one_hot[best] ? j : best;
      for (int j = 0; j < c; ++j) one_hot[j] = j == best ? 1 : 0;
    }
  });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out, soft, raised] {
      SoftmaxBackward(*t, x, soft, t->grad(out), raised);
    });
  }
  return out;
}

}  // namespace rhnas::engine
