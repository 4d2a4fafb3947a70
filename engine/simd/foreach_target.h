// Includes RHNAS_SIMD_SOURCE once per target, in the target's namespace and compiler region, and
// defines `const RHNAS_SIMD_TABLE& <RHNAS_SIMD_TABLE>For(Target)`. Usage: engine/simd/vec.h. To be
// included once per .cc, at file scope, outside any namespace.
//
// Per-file -mavx2 flags would leak AVX code into weak std:: templates, and an old CPU would crash
// in them; regions do not.

#if !defined(RHNAS_SIMD_SOURCE) || !defined(RHNAS_SIMD_TABLE)
#error "define RHNAS_SIMD_SOURCE and RHNAS_SIMD_TABLE first; see engine/simd/vec.h"
#endif

#include "engine/check.h"
#include "engine/simd/vec.h"

// --- Baseline: 128-bit vectors without fused multiply-add, on any machine. On x86-64 only
// processors of before 2013 run it: built for size there ---
#if defined(RHNAS_SIMD_X86) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("Os")
#endif
#define RHNAS_SIMD_WIDTH 128
#define RHNAS_SIMD_FUSED 0
#define RHNAS_SIMD_REGISTERS 16
namespace rhnas::engine::simd::baseline {
#include "engine/simd/vec.inl"
#include RHNAS_SIMD_SOURCE
}  // namespace rhnas::engine::simd::baseline
#if defined(RHNAS_SIMD_X86) && !defined(__clang__)
#pragma GCC pop_options
#endif
#undef RHNAS_SIMD_WIDTH
#undef RHNAS_SIMD_FUSED
#undef RHNAS_SIMD_REGISTERS

#if defined(RHNAS_SIMD_X86)

// --- AVX2 + FMA ---
#define RHNAS_SIMD_WIDTH 256
#define RHNAS_SIMD_FUSED 1
#define RHNAS_SIMD_REGISTERS 16
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace rhnas::engine::simd::avx2 {
#include "engine/simd/vec.inl"
#include RHNAS_SIMD_SOURCE
}  // namespace rhnas::engine::simd::avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef RHNAS_SIMD_WIDTH
#undef RHNAS_SIMD_FUSED
#undef RHNAS_SIMD_REGISTERS

// --- AVX-512 (F, BW, DQ, VL: every server part since Skylake-SP, and Zen 4) ---
#define RHNAS_SIMD_WIDTH 512
#define RHNAS_SIMD_FUSED 1
#define RHNAS_SIMD_REGISTERS 32
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif
namespace rhnas::engine::simd::avx512 {
#include "engine/simd/vec.inl"
#include RHNAS_SIMD_SOURCE
}  // namespace rhnas::engine::simd::avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef RHNAS_SIMD_WIDTH
#undef RHNAS_SIMD_FUSED
#undef RHNAS_SIMD_REGISTERS

#elif defined(RHNAS_SIMD_NEON)

// --- NEON: part of every AArch64 ---
#define RHNAS_SIMD_WIDTH 128
#define RHNAS_SIMD_FUSED 1
#define RHNAS_SIMD_REGISTERS 32
namespace rhnas::engine::simd::neon {
#include "engine/simd/vec.inl"
#include RHNAS_SIMD_SOURCE
}  // namespace rhnas::engine::simd::neon
#undef RHNAS_SIMD_WIDTH
#undef RHNAS_SIMD_FUSED
#undef RHNAS_SIMD_REGISTERS

#endif

#define RHNAS_SIMD_JOIN2(a, b) a##b
#define RHNAS_SIMD_JOIN(a, b) RHNAS_SIMD_JOIN2(a, b)

namespace rhnas::engine::simd {

const RHNAS_SIMD_TABLE& RHNAS_SIMD_JOIN(RHNAS_SIMD_TABLE, For)(Target target) {
  switch (target) {
    case Target::kBaseline:
      return baseline::kTable;
#if defined(RHNAS_SIMD_X86)
    case Target::kAvx2:
      return avx2::kTable;
    case Target::kAvx512:
      return avx512::kTable;
#elif defined(RHNAS_SIMD_NEON)
    case Target::kNeon:
      return neon::kTable;
#endif
    default:
      break;
  }
  RHNAS_CHECK(false, "target %s is not compiled in", TargetName(target));
}

}  // namespace rhnas::engine::simd
