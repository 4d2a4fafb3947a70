#include "rl/policy.h"

#include <algorithm>

#include "engine/check.h"

namespace rhnas::rl {

namespace {

MlpOptions PolicyMlp(const Environment& environment, const HeadLayout& layout,
                     const PolicyOptions& options) {
  MlpOptions mlp;
  mlp.inputs = environment.observation_size();
  mlp.hidden = options.hidden;
  mlp.layers = options.layers;
  mlp.outputs = layout.total;
  mlp.output_gain = options.head_gain;
  return mlp;
}

}  // namespace

Policy::Policy(const Environment& environment, const PolicyOptions& options, engine::Rng& rng)
    : layout_(environment.action_sizes()),
      mlp_("policy", PolicyMlp(environment, layout_, options), rng) {}

ActionTerms Policy::Evaluate(engine::Tape& tape, const float* observations, int rows,
                             const uint8_t* masks, const int32_t* actions) {
  return EvaluateActions(tape, layout_, Logits(tape, observations, rows), masks, actions);
}

const float* Actor::LogitsOf(const float* observation) {
  const size_t size = static_cast<size_t>(policy_.observation_size());
  if (known_ && std::equal(observation_.begin(), observation_.end(), observation)) {
    return logits_.data();
  }
  tape_.Reset();
  const engine::Var logits = policy_.Logits(tape_, observation, 1);
  const float* value = tape_.value(logits);
  logits_.assign(value, value + policy_.layout().total);
  observation_.assign(observation, observation + size);
  known_ = true;
  return logits_.data();
}

void Actor::Sample(const float* observation, const uint8_t* mask, engine::Rng& rng, int* action) {
  SampleAction(policy_.layout(), LogitsOf(observation), mask, rng, action);
}

void Actor::Greedy(const float* observation, const uint8_t* mask, int* action) {
  GreedyAction(policy_.layout(), LogitsOf(observation), mask, action);
}

std::vector<int> GreedyFor(const Environment& environment, Policy& policy, engine::Tape& tape) {
  RHNAS_CHECK(environment.action_sizes() == policy.layout().sizes &&
                  environment.observation_size() == policy.observation_size(),
              "the agent was made for %d heads and %d observations, not for %zu and %d",
              policy.layout().heads(), policy.observation_size(), environment.action_sizes().size(),
              environment.observation_size());
  std::vector<float> observation(static_cast<size_t>(policy.observation_size()));
  environment.Observe(observation.data());
  std::vector<uint8_t> mask(static_cast<size_t>(policy.layout().total));
  const bool masked = environment.Mask(mask.data());
  std::vector<int> action(static_cast<size_t>(policy.layout().heads()));
  Actor(policy, tape).Greedy(observation.data(), masked ? mask.data() : nullptr, action.data());
  return action;
}

}  // namespace rhnas::rl
