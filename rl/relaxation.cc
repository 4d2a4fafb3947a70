#include "rl/relaxation.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/math.h"
#include "rl/resample.h"

namespace rhnas::rl {

namespace {

constexpr double kCostDecay = 0.9;  // of the moving average of costs

// softmax(x / temperature) over what is allowed, forbidden entries exactly 0.
void SoftmaxOf(const float* x, const uint8_t* mask, int size, float temperature, float* p) {
  float top = -INFINITY;
  for (int i = 0; i < size; ++i) {
    if (mask == nullptr || mask[i] != 0) top = std::max(top, x[i]);
  }
  float sum = 0;
  for (int i = 0; i < size; ++i) {
    p[i] = mask == nullptr || mask[i] != 0 ? engine::Exp((x[i] - top) / temperature) : 0;
    sum += p[i];
  }
  for (int i = 0; i < size; ++i) p[i] /= sum;
}

}  // namespace

RelaxationOptions RelaxationOptions::Published() {
  RelaxationOptions published;
  published.name = "relaxation-published";
  published.learning_rate = 1e-7f;
  published.logit_start = 1e-3f;
  published.temperature_first = 5;  // Auto-NBA's for networks; which one is hardware's is not said
  published.centred = false;
  return published;
}

RelaxationOptions RelaxationOptions::Uncentred() {
  RelaxationOptions uncentred;
  uncentred.name = "relaxation-uncentred";
  uncentred.centred = false;
  return uncentred;
}

float StraightThroughGradient(const float* perturbed, const uint8_t* mask, int size, int choice,
                              float temperature, float cost, float* gradient) {
  SoftmaxOf(perturbed, mask, size, temperature, gradient);
  const float p = gradient[choice], factor = cost * p / temperature;
  for (int i = 0; i < size; ++i) gradient[i] *= -factor;
  gradient[choice] += factor;
  return p;
}

Relaxation::Relaxation(const AgentOptions& options, const RelaxationOptions& relaxation,
                       const Environment& environment, engine::ThreadPool& pool)
    : options_(options),
      relaxation_(relaxation),
      pool_(pool),
      layout_(environment.action_sizes()),
      logits_("logits", engine::Shape(layout_.total)),
      adam_({&logits_}, engine::AdamOptions()),
      perturbed_(static_cast<size_t>(layout_.total)),
      action_(layout_.sizes.size()) {
  logits_.value.Fill(relaxation.logit_start);
  if (relaxation_.learning_rate == 0) {
    relaxation_.learning_rate = std::min(0.3f, 40 / static_cast<float>(horizon()));
  }
}

float Relaxation::Temperature() const {
  const double done = std::min(1.0, static_cast<double>(samples_) / static_cast<double>(horizon()));
  const float first = relaxation_.temperature_first;
  return first *
         engine::Exp(engine::Log(relaxation_.temperature_last / first) * static_cast<float>(done));
}

void Relaxation::Sample(const uint8_t* mask, engine::Rng& rng) {
  for (int i = 0; i < layout_.total; ++i) {
    perturbed_[static_cast<size_t>(i)] = logits_.value[i] + rng.Gumbel();
  }
  GreedyAction(layout_, perturbed_.data(), mask, action_.data());
}

void Relaxation::Learn(double reward, const uint8_t* mask, RoundStats* stats) {
  // Rewards are logarithms of order one; the bounds keep any other finite one finite.
  const double cost = std::exp(std::clamp(-reward, -40.0, 40.0));
  const double average = cost_weight_ > 0 ? cost_sum_ / cost_weight_ : cost;
  cost_sum_ = kCostDecay * cost_sum_ + (1 - kCostDecay) * cost;
  cost_weight_ = kCostDecay * cost_weight_ + (1 - kCostDecay);
  stats->baseline = average;
  const auto weight = static_cast<float>(relaxation_.centred ? cost - average : cost);
  const float temperature = Temperature();
  for (size_t h = 0; h < action_.size(); ++h) {
    const int at = layout_.offsets[h];
    StraightThroughGradient(perturbed_.data() + at, mask == nullptr ? nullptr : mask + at,
                            layout_.sizes[h], action_[h], temperature, weight,
                            logits_.grad.data() + at);
  }
  logits_.touched = true;
  stats->gradient_norm = static_cast<double>(engine::ClipGradNorm(adam_.parameters(), 1e6f));
  adam_.Step(relaxation_.learning_rate, pool_);
  adam_.ZeroGrad();
}

StepResult Relaxation::Submit(Environment& environment, engine::Rng& rng, RoundStats* stats) {
  const StepResult result = environment.Act(action_.data(), rng);
  RHNAS_CHECK(std::isfinite(result.reward),
              "the environment gave the reward %g; rewards must be finite", result.reward);
  best_.Consider(action_.data(), action_.size(), result);
  stats->best_return =
      stats->steps == 0 ? result.reward : std::max(stats->best_return, result.reward);
  ++stats->steps;
  ++stats->episodes;
  stats->mean_return += (result.reward - stats->mean_return) / static_cast<double>(stats->episodes);
  return result;
}

RoundStats Relaxation::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  RHNAS_CHECK(max_steps >= 1, "%lld steps", static_cast<long long>(max_steps));
  RoundStats stats;
  std::vector<uint8_t> allowed(static_cast<size_t>(layout_.total));
  const uint8_t* mask = nullptr;
  auto begin = [&] {
    environment.Reset(rng);
    mask = environment.Mask(allowed.data()) ? allowed.data() : nullptr;
  };
  begin();
  const int64_t most = std::min<int64_t>(max_steps, options_.batch);
  // The last step is the argmax's; where there is only one, unless it had it already.
  std::vector<int> argmax = Proposal(environment);
  const bool known = argmax == submitted_ || !environment.Admissible(argmax.data());
  const int64_t samples = most > 1 ? most - 1 : (known ? 1 : 0);
  for (int64_t i = 0; i < samples; ++i) {
    DrawAdmissible(environment, action_.data(), [&] { Sample(mask, rng); });
    const StepResult result = Submit(environment, rng, &stats);
    ++samples_;
    if (result.valid) Learn(result.reward, mask, &stats);
    begin();
  }
  argmax = Proposal(environment);
  if (stats.steps < most && environment.Admissible(argmax.data())) {
    action_ = submitted_ = argmax;
    Submit(environment, rng, &stats);
  }
  std::vector<float> p(static_cast<size_t>(layout_.total));
  for (size_t h = 0; h < action_.size(); ++h) {
    const int at = layout_.offsets[h];
    SoftmaxOf(logits_.value.data() + at, mask == nullptr ? nullptr : mask + at, layout_.sizes[h], 1,
              p.data());
    for (int i = 0; i < layout_.sizes[h]; ++i) {
      const float q = p[static_cast<size_t>(i)];
      if (q > 1e-30f) stats.entropy -= static_cast<double>(q * engine::Log(q));
    }
  }
  return stats;
}

std::vector<int> Relaxation::Proposal(const Environment& environment) {
  std::vector<uint8_t> allowed(static_cast<size_t>(layout_.total));
  const bool masked = environment.Mask(allowed.data());
  std::vector<int> action(layout_.sizes.size());
  GreedyAction(layout_, logits_.value.data(), masked ? allowed.data() : nullptr, action.data());
  return action;
}

void Relaxation::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutBuffer(prefix + "logits", logits_.value);
  adam_.Save(archive, prefix + "adam/");
  best_.Save(archive, prefix + "best/");
  archive.PutVector(prefix + "submitted", submitted_);
  archive.Put(prefix + "cost_sum", cost_sum_);
  archive.Put(prefix + "cost_weight", cost_weight_);
  archive.Put(prefix + "samples", samples_);
}

void Relaxation::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetBuffer(prefix + "logits", &logits_.value);
  adam_.Load(archive, prefix + "adam/");
  best_.Load(archive, prefix + "best/");
  archive.GetVector(prefix + "submitted", &submitted_);
  archive.Get(prefix + "cost_sum", &cost_sum_);
  archive.Get(prefix + "cost_weight", &cost_weight_);
  archive.Get(prefix + "samples", &samples_);
}

}  // namespace rhnas::rl
