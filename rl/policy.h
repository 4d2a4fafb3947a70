// A stochastic policy: an MLP from observation to the logits of a factorised categorical
// distribution. Acting is plain arithmetic on logits; learning asks for log-probability and entropy
// on a tape.
#pragma once

#include <string>
#include <vector>

#include "rl/categorical.h"
#include "rl/environment.h"
#include "rl/mlp.h"

namespace rhnas::rl {

struct PolicyOptions {
  int hidden = 64, layers = 2;
  float head_gain = 0.01f;  // of the last layer's start: 0.01 keeps it nearly uniform
};

class Policy {
 public:
  // Sizes of observation and actions are the environment's.
  Policy(const Environment& environment, const PolicyOptions& options, engine::Rng& rng);

  const HeadLayout& layout() const { return layout_; }
  int observation_size() const { return mlp_.inputs(); }

  // Log-probability and entropy of actions taken: observations [rows, observation_size()], masks
  // rows x layout().total bytes or null, actions rows x heads.
  ActionTerms Evaluate(engine::Tape& tape, const float* observations, int rows,
                       const uint8_t* masks, const int32_t* actions);
  // logits [rows, layout().total].
  engine::Var Logits(engine::Tape& tape, const float* observations, int rows) {
    return mlp_.Forward(tape, observations, rows);
  }

  std::vector<engine::Parameter*> parameters() { return mlp_.parameters(); }
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
    mlp_.Save(archive, prefix);
  }
  void Load(engine::ArchiveReader& archive, const std::string& prefix) {
    mlp_.Load(archive, prefix);
  }

 private:
  HeadLayout layout_;
  Mlp mlp_;
};

// Acts with a policy that does not change meanwhile. Remembers the logits of the last observation:
// a batch of proposals for one network costs one forward pass.
class Actor {
 public:
  // Uses the tape (and resets it) in Sample and Greedy.
  Actor(Policy& policy, engine::Tape& tape) : policy_(policy), tape_(tape) {}

  // observation: policy.observation_size() floats; mask: layout().total bytes or null.
  void Sample(const float* observation, const uint8_t* mask, engine::Rng& rng, int* action);
  void Greedy(const float* observation, const uint8_t* mask, int* action);

 private:
  const float* LogitsOf(const float* observation);
  Policy& policy_;
  engine::Tape& tape_;
  std::vector<float> observation_, logits_;
  bool known_ = false;
};

// The policy's greedy action for an environment as it stands.
std::vector<int> GreedyFor(const Environment& environment, Policy& policy, engine::Tape& tape);

}  // namespace rhnas::rl
