// Random search, the first rival: uniform over what masks and rules allow (rl/points.h), through
// the same interface and the same counter of steps as the agents that learn.
#pragma once

#include "rl/agent.h"

namespace rhnas::rl {

class RandomSearch : public Agent {
 public:
  explicit RandomSearch(const AgentOptions& options) : options_(options) {}

  const char* name() const override { return "random"; }
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  // The action of the best single step so far, with choices that are forbidden now (or unknown)
  // replaced by the first allowed one. Meant for one-step problems.
  std::vector<int> Greedy(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  AgentOptions options_;
  std::vector<int> best_action_;  // empty before the first step
  double best_reward_ = 0;
};

}  // namespace rhnas::rl
