// What an agent acts on. Knows no hardware and no network.
//
// Actions are multi-discrete: one integer per head, 0 <= action[i] < action_sizes()[i]. A one-step
// problem (propose a whole design, get a reward) ends after its first step. Observations are
// floats, possibly none. Tabular problems also number their states.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/random.h"

namespace rhnas::rl {

struct StepResult {
  double reward = 0;       // always finite
  bool terminal = false;   // the episode ended: no value beyond
  bool truncated = false;  // cut off by a time limit: the value of the next state still counts
  // False: what was proposed cannot be built. The reward is then a penalty below every valid one.
  bool valid = true;
};

class Environment {
 public:
  virtual ~Environment() = default;
  virtual const std::vector<int>& action_sizes() const = 0;
  virtual int observation_size() const { return 0; }
  // Number of states for tabular agents; 0: not tabular.
  virtual int states() const { return 0; }

  // Starts an episode.
  virtual void Reset(engine::Rng& rng) = 0;
  // Current observation (observation_size() floats) and state.
  virtual void Observe(float* /*observation*/) const {}
  virtual int state() const { return 0; }
  // Allowed actions now: sum of action_sizes() bytes, head after head, 0 forbids. Returns false
  // when all are allowed (the mask is then untouched). Every head keeps at least one allowed
  // action.
  virtual bool Mask(uint8_t* /*mask*/) const { return false; }
  // The same with the knowledge of the choices action[0, head): action_sizes()[head] bytes, a
  // choice is allowed when some allowed action begins so. Returns false when this environment has
  // no such masks. REQUIRES: action[0, head) are choices that it allowed.
  virtual bool MaskHead(int /*head*/, const int* /*action*/, uint8_t* /*mask*/) const {
    return false;
  }
  // Whether the rules allow an action, as far as the agent is to know: asked without acting, free
  // of charge. An agent draws again while this says no (rl/resample.h).
  virtual bool Admissible(const int* /*action*/) const { return true; }
  virtual StepResult Act(const int* action, engine::Rng& rng) = 0;

  // What is measured of a valid design beside its reward (search: natural logarithms of latency,
  // energy and area relative to the reference), for agents that model it: how many numbers, and
  // those of the last Act that was valid.
  virtual int metrics() const { return 0; }
  virtual void Metrics(double* /*values*/) const {}
  // What the goal makes of the metrics, for the current observation: the reward of a valid design
  // is -sum_i weight[i] metric[i] as long as each metric is at most limit[i] (infinity: no limit).
  // metrics() numbers each. False: the reward is no such sum, or nothing is known of it.
  virtual bool MetricGoal(double* /*weight*/, double* /*limit*/) const { return false; }
};

}  // namespace rhnas::rl
