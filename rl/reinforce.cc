#include "rl/reinforce.h"

#include "engine/check.h"
#include "rl/policy_gradient.h"

namespace rhnas::rl {

Reinforce::Reinforce(const AgentOptions& options, const Environment& environment,
                     engine::ThreadPool& pool)
    : options_(options),
      pool_(pool),
      tape_(pool),
      init_(options.seed),
      policy_(environment, PolicyOptionsOf(options), init_),
      adam_(policy_.parameters(), engine::AdamOptions()),
      elites_(options.elites, options.elite_window) {}

double Reinforce::MovingAverage(double first) const {
  return baseline_weight_ > 0 ? baseline_sum_ / baseline_weight_ : first;
}

RoundStats Reinforce::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  rollout_.Clear();
  Actor actor(policy_, tape_);
  Player(environment, rng).Gather(actor, max_steps, options_.batch, &rollout_);
  RoundStats stats;
  CountReturns(rollout_, &stats);
  FinishStats(&stats);
  steps_ += rollout_.rows;
  if (rollout_.complete_rows > 0) Update(&stats);
  return stats;
}

std::vector<double> Reinforce::Advantages(RoundStats* stats) {
  std::vector<double> advantages = ReturnsToGo(rollout_, static_cast<double>(options_.gamma));
  advantages.resize(static_cast<size_t>(rollout_.complete_rows));
  const double mean = MomentsOf(advantages).mean;
  stats->baseline = options_.baseline == Baseline::kBatch ? mean : MovingAverage(mean);
  const double decay = static_cast<double>(options_.baseline_decay);
  baseline_sum_ = decay * baseline_sum_ + (1 - decay) * mean;
  baseline_weight_ = decay * baseline_weight_ + (1 - decay);
  if (options_.advantage == AdvantageScale::kRanked) {
    RankScores(&advantages);
    return advantages;
  }
  for (double& advantage : advantages) advantage -= stats->baseline;
  if (options_.advantage == AdvantageScale::kScaled) NormalizeScale(&advantages);
  return advantages;
}

void Reinforce::Update(RoundStats* stats) {
  std::vector<double> advantages = Advantages(stats);
  const int rows = rollout_.complete_rows;
  rollout_.KeepComplete();
  elites_.Add(rollout_, steps_);
  if (elites_.size() > 0) {
    elites_.AppendTo(&rollout_);
    const double share = static_cast<double>(options_.elite_weight) * rows / elites_.size();
    advantages.resize(static_cast<size_t>(rollout_.rows), share);
  }

  tape_.Reset();
  adam_.ZeroGrad();
  const ActionTerms terms =
      policy_.Evaluate(tape_, rollout_.observations.data(), rollout_.rows,
                       rollout_.masked ? rollout_.masks.data() : nullptr, rollout_.actions.data());
  stats->entropy = static_cast<double>(tape_.value(terms.entropy)[0]);
  tape_.Backward(PolicyLoss(tape_, terms, advantages, EntropyWeight(options_, steps_)));
  stats->gradient_norm =
      static_cast<double>(engine::ClipGradNorm(adam_.parameters(), options_.clip_norm));
  adam_.Step(options_.learning_rate, pool_);
}

std::vector<int> Reinforce::Greedy(const Environment& environment) {
  return GreedyFor(environment, policy_, tape_);
}

void Reinforce::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  policy_.Save(archive, prefix);
  adam_.Save(archive, prefix + "adam/");
  elites_.Save(archive, prefix + "elites/");
  archive.Put(prefix + "baseline_sum", baseline_sum_);
  archive.Put(prefix + "baseline_weight", baseline_weight_);
  archive.Put(prefix + "steps", steps_);
}

void Reinforce::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  policy_.Load(archive, prefix);
  adam_.Load(archive, prefix + "adam/");
  elites_.Load(archive, prefix + "elites/");
  archive.Get(prefix + "baseline_sum", &baseline_sum_);
  archive.Get(prefix + "baseline_weight", &baseline_weight_);
  archive.Get(prefix + "steps", &steps_);
}

}  // namespace rhnas::rl
