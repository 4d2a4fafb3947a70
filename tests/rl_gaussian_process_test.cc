// The Gaussian process against textbook formulas in another arrangement (an explicit inverse by
// Gauss-Jordan elimination), expected improvement against its integral, and the functions in
// double precision against those of the C library.
#include "rl/gaussian_process.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/random.h"
#include "rl/dense.h"
#include "rl/double_math.h"

namespace rhnas::rl {
namespace {

constexpr double kPi = 3.14159265358979323846;

// The inverse of a matrix and its determinant.
std::vector<double> Inverse(std::vector<double> a, size_t n, double* determinant) {
  std::vector<double> inverse(n * n, 0);
  for (size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  *determinant = 1;
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c; r < n; ++r) {
      if (std::fabs(a[r * n + c]) > std::fabs(a[pivot * n + c])) pivot = r;
    }
    if (pivot != c) *determinant = -*determinant;
    for (size_t k = 0; k < n; ++k) {
      std::swap(a[c * n + k], a[pivot * n + k]);
      std::swap(inverse[c * n + k], inverse[pivot * n + k]);
    }
    const double p = a[c * n + c];
    *determinant *= p;
    for (size_t k = 0; k < n; ++k) {
      a[c * n + k] /= p;
      inverse[c * n + k] /= p;
    }
    for (size_t r = 0; r < n; ++r) {
      const double factor = a[r * n + c];
      if (r == c || factor == 0) continue;
      for (size_t k = 0; k < n; ++k) {
        a[r * n + k] -= factor * a[c * n + k];
        inverse[r * n + k] -= factor * inverse[c * n + k];
      }
    }
  }
  return inverse;
}

double Matern(double distance, double scale) {
  const double r = std::sqrt(5.0) * distance / scale;
  return (1 + r + r * r / 3) * std::exp(-r);
}

struct Data {
  std::vector<int> sizes = {5, 7, 1, 4};
  std::vector<int> actions;
  std::vector<double> values;
};

Data MakeData(int n, uint64_t seed) {
  Data data;
  engine::Rng rng(seed);
  for (int i = 0; i < n; ++i) {
    double value = 0.1 * static_cast<double>(rng.Normal());
    for (size_t h = 0; h < data.sizes.size(); ++h) {
      const int choice = static_cast<int>(rng.Below(static_cast<uint32_t>(data.sizes[h])));
      data.actions.push_back(choice);
      if (h == 1) value += std::sin(choice);
    }
    data.values.push_back(value);
  }
  return data;
}

TEST(GaussianProcess, IsTheTextbooksPosteriorAndLikelihood) {
  const Data data = MakeData(18, 3);
  const size_t n = 18, heads = 4;
  const std::vector<double> logs = {-1, 0.5, -1, 1.5, -10};
  GaussianProcess process(data.sizes);
  process.set_logs(logs);
  process.Fit(data.actions, data.values);
  auto correlation = [&](const int* a, const int* b) {
    double product = 1;
    for (size_t h = 0; h < heads; ++h) {
      const double width = std::max(1, data.sizes[h] - 1);
      product *= Matern(std::abs(a[h] - b[h]) / width, std::exp2(logs[h]));
    }
    return product;
  };
  std::vector<double> matrix(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      matrix[i * n + j] = correlation(&data.actions[i * heads], &data.actions[j * heads]) +
                          (i == j ? std::exp2(-10) : 0);
    }
  }
  double determinant;
  const std::vector<double> inverse = Inverse(matrix, n, &determinant);
  double ones = 0, weighted = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      ones += inverse[i * n + j];
      weighted += inverse[i * n + j] * data.values[j];
    }
  }
  const double mean = weighted / ones;
  double square = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      square += (data.values[i] - mean) * inverse[i * n + j] * (data.values[j] - mean);
    }
  }
  const double variance = square / n;
  EXPECT_NEAR(process.mean(), mean, 1e-9);
  EXPECT_NEAR(process.variance(), variance, 1e-9 * variance);
  EXPECT_NEAR(process.log_likelihood(),
              -0.5 * (n * std::log(2 * kPi * variance) + std::log(determinant) + n), 1e-8);
  for (int p = 0; p < 5 * 7 * 4; p += 3) {
    const int point[] = {p % 5, p / 5 % 7, 0, p / 35};
    double expected = mean, explained = 0;
    for (size_t i = 0; i < n; ++i) {
      const double ki = correlation(point, &data.actions[i * heads]);
      for (size_t j = 0; j < n; ++j) {
        expected += ki * inverse[i * n + j] * (data.values[j] - mean);
        explained += ki * inverse[i * n + j] * correlation(point, &data.actions[j * heads]);
      }
    }
    const Posterior posterior = process.At(point);
    EXPECT_NEAR(posterior.mean, expected, 1e-8) << p;
    EXPECT_NEAR(posterior.variance, variance * std::max(0.0, 1 - explained), 1e-8) << p;
  }
}

