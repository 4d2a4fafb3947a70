// What the tabular agents that learn action values share: the table over sequential decisions
// (rl/decision_tree.h), epsilon-greedy behaviour and one-step temporal-difference updates (Sutton
// and Barto, "Reinforcement Learning", 2nd ed., chapter 6). An agent adds only what the next
// decision is worth: the best choice (rl/q_learning.h), the choice taken or the behaviour's mean
// (rl/sarsa.h).
//
// Every head is a decision; discounting is only between environment steps. The next action is drawn
// before the last one is learned from, for every agent alike.
#pragma once

#include "rl/agent.h"
#include "rl/decision_tree.h"

namespace rhnas::rl {

class TemporalDifference : public Agent {
 public:
  // REQUIRES: options that MakeAgent accepts, DecisionTree::Entries <= kMaxEntries.
  TemporalDifference(const AgentOptions& options, const Environment& environment);

  // Plays `batch` episodes, learning at every step.
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  std::vector<int> Greedy(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

  // The first best choice of the first head in a state (mask: its choices, or null); the policy of
  // a one-head problem.
  int GreedyChoice(int state, const uint8_t* mask) const;
  // What the table says of a choice of the first head.
  double ActionValue(int state, int choice) const;

 protected:
  // What a decision is worth to the one before it: values [size], mask [size], and the choice that
  // the behaviour makes there.
  virtual double Worth(const double* values, const uint8_t* mask, int size, int choice) const = 0;
  // Share of choices that are drawn uniformly, now.
  double Epsilon() const;

 private:
  int Choose(const double* values, const uint8_t* mask, int size, engine::Rng& rng) const;
  void Learn(const Decision& decision, double target);

  AgentOptions options_;
  DecisionTree tree_;
  std::vector<double> table_;
  int64_t steps_ = 0;  // ever taken, for the schedule of epsilon
};

// The greatest value that the mask allows (null: all). REQUIRES: one is allowed.
double BestValue(const double* values, const uint8_t* mask, int size);

}  // namespace rhnas::rl
