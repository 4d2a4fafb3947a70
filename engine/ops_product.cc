// Matrix product and convolution: the tape's side of engine/conv.h. See ops.h.
#include "engine/conv.h"
#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

Var Matmul(Tape& tape, Var a, Var b, bool transpose_a, bool transpose_b) {
  const Shape sa = tape.shape(a), sb = tape.shape(b);
  internal::CheckRank(sa, 2, "Matmul");
  internal::CheckRank(sb, 2, "Matmul");
  const int m = sa.dim[transpose_a ? 1 : 0], k = sa.dim[transpose_a ? 0 : 1];
  const int n = sb.dim[transpose_b ? 0 : 1], kb = sb.dim[transpose_b ? 1 : 0];
  RHNAS_CHECK(k == kb, "Matmul of %s%s and %s%s", sa.ToString().c_str(), transpose_a ? "^T" : "",
              sb.ToString().c_str(), transpose_b ? "^T" : "");
  const Var out = tape.NewValue(Shape(m, n), tape.needs_grad(a) || tape.needs_grad(b));
  Gemm({m, n, k, transpose_a, transpose_b}, tape.value(a), tape.value(b), tape.mutable_value(out),
       false, tape.pool());
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, a, b, out, m, n, k, transpose_a, transpose_b] {
      const float *va = t->value(a), *vb = t->value(b), *dout = t->grad(out);
      bool fresh = false;
      if (float* da = t->AccumulateGrad(a, &fresh)) {
        if (transpose_a) {  // [K,M] = op(b) dout^T
          Gemm({k, m, n, transpose_b, true}, vb, dout, da, !fresh, t->pool());
        } else {  // [M,K] = dout op(b)^T
          Gemm({m, k, n, false, !transpose_b}, dout, vb, da, !fresh, t->pool());
        }
      }
      if (float* db = t->AccumulateGrad(b, &fresh)) {
        if (transpose_b) {  // [N,K] = dout^T op(a)
          Gemm({n, k, m, true, transpose_a}, dout, va, db, !fresh, t->pool());
        } else {  // [K,N] = op(a)^T dout
          Gemm({k, n, m, !transpose_a, false}, va, dout, db, !fresh, t->pool());
        }
      }
    });
  }
  return out;
}

Var Conv2d(Tape& tape, Var x, Var filter, const Conv2dOptions& options) {
  const Shape sx = tape.shape(x), sf = tape.shape(filter);
  internal::CheckRank(sx, 4, "Conv2d");
  internal::CheckRank(sf, 4, "the filter of Conv2d");
  RHNAS_CHECK(options.groups >= 1 && options.stride >= 1 && options.pad >= 0,
              "Conv2d with %d groups, stride %d, padding %d", options.groups, options.stride,
              options.pad);
  ConvShape shape;
  shape.n = sx.dim[0];
  shape.h = sx.dim[1];
  shape.w = sx.dim[2];
  shape.c = sx.dim[3];
  shape.r = sf.dim[0];
  shape.s = sf.dim[1];
  shape.k = sf.dim[3];
  shape.stride = options.stride;
  shape.pad = options.pad;
  shape.groups = options.groups;
  RHNAS_CHECK(shape.c % shape.groups == 0 && shape.k % shape.groups == 0 &&
                  sf.dim[2] == shape.c / shape.groups,
              "Conv2d of %s with filter %s in %d groups", sx.ToString().c_str(),
              sf.ToString().c_str(), shape.groups);
  RHNAS_CHECK(shape.h + 2 * shape.pad >= shape.r && shape.w + 2 * shape.pad >= shape.s,
              "Conv2d of %s with padding %d: smaller than the filter %s", sx.ToString().c_str(),
              shape.pad, sf.ToString().c_str());
  const Var out = tape.NewValue(Shape(shape.n, shape.oh(), shape.ow(), shape.k),
                                tape.needs_grad(x) || tape.needs_grad(filter));
  ConvForward(shape, tape.value(x), tape.value(filter), tape.mutable_value(out), false,
              tape.pool());
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, filter, out, shape] {
      const float* dout = t->grad(out);
      bool fresh = false;
      if (float* dx = t->AccumulateGrad(x, &fresh)) {
        ConvBackwardData(shape, dout, t->value(filter), dx, !fresh, t->pool());
      }
      if (float* dfilter = t->AccumulateGrad(filter, &fresh)) {
        ConvBackwardFilter(shape, t->value(x), dout, dfilter, !fresh, t->pool());
      }
    });
  }
  return out;
}

}  // namespace rhnas::engine
