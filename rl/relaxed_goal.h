// The goal of a descent through a learned evaluator: a loss on predicted metrics, and two published
// ways to hold limits, neither of which knows of designs that cannot be built.
//
//   EDD (Li et al., DAC 2020, arXiv 2005.02563): loss + beta C^(RES - RES_ub), a soft barrier.
//   HDX (Hong et al., DAC 2022, arXiv 2301.09312): where a limit is missed and the step of the loss
//   would miss it further, the least change of the gradient that makes progress delta on it.
//
// Metrics are natural logarithms relative to a reference, so RES - RES_ub is log(have / cap).
#pragma once

#include <vector>

namespace rhnas::rl {

struct RelaxedGoal {
  std::vector<double> weight, limit;  // one a metric; an infinite limit is none
  double barrier_weight = 0;          // beta; 0: no barrier
  double barrier_base = 1;            // C
};

// sum_i weight[i] metric[i] plus the barrier of every finite limit, and its gradient. The barrier's
// exponent is bounded, so that any finite metrics give finite numbers.
double GoalLoss(const RelaxedGoal& goal, const double* metrics, double* gradient);

// How far limits are missed, sum_i max(0, metric[i] - limit[i]), and its gradient (0 or 1).
double LimitExcess(const RelaxedGoal& goal, const double* metrics, double* gradient);

// HDX's projection: where gradient . constraint < 0 (a step against the gradient would raise what
// the constraint's gradient belongs to), adds ((delta - gradient . constraint) / |constraint|^2)
// constraint, after which gradient . constraint = delta. False: left alone, also where the
// constraint's gradient vanishes.
bool ProjectGradient(const float* constraint, double delta, int size, float* gradient);

}  // namespace rhnas::rl
