// Tabular Q-learning (Watkins and Dayan 1992), epsilon-greedy, honouring masks.
//
// Decisions are sequential: in a state of the environment the heads of an action are chosen one
// after the other, each knowing those before, so that a multi-discrete action is a path in a tree
// and the table is exact for it (discounting only between environment steps). A one-step problem
// without states is the tree alone. A problem with one head is ordinary Q-learning.
#pragma once

#include "rl/agent.h"

namespace rhnas::rl {

class QLearning : public Agent {
 public:
  // Table entries beyond which MakeAgent refuses a problem: 32 MiB of doubles.
  static constexpr int64_t kMaxEntries = int64_t{1} << 22;
  // Entries a problem needs, or kMaxEntries + 1 if more than kMaxEntries.
  static int64_t Entries(const Environment& environment);

  // REQUIRES: options that MakeAgent accepts, Entries(environment) <= kMaxEntries.
  QLearning(const AgentOptions& options, const Environment& environment);

  const char* name() const override { return "qlearning"; }
  // Plays `batch` episodes, learning at every step.
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  std::vector<int> Greedy(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

  // The first best choice of the first head in a state; the policy of a one-head problem.
  int GreedyChoice(int state, const uint8_t* mask) const;

 private:
  // The entry of choice 0 of `head` in `state` after the choices in `action` before it.
  size_t Node(int state, int head, const int* action) const;
  double BestValue(size_t node, int head, const uint8_t* mask) const;
  int Choose(size_t node, int head, const uint8_t* mask, engine::Rng& rng) const;
  void Learn(int state, const std::vector<int>& action, const uint8_t* mask, double target);

  AgentOptions options_;
  std::vector<int> sizes_, offsets_;  // of heads, and where each lies in a mask
  std::vector<size_t> head_base_;     // where each head's nodes start within a state's entries
  size_t state_entries_ = 0;
  std::vector<double> table_;
  int64_t steps_ = 0;  // ever taken, for the schedule of epsilon
};

}  // namespace rhnas::rl
