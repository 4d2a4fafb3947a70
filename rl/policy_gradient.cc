#include "rl/policy_gradient.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/ops.h"

namespace rhnas::rl {

using engine::Var;

namespace {

// From `first` to `last` over anneal_steps, linearly.
float Annealed(float first, float last, const AgentOptions& options, int64_t steps) {
  if (options.anneal_steps <= 0) return first;
  const float share = static_cast<float>(
      std::min(1.0, static_cast<double>(steps) / static_cast<double>(options.anneal_steps)));
  return first + share * (last - first);
}

}  // namespace

float EntropyWeight(const AgentOptions& options, int64_t steps) {
  return Annealed(options.entropy_weight, options.entropy_final, options, steps);
}

float LearningRate(const AgentOptions& options, int64_t steps) {
  return options.learning_rate * Annealed(1, options.rate_final, options, steps);
}

Var PolicyLoss(engine::Tape& tape, const ActionTerms& terms, const std::vector<double>& advantages,
               float entropy_weight) {
  const int rows = static_cast<int>(advantages.size());
  RHNAS_CHECK(tape.shape(terms.log_prob).size() == rows, "%d advantages for log-probabilities %s",
              rows, tape.shape(terms.log_prob).ToString().c_str());
  std::vector<float> weights;
  for (double advantage : advantages) weights.push_back(static_cast<float>(-advantage / rows));
  const Var weight = tape.Constant(engine::Shape(rows), weights.data());
  const Var loss = engine::Sum(tape, engine::Mul(tape, terms.log_prob, weight));
  return engine::Add(tape, loss, engine::Scale(tape, terms.entropy, -entropy_weight));
}

void NormalizeScale(std::vector<double>* advantages) {
  double squares = 0;
  for (double advantage : *advantages) squares += advantage * advantage;
  const double scale = std::sqrt(squares / static_cast<double>(advantages->size()));
  if (!(scale > 0)) return;
  for (double& advantage : *advantages) advantage /= scale;
}

void Standardize(std::vector<double>* advantages) {
  if (advantages->size() < 2) return;
  const double mean = MomentsOf(*advantages).mean;
  for (double& advantage : *advantages) advantage -= mean;
  NormalizeScale(advantages);
}

void RankScores(std::vector<double>* returns) {
  const size_t count = returns->size();
  std::vector<size_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double left = (*returns)[a], right = (*returns)[b];
    return left < right || (left == right && a < b);
  });
  std::vector<double> scores(count);
  double score = -1;
  for (size_t begin = 0; begin < count;) {
    size_t end = begin;
    double sum = 0;
    for (; end < count && (*returns)[order[end]] == (*returns)[order[begin]]; ++end) {
      score += 1 / static_cast<double>(count - end);
      sum += score;
    }
    for (size_t k = begin; k < end; ++k) {
      scores[order[k]] = sum / static_cast<double>(end - begin);
    }
    begin = end;
  }
  returns->swap(scores);
}

void CountReturns(const Rollout& rollout, RoundStats* stats) {
  stats->steps += rollout.rows;
  for (double value : rollout.returns) {
    if (stats->episodes == 0 || value > stats->best_return) stats->best_return = value;
    stats->mean_return += value;
    ++stats->episodes;
  }
}

void FinishStats(RoundStats* stats) {
  if (stats->episodes > 0) stats->mean_return /= static_cast<double>(stats->episodes);
}

Moments MomentsOf(const std::vector<double>& values) {
  Moments moments;
  if (values.empty()) return moments;
  const double count = static_cast<double>(values.size());
  for (double value : values) moments.mean += value / count;
  for (double value : values) {
    moments.variance += (value - moments.mean) * (value - moments.mean) / count;
  }
  return moments;
}

}  // namespace rhnas::rl
