// Our own exp, log, tanh, sigmoid and cosine of a float: the same bits on every machine, and the
// same as a lane of the vector kernels, which include the same source (engine/simd/math.inl).
// Square roots are std::sqrt, which IEEE 754 rounds correctly everywhere.
#pragma once

#include <cfloat>
#include <cstdint>
#include <cstring>

namespace rhnas::engine {

static_assert(FLT_EVAL_METHOD == 0,
              "rhnas needs float arithmetic in float: on 32-bit x86 add -msse2 -mfpmath=sse");

namespace scalar_math {

using Vec = float;
using IVec = int32_t;
// The source's functions are plain inline here; kernels have their own meaning of the macro.
#pragma push_macro("RHNAS_INLINE")
#undef RHNAS_INLINE
#define RHNAS_INLINE inline

inline Vec Broadcast(float x) { return x; }
inline IVec Bits(Vec x) {
  IVec bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline Vec FromBits(IVec bits) {
  Vec x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline IVec Less(Vec a, Vec b) { return a < b ? -1 : 0; }
inline IVec Equal(Vec a, Vec b) { return a == b ? -1 : 0; }
inline Vec Select(IVec mask, Vec a, Vec b) { return mask != 0 ? a : b; }
inline Vec Min(Vec a, Vec b) { return a < b ? a : b; }
inline Vec Max(Vec a, Vec b) { return a > b ? a : b; }
inline Vec Abs(Vec x) { return FromBits(Bits(x) & 0x7fffffff); }

#include "engine/simd/math.inl"
#pragma pop_macro("RHNAS_INLINE")

}  // namespace scalar_math

using scalar_math::Exp;
using scalar_math::Log;
using scalar_math::Sigmoid;
using scalar_math::Tanh;

// cos(2 pi turns), turns in [0, 1]. Polynomials of Cephes on [-pi/4, pi/4].
inline float CosTurns(float turns) {
  const float quarters = turns * 4.0f;
  const int quadrant = static_cast<int>(quarters + 0.5f);
  const float x = (quarters - static_cast<float>(quadrant)) * 1.57079632679489662f;
  const float z = x * x;
  float value;
  if (quadrant % 2 == 0) {
    const float p = (2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f;
    value = p * z * z - 0.5f * z + 1.0f;
  } else {
    const float p = (-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f;
    value = p * z * x + x;
  }
  return quadrant == 1 || quadrant == 2 ? -value : value;
}

}  // namespace rhnas::engine
