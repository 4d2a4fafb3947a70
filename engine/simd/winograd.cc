#include "engine/simd/winograd.h"

#define RHNAS_SIMD_SOURCE "engine/simd/winograd.inl"
#define RHNAS_SIMD_TABLE WinogradKernels
#include "engine/simd/foreach_target.h"
