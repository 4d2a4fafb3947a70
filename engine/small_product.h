// Small matrix products, read in place on the calling thread, without planning or packing.
#pragma once

#include "engine/conv.h"

namespace rhnas::engine {

// Whether SmallGemm takes this product: a function of its shape alone.
bool IsSmallGemm(const GemmShape& shape);

// As Gemm (engine/conv.h), the same bits; then adds bias [n] to every row unless it is null.
// REQUIRES: IsSmallGemm(shape).
void SmallGemm(const GemmShape& shape, const float* a, const float* b, const float* bias, float* c,
               bool accumulate, ThreadPool& pool);

}  // namespace rhnas::engine
