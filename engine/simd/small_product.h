// Matrix products too small to plan and pack for: a policy network's layers. Operands are read
// where they are, on one thread; engine/small_product.cc decides what is small. The large ones:
// engine/simd/conv_kernels.h.
//
// Every output element is one chain of Fma steps in the order of the reduction, as there: which of
// the two computes a product does not change a bit.
#pragma once

#include <cstdint>

#include "engine/cpu.h"

namespace rhnas::engine::simd {

// c[i][j] (+)= sum over s of a[i * a_row + s * a_step] * b[s * b_step + j], then + bias[j] unless
// bias is null. Rows of b, c and bias are contiguous; only `columns` floats of each are touched.
struct SmallProduct {
  int rows, columns, steps;
  const float* a;
  int64_t a_row, a_step;
  const float* b;
  int64_t b_step;
  float* c;
  int64_t c_row;
  const float* bias;
  bool accumulate;
};

struct SmallKernels {
  int lanes;
  void (*product)(const SmallProduct& job);
  // to[column * to_row + row] = from[row * from_row + column].
  void (*transpose)(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
                    int64_t to_row);
};

const SmallKernels& SmallKernelsFor(Target target);

}  // namespace rhnas::engine::simd
