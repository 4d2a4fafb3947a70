#include "rl/reinforce.h"

#include <algorithm>

#include "engine/check.h"
#include "engine/hash.h"
#include "rl/policy_gradient.h"

namespace rhnas::rl {

namespace {

// With a budget of a few hundred evaluations there is time for few updates: small batches, long
// steps and little entropy, which rises where proposals repeat. Numbers: docs/AGENTS.md.
constexpr int kBatch = 8;
constexpr float kLearningRate = 2e-2f, kEntropy = 0.1f;
constexpr float kLeastEntropy = 0.03f, kMostEntropy = 1, kRise = 1.3f, kFall = 1.1f;
// Repeats are free, so most of a batch may be.
constexpr double kRepeats = 0.85;

AgentOptions ForBudget(AgentOptions options) {
  if (options.budget <= 0) return options;
  // Only what the caller has left at its default.
  const AgentOptions defaults;
  if (options.batch == defaults.batch) options.batch = kBatch;
  if (options.learning_rate == defaults.learning_rate) options.learning_rate = kLearningRate;
  if (options.entropy_weight == defaults.entropy_weight) options.entropy_weight = kEntropy;
  return options;
}

}  // namespace

Reinforce::Reinforce(const AgentOptions& options, const Environment& environment,
                     engine::ThreadPool& pool)
    : options_(ForBudget(options)),
      pool_(pool),
      tape_(pool),
      init_(options.seed),
      policy_(environment, PolicyOptionsOf(options), init_),
      adam_(policy_.parameters(), engine::AdamOptions()),
      elites_(options.elites, options.elite_window),
      entropy_weight_(options_.entropy_weight) {}

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
  if (options_.budget > 0) AdaptEntropy();
  if (rollout_.complete_rows > 0) Update(&stats);
  return stats;
}

void Reinforce::AdaptEntropy() {
  const int rows = rollout_.rows, heads = policy_.layout().heads();
  if (static_cast<size_t>(rows) != rollout_.returns.size()) return;  // not one-step episodes
  const size_t width = static_cast<size_t>(policy_.observation_size());
  int repeats = 0;
  for (int row = 0; row < rows; ++row) {
    const size_t r = static_cast<size_t>(row);
    engine::Fnv1a network;
    network.Add(rollout_.observations.data() + r * width, width * sizeof(float));
    const uint64_t point =
        PointNumber(policy_.layout().sizes, rollout_.actions.data() + row * heads) ^
        network.value();
    if (seen_.Has(point)) {
      ++repeats;
    } else {
      seen_.Add(point, rollout_.rewards[r]);
    }
  }
  entropy_weight_ = repeats > kRepeats * rows ? std::min(kMostEntropy, entropy_weight_ * kRise)
                                              : std::max(kLeastEntropy, entropy_weight_ / kFall);
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
  const float entropy = options_.budget > 0 ? entropy_weight_ : EntropyWeight(options_, steps_);
  tape_.Backward(PolicyLoss(tape_, terms, advantages, entropy));
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
  archive.Put(prefix + "entropy_weight", entropy_weight_);
  seen_.Save(archive, prefix + "seen/");
}

void Reinforce::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  policy_.Load(archive, prefix);
  adam_.Load(archive, prefix + "adam/");
  elites_.Load(archive, prefix + "elites/");
  archive.Get(prefix + "baseline_sum", &baseline_sum_);
  archive.Get(prefix + "baseline_weight", &baseline_weight_);
  archive.Get(prefix + "steps", &steps_);
  archive.Get(prefix + "entropy_weight", &entropy_weight_);
  seen_.Load(archive, prefix + "seen/");
}

}  // namespace rhnas::rl
