#include "rl/temporal_difference.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"

namespace rhnas::rl {

namespace {

bool Allows(const uint8_t* mask, int i) { return mask == nullptr || mask[i] != 0; }

int FirstBest(const double* values, const uint8_t* mask, int size) {
  const double best = BestValue(values, mask, size);
  int choice = 0;
  while (!Allows(mask, choice) || values[choice] != best) ++choice;
  return choice;
}

}  // namespace

double BestValue(const double* values, const uint8_t* mask, int size) {
  int best = -1;
  for (int i = 0; i < size; ++i) {
    if (Allows(mask, i) && (best < 0 || values[i] > values[best])) best = i;
  }
  RHNAS_CHECK(best >= 0, "every one of %d choices is masked", size);
  return values[best];
}

TemporalDifference::TemporalDifference(const AgentOptions& options, const Environment& environment)
    : options_(options), tree_(environment), table_(tree_.entries(), 0.0) {}

double TemporalDifference::Epsilon() const {
  const double first = static_cast<double>(options_.epsilon);
  if (options_.anneal_steps <= 0) return first;
  const double share = static_cast<double>(steps_) / static_cast<double>(options_.anneal_steps);
  return first + std::min(share, 1.0) * (static_cast<double>(options_.epsilon_final) - first);
}

// Epsilon-greedy; ties are broken at random, or an untrained table would never leave its first
// choice.
int TemporalDifference::Choose(const double* values, const uint8_t* mask, int size,
                               engine::Rng& rng) const {
  const bool explore = static_cast<double>(rng.Uniform()) < Epsilon();
  const double best = explore ? 0 : BestValue(values, mask, size);
  auto candidate = [&](int i) { return Allows(mask, i) && (explore || values[i] == best); };
  uint32_t candidates = 0;
  for (int i = 0; i < size; ++i) candidates += candidate(i) ? 1 : 0;
  uint32_t left = rng.Below(candidates);
  int chosen = 0;
  for (int i = 0; i < size; ++i) {
    if (!candidate(i)) continue;
    chosen = i;
    if (left-- == 0) break;
  }
  return chosen;
}

// From the last head to the first, so that news reaches the root of the path at once.
void TemporalDifference::Learn(const Decision& decision, double target) {
  for (int head = tree_.heads() - 1; head >= 0; --head) {
    double* values = table_.data() + tree_.Node(decision.state, head, decision.action.data());
    const int choice = decision.action[static_cast<size_t>(head)];
    values[choice] += static_cast<double>(options_.q_step) * (target - values[choice]);
    target = Worth(values, decision.mask.data() + tree_.offset(head), tree_.size(head), choice);
  }
}

RoundStats TemporalDifference::Round(Environment& environment, int64_t max_steps,
                                     engine::Rng& rng) {
  RHNAS_CHECK(max_steps >= 1, "%lld steps", static_cast<long long>(max_steps));
  tree_.Check(environment);
  auto choose = [&](size_t node, int head, const uint8_t* mask) {
    return Choose(table_.data() + node, mask, tree_.size(head), rng);
  };
  Decision now, next;
  RoundStats stats;
  while (stats.steps < max_steps && stats.episodes < options_.batch) {
    environment.Reset(rng);
    tree_.DecideAdmissible(environment, choose, &now);
    bool done = false;
    double episode_return = 0;
    while (!done && stats.steps < max_steps) {
      const StepResult result = environment.Act(now.action.data(), rng);
      RHNAS_CHECK(std::isfinite(result.reward),
                  "the environment gave the reward %g; rewards must be finite", result.reward);
      ++stats.steps;
      ++steps_;
      episode_return += result.reward;
      done = result.terminal || result.truncated;
      double target = result.reward;
      if (!result.terminal) {
        tree_.DecideAdmissible(environment, choose, &next);
        target += static_cast<double>(options_.gamma) *
                  Worth(table_.data() + tree_.Node(next.state, 0, nullptr), next.mask.data(),
                        tree_.size(0), next.action[0]);
      }
      Learn(now, target);
      std::swap(now, next);
    }
    if (!done) break;  // the budget cut the episode: its return is not known
    if (stats.episodes == 0 || episode_return > stats.best_return) {
      stats.best_return = episode_return;
    }
    ++stats.episodes;
    stats.mean_return += (episode_return - stats.mean_return) / static_cast<double>(stats.episodes);
  }
  return stats;
}

int TemporalDifference::GreedyChoice(int state, const uint8_t* mask) const {
  return FirstBest(table_.data() + tree_.Node(state, 0, nullptr), mask, tree_.size(0));
}

double TemporalDifference::ActionValue(int state, int choice) const {
  return table_[tree_.Node(state, 0, nullptr) + static_cast<size_t>(choice)];
}

std::vector<int> TemporalDifference::Greedy(const Environment& environment) {
  tree_.Check(environment);
  Decision decision;
  tree_.Decide(
      environment,
      [&](size_t node, int head, const uint8_t* mask) {
        return FirstBest(table_.data() + node, mask, tree_.size(head));
      },
      &decision);
  return decision.action;
}

void TemporalDifference::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "table", table_);
  archive.Put(prefix + "steps", steps_);
}

void TemporalDifference::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetBytes(prefix + "table", table_.data(), table_.size() * sizeof(double));
  archive.Get(prefix + "steps", &steps_);
}

}  // namespace rhnas::rl
