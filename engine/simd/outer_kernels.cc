#include "engine/simd/outer_kernels.h"

#define RHNAS_SIMD_SOURCE "engine/simd/outer_kernels.inl"
#define RHNAS_SIMD_TABLE OuterKernels
#include "engine/simd/foreach_target.h"