TEST(GaussianProcess, LearnsWhichHeadMatters) {
  // Values depend on head 1 alone: the other heads' scales become long, its own stays short.
  const Data data = MakeData(60, 5);
  GaussianProcess process(data.sizes);
  process.Fit(data.actions, data.values);
  const double before = process.log_likelihood();
  for (int i = 0; i < 6; ++i) process.Learn(data.actions, data.values);
  EXPECT_GT(process.log_likelihood(), before + 5);
  EXPECT_LT(process.logs()[1] + 1, process.logs()[0]);
  EXPECT_LT(process.logs()[1] + 1, process.logs()[3]);
  // It generalises: the mean follows the sine where nothing was measured.
  double worst = 0;
  for (int a = 0; a < 5; ++a) {
    for (int b = 0; b < 7; ++b) {
      const int point[] = {a, b, 0, (a + b) % 4};
      worst = std::max(worst, std::fabs(process.At(point).mean - std::sin(b)));
    }
  }
  EXPECT_LT(worst, 0.35);
}

TEST(GaussianProcess, SurvivesTwinsAndConstants) {
  GaussianProcess process({3, 3});
  std::vector<double> logs = {5, 5, -24};
  process.set_logs(logs);
  std::vector<int> actions;
  for (int i = 0; i < 40; ++i) {
    actions.push_back(i % 2);
    actions.push_back(1);
  }
  for (double value : {0.0, 1.0, 1e12, -1e-12}) {
    process.Learn(actions, std::vector<double>(40, value));
    const int point[] = {2, 2};
    const Posterior posterior = process.At(point);
    EXPECT_NEAR(posterior.mean, value, 1e-6 * std::fabs(value));
    EXPECT_GE(posterior.variance, 0);
    EXPECT_TRUE(std::isfinite(posterior.variance));
    EXPECT_TRUE(std::isfinite(process.log_likelihood()));
  }
}

TEST(ExpectedImprovement, IsItsIntegral) {
  for (double mean : {-2.0, -0.5, 0.0, 1.5}) {
    for (double deviation : {0.01, 0.3, 2.0}) {
      const double best = 0.2;
      double integral = 0;
      const int steps = 60000;
      for (int i = 0; i < steps; ++i) {
        const double z = -12 + 24 * (i + 0.5) / steps;
        integral += std::max(0.0, mean + deviation * z - best) * std::exp(-z * z / 2) * 24 / steps;
      }
      integral /= std::sqrt(2 * kPi);
      EXPECT_NEAR(ExpectedImprovement({mean, deviation * deviation}, best), integral, 1e-8)
          << mean << " +- " << deviation;
    }
  }
  EXPECT_EQ(ExpectedImprovement({1, 0}, 0.25), 0.75);
  EXPECT_EQ(ExpectedImprovement({0, 0}, 0.25), 0);
}

TEST(DoubleMath, AgreesWithTheLibrary) {
  for (double x = -740; x < 709; x += 0.37) {
    EXPECT_NEAR(Exp(x), std::exp(x), 2e-15 * std::exp(x) + 1e-322) << x;
  }
  EXPECT_EQ(Exp(0), 1);
  EXPECT_EQ(Exp(-1e9), 0);
  EXPECT_TRUE(std::isinf(Exp(710)));
  for (double x = 1e-300; x < 1e300; x *= 1.7) {
    EXPECT_NEAR(Log(x), std::log(x), 2e-15 * std::fabs(std::log(x)) + 1e-17) << x;
  }
  EXPECT_EQ(Log(1), 0);
  for (double z = -37; z < 12; z += 0.03) {
    const double cdf = 0.5 * std::erfc(-z / std::sqrt(2.0));
    EXPECT_NEAR(NormalCdf(z), cdf, 1e-9 * cdf) << z;
  }
  // Far out, density(x) / x^2 (1 - 3 / x^2 + 15 / x^4 - ...).
  for (double x : {20.0, 30.0}) {
    const double leading = NormalDensity(x) / (x * x);
    EXPECT_NEAR(NormalGain(-x), leading * (1 - 3 / (x * x) + 15 / (x * x * x * x)),
                leading * 110 / std::pow(x, 6));
  }
  // No step where the two forms meet.
  EXPECT_NEAR(NormalGain(-5 + 1e-9) / NormalGain(-5 - 1e-9), 1, 2e-8);
}

TEST(Cholesky, RefusesWhatIsNotPositiveDefinite) {
  std::vector<double> good = {4, 0, 2, 5}, bad = {1, 0, 2, 1};
  ASSERT_TRUE(Cholesky(2, &good));
  EXPECT_EQ(good[0], 2);
  EXPECT_EQ(good[2], 1);
  EXPECT_EQ(good[3], 2);
  EXPECT_FALSE(Cholesky(2, &bad));
}

}  // namespace
}  // namespace rhnas::rl
