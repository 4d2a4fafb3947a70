#include "engine/simd/conv_kernels.h"

#define RHNAS_SIMD_SOURCE "engine/simd/conv_kernels.inl"
#define RHNAS_SIMD_TABLE ConvKernels
#include "engine/simd/foreach_target.h"
