// One-step problems for the relaxed rivals: with metrics, a limit, and a valid set that is or is
// not a product of choices.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "tests/rl_problems.h"

namespace rhnas::rl {

// Three heads of eight choices, levels x, y, z in [0, 1]. Metrics: latency falls with every level,
// energy is least in the middle, area grows; reward = -(latency + energy).
class Levels : public OneStep {
 public:
  using Rule = std::function<bool(int, int, int)>;

  // valid: of the indices. area_cap: limit of the third metric and a rule.
  explicit Levels(const Rule& valid = nullptr, double area_cap = INFINITY)
      : OneStep({8, 8, 8}, 4), area_cap_(area_cap) {
    for (size_t p = 0; p < CountPoints(); ++p) {
      double m[3];
      MetricsOf(ActionOf(p), m);
      const std::vector<int> a = ActionOf(p);
      const bool ok = (!valid || valid(a[0], a[1], a[2])) && m[2] <= area_cap;
      valid_.push_back(ok);
      reward_.push_back(ok ? -(m[0] + m[1]) : -5);
    }
  }
  static void MetricsOf(const std::vector<int>& action, double* metrics) {
    const double x = action[0] / 7.0, y = action[1] / 7.0, z = action[2] / 7.0;
    metrics[0] = 1.2 - 1.1 * x - 0.9 * y - 0.4 * z + 0.5 * x * y;
    metrics[1] = 0.8 * (x - 0.6) * (x - 0.6) + 0.3 * z;
    metrics[2] = x + y + 0.2 * z;
  }
  bool Valid(const std::vector<int>& action) const { return valid_[PointOf(action.data())]; }

  StepResult Act(const int* action, engine::Rng& rng) override {
    const StepResult result = OneStep::Act(action, rng);
    if (result.valid) MetricsOf(ActionOf(PointOf(action)), last_);
    return result;
  }
  int metrics() const override { return 3; }
  void Metrics(double* values) const override { std::copy(last_, last_ + 3, values); }
  bool MetricGoal(double* weight, double* limit) const override {
    weight[0] = weight[1] = 1;
    weight[2] = 0;
    limit[0] = limit[1] = INFINITY;
    limit[2] = area_cap_;
    return true;
  }

 private:
  double area_cap_;
  double last_[3] = {};
};

}  // namespace rhnas::rl
