// One-step problems that offer what they know of validity in each of the ways an Environment can.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/rl_problems.h"

namespace rhnas::rl {

enum class Offer { kNothing, kAdmissible, kStatic, kPrefix };

// `Problem` is a OneStep; counts distinct points and what broke the masks on offer.
template <class Problem>
class Masked : public Problem {
 public:
  template <class... Args>
  explicit Masked(Offer offer, Args... args) : Problem(args...), offer_(offer) {
    for (size_t p = 0; p < this->points(); ++p) {
      if (this->valid_[p]) valid_points_.push_back(p);
    }
    seen_.assign(this->points(), 0);
  }
  bool Mask(uint8_t* mask) const override {
    if (offer_ != Offer::kStatic) return false;
    size_t total = 0;
    for (int size : this->sizes_) total += static_cast<size_t>(size);
    std::fill_n(mask, total, uint8_t{0});
    for (size_t p : valid_points_) {
      const std::vector<int> action = this->ActionOf(p);
      size_t offset = 0;
      for (size_t h = 0; h < action.size(); ++h) {
        mask[offset + static_cast<size_t>(action[h])] = 1;
        offset += static_cast<size_t>(this->sizes_[h]);
      }
    }
    return true;
  }
  bool MaskHead(int head, const int* action, uint8_t* mask) const override {
    if (offer_ != Offer::kPrefix) return false;
    const size_t h = static_cast<size_t>(head);
    size_t prefix = 0, rest = 1;
    for (size_t i = 0; i < h; ++i) {
      prefix = prefix * static_cast<size_t>(this->sizes_[i]) + static_cast<size_t>(action[i]);
    }
    for (size_t i = h + 1; i < this->sizes_.size(); ++i) {
      rest *= static_cast<size_t>(this->sizes_[i]);
    }
    for (int v = 0; v < this->sizes_[h]; ++v) {
      const size_t low =
          (prefix * static_cast<size_t>(this->sizes_[h]) + static_cast<size_t>(v)) * rest;
      const auto first = std::lower_bound(valid_points_.begin(), valid_points_.end(), low);
      mask[v] = first != valid_points_.end() && *first < low + rest ? 1 : 0;
    }
    return true;
  }
  bool Admissible(const int* action) const override {
    return offer_ == Offer::kNothing || offer_ == Offer::kStatic ||
           this->valid_[this->PointOf(action)];
  }
  StepResult Act(const int* action, engine::Rng& rng) override {
    const size_t point = this->PointOf(action);
    if (seen_[point]++ == 0) ++distinct_;
    StepResult result = Problem::Act(action, rng);
    result.valid = this->valid_[point];
    return result;
  }

  std::vector<int> Action(size_t point) const { return this->ActionOf(point); }
  int64_t distinct() const { return distinct_; }
  bool Seen(size_t point) const { return seen_[point] > 0; }
  const std::vector<size_t>& valid_numbers() const { return valid_points_; }

 private:
  Offer offer_;
  std::vector<size_t> valid_points_;
  std::vector<int> seen_;
  int64_t distinct_ = 0;
};

// Any rewards, all valid where `valid` is empty.
class Listed : public OneStep {
 public:
  Listed(const std::vector<int>& sizes, const std::vector<double>& rewards,
         const std::vector<bool>& valid)
      : OneStep(sizes) {
    reward_ = rewards;
    valid_ = valid.empty() ? std::vector<bool>(rewards.size(), true) : valid;
  }
};

// Smooth: a quadratic bowl with correlated parameters, its top off the middle. Rugged: the same
// with independent noise at every point.
class Bowl : public OneStep {
 public:
  Bowl(const std::vector<int>& sizes, double noise, uint64_t seed) : OneStep(sizes) {
    engine::Rng rng(seed);
    std::vector<double> top;
    for (size_t h = 0; h < sizes_.size(); ++h) {
      top.push_back(0.15 + 0.7 * static_cast<double>(rng.Uniform()));
    }
    for (size_t p = 0; p < CountPoints(); ++p) {
      const std::vector<int> action = ActionOf(p);
      double sum = 0, before = 0;
      for (size_t h = 0; h < action.size(); ++h) {
        const double off =
            action[h] / static_cast<double>(std::max(1, sizes_[h] - 1)) - top[h] - 0.5 * before;
        sum += off * off;
        before = off;
      }
      reward_.push_back(-sum + noise * static_cast<double>(rng.Uniform()));
      valid_.push_back(true);
    }
  }
};

}  // namespace rhnas::rl
