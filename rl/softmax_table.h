// Policy gradient on tables: at every node of the tree of sequential decisions (rl/decision_tree.h)
// a softmax over preferences, in every state a value as baseline (Sutton and Barto, "Reinforcement
// Learning", 2nd ed., sections 2.8 and 13.4), advantages by generalised advantage estimation. On
// one step and one head it is the gradient bandit, whose expected step is
// pi_j (r_j - sum_i pi_i r_i).
//
// A node moves by the mean of its gradient over its visits in a batch: in a table that is each
// decision's own gradient, and a state that is met often is not moved further for it.
#pragma once

#include "rl/agent.h"
#include "rl/decision_tree.h"
#include "rl/rollout.h"

namespace rhnas::rl {

struct SoftmaxTableOptions {
  double step = 0.5;     // of the preferences, along the gradient
  bool baseline = true;  // false: returns are judged against nothing (and lambda counts as 1)
};

class SoftmaxTable : public Agent {
 public:
  // REQUIRES: options that MakeAgent accepts, DecisionTree::Entries <= kMaxEntries.
  // Of AgentOptions: batch, gamma, lambda, advantage, the entropy schedule; q_step moves the
  // values.
  SoftmaxTable(const AgentOptions& options, const SoftmaxTableOptions& table,
               const Environment& environment);

  const char* name() const override { return "softmax"; }
  // Plays `batch` episodes, then learns from all of them. What is cut off is worth the table's
  // value of the state reached.
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  std::vector<int> Greedy(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

  // The most probable choice of the first head in a state (mask: its choices, or null).
  int GreedyChoice(int state, const uint8_t* mask) const;
  double Preference(int state, int choice) const;  // of the first head
  double StateValue(int state) const { return values_[static_cast<size_t>(state)]; }

 private:
  void Play(Environment& environment, int64_t max_steps, engine::Rng& rng, RoundStats* stats);
  void Update(RoundStats* stats);
  // Moves the preferences; adds up the squares of the step and the entropy of the nodes visited.
  void Climb(const std::vector<double>& advantages, double entropy_weight, double* squares,
             double* entropy);

  AgentOptions options_;
  SoftmaxTableOptions table_options_;
  DecisionTree tree_;
  std::vector<double> preferences_;  // tree_.entries()
  std::vector<double> values_;       // one a state
  int64_t steps_ = 0;                // ever taken, for the entropy schedule
  // Of the batch.
  std::vector<Decision> decisions_;
  std::vector<double> reached_;  // values of the states that cut-off episodes reached
  Rollout rollout_;              // rewards and ends only
};

}  // namespace rhnas::rl
