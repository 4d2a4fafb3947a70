// Vectors for kernels: one source, compiled once for every target this machine family has.
//
// How to write a kernel (engine/simd/conv_kernels.cc is an example). The file is included by
// itself, once per target, each time inside that target's own namespace and compiler region, so
// plain `g++ *.cc` builds all targets and no file needs flags of its own:
//
//   #include "engine/simd/my_kernel.h"   // struct MyKernels { void (*add)(...); };
//                                        // const MyKernels& MyKernelsFor(Target target);
//   #include <cstdint>                   // std headers here, before any target region
//   #define RHNAS_SIMD_SOURCE "engine/simd/my_kernel.inl"
//   #define RHNAS_SIMD_TABLE MyKernels   // the .inl defines `static const MyKernels kTable = {..}`
//   #include "engine/simd/foreach_target.h"   // also defines MyKernelsFor
//
// and in my_kernel.inl, which knows its target only through these names:
//
//   static void Add(const float* a, const float* b, float* y, int64_t n) {
//     int64_t i = 0;
//     for (; i + kLanes <= n; i += kLanes) Store(y + i, Load(a + i) + Load(b + i));
//     if (i < n) StorePartial(y + i, LoadPartial(a + i, n - i) + LoadPartial(b + i, n - i), n - i);
//   }
//   static const MyKernels kTable = {Add};
//
// The names: Vec (kLanes floats; + - * / and comparisons work on it, comparisons give an IVec of 0
// and -1), IVec (kLanes int32_t; also << >> & | ~), Zero, Broadcast, Load, Store (any alignment),
// LoadPartial, StorePartial (first `count` lanes, 0..kLanes; the others read as 0 and are never
// touched), StoreStream (past the caches), Held (in a register), Fma(a, b, c) = a * b + c (one
// rounding where kFused, else two), Min, Max (b when either is NaN), Select(mask, a, b), Sqrt, Abs,
// Bits, FromBits, ToFloat, TruncateToInt.
//
// Inside an .inl: no std:: templates and no lambdas (they would be compiled for the wrong target,
// or shared with code that runs on older machines), no horizontal sums whose order depends on
// kLanes (results must be the same for every width), and everything static.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define RHNAS_SIMD_X86 1
#elif defined(__aarch64__)
#include <arm_neon.h>
#define RHNAS_SIMD_NEON 1
#endif

#include "engine/cpu.h"

#define RHNAS_INLINE static inline __attribute__((always_inline))
#define RHNAS_NOINLINE __attribute__((noinline))

// Unrolls the next loop fully (trip counts known to the compiler, at most 32).
#if defined(__clang__)
#define RHNAS_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RHNAS_UNROLL _Pragma("GCC unroll 32")
#endif
