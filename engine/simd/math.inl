// exp, log, tanh and sigmoid over Vec: included by engine/math.h with Vec = float and by kernels
// once per target, so that a lane of a vector and a scalar have the same bits. No include guard on
// purpose. Not for arguments of large trigonometry, and not correctly rounded.
//
// Polynomials and argument splits of Cephes (S. L. Moshier, "Methods and Programs for Mathematical
// Functions", 1989; single precision): about two units in the last place. Only + - * / and integer
// operations, no fused multiply-add, so that targets without one agree. Denormals count as zero.
//
// Needs: Vec, IVec, Broadcast, Bits, FromBits, Select, Min, Max, Abs, Less, Equal.

// 1.5 * 2^23: adding it to |x| < 2^22 leaves round-to-nearest(x) in the low bits of the sum.
constexpr float kRound = 12582912.0f;
constexpr int32_t kRoundBits = 0x4b400000;
// ln 2 in two parts; the first has few bits, so its product with an exponent is exact.
constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;

// 0 below the logarithm of the smallest normal number, infinity where the result passes float.
RHNAS_INLINE Vec Exp(Vec x) {
  const Vec low = Broadcast(-87.33654f), high = Broadcast(88.8f);
  const Vec clamped = Max(Min(x, high), low);
  const Vec shifted = clamped * 1.44269504088896341f + kRound;  // log2(e)
  const Vec n = shifted - kRound;
  const Vec r = (clamped - n * kLn2High) - n * kLn2Low;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // 2^n in two factors: n reaches 128, which has no float of its own.
  const IVec exponent = Bits(shifted) - kRoundBits;
  const IVec half = exponent >> 1;
  const Vec scaled = p * FromBits((half + 127) << 23) * FromBits((exponent - half + 127) << 23);
  const Vec result = Select(Less(x, low), Broadcast(0), scaled);
  return Select(Equal(x, x), result, x);
}

// Minus infinity at 0, not-a-number below.
RHNAS_INLINE Vec Log(Vec x) {
  const Vec zero = Broadcast(0);
  // x = (1 + m) 2^e with 1 + m in [sqrt(1/2), sqrt(2)).
  const IVec bits = Bits(x);
  const Vec half_to_one = FromBits((bits & 0x007fffff) | 0x3f000000);
  const IVec low_half = Less(half_to_one, Broadcast(0.707106781186547524f));
  const Vec exponent = FromBits(((bits >> 23) - 126) + kRoundBits) - kRound;
  const Vec e = exponent - Select(low_half, Broadcast(1), zero);
  const Vec m = half_to_one + Select(low_half, half_to_one, zero) - 1.0f;
  const Vec z = m * m;
  Vec p = m * 7.0376836292e-2f + -1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m + -1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m + -1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m + -2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  p = p * m * z + e * kLn2Low - z * 0.5f;
  Vec result = (m + p) + e * kLn2High;
  const Vec infinity = Broadcast(__builtin_inff());
  result = Select(Less(x, Broadcast(1.17549435e-38f)), -infinity, result);  // smallest normal
  result = Select(Less(x, zero), Broadcast(__builtin_nanf("")), result);
  return Select(Less(x, infinity), result, x);  // infinity and not-a-number pass
}

// 1 / (1 + exp(-x)) without overflow on either side.
RHNAS_INLINE Vec Sigmoid(Vec x) {
  const Vec e = Exp(-Abs(x));
  const Vec upper = 1.0f / (e + 1.0f);
  return Select(Less(x, Broadcast(0)), e * upper, upper);
}

RHNAS_INLINE Vec Tanh(Vec x) {
  const Vec a = Abs(x);
  const Vec z = x * x;
  Vec p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z + -5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z + -3.33332819422e-1f;
  const Vec small = x + x * z * p;
  const Vec large = 1.0f - 2.0f / (Exp(a + a) + 1.0f);
  const Vec signed_large = FromBits(Bits(large) | (Bits(x) & INT32_MIN));
  return Select(Less(a, Broadcast(0.625f)), small, signed_large);
}
