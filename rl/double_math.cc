#include "rl/double_math.h"

#include <cmath>
#include <limits>

namespace rhnas::rl {

namespace {

// ln 2 in two parts: the first has 21 trailing zero bits, so that k times it is exact.
constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kInvLn2 = 1.4426950408889634;
constexpr double kInvSqrt2Pi = 0.3989422804014327;

constexpr double kInverse[] = {0,        1.0,      1.0 / 2,  1.0 / 3,  1.0 / 4,
                               1.0 / 5,  1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9,
                               1.0 / 10, 1.0 / 11, 1.0 / 12, 1.0 / 13, 1.0 / 14};

// Mills' ratio cdf(-x) / density(x) for x >= 5 by Laplace's continued fraction
// 1 / (x + 1 / (x + 2 / (x + 3 / ...))), whose error at 60 terms is below 1e-15 there.
double Mills(double x) {
  double tail = x;
  for (int k = 60; k >= 1; --k) tail = x + k / tail;
  return 1 / tail;
}

// From here on down the continued fraction, above the series.
constexpr double kFarTail = -5;

}  // namespace

double Exp(double x) {
  if (x < -745) return 0;
  if (x > 709.7) return std::numeric_limits<double>::infinity();
  const double k = std::floor(x * kInvLn2 + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;  // |r| <= ln 2 / 2
  double sum = 1;
  for (int i = 14; i >= 1; --i) sum = 1 + sum * r * kInverse[i];  // Taylor, next term below 1e-19
  return std::ldexp(sum, static_cast<int>(k));
}

double Log(double x) {
  int exponent;
  double m = std::frexp(x, &exponent);
  if (m < 0.7071067811865476) {
    m *= 2;
    --exponent;
  }
  // log m = 2 artanh t, t = (m - 1) / (m + 1), |t| <= 0.172
  const double t = (m - 1) / (m + 1), square = t * t;
  double sum = 0;
  for (int i = 21; i >= 1; i -= 2) sum = sum * square + 1.0 / i;
  return exponent * kLn2High + (exponent * kLn2Low + 2 * t * sum);
}

double NormalDensity(double z) { return kInvSqrt2Pi * Exp(-0.5 * z * z); }

double NormalCdf(double z) {
  if (z < kFarTail) return NormalDensity(z) * Mills(-z);
  if (z > -kFarTail) return 1 - NormalDensity(z) * Mills(z);
  // 1/2 + density(z) (z + z^3 / 3 + z^5 / (3 5) + ...)
  double term = z, sum = z;
  for (int k = 3; k < 130; k += 2) {
    term *= z * z / k;
    sum += term;
  }
  return 0.5 + NormalDensity(z) * sum;
}

double NormalGain(double z) {
  // Far out density(x) - x cdf(-x) = density(x) (1 - x mills(x)), and 1 - x mills = mills u, where
  // u = 1 / mills - x is the fraction's tail.
  if (z < kFarTail) {
    const double x = -z;
    double tail = x;
    for (int k = 60; k >= 2; --k) tail = x + k / tail;
    const double u = 1 / tail;  // mills = 1 / (x + u)
    return NormalDensity(z) * u / (x + u);
  }
  return z * NormalCdf(z) + NormalDensity(z);
}

}  // namespace rhnas::rl
