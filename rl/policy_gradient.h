// What the policy-gradient agents share: the loss, the entropy schedule, advantage scaling and the
// counts of a round.
#pragma once

#include <vector>

#include "engine/tape.h"
#include "rl/agent.h"
#include "rl/categorical.h"
#include "rl/rollout.h"

namespace rhnas::rl {

// Weight of the entropy bonus after `steps` environment steps: linear from entropy_weight to
// entropy_final over anneal_steps.
float EntropyWeight(const AgentOptions& options, int64_t steps);
// Likewise from learning_rate to rate_final times that (a2c, ppo).
float LearningRate(const AgentOptions& options, int64_t steps);

// -mean_i advantage_i log_prob_i - entropy_weight entropy; a scalar whose gradient is minus the
// policy gradient (Williams 1992). advantages: one a row of terms.log_prob.
engine::Var PolicyLoss(engine::Tape& tape, const ActionTerms& terms,
                       const std::vector<double>& advantages, float entropy_weight);

// Divides by the root mean square, so that step sizes do not depend on the reward's unit. All zero
// stays all zero.
void NormalizeScale(std::vector<double>* advantages);
// Subtracts the mean, too; a single advantage is left alone.
void Standardize(std::vector<double>* advantages);

// Replaces returns by their Savage scores (Savage 1956): the k-th smallest of n gets
// 1/n + 1/(n-1) + .. + 1/(n-k+1) - 1, the expected order statistic of an exponential variable, less
// its mean. Zero mean; the best of 16 weighs 2.4, the worst -0.9. Equal returns share their mean
// score.
void RankScores(std::vector<double>* returns);

// Adds a rollout's steps and episodes to a round's; mean_return holds a sum until FinishStats.
void CountReturns(const Rollout& rollout, RoundStats* stats);
void FinishStats(RoundStats* stats);

// Mean and population variance.
struct Moments {
  double mean = 0, variance = 0;
};
Moments MomentsOf(const std::vector<double>& values);

}  // namespace rhnas::rl
