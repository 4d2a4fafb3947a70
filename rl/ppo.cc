#include "rl/ppo.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "rl/double_math.h"
#include "rl/policy_gradient.h"

namespace rhnas::rl {

namespace {

// Rows order[0, count) of `from`, as far as an update reads them.
void TakeRows(const Rollout& from, const int* order, int count, Rollout* to) {
  to->Clear();
  to->rows = count;
  to->masked = from.masked;
  auto take = [&](const auto& source, auto* sink) {
    const ptrdiff_t width = static_cast<ptrdiff_t>(source.size()) / from.rows;
    for (int i = 0; i < count; ++i) {
      const auto begin = source.begin() + order[i] * width;
      sink->insert(sink->end(), begin, begin + width);
    }
  };
  take(from.observations, &to->observations);
  take(from.masks, &to->masks);
  take(from.actions, &to->actions);
}

}  // namespace

ClippedRow ClipSurrogate(double ratio, double advantage, double clip) {
  ClippedRow row;
  const double kept = std::clamp(ratio, 1 - clip, 1 + clip);
  row.clipped = kept != ratio;
  row.weight = kept * advantage < ratio * advantage ? 0 : ratio * advantage;
  return row;
}

bool ValueMoves(double value, double before, double target, double clip) {
  if (!(clip > 0)) return true;
  const double kept = before + std::clamp(value - before, -clip, clip);
  return (kept - target) * (kept - target) <= (value - target) * (value - target);
}

Ppo::Ppo(const AgentOptions& options, const PpoOptions& ppo, const Environment& environment,
         engine::ThreadPool& pool)
    : ActorCritic(options, environment, pool), ppo_(ppo) {
  RHNAS_CHECK(ppo.clip > 0 && ppo.epochs >= 1 && ppo.minibatch >= 1,
              "clip %g, %d epochs, minibatches of %d", static_cast<double>(ppo.clip), ppo.epochs,
              ppo.minibatch);
}

const char* Ppo::name() const { return "ppo"; }

void Ppo::Update(engine::Rng& rng, RoundStats* stats) {
  Judge(stats);
  const int rows = rollout_.rows;
  tape_.Reset();
  const ActionTerms old = Terms(rollout_);
  old_log_prob_.assign(tape_.value(old.log_prob), tape_.value(old.log_prob) + rows);
  stats->entropy = static_cast<double>(tape_.value(old.entropy)[0]);
  std::vector<int> order(static_cast<size_t>(rows));
  for (int epoch = 0; epoch < ppo_.epochs; ++epoch) {
    rng.Permutation(rows, order.data());
    stats->kl = stats->clip_fraction = 0;
    const int batches = std::max(1, rows / ppo_.minibatch);
    for (int batch = 0, begin = 0; batch < batches; ++batch) {
      const int end = static_cast<int>(int64_t{rows} * (batch + 1) / batches);
      UpdateOn(order.data() + begin, end - begin, stats);
      begin = end;
    }
    if (ppo_.target_kl > 0 && stats->kl > static_cast<double>(ppo_.target_kl)) break;
  }
}

void Ppo::UpdateOn(const int* order, int rows, RoundStats* stats) {
  TakeRows(rollout_, order, rows, &minibatch_);
  tape_.Reset();
  const ActionTerms terms = Terms(minibatch_);
  const engine::Var value = Values(minibatch_);
  std::vector<double> weights;
  std::vector<float> targets, moves;
  for (int i = 0; i < rows; ++i) {
    const size_t row = static_cast<size_t>(order[i]);
    // Beyond e^20 the ratio says no more, and must stay finite.
    const double log_ratio = std::clamp(
        static_cast<double>(tape_.value(terms.log_prob)[i]) - old_log_prob_[row], -20.0, 20.0);
    const double ratio = Exp(log_ratio);
    const ClippedRow clipped =
        ClipSurrogate(ratio, advantages_[row], static_cast<double>(ppo_.clip));
    weights.push_back(clipped.weight);
    // Schulman's low-variance estimate: never negative, mean KL(old, new).
    stats->kl += (ratio - 1 - log_ratio) / rollout_.rows;
    stats->clip_fraction += (clipped.clipped ? 1.0 : 0.0) / rollout_.rows;
    targets.push_back(static_cast<float>(returns_[row]));
    moves.push_back(ValueMoves(static_cast<double>(tape_.value(value)[i]), values_[row],
                               returns_[row], static_cast<double>(ppo_.value_clip))
                        ? 1.0f
                        : 0.0f);
  }
  // The bonus is not clipped: whole in every epoch it would outweigh what is.
  Descend(terms, weights, value, targets, moves.data(),
          EntropyBonus() / static_cast<float>(ppo_.epochs), stats);
}

}  // namespace rhnas::rl
