// REINFORCE (Williams 1992) in batches, with a moving-average baseline or rank scores, entropy
// bonus, optional masks and a memory of the best recent proposals: the hardware agent of RHNAS,
// critic-free and one-step there, but good for whole episodes.
//
// The moving baseline is a true exponential average, baseline = decay baseline + (1 - decay) batch
// mean, corrected for its start from zero as Adam corrects its moments, and a batch is judged by
// the baseline of the batches before it (the first by its own mean). The batch baseline is the mean
// of the batch itself: in a one-step problem it shortens the expected gradient of n episodes by the
// factor (n - 1) / n and leaves its direction.
//
// Where AgentOptions::budget is known, options left at their defaults become batches of 8, learning
// rate 0.02 and entropy weight 0.1, and that weight follows the share of proposals that are repeats
// (free to the counter of evaluations, but nothing new): it rises where nearly all are, else falls.
#pragma once

#include "engine/optimizer.h"
#include "engine/tape.h"
#include "rl/agent.h"
#include "rl/elites.h"
#include "rl/points.h"
#include "rl/policy.h"
#include "rl/rollout.h"

namespace rhnas::rl {

class Reinforce : public Agent {
 public:
  // REQUIRES: options that MakeAgent accepts.
  Reinforce(const AgentOptions& options, const Environment& environment, engine::ThreadPool& pool);

  const char* name() const override { return "reinforce"; }
  // Episodes that max_steps cuts off count as steps but teach nothing: their return is not known.
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  std::vector<int> Greedy(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

  Policy& policy() { return policy_; }

 private:
  void Update(RoundStats* stats);
  void AdaptEntropy();
  // Weights of the complete rows' log-probabilities; moves the baseline on.
  std::vector<double> Advantages(RoundStats* stats);
  // The moving average; `first` where there is none yet.
  double MovingAverage(double first) const;

  AgentOptions options_;
  engine::ThreadPool& pool_;
  engine::Tape tape_;
  engine::Rng init_;  // before policy_: its start is drawn from it
  Policy policy_;
  engine::Adam adam_;
  Rollout rollout_;
  Elites elites_;
  // Sums of the moving average and of its weights: the baseline is their quotient.
  double baseline_sum_ = 0, baseline_weight_ = 0;
  int64_t steps_ = 0;  // ever taken, for the entropy schedule
  SeenPoints seen_;    // proposed under each observation, with a budget
  float entropy_weight_;
};

}  // namespace rhnas::rl
