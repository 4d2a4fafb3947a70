#include "rl/evaluator.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/hash.h"
#include "rl/resample.h"

namespace rhnas::rl {

namespace {

uint64_t HashOf(const int* action, int heads) {
  engine::Fnv1a hash;
  for (int h = 0; h < heads; ++h) {
    const auto choice = static_cast<int32_t>(action[h]);
    hash.Add(&choice, sizeof choice);
  }
  return hash.value();
}

bool GoalIsOfMetrics(const Environment& environment) {
  std::vector<double> weight(static_cast<size_t>(environment.metrics())), limit(weight);
  return environment.metrics() > 0 && environment.MetricGoal(weight.data(), limit.data());
}

}  // namespace

EvaluatorOptions EvaluatorOptions::Edd() {
  EvaluatorOptions options;
  options.name = "evaluator-edd";
  options.barrier_weight = 1;
  options.descent.rank_by_limits = true;
  return options;
}

EvaluatorOptions EvaluatorOptions::Hdx() {
  EvaluatorOptions options;
  options.name = "evaluator-hdx";
  options.descent.delta_first = 0.01;
  options.descent.rank_by_limits = true;
  return options;
}

Evaluator::Evaluator(const AgentOptions& options, const EvaluatorOptions& evaluator,
                     const Environment& environment, engine::ThreadPool& pool)
    : options_(options),
      evaluator_(evaluator),
      layout_(environment.action_sizes()),
      by_metrics_(GoalIsOfMetrics(environment)),
      outputs_(by_metrics_ ? environment.metrics() : 1),
      tape_(pool),
      init_(options.seed),
      network_(environment.observation_size(), layout_.total, outputs_, evaluator.network, init_),
      trainer_(network_),
      data_(environment.observation_size(), layout_, outputs_),
      descent_(layout_, evaluator.descent, tape_),
      metrics_(static_cast<size_t>(outputs_)) {}

void Evaluator::Observe(const Environment& environment) {
  std::vector<float> now(static_cast<size_t>(environment.observation_size()));
  environment.Observe(now.data());
  if (now == observation_) return;
  observation_ = std::move(now);
  known_.clear();
  best_.Forget();
}

bool Evaluator::Known(const int* action) const {
  return std::binary_search(known_.begin(), known_.end(), HashOf(action, layout_.heads()));
}

void Evaluator::Submit(Environment& environment, const int* action, engine::Rng& rng,
                       RoundStats* stats) {
  const StepResult result = environment.Act(action, rng);
  RHNAS_CHECK(std::isfinite(result.reward),
              "the environment gave the reward %g; rewards must be finite", result.reward);
  best_.Consider(action, layout_.sizes.size(), result);
  ++steps_;
  stats->best_return =
      stats->steps == 0 ? result.reward : std::max(stats->best_return, result.reward);
  ++stats->steps;
  ++stats->episodes;
  stats->mean_return += (result.reward - stats->mean_return) / static_cast<double>(stats->episodes);
  const uint64_t hash = HashOf(action, layout_.heads());
  const auto place = std::lower_bound(known_.begin(), known_.end(), hash);
  if (place != known_.end() && *place == hash) return;
  known_.insert(place, hash);
  if (!result.valid) return;
  if (by_metrics_) {
    environment.Metrics(metrics_.data());
  } else {
    metrics_[0] = -result.reward;
  }
  data_.Add(observation_.data(), action, metrics_.data());
}

void Evaluator::Draw(const Environment& environment, const uint8_t* mask, engine::Rng& rng,
                     int* action) const {
  const std::vector<float> uniform(static_cast<size_t>(layout_.total));
  DrawAdmissible(environment, action,
                 [&] { SampleAction(layout_, uniform.data(), mask, rng, action); });
}

RoundStats Evaluator::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  RHNAS_CHECK(max_steps >= 1, "%lld steps", static_cast<long long>(max_steps));
  RoundStats stats;
  environment.Reset(rng);
  Observe(environment);
  std::vector<uint8_t> allowed(static_cast<size_t>(layout_.total));
  const uint8_t* mask = environment.Mask(allowed.data()) ? allowed.data() : nullptr;
  const double share = evaluator_.random_share * static_cast<double>(options_.budget);
  const int64_t random =
      options_.budget > 0 ? static_cast<int64_t>(share) : int64_t{evaluator_.random_points};
  const int64_t most = std::min<int64_t>(max_steps, options_.batch);
  if (steps_ >= random && data_.rows() >= kFewestRows) {
    Design(environment, most, mask, rng, &stats);
    return stats;
  }
  std::vector<int> action(layout_.sizes.size());
  for (int64_t i = 0; i < most; ++i) {
    if (i > 0) environment.Reset(rng);
    Draw(environment, mask, rng, action.data());
    Submit(environment, action.data(), rng, &stats);
  }
  return stats;
}

void Evaluator::Design(Environment& environment, int64_t most, const uint8_t* mask,
                       engine::Rng& rng, RoundStats* stats) {
  RelaxedGoal goal;
  goal.weight.assign(static_cast<size_t>(outputs_), 1);
  goal.limit.assign(static_cast<size_t>(outputs_), INFINITY);
  goal.barrier_weight = evaluator_.barrier_weight;
  goal.barrier_base = evaluator_.barrier_base;
  if (by_metrics_) environment.MetricGoal(goal.weight.data(), goal.limit.data());
  trainer_.Train(data_, evaluator_.training, tape_, rng);
  descent_.Run(network_, trainer_, goal, observation_.data(), mask, rng);
  proposal_.assign(descent_.action(0), descent_.action(0) + layout_.heads());

  constexpr int kDraws = 64;
  std::vector<int> action(layout_.sizes.size());
  const int64_t rows = std::min<int64_t>(most, evaluator_.descent.restarts);
  for (int row = 0; row < static_cast<int>(rows); ++row) {
    std::copy(descent_.action(row), descent_.action(row) + layout_.heads(), action.begin());
    for (int i = 0; i < kDraws && (Known(action.data()) || !environment.Admissible(action.data()));
         ++i) {
      SampleAction(layout_, descent_.logits(row), mask, rng, action.data());
    }
    if (!environment.Admissible(action.data())) Draw(environment, mask, rng, action.data());
    if (row > 0) environment.Reset(rng);
    Submit(environment, action.data(), rng, stats);
  }
}

std::vector<int> Evaluator::Proposal(const Environment& environment) {
  return proposal_.empty() ? best_.Action(environment) : proposal_;
}

void Evaluator::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  network_.Save(archive, prefix);
  trainer_.Save(archive, prefix + "trainer/");
  data_.Save(archive, prefix + "data/");
  best_.Save(archive, prefix + "best/");
  archive.PutVector(prefix + "observation", observation_);
  archive.PutVector(prefix + "known", known_);
  archive.PutVector(prefix + "proposal", proposal_);
  archive.Put(prefix + "steps", steps_);
}

void Evaluator::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  network_.Load(archive, prefix);
  trainer_.Load(archive, prefix + "trainer/");
  data_.Load(archive, prefix + "data/");
  best_.Load(archive, prefix + "best/");
  archive.GetVector(prefix + "observation", &observation_);
  archive.GetVector(prefix + "known", &known_);
  archive.GetVector(prefix + "proposal", &proposal_);
  archive.Get(prefix + "steps", &steps_);
}

}  // namespace rhnas::rl
