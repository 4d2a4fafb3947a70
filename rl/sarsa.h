// Tabular SARSA (Rummery and Niranjan 1994) and expected SARSA (van Seijen et al. 2009): on-policy,
// the values are those of the epsilon-greedy behaviour itself, so that they know what exploring
// costs. With epsilon annealed to 0 both find the optimal policy (Singh et al. 2000).
#pragma once

#include "rl/temporal_difference.h"

namespace rhnas::rl {

// The next decision is worth the choice that is taken there.
class Sarsa : public TemporalDifference {
 public:
  using TemporalDifference::TemporalDifference;
  const char* name() const override;

 protected:
  double Worth(const double* values, const uint8_t* mask, int size, int choice) const override;
};

// The next decision is worth the mean over what might be taken there: SARSA without the variance of
// the draw.
class ExpectedSarsa : public TemporalDifference {
 public:
  using TemporalDifference::TemporalDifference;
  const char* name() const override;

 protected:
  double Worth(const double* values, const uint8_t* mask, int size, int choice) const override;
};

}  // namespace rhnas::rl
