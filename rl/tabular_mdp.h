// Explicit finite Markov decision processes, their exact solution by dynamic programming in double
// precision (Bellman 1957; Sutton and Barto, "Reinforcement Learning", 2nd ed., chapter 4), and the
// Environment that samples one. They are the known answers the learning agents are tested against.
//
// Not here: learning (rl/q_learning.h), the particular problems (rl/environments_tabular.h).
#pragma once

#include <vector>

#include "rl/environment.h"

namespace rhnas::rl {

// One possible consequence of an action.
struct Outcome {
  double probability = 1;
  int next = 0;
  double reward = 0;
  bool terminal = false;  // the episode ends: nothing of value beyond
};

// An action without outcomes is forbidden in that state (the environment masks it).
class TabularMdp {
 public:
  // REQUIRES: states >= 1, actions >= 1.
  TabularMdp(int states, int actions);

  void AddOutcome(int state, int action, const Outcome& outcome);
  // The episode starts in `state` with a probability proportional to `weight`.
  void AddStart(int state, double weight);
  // Checks (RHNAS_CHECK) that there is a start and that each allowed action's probabilities add up
  // to 1. Builders call it last.
  void CheckComplete() const;

  int states() const { return states_; }
  int actions() const { return actions_; }
  const std::vector<Outcome>& outcomes(int state, int action) const {
    return outcomes_[static_cast<size_t>(state * actions_ + action)];
  }
  bool Allowed(int state, int action) const { return !outcomes(state, action).empty(); }
  // Start probabilities, one a state.
  std::vector<double> StartDistribution() const;

 private:
  int states_, actions_;
  std::vector<std::vector<Outcome>> outcomes_;  // [state * actions + action]
  std::vector<double> start_weight_;
};

// Expected reward plus gamma times the value of what follows, for one action.
// REQUIRES: the action is allowed.
double ActionValue(const TabularMdp& mdp, const std::vector<double>& value, int state, int action,
                   double gamma);

struct Solution {
  std::vector<double> value;  // one a state
  std::vector<int> policy;    // the first best action; -1 where none is allowed
  int sweeps = 0;
  double residual = 0;  // largest change of the last sweep
};

struct ValueIterationOptions {
  double gamma = 0.99;
  double residual = 1e-14;  // stops below; with gamma 1 the error is a multiple of it
  int max_sweeps = 1000000;
};
// Optimal values, from zero, states updated in place. With gamma 1 it converges where every
// optimal policy ends (all problems here); otherwise max_sweeps ends it.
Solution ValueIteration(const TabularMdp& mdp, const ValueIterationOptions& options);
// Values of a fixed policy (actions where the policy says -1 are worth 0).
std::vector<double> PolicyValue(const TabularMdp& mdp, const std::vector<int>& policy,
                                const ValueIterationOptions& options);
// Best expected return within `horizon` steps, with a policy that may depend on the step.
std::vector<double> FiniteHorizonValue(const TabularMdp& mdp, int horizon, double gamma);
// Expectation over the start distribution.
double StartValue(const TabularMdp& mdp, const std::vector<double>& value);

// Samples a TabularMdp. One head; observation: one-hot of the state.
class TabularEnvironment : public Environment {
 public:
  // After `time_limit` steps an episode is truncated; 0: never.
  explicit TabularEnvironment(TabularMdp mdp, int time_limit = 0);

  const std::vector<int>& action_sizes() const override { return action_sizes_; }
  int observation_size() const override { return mdp_.states(); }
  int states() const override { return mdp_.states(); }
  void Reset(engine::Rng& rng) override;
  void Observe(float* observation) const override;
  int state() const override { return state_; }
  bool Mask(uint8_t* mask) const override;
  StepResult Act(const int* action, engine::Rng& rng) override;

  const TabularMdp& mdp() const { return mdp_; }
  // Puts the environment into a state, as if an episode had started there.
  void SetState(int state);

 private:
  TabularMdp mdp_;
  std::vector<double> start_;
  std::vector<int> action_sizes_;
  bool masks_ = false;
  int time_limit_, state_ = 0, steps_ = 0;
};

}  // namespace rhnas::rl
