#include "rl/relaxation.h"

#include <algorithm>

#include "engine/math.h"
#include "rl/double_math.h"
#include "rl/relaxed_choice.h"
#include "rl/resample.h"

namespace rhnas::rl {

namespace {

constexpr double kCostDecay = 0.9;  // of the moving average of costs
constexpr int64_t kUnknownBudget = 500;

}  // namespace

RelaxationOptions RelaxationOptions::Published() {
  RelaxationOptions published;
  published.name = "relaxation-published";
  published.learning_rate = 1e-7f;
  published.logit_start = 1e-3f;
  published.temperature_first = 5;  // Auto-NBA's first one for networks
  published.centred = false;
  return published;
}

RelaxationOptions RelaxationOptions::Uncentred() {
  RelaxationOptions uncentred;
  uncentred.name = "relaxation-uncentred";
  uncentred.centred = false;
  return uncentred;
}

Relaxation::Relaxation(const AgentOptions& options, const RelaxationOptions& relaxation,
                       const Environment& environment, engine::ThreadPool& pool)
    : BlackBox(relaxation.name, options, environment),
      relaxation_(relaxation),
      argmax_every_(options.batch),
      horizon_(options.budget > 0 ? options.budget : kUnknownBudget),
      pool_(pool),
      layout_(environment.action_sizes()),
      logits_("logits", engine::Shape(layout_.total)),
      adam_({&logits_}, engine::AdamOptions()),
      perturbed_(static_cast<size_t>(layout_.total)),
      masks_(static_cast<size_t>(layout_.total)) {
  logits_.value.Fill(relaxation.logit_start);
}

std::vector<int> Relaxation::Proposal(const Environment& environment) {
  std::vector<uint8_t> allowed(static_cast<size_t>(layout_.total));
  const bool masked = environment.Mask(allowed.data());
  std::vector<int> action(layout_.sizes.size());
  GreedyAction(layout_, logits_.value.data(), masked ? allowed.data() : nullptr, action.data());
  return action;
}

void Relaxation::Sample(PointPicker& picker, int* action) {
  for (int head = 0; head < picker.heads(); ++head) {
    const auto h = static_cast<size_t>(head);
    const int offset = layout_.offsets[h];
    const uint8_t* mask = picker.HeadMask(head, action);
    int best = 0;
    float most = -1e30f;
    for (int i = 0; i < layout_.sizes[h]; ++i) {
      const auto at = static_cast<size_t>(offset + i);
      masks_[at] = mask[i];
      perturbed_[at] = logits_.value[offset + i] + picker.rng().Gumbel();
      if (mask[i] == 0 || perturbed_[at] <= most) continue;
      most = perturbed_[at];
      best = i;
    }
    action[head] = best;
  }
}

void Relaxation::Ask(PointPicker& picker, int* action) {
  if ((told() + 1) % argmax_every_ == 0 || told() + 1 == budget()) {
    const std::vector<int> argmax = Proposal(picker.environment());
    std::copy(argmax.begin(), argmax.end(), action);
    sampled_ = !picker.Allowed(action);
    if (!sampled_) return;
  }
  sampled_ = DrawAdmissible(picker.environment(), action, [&] { Sample(picker, action); });
  if (!sampled_) picker.Draw(action);
}

void Relaxation::Tell(PointPicker& /*picker*/, const int* action, const StepResult& result) {
  const bool sampled = sampled_;
  sampled_ = false;
  if (!sampled || !result.valid) return;
  // Rewards are logarithms of order one; the bounds keep any other finite one finite.
  const double cost = Exp(std::clamp(-result.reward, -40.0, 40.0));
  const double average = cost_weight_ > 0 ? cost_sum_ / cost_weight_ : cost;
  cost_sum_ = kCostDecay * cost_sum_ + (1 - kCostDecay) * cost;
  cost_weight_ = kCostDecay * cost_weight_ + (1 - kCostDecay);
  const auto weight = static_cast<float>(relaxation_.centred ? cost - average : cost);
  const float done = std::min(1.0f, static_cast<float>(told()) / static_cast<float>(horizon_));
  const float first = relaxation_.temperature_first;
  const float temperature =
      first * engine::Exp(engine::Log(relaxation_.temperature_last / first) * done);
  for (size_t h = 0; h < layout_.sizes.size(); ++h) {
    const int at = layout_.offsets[h];
    StraightThroughGradient(perturbed_.data() + at, masks_.data() + at, layout_.sizes[h], action[h],
                            temperature, weight, logits_.grad.data() + at);
  }
  logits_.touched = true;
  ++learned_;
  const float steps =
      static_cast<float>(horizon_) * static_cast<float>(learned_) / static_cast<float>(told());
  const float rate = relaxation_.learning_rate;
  adam_.Step(rate > 0 ? rate : std::min(0.3f, 10 / steps), pool_);
}

void Relaxation::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutBuffer(prefix + "logits", logits_.value);
  adam_.Save(archive, prefix);
  archive.Put(prefix + "cost_sum", cost_sum_);
  archive.Put(prefix + "cost_weight", cost_weight_);
  archive.Put(prefix + "learned", learned_);
}

void Relaxation::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetBuffer(prefix + "logits", &logits_.value);
  adam_.Load(archive, prefix);
  archive.Get(prefix + "cost_sum", &cost_sum_);
  archive.Get(prefix + "cost_weight", &cost_weight_);
  archive.Get(prefix + "learned", &learned_);
}

}  // namespace rhnas::rl
