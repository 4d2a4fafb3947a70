#include "rl/gaussian_process.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "rl/dense.h"
#include "rl/double_math.h"

namespace rhnas::rl {

namespace {

constexpr double kLn2 = 0.6931471805599453;
// Scales from a twentieth of the range to far beyond it, where a head does not matter; nuggets from
// rounding to a tenth of the variance.
constexpr double kLeastScale = -4, kMostScale = 5, kLeastNugget = -24, kMostNugget = -3;
// Prior of the log2 scales: normal around 1/2 of the range and a spread of a factor of four.
// Decides while there are fewer points than scales, later it drowns.
constexpr double kPriorScale = -1, kPriorSpread = 2;
constexpr double kFirstScale = -1, kFirstNugget = -16;

}  // namespace

GaussianProcess::GaussianProcess(const std::vector<int>& sizes) : sizes_(sizes) {
  int total = 0;
  for (int size : sizes) {
    offsets_.push_back(total);
    total += size;
  }
  table_.resize(static_cast<size_t>(total));
  std::vector<double> logs(sizes.size(), kFirstScale);
  logs.push_back(kFirstNugget);
  set_logs(logs);
}

void GaussianProcess::set_logs(const std::vector<double>& logs) {
  RHNAS_CHECK(logs.size() == sizes_.size() + 1, "%zu scales for %zu heads", logs.size(),
              sizes_.size());
  logs_ = logs;
  for (size_t h = 0; h < sizes_.size(); ++h) {
    const double scale = Exp(kLn2 * logs[h]);
    for (int i = 0; i < sizes_[h]; ++i) {
      const double r = std::sqrt(5.0) * i / (std::max(sizes_[h] - 1, 1) * scale);
      table_[static_cast<size_t>(offsets_[h] + i)] = (1 + r + r * r / 3) * Exp(-r);
    }
  }
}

double GaussianProcess::Correlation(const int* a, const int* b) const {
  double product = 1;
  for (size_t h = 0; h < sizes_.size(); ++h) {
    product *= table_[static_cast<size_t>(offsets_[h] + std::abs(a[h] - b[h]))];
  }
  return product;
}

void GaussianProcess::Fit(const std::vector<int>& actions, const std::vector<double>& values) {
  const size_t heads = sizes_.size(), n = values.size();
  RHNAS_CHECK(n >= 1 && actions.size() == n * heads, "%zu choices for %zu points of %zu heads",
              actions.size(), n, heads);
  rows_ = static_cast<int>(n);
  actions_ = actions;
  // Points so close that rounding makes the matrix indefinite get more nugget until it is not.
  for (double nugget = Exp(kLn2 * logs_[heads]);; nugget *= 16) {
    factor_.resize(n * n);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < i; ++j) {
        factor_[i * n + j] = Correlation(&actions_[i * heads], &actions_[j * heads]);
      }
      factor_[i * n + i] = 1 + nugget;
    }
    if (Cholesky(rows_, &factor_)) break;
  }
  std::vector<double> ones(n, 1.0);
  alpha_ = values;
  SolveLower(rows_, factor_, ones.data());
  SolveLower(rows_, factor_, alpha_.data());
  double ones_ones = 0, ones_values = 0;
  for (size_t i = 0; i < n; ++i) {
    ones_ones += ones[i] * ones[i];
    ones_values += ones[i] * alpha_[i];
  }
  mean_ = ones_values / ones_ones;
  double square = 0, log_determinant = 0;
  for (size_t i = 0; i < n; ++i) {
    alpha_[i] -= mean_ * ones[i];
    square += alpha_[i] * alpha_[i];
    log_determinant += 2 * Log(factor_[i * n + i]);
  }
  // All values equal: any small variance, so that the unseen stays worth a look.
  variance_ = std::max(square / static_cast<double>(n), 1e-12 * mean_ * mean_ + 1e-100);
  log_likelihood_ = -0.5 * (static_cast<double>(n) * (Log(variance_) + 1.8378770664093453 + 1) +
                            log_determinant);  // 1.84: log 2 pi
  SolveLowerTransposed(rows_, factor_, alpha_.data());
}

double GaussianProcess::Score(const std::vector<int>& actions, const std::vector<double>& values) {
  Fit(actions, values);
  double score = log_likelihood_;
  for (size_t h = 0; h < sizes_.size(); ++h) {
    const double off = (logs_[h] - kPriorScale) / kPriorSpread;
    score -= 0.5 * off * off;
  }
  return score;
}

void GaussianProcess::Learn(const std::vector<int>& actions, const std::vector<double>& values) {
  double best = Score(actions, values);
  // Pattern search, one number at a time.
  for (double step = 1; step >= 0.5; step *= 0.5) {
    for (size_t i = 0; i < logs_.size(); ++i) {
      const bool nugget = i == sizes_.size();
      if (!nugget && sizes_[i] < 2) continue;
      for (double sign : {1.0, -1.0}) {
        const std::vector<double> before = logs_;
        std::vector<double> logs = before;
        logs[i] =
            std::clamp(logs[i] + sign * step * (nugget ? 4 : 1),
                       nugget ? kLeastNugget : kLeastScale, nugget ? kMostNugget : kMostScale);
        if (logs[i] == before[i]) continue;
        set_logs(logs);
        const double score = Score(actions, values);
        if (score > best) {
          best = score;
          break;
        }
        set_logs(before);
      }
    }
  }
  Fit(actions, values);
}

Posterior GaussianProcess::At(const int* action) {
  const size_t heads = sizes_.size(), n = static_cast<size_t>(rows_);
  scratch_.resize(n);
  Posterior posterior;
  posterior.mean = mean_;
  for (size_t i = 0; i < n; ++i) {
    scratch_[i] = Correlation(action, &actions_[i * heads]);
    posterior.mean += scratch_[i] * alpha_[i];
  }
  SolveLower(rows_, factor_, scratch_.data());
  double known = 0;
  for (double value : scratch_) known += value * value;
  posterior.variance = variance_ * std::max(1 - known, 0.0);
  return posterior;
}

double ExpectedImprovement(const Posterior& posterior, double best) {
  if (!(posterior.variance > 0)) return std::max(posterior.mean - best, 0.0);
  const double deviation = std::sqrt(posterior.variance);
  return deviation * NormalGain((posterior.mean - best) / deviation);
}

}  // namespace rhnas::rl
