#include "rl/relaxed_goal.h"

#include <algorithm>
#include <cmath>

#include "rl/double_math.h"

namespace rhnas::rl {

double GoalLoss(const RelaxedGoal& goal, const double* metrics, double* gradient) {
  constexpr double kMostExponent = 40;
  const double log_base = Log(goal.barrier_base);
  double loss = 0;
  for (size_t i = 0; i < goal.weight.size(); ++i) {
    loss += goal.weight[i] * metrics[i];
    gradient[i] = goal.weight[i];
    if (goal.barrier_weight <= 0 || !std::isfinite(goal.limit[i])) continue;
    const double exponent = std::min(kMostExponent, log_base * (metrics[i] - goal.limit[i]));
    const double barrier = goal.barrier_weight * Exp(exponent);
    loss += barrier;
    gradient[i] += log_base * barrier;
  }
  return loss;
}

double LimitExcess(const RelaxedGoal& goal, const double* metrics, double* gradient) {
  double excess = 0;
  for (size_t i = 0; i < goal.limit.size(); ++i) {
    const bool missed = std::isfinite(goal.limit[i]) && metrics[i] > goal.limit[i];
    gradient[i] = missed ? 1 : 0;
    if (missed) excess += metrics[i] - goal.limit[i];
  }
  return excess;
}

bool ProjectGradient(const float* constraint, double delta, int size, float* gradient) {
  double inner = 0, square = 0;
  for (int i = 0; i < size; ++i) {
    inner += static_cast<double>(gradient[i]) * static_cast<double>(constraint[i]);
    square += static_cast<double>(constraint[i]) * static_cast<double>(constraint[i]);
  }
  if (inner >= 0 || square < 1e-20) return false;
  const double factor = (delta - inner) / square;
  for (int i = 0; i < size; ++i) {
    gradient[i] += static_cast<float>(factor * static_cast<double>(constraint[i]));
  }
  return true;
}

}  // namespace rhnas::rl
