#include "rl/covariance_adaptation.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "rl/dense.h"
#include "rl/double_math.h"

namespace rhnas::rl {

namespace {

// An eigenvalue is kept above this share of the largest: rounding must not make it negative.
constexpr double kLeastEigenvalue = 1e-14;

double SquaredNorm(const std::vector<double>& x) {
  double sum = 0;
  for (double value : x) sum += value * value;
  return sum;
}

}  // namespace

CovarianceAdaptation::CovarianceAdaptation(const std::vector<double>& mean, double sigma,
                                           int lambda)
    : n_(static_cast<int>(mean.size())), lambda_(lambda), mean_(mean), sigma_(sigma) {
  RHNAS_CHECK(n_ >= 1 && sigma > 0 && (lambda == 0 || lambda >= 4),
              "dimension %d, sigma %g, lambda %d", n_, sigma, lambda);
  if (lambda_ == 0) lambda_ = 4 + static_cast<int>(3 * Log(n_));
  const size_t n = static_cast<size_t>(n_);
  covariance_.assign(n * n, 0);
  for (size_t i = 0; i < n; ++i) covariance_[i * n + i] = 1;
  path_sigma_.assign(n, 0);
  path_c_.assign(n, 0);
  SetConstants();
  Decompose();
}

void CovarianceAdaptation::SetConstants() {
  const double n = n_;
  mu_ = lambda_ / 2;
  weights_.resize(static_cast<size_t>(lambda_));
  double positive = 0, positive2 = 0, negative = 0, negative2 = 0;
  for (int i = 0; i < lambda_; ++i) {
    const double w = Log((lambda_ + 1) / 2.0) - Log(i + 1);
    weights_[static_cast<size_t>(i)] = w;
    (i < mu_ ? positive : negative) += w;
    (i < mu_ ? positive2 : negative2) += w * w;
  }
  mu_eff_ = positive * positive / positive2;
  const double mu_eff_minus = negative * negative / negative2;
  c_c_ = (4 + mu_eff_ / n) / (n + 4 + 2 * mu_eff_ / n);
  c_1_ = 2 / ((n + 1.3) * (n + 1.3) + mu_eff_);
  c_mu_ =
      std::min(1 - c_1_, 2 * (0.25 + mu_eff_ + 1 / mu_eff_ - 2) / ((n + 2) * (n + 2) + mu_eff_));
  c_sigma_ = (mu_eff_ + 2) / (n + mu_eff_ + 5);
  d_sigma_ = 1 + 2 * std::max(0.0, std::sqrt((mu_eff_ - 1) / (n + 1)) - 1) + c_sigma_;
  chi_ = std::sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
  const double scale = std::min(
      {1 + c_1_ / c_mu_, 1 + 2 * mu_eff_minus / (mu_eff_ + 2), (1 - c_1_ - c_mu_) / (n * c_mu_)});
  for (int i = 0; i < lambda_; ++i) {
    double& w = weights_[static_cast<size_t>(i)];
    w = i < mu_ ? w / positive : w * std::max(scale, 0.0) / -negative;
  }
}

void CovarianceAdaptation::Decompose() {
  EigenSymmetric(n_, covariance_, &axes_, &lengths_);
  const double largest = *std::max_element(lengths_.begin(), lengths_.end());
  for (double& length : lengths_) {
    length = std::sqrt(std::max({length, kLeastEigenvalue * largest, 1e-300}));
  }
}

double CovarianceAdaptation::Deviation(int axis) const {
  const size_t i = static_cast<size_t>(axis), n = static_cast<size_t>(n_);
  return sigma_ * std::sqrt(std::max(covariance_[i * n + i], 0.0));
}

void CovarianceAdaptation::Sample(engine::Rng& rng, double* x) const {
  const size_t n = static_cast<size_t>(n_);
  std::copy(mean_.begin(), mean_.end(), x);
  for (size_t k = 0; k < n; ++k) {
    const double z = sigma_ * lengths_[k] * static_cast<double>(rng.Normal());
    for (size_t i = 0; i < n; ++i) x[i] += axes_[i * n + k] * z;
  }
}

std::vector<double> CovarianceAdaptation::Whiten(const double* y) const {
  const size_t n = static_cast<size_t>(n_);
  std::vector<double> white(n, 0);
  for (size_t k = 0; k < n; ++k) {
    double along = 0;
    for (size_t i = 0; i < n; ++i) along += axes_[i * n + k] * y[i];
    for (size_t i = 0; i < n; ++i) white[i] += axes_[i * n + k] * along / lengths_[k];
  }
  return white;
}

void CovarianceAdaptation::Update(const std::vector<double>& points) {
  const size_t n = static_cast<size_t>(n_), lambda = static_cast<size_t>(lambda_);
  RHNAS_CHECK(points.size() == n * lambda, "%zu numbers for %zu points of %zu", points.size(),
              lambda, n);
  std::vector<double> steps(points.size()), step(n, 0);
  for (size_t p = 0; p < lambda; ++p) {
    for (size_t i = 0; i < n; ++i) {
      steps[p * n + i] = (points[p * n + i] - mean_[i]) / sigma_;
      if (static_cast<int>(p) < mu_) step[i] += weights_[p] * steps[p * n + i];
    }
  }
  for (size_t i = 0; i < n; ++i) mean_[i] += sigma_ * step[i];

  const std::vector<double> white = Whiten(step.data());
  const double push = std::sqrt(c_sigma_ * (2 - c_sigma_) * mu_eff_);
  for (size_t i = 0; i < n; ++i) path_sigma_[i] += push * white[i] - c_sigma_ * path_sigma_[i];
  const double length = std::sqrt(SquaredNorm(path_sigma_));
  ++generation_;
  // 1 - (1 - c_sigma)^(2 g): how far the path can have grown since the start.
  const double grown = 1 - Exp(2 * static_cast<double>(generation_) * Log(1 - c_sigma_));
  const bool steady = length / std::sqrt(grown) < (1.4 + 2.0 / (n_ + 1)) * chi_;
  const double push_c = steady ? std::sqrt(c_c_ * (2 - c_c_) * mu_eff_) : 0;
  for (size_t i = 0; i < n; ++i) path_c_[i] += push_c * step[i] - c_c_ * path_c_[i];

  std::vector<double> weights = weights_;
  double sum = 0;
  for (size_t p = 0; p < lambda; ++p) {
    sum += weights_[p];
    if (weights[p] < 0) {
      // So that no step, however long, makes the matrix indefinite.
      weights[p] *= n_ / std::max(SquaredNorm(Whiten(&steps[p * n])), 1e-300);
    }
  }
  const double keep = 1 - c_1_ - c_mu_ * sum + (steady ? 0 : c_1_ * c_c_ * (2 - c_c_));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double rank_mu = 0;
      for (size_t p = 0; p < lambda; ++p) {
        rank_mu += weights[p] * steps[p * n + i] * steps[p * n + j];
      }
      double& entry = covariance_[i * n + j];
      entry = keep * entry + c_1_ * path_c_[i] * path_c_[j] + c_mu_ * rank_mu;
      covariance_[j * n + i] = entry;
    }
  }
  sigma_ *= Exp(std::min(1.0, c_sigma_ / d_sigma_ * (length / chi_ - 1)));
  Decompose();
}

