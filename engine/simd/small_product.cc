#include "engine/simd/small_product.h"

#define RHNAS_SIMD_SOURCE "engine/simd/small_product.inl"
#define RHNAS_SIMD_TABLE SmallKernels
#include "engine/simd/foreach_target.h"
