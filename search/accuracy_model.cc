#include "search/accuracy_model.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/math.h"

namespace rhnas::search {

namespace {

constexpr double kAccuracyUnit = 0.01;
// Standard deviations before anything is seen, in units of the target: of the level, of a choice,
// of a pair; and of what no pair explains (training noise and higher orders).
constexpr double kLevel = 2, kChoice = 0.8, kPair = 0.4, kNoise = 0.35;

// Predictions above this, near the floor, are what the model's own doubt is measured by.
constexpr double kNear = -1.5;

}  // namespace

AccuracyModel::AccuracyModel(const std::vector<int>& sizes, double accuracy_floor, uint64_t seed)
    : sizes_(sizes),
      decisions_(static_cast<int>(sizes.size())),
      floor_(accuracy_floor),
      rng_(seed) {
  for (int size : sizes_) {
    offsets_.push_back(choices_);
    choices_ += size;
  }
  features_ = 1 + choices_;
  pair_base_.assign(static_cast<size_t>(decisions_) * static_cast<size_t>(decisions_), 0);
  int64_t with_pairs = features_;
  for (int a = 0; a < decisions_; ++a) {
    for (int b = a + 1; b < decisions_; ++b) {
      if (with_pairs <= kMostFeatures) {
        pair_base_[static_cast<size_t>(a * decisions_ + b)] = static_cast<int>(with_pairs);
      }
      with_pairs += int64_t{sizes_[static_cast<size_t>(a)]} * sizes_[static_cast<size_t>(b)];
    }
  }
  pairs_ = with_pairs <= kMostFeatures;
  if (pairs_) features_ = static_cast<int>(with_pairs);
  const size_t n = static_cast<size_t>(features_);
  covariance_.assign(n * n, 0.0);
  mean_.assign(n, 0.0);
  members_.assign(kMembers, mean_);
  for (size_t i = 0; i < n; ++i) {
    const double deviation = i == 0 ? kLevel : static_cast<int>(i) <= choices_ ? kChoice : kPair;
    covariance_[i * n + i] = deviation * deviation;
    for (std::vector<double>& member : members_) {
      member[i] = deviation * static_cast<double>(rng_.Normal());
    }
  }
  gain_.resize(n);
}

double AccuracyModel::Target(double accuracy) const {
  const float u = static_cast<float>((accuracy - floor_) / kAccuracyUnit);
  const float magnitude = std::fabs(u);
  const float value = engine::Log(magnitude + std::sqrt(magnitude * magnitude + 1.0f));
  return static_cast<double>(u < 0 ? -value : value);
}

void AccuracyModel::Active(const int* network, std::vector<int>* active) const {
  active->clear();
  active->push_back(0);
  for (int d = 0; d < decisions_; ++d) {
    active->push_back(1 + offsets_[static_cast<size_t>(d)] + network[d]);
  }
  if (!pairs_) return;
  for (int a = 0; a < decisions_; ++a) {
    for (int b = a + 1; b < decisions_; ++b) {
      active->push_back(PairBase(a, b) + network[a] * sizes_[static_cast<size_t>(b)] + network[b]);
    }
  }
}

void AccuracyModel::Add(const int* network, double accuracy) {
  RHNAS_CHECK(std::isfinite(accuracy), "accuracy %g", accuracy);
  Active(network, &active_);
  const size_t n = static_cast<size_t>(features_);
  std::fill(gain_.begin(), gain_.end(), 0.0);
  for (int i : active_) {
    const double* row = covariance_.data() + static_cast<size_t>(i) * n;
    for (size_t j = 0; j < n; ++j) gain_[j] += row[j];
  }
  double variance = kNoise * kNoise;
  for (int i : active_) variance += gain_[static_cast<size_t>(i)];
  const double target = Target(accuracy);
  double mean = 0;
  for (int i : active_) mean += mean_[static_cast<size_t>(i)];
  if (mean > kNear) {
    surprise_ += (target - mean) * (target - mean) / variance;
    surprises_ += 1;
  }
  auto move = [&](std::vector<double>* weights, double observed) {
    double error = observed;
    for (int i : active_) error -= (*weights)[static_cast<size_t>(i)];
    error /= variance;
    for (size_t j = 0; j < n; ++j) (*weights)[j] += gain_[j] * error;
  };
  move(&mean_, target);
  for (std::vector<double>& member : members_) {
    move(&member, target + kNoise * static_cast<double>(rng_.Normal()));
  }
  for (size_t i = 0; i < n; ++i) {
    const double g = gain_[i] / variance;
    double* row = covariance_.data() + i * n;
    for (size_t j = 0; j < n; ++j) row[j] -= g * gain_[j];
  }
}

double AccuracyModel::Mean(const int* network) const {
  Active(network, &active_);
  double sum = 0;
  for (int i : active_) sum += mean_[static_cast<size_t>(i)];
  return sum;
}

double AccuracyModel::Variance(const int* network) const {
  Active(network, &active_);
  double sum = 0;
  for (int i : active_) {
    const double* row =
        covariance_.data() + static_cast<size_t>(i) * static_cast<size_t>(features_);
    for (int j : active_) sum += row[j];
  }
  return (std::max(sum, 0.0) + kNoise * kNoise) * surprise_ / surprises_;
}

double AccuracyModel::Relaxed(int member, const double* probability, double scale,
                              double* gradient) const {
  const std::vector<double>& w = member == kMembers ? mean_ : members_[static_cast<size_t>(member)];
  double value = w[0];
  for (int i = 0; i < choices_; ++i) {
    const double weight = w[static_cast<size_t>(1 + i)];
    value += weight * probability[i];
    if (gradient != nullptr) gradient[i] += scale * weight;
  }
  if (!pairs_) return value;
  for (int a = 0; a < decisions_; ++a) {
    for (int b = a + 1; b < decisions_; ++b) {
      const double* block = w.data() + PairBase(a, b);
      const int rows = sizes_[static_cast<size_t>(a)], columns = sizes_[static_cast<size_t>(b)];
      const int at_a = offsets_[static_cast<size_t>(a)], at_b = offsets_[static_cast<size_t>(b)];
      for (int i = 0; i < rows; ++i) {
        double sum = 0;
        for (int j = 0; j < columns; ++j) {
          const double weight = block[i * columns + j];
          sum += weight * probability[at_b + j];
          if (gradient != nullptr) gradient[at_b + j] += scale * weight * probability[at_a + i];
        }
        value += sum * probability[at_a + i];
        if (gradient != nullptr) gradient[at_a + i] += scale * sum;
      }
    }
  }
  return value;
}

}  // namespace rhnas::search
