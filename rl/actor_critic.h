// Advantage actor-critic (Mnih et al. 2016, synchronous) with generalised advantage estimation
// (Schulman et al. 2016). Actor and critic are separate MLPs, each with its own Adam and its own
// gradient clip, so that large returns in the critic do not starve the actor. What a time limit or
// the end of the gathering cuts off is bootstrapped with the critic.
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

  const char* name() const override { return "a2c"; }
  // `batch` episodes, with an update every options.rollout steps (0: one at the end). Entropy,
  // gradient norm and explained variance are those of the last update; `baseline` is the critic's
  // mean value there.
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  std::vector<int> Greedy(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

  // The critic's value of an observation.
  double Value(const float* observation);

 private:
  void Update(RoundStats* stats);

  AgentOptions options_;
  engine::ThreadPool& pool_;
  engine::Tape tape_;
  engine::Rng init_;  // before policy_ and critic_: their start is drawn from it
  Policy policy_;
  Mlp critic_;
  engine::Adam policy_adam_, critic_adam_;
  Rollout rollout_;
  int64_t steps_ = 0;  // ever taken, for the entropy schedule
};

}  // namespace rhnas::rl
