#include "rl/policy.h"

#include <algorithm>

#include "engine/check.h"

namespace rhnas::rl {

namespace {

MlpOptions PolicyMlp(const Environment& environment, int outputs, const PolicyOptions& options) {
  MlpOptions mlp;
  mlp.inputs = environment.observation_size();
  mlp.hidden = options.hidden;
  mlp.layers = options.layers;
  mlp.outputs = outputs;
  mlp.output_gain = options.head_gain;
  return mlp;
}

}  // namespace

PolicyOptions PolicyOptionsOf(const AgentOptions& options) {
  PolicyOptions policy;
  policy.hidden = options.hidden;
  policy.layers = options.layers;
  policy.heads = options.heads;
  return policy;
}

Policy::Policy(const Environment& environment, const PolicyOptions& options, engine::Rng& rng)
    : layout_(environment.action_sizes()),
      causal_(options.heads == HeadKind::kAutoregressive
                  ? std::make_unique<CausalHeads>(layout_, rng)
                  : nullptr),
      mlp_("policy",
           PolicyMlp(environment, causal_ != nullptr ? causal_->trunk_size() : layout_.total,
                     options),
           rng) {}

ActionTerms Policy::Evaluate(engine::Tape& tape, const float* observations, int rows,
                             const uint8_t* masks, const int32_t* actions) {
  engine::Var logits = Trunk(tape, observations, rows);
  if (causal_ != nullptr) logits = causal_->Logits(tape, logits, rows, actions);
  return EvaluateActions(tape, layout_, logits, masks, actions);
}

void Policy::HeadLogits(const float* trunk, int head, const int* action, float* logits) const {
  if (causal_ != nullptr) return causal_->HeadLogits(trunk, head, action, logits);
  const size_t h = static_cast<size_t>(head);
  std::copy_n(trunk + layout_.offsets[h], layout_.sizes[h], logits);
}

std::vector<engine::Parameter*> Policy::parameters() {
  std::vector<engine::Parameter*> all = mlp_.parameters();
  if (causal_ != nullptr) {
    for (engine::Parameter* parameter : causal_->parameters()) all.push_back(parameter);
  }
  return all;
}

void Policy::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  mlp_.Save(archive, prefix);
  if (causal_ != nullptr) causal_->Save(archive, prefix);
}

void Policy::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  mlp_.Load(archive, prefix);
  if (causal_ != nullptr) causal_->Load(archive, prefix);
}

const float* Actor::TrunkOf(const float* observation) {
  const size_t size = static_cast<size_t>(policy_.observation_size());
  if (known_ && std::equal(observation_.begin(), observation_.end(), observation)) {
    return trunk_.data();
  }
  tape_.Reset();
  const float* value = tape_.value(policy_.Trunk(tape_, observation, 1));
  trunk_.assign(value, value + policy_.trunk_size());
  observation_.assign(observation, observation + size);
  known_ = true;
  return trunk_.data();
}

bool Actor::Draw(const Environment& environment, const float* observation, engine::Rng* rng,
                 int* action, uint8_t* mask) {
  const HeadLayout& layout = policy_.layout();
  const float* trunk = TrunkOf(observation);
  bool masked = environment.Mask(mask);
  if (!masked) std::fill_n(mask, layout.total, uint8_t{1});
  for (int head = 0; head < layout.heads(); ++head) {
    const size_t h = static_cast<size_t>(head);
    uint8_t* head_mask = mask + layout.offsets[h];
    masked |= environment.MaskHead(head, action, head_mask);
    policy_.HeadLogits(trunk, head, action, logits_.data());
    action[head] = ChooseHead(logits_.data(), layout.sizes[h], head_mask, rng);
  }
  return masked;
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
  std::vector<int> action(static_cast<size_t>(policy.layout().heads()));
  Actor(policy, tape).Draw(environment, observation.data(), nullptr, action.data(), mask.data());
  return action;
}

}  // namespace rhnas::rl
