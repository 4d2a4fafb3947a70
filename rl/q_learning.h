// Tabular Q-learning (Watkins and Dayan 1992): off-policy, the next decision is worth its best
// choice, so that the values are those of the optimal policy whatever the exploration.
#pragma once

#include "rl/temporal_difference.h"

namespace rhnas::rl {

class QLearning : public TemporalDifference {
 public:
  using TemporalDifference::TemporalDifference;
  const char* name() const override;

 protected:
  double Worth(const double* values, const uint8_t* mask, int size, int choice) const override;
};

}  // namespace rhnas::rl
