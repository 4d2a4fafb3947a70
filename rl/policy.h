// A stochastic policy over multi-discrete actions: an MLP from the observation to the logits of
// categorical heads, factorised (heads independent given the observation) or autoregressive (head i
// sees the choices of the heads before it, rl/causal_heads.h). Acting is plain arithmetic on
// logits; learning asks for log-probability and entropy on a tape.
//
// Masks by prefix (Environment::MaskHead) fit both kinds: heads are drawn in order, each under the
// mask that the choices so far leave, and the row of masks so made goes with the action. The
// log-probability under these masks is then exactly that of the draw. Its entropy is the sum of the
// heads' entropies after the choices taken, whose mean over draws is the entropy of the whole.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rl/agent.h"
#include "rl/categorical.h"
#include "rl/causal_heads.h"
#include "rl/environment.h"
#include "rl/mlp.h"

namespace rhnas::rl {

struct PolicyOptions {
  int hidden = 64, layers = 2;
  float head_gain = 0.01f;  // of the last layer's start: 0.01 keeps it nearly uniform
  HeadKind heads = HeadKind::kFactorised;
};
PolicyOptions PolicyOptionsOf(const AgentOptions& options);

class Policy {
 public:
  // Sizes of observation and actions are the environment's.
  Policy(const Environment& environment, const PolicyOptions& options, engine::Rng& rng);

  const HeadLayout& layout() const { return layout_; }
  int observation_size() const { return mlp_.inputs(); }

  // Log-probability and entropy of actions taken: observations [rows, observation_size()], masks
  // rows x layout().total bytes or null, actions rows x heads. Rows are independent.
  ActionTerms Evaluate(engine::Tape& tape, const float* observations, int rows,
                       const uint8_t* masks, const int32_t* actions);
  // What the heads take from an observation: [rows, trunk_size()]. Of factorised heads their
  // logits.
  int trunk_size() const { return mlp_.outputs(); }
  engine::Var Trunk(engine::Tape& tape, const float* observations, int rows) {
    return mlp_.Forward(tape, observations, rows);
  }
  // Logits of one head after action[0, head), from one row of the trunk's values.
  void HeadLogits(const float* trunk, int head, const int* action, float* logits) const;

  std::vector<engine::Parameter*> parameters();
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  HeadLayout layout_;
  std::unique_ptr<CausalHeads> causal_;  // null: factorised
  Mlp mlp_;
};

// Acts with a policy that does not change meanwhile. Remembers the trunk of the last observation: a
// batch of proposals for one network costs one forward pass, and then microseconds each.
class Actor {
 public:
  // Uses the tape (and resets it).
  Actor(Policy& policy, engine::Tape& tape)
      : policy_(policy), tape_(tape), logits_(static_cast<size_t>(policy.layout().total)) {}

  // Draws an action for an environment as it stands, under its masks (by prefix where it has them);
  // rng null: each head's most probable choice. observation: policy.observation_size() floats,
  // already observed. mask: receives the masks that each head was drawn under, layout().total
  // bytes, all 1 without. Returns whether there were masks. What is not Admissible is for the
  // caller.
  bool Draw(const Environment& environment, const float* observation, engine::Rng* rng, int* action,
            uint8_t* mask);

 private:
  const float* TrunkOf(const float* observation);
  Policy& policy_;
  engine::Tape& tape_;
  std::vector<float> observation_, trunk_, logits_;
  bool known_ = false;
};

// The policy's greedy action for an environment as it stands.
std::vector<int> GreedyFor(const Environment& environment, Policy& policy, engine::Tape& tape);

}  // namespace rhnas::rl