void CovarianceAdaptation::Widen(int axis, double least) {
  const double now = Deviation(axis);
  if (now >= least) return;
  const size_t a = static_cast<size_t>(axis), n = static_cast<size_t>(n_);
  if (now > 1e-150) {
    const double factor = least / now;
    for (size_t i = 0; i < n; ++i) {
      covariance_[a * n + i] *= factor;
      covariance_[i * n + a] *= factor;
    }
  } else {
    covariance_[a * n + a] = least * least / (sigma_ * sigma_);
  }
  Decompose();
}

void CovarianceAdaptation::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.Put(prefix + "lambda", lambda_);
  archive.PutVector(prefix + "mean", mean_);
  archive.PutVector(prefix + "covariance", covariance_);
  archive.PutVector(prefix + "path_sigma", path_sigma_);
  archive.PutVector(prefix + "path_c", path_c_);
  archive.Put(prefix + "sigma", sigma_);
  archive.Put(prefix + "generation", generation_);
}

void CovarianceAdaptation::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  const size_t n = static_cast<size_t>(n_);
  CovarianceAdaptation loaded = *this;
  archive.Get(prefix + "lambda", &loaded.lambda_);
  archive.GetVector(prefix + "mean", &loaded.mean_);
  archive.GetVector(prefix + "covariance", &loaded.covariance_);
  archive.GetVector(prefix + "path_sigma", &loaded.path_sigma_);
  archive.GetVector(prefix + "path_c", &loaded.path_c_);
  archive.Get(prefix + "sigma", &loaded.sigma_);
  archive.Get(prefix + "generation", &loaded.generation_);
  if (!archive.status().ok() || loaded.mean_.size() != n || loaded.covariance_.size() != n * n ||
      loaded.path_sigma_.size() != n || loaded.path_c_.size() != n || loaded.lambda_ < 4) {
    return;
  }
  *this = loaded;
  SetConstants();
  Decompose();
}

}  // namespace rhnas::rl
