// Compiles engine/simd/elementwise.inl for every target. See engine/simd/vec.h.
#include "engine/simd/elementwise.h"

#include <cstdint>

#define RHNAS_SIMD_SOURCE "engine/simd/elementwise.inl"
#define RHNAS_SIMD_TABLE ElementwiseKernels
#include "engine/simd/foreach_target.h"
