// Advantage actor-critic (Mnih et al. 2016, synchronous) with generalised advantage estimation
// (Schulman et al. 2016). Actor and critic are separate MLPs, each with its own Adam and its own
// gradient clip, so that large returns in the critic do not starve the actor. What a time limit or
// the end of the gathering cuts off is bootstrapped with the critic.
//
// rl/ppo.h learns from the same rollouts in another way.
#pragma once

#include "engine/optimizer.h"
#include "engine/tape.h"
#include "rl/agent.h"
#include "rl/policy.h"
#include "rl/rollout.h"

namespace rhnas::rl {

class ActorCritic : public Agent {
 public:
  // REQUIRES: options that MakeAgent accepts.
  ActorCritic(const AgentOptions& options, const Environment& environment,
              engine::ThreadPool& pool);

  const char* name() const override;
  // At least `batch` episodes, with an update every options.rollout steps (0: `batch` episodes and
  // one update at the end). Entropy, gradient norm and explained variance are those of the last
  // update; `baseline` is the critic's mean value there.
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  std::vector<int> Greedy(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

  // The critic's value of an observation.
  double Value(const float* observation);

 protected:
  float EntropyBonus() const;  // its weight now
  // Learns from rollout_; `rng` for the order of rows.
  virtual void Update(engine::Rng& rng, RoundStats* stats);
  // Fills values_, returns_ and advantages_ (scaled as the options say) of rollout_'s rows; returns
  // the values on tape_, which it resets.
  engine::Var Judge(RoundStats* stats);
  // Log-probability and entropy, and the critic's values [rows, 1], of a rollout's rows on tape_.
  ActionTerms Terms(const Rollout& rollout);
  engine::Var Values(const Rollout& rollout);
  // One step of both networks: the policy gradient with these weights of the rows'
  // log-probabilities and the entropy bonus; the mean squared error of the values, of the rows that
  // keep[row] (1 or 0; null: all).
  void Descend(const ActionTerms& terms, const std::vector<double>& weights, engine::Var value,
               const std::vector<float>& targets, const float* keep, float entropy_weight,
               RoundStats* stats);

  AgentOptions options_;
  engine::ThreadPool& pool_;
  engine::Tape tape_;
  Rollout rollout_;
  std::vector<double> values_, returns_, advantages_;  // of rollout_'s rows

 private:
  engine::Rng init_;  // before policy_ and critic_: their start is drawn from it
  Policy policy_;
  Mlp critic_;
  engine::Adam policy_adam_, critic_adam_;
  int64_t steps_ = 0;  // ever taken, for the schedules
};

}  // namespace rhnas::rl
