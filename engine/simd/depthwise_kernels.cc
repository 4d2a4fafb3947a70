#include "engine/simd/depthwise_kernels.h"

#define RHNAS_SIMD_SOURCE "engine/simd/depthwise_kernels.inl"
#define RHNAS_SIMD_TABLE DepthwiseKernels
#include "engine/simd/foreach_target.h"
