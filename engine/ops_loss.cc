// Cross-entropy with label smoothing (Szegedy et al., "Rethinking the Inception architecture",
// 2016, section 7). See ops.h.
#include "engine/math.h"
#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

Var CrossEntropy(Tape& tape, Var logits, const int32_t* labels, float smoothing) {
  const Shape shape = tape.shape(logits);
  internal::CheckRank(shape, 2, "CrossEntropy");
  RHNAS_CHECK(smoothing >= 0 && smoothing < 1, "CrossEntropy with smoothing %g", double{smoothing});
  const int rows = shape.dim[0], c = shape.dim[1];
  const Var out = tape.NewValue(Shape(), tape.needs_grad(logits));
  const float* x = tape.value(logits);
  // softmax(x) - q, what the backward pass needs; a few floats a row.
  float* residual = tape.arena().Floats(shape.size());
  const float uniform = smoothing / static_cast<float>(c);
  double loss = 0;
  for (int i = 0; i < rows; ++i, x += c) {
    const int label = labels[i];
    RHNAS_CHECK(label >= 0 && label < c, "CrossEntropy: label %d in row %d of %s", label, i,
                shape.ToString().c_str());
    float max = x[0];
    for (int j = 1; j < c; ++j) max = x[j] > max ? x[j] : max;
    float* p = residual + int64_t{i} * c;
    float sum = 0;
    for (int j = 0; j < c; ++j) sum += p[j] = Exp(x[j] - max);
    const float log_sum = Log(sum);
    loss += double{1 - smoothing} * double{log_sum - (x[label] - max)};
    for (int j = 0; j < c; ++j) {
      if (smoothing > 0) loss += double{uniform} * double{log_sum - (x[j] - max)};
      p[j] = p[j] / sum - uniform;
    }
    p[label] -= 1 - smoothing;
  }
  *tape.mutable_value(out) = static_cast<float>(loss / rows);
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, logits, out, residual, rows] {
      const float factor = *t->grad(out) / static_cast<float>(rows);
      bool fresh = false;
      float* dlogits = t->AccumulateGrad(logits, &fresh);
      simd::Elementwise().scale(residual, factor, dlogits, t->shape(logits).size(), !fresh);
    });
  }
  return out;
}

}  // namespace rhnas::engine
