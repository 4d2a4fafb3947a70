#include "rl/tabular_mdp.h"

#include <cmath>
#include <utility>

#include "engine/check.h"

namespace rhnas::rl {

namespace {

size_t Index(int i) { return static_cast<size_t>(i); }

// Best action value in a state and the first action that reaches it; no allowed action: 0 and -1.
double BestAction(const TabularMdp& mdp, const std::vector<double>& value, int state, double gamma,
                  int* best) {
  double best_value = 0;
  *best = -1;
  for (int action = 0; action < mdp.actions(); ++action) {
    if (!mdp.Allowed(state, action)) continue;
    const double q = ActionValue(mdp, value, state, action, gamma);
    if (*best < 0 || q > best_value) {
      best_value = q;
      *best = action;
    }
  }
  return best_value;
}

// In [0, 1), 32 bits.
double Uniform(engine::Rng& rng) { return rng.NextU32() * 0x1p-32; }

}  // namespace

TabularMdp::TabularMdp(int states, int actions)
    : states_(states),
      actions_(actions),
      outcomes_(Index(states) * Index(actions)),
      start_weight_(Index(states), 0.0) {
  RHNAS_CHECK(states >= 1 && actions >= 1, "%d states, %d actions", states, actions);
}

void TabularMdp::AddOutcome(int state, int action, const Outcome& outcome) {
  RHNAS_CHECK(state >= 0 && state < states_ && outcome.next >= 0 && outcome.next < states_,
              "from %d to %d of %d states", state, outcome.next, states_);
  RHNAS_CHECK(action >= 0 && action < actions_, "action %d of %d", action, actions_);
  RHNAS_CHECK(outcome.probability > 0 && outcome.probability <= 1, "probability %g",
              outcome.probability);
  RHNAS_CHECK(std::isfinite(outcome.reward), "reward %g", outcome.reward);
  outcomes_[Index(state * actions_ + action)].push_back(outcome);
}

void TabularMdp::AddStart(int state, double weight) {
  RHNAS_CHECK(state >= 0 && state < states_ && weight > 0, "start %d of %d states, weight %g",
              state, states_, weight);
  start_weight_[Index(state)] += weight;
}

void TabularMdp::CheckComplete() const {
  double starts = 0;
  for (double weight : start_weight_) starts += weight;
  RHNAS_CHECK(starts > 0, "start weights add up to %g", starts);
  for (size_t i = 0; i < outcomes_.size(); ++i) {
    if (outcomes_[i].empty()) continue;
    double sum = 0;
    for (const Outcome& outcome : outcomes_[i]) sum += outcome.probability;
    // A thousand units in the last place of 1: room for sums of thirds, not for a forgotten case.
    RHNAS_CHECK(std::fabs(sum - 1) < 1e-12, "state %d action %d: probabilities add up to %.15g",
                static_cast<int>(i) / actions_, static_cast<int>(i) % actions_, sum);
  }
}

std::vector<double> TabularMdp::StartDistribution() const {
  double sum = 0;
  for (double weight : start_weight_) sum += weight;
  std::vector<double> start = start_weight_;
  for (double& probability : start) probability /= sum;
  return start;
}

double ActionValue(const TabularMdp& mdp, const std::vector<double>& value, int state, int action,
                   double gamma) {
  double sum = 0;
  for (const Outcome& outcome : mdp.outcomes(state, action)) {
    const double beyond = outcome.terminal ? 0 : gamma * value[Index(outcome.next)];
    sum += outcome.probability * (outcome.reward + beyond);
  }
  return sum;
}

Solution ValueIteration(const TabularMdp& mdp, const ValueIterationOptions& options) {
  Solution solution;
  solution.value.assign(Index(mdp.states()), 0.0);
  solution.policy.assign(Index(mdp.states()), -1);
  do {
    solution.residual = 0;
    for (int s = 0; s < mdp.states(); ++s) {
      const double best =
          BestAction(mdp, solution.value, s, options.gamma, &solution.policy[Index(s)]);
      solution.residual = std::fmax(solution.residual, std::fabs(best - solution.value[Index(s)]));
      solution.value[Index(s)] = best;
    }
    ++solution.sweeps;
  } while (solution.residual > options.residual && solution.sweeps < options.max_sweeps);
  return solution;
}

std::vector<double> PolicyValue(const TabularMdp& mdp, const std::vector<int>& policy,
                                const ValueIterationOptions& options) {
  RHNAS_CHECK(policy.size() == Index(mdp.states()), "policy of %zu for %d states", policy.size(),
              mdp.states());
  std::vector<double> value(Index(mdp.states()), 0.0);
  double residual = 0;
  int sweeps = 0;
  do {
    residual = 0;
    for (int s = 0; s < mdp.states(); ++s) {
      const int action = policy[Index(s)];
      if (action < 0) continue;
      RHNAS_CHECK(action < mdp.actions() && mdp.Allowed(s, action),
                  "policy takes forbidden action %d in state %d", action, s);
      const double v = ActionValue(mdp, value, s, action, options.gamma);
      residual = std::fmax(residual, std::fabs(v - value[Index(s)]));
      value[Index(s)] = v;
    }
  } while (residual > options.residual && ++sweeps < options.max_sweeps);
  return value;
}

std::vector<double> FiniteHorizonValue(const TabularMdp& mdp, int horizon, double gamma) {
  RHNAS_CHECK(horizon >= 0, "horizon %d", horizon);
  std::vector<double> value(Index(mdp.states()), 0.0), before;
  for (int step = 0; step < horizon; ++step) {
    before = value;
    for (int s = 0; s < mdp.states(); ++s) {
      int action = -1;
      value[Index(s)] = BestAction(mdp, before, s, gamma, &action);
    }
  }
  return value;
}

double StartValue(const TabularMdp& mdp, const std::vector<double>& value) {
  const std::vector<double> start = mdp.StartDistribution();
  double sum = 0;
  for (size_t s = 0; s < start.size(); ++s) sum += start[s] * value[s];
  return sum;
}

TabularEnvironment::TabularEnvironment(TabularMdp mdp, int time_limit)
    : mdp_(std::move(mdp)),
      start_(mdp_.StartDistribution()),
      action_sizes_{mdp_.actions()},
      time_limit_(time_limit) {
  mdp_.CheckComplete();
  RHNAS_CHECK(time_limit >= 0, "time limit %d", time_limit);
  for (int s = 0; s < mdp_.states(); ++s) {
    int allowed = 0;
    for (int a = 0; a < mdp_.actions(); ++a) allowed += mdp_.Allowed(s, a) ? 1 : 0;
    // A state without any action is one no episode continues from; it keeps the mask away.
    if (allowed > 0 && allowed < mdp_.actions()) masks_ = true;
  }
}

void TabularEnvironment::Reset(engine::Rng& rng) {
  double u = Uniform(rng);
  int last = 0;
  for (int s = 0; s < mdp_.states(); ++s) {
    if (start_[Index(s)] <= 0) continue;
    last = s;
    u -= start_[Index(s)];
    if (u < 0) break;
  }
  SetState(last);
}

void TabularEnvironment::SetState(int state) {
  RHNAS_CHECK(state >= 0 && state < mdp_.states(), "state %d of %d", state, mdp_.states());
  state_ = state;
  steps_ = 0;
}

void TabularEnvironment::Observe(float* observation) const {
  for (int s = 0; s < mdp_.states(); ++s) observation[s] = s == state_ ? 1.0f : 0.0f;
}

bool TabularEnvironment::Mask(uint8_t* mask) const {
  if (!masks_) return false;
  bool any = false;
  for (int a = 0; a < mdp_.actions(); ++a) {
    mask[a] = mdp_.Allowed(state_, a) ? 1 : 0;
    any = any || mask[a] != 0;
  }
  if (!any) {  // after the end of an episode: every head keeps at least one allowed action
    for (int a = 0; a < mdp_.actions(); ++a) mask[a] = 1;
  }
  return true;
}

StepResult TabularEnvironment::Act(const int* action, engine::Rng& rng) {
  RHNAS_CHECK(action[0] >= 0 && action[0] < mdp_.actions() && mdp_.Allowed(state_, action[0]),
              "action %d of %d is not allowed in state %d", action[0], mdp_.actions(), state_);
  const std::vector<Outcome>& outcomes = mdp_.outcomes(state_, action[0]);
  const Outcome* chosen = &outcomes.back();
  // A single outcome takes no draw, so that deterministic problems do not depend on the stream.
  if (outcomes.size() > 1) {
    double u = Uniform(rng);
    for (const Outcome& outcome : outcomes) {
      u -= outcome.probability;
      if (u < 0) {
        chosen = &outcome;
        break;
      }
    }
  }
  state_ = chosen->next;
  ++steps_;
  StepResult result;
  result.reward = chosen->reward;
  result.terminal = chosen->terminal;
  result.truncated = !result.terminal && time_limit_ > 0 && steps_ >= time_limit_;
  return result;
}

}  // namespace rhnas::rl
