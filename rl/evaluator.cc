#include "rl/evaluator.h"

#include <algorithm>
#include <limits>

namespace rhnas::rl {

namespace {

bool GoalIsOfMetrics(const Environment& environment) {
  std::vector<double> weight(static_cast<size_t>(environment.metrics())), limit(weight);
  return environment.metrics() > 0 && environment.MetricGoal(weight.data(), limit.data());
}

}  // namespace

EvaluatorOptions EvaluatorOptions::Edd() {
  EvaluatorOptions options;
  options.name = "evaluator-edd";
  options.barrier_weight = 1;
  options.barrier_base = 1000;
  options.descent.rank_by_limits = true;
  return options;
}

EvaluatorOptions EvaluatorOptions::Hdx() {
  EvaluatorOptions options;
  options.name = "evaluator-hdx";
  options.descent.delta_first = 0.1;
  options.descent.rank_by_limits = true;
  return options;
}

Evaluator::Evaluator(const AgentOptions& options, const EvaluatorOptions& evaluator,
                     const Environment& environment, engine::ThreadPool& pool)
    : BlackBox(evaluator.name, options, environment),
      evaluator_(evaluator),
      layout_(environment.action_sizes()),
      by_metrics_(GoalIsOfMetrics(environment)),
      outputs_(by_metrics_ ? environment.metrics() : 1),
      tape_(pool),
      init_(options.seed),
      network_(environment.observation_size(), layout_.total, outputs_, evaluator.network, init_),
      trainer_(network_),
      data_(environment.observation_size(), layout_, outputs_),
      descent_(layout_, environment.observation_size(), evaluator.descent, tape_),
      next_(evaluator.descent.restarts),
      observation_(static_cast<size_t>(environment.observation_size())),
      metrics_(static_cast<size_t>(outputs_)) {}

void Evaluator::Ask(PointPicker& picker, int* action) {
  const int64_t random =
      budget() > 0 ? static_cast<int64_t>(evaluator_.random_share * static_cast<double>(budget()))
                   : evaluator_.random_points;
  if (told() < random || data_.rows() < kFewestRows) {
    picker.DrawNew(action);
    return;
  }
  if (next_ == descent_.rows()) Design(picker);
  const int row = next_++;
  std::copy(descent_.action(row), descent_.action(row) + layout_.heads(), action);
  constexpr int kDraws = 64;
  int draws = 0;
  for (; draws < kDraws && (!picker.Allowed(action) || picker.Seen(action)); ++draws) {
    for (int head = 0; head < layout_.heads(); ++head) {
      const auto h = static_cast<size_t>(head);
      const uint8_t* mask = picker.HeadMask(head, action);
      const float* logits = descent_.logits(row) + layout_.offsets[h];
      float most = -1e30f;
      for (int i = 0; i < layout_.sizes[h]; ++i) {
        const float value = logits[i] + picker.rng().Gumbel();
        if (mask[i] == 0 || value <= most) continue;
        most = value;
        action[h] = i;
      }
    }
  }
  if (draws == kDraws) picker.DrawNew(action);
}

void Evaluator::Tell(PointPicker& picker, const int* action, const StepResult& result) {
  if (!result.valid) return;
  picker.environment().Observe(observation_.data());
  if (by_metrics_) {
    picker.environment().Metrics(metrics_.data());
  } else {
    metrics_[0] = -result.reward;
  }
  data_.Add(observation_.data(), action, metrics_.data());
}

void Evaluator::Design(PointPicker& picker) {
  const Environment& environment = picker.environment();
  RelaxedGoal goal;
  goal.weight.assign(metrics_.size(), 1);
  goal.limit.assign(metrics_.size(), std::numeric_limits<double>::infinity());
  goal.barrier_weight = evaluator_.barrier_weight;
  goal.barrier_base = evaluator_.barrier_base;
  if (by_metrics_) environment.MetricGoal(goal.weight.data(), goal.limit.data());
  environment.Observe(observation_.data());
  std::vector<uint8_t> mask(static_cast<size_t>(layout_.total));
  const bool masked = environment.Mask(mask.data());
  trainer_.Train(data_, evaluator_.training, tape_, picker.rng());
  descent_.Run(network_, trainer_, goal, observation_.data(), masked ? mask.data() : nullptr,
               picker.rng());
  next_ = 0;
  designed_ = true;
}

std::vector<int> Evaluator::Proposal(const Environment& /*environment*/) {
  if (!designed_) return {};
  const int* action = descent_.action(0);
  return std::vector<int>(action, action + layout_.heads());
}

void Evaluator::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  network_.Save(archive, prefix);
  trainer_.Save(archive, prefix + "trainer/");
  data_.Save(archive, prefix);
  descent_.Save(archive, prefix);
  archive.Put(prefix + "next", next_);
  archive.Put(prefix + "designed", designed_);
}

void Evaluator::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  network_.Load(archive, prefix);
  trainer_.Load(archive, prefix + "trainer/");
  data_.Load(archive, prefix);
  descent_.Load(archive, prefix);
  archive.Get(prefix + "next", &next_);
  archive.Get(prefix + "designed", &designed_);
}

}  // namespace rhnas::rl
