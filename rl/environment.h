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
  virtual StepResult Act(const int* action, engine::Rng& rng) = 0;
};

}  // namespace rhnas::rl
