#include "rl/random_search.h"

#include <cmath>

#include "engine/check.h"
#include "rl/categorical.h"
#include "rl/points.h"

namespace rhnas::rl {

RoundStats RandomSearch::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  RHNAS_CHECK(max_steps >= 1, "%lld steps", static_cast<long long>(max_steps));
  const HeadLayout layout(environment.action_sizes());
  std::vector<int> action(layout.sizes.size());
  const SeenPoints none;
  RoundStats stats;
  bool open = false;
  double episode_return = 0;
  while (stats.steps < max_steps && stats.episodes < options_.batch) {
    if (!open) {
      environment.Reset(rng);
      open = true;
      episode_return = 0;
    }
    PointPicker(environment, none, rng).Draw(action.data());
    const StepResult result = environment.Act(action.data(), rng);
    RHNAS_CHECK(std::isfinite(result.reward),
                "the environment gave the reward %g; rewards must be finite", result.reward);
    ++stats.steps;
    episode_return += result.reward;
    if (best_action_.empty() || result.reward > best_reward_) {
      best_action_ = action;
      best_reward_ = result.reward;
    }
    if (!result.terminal && !result.truncated) continue;
    open = false;
    if (stats.episodes == 0 || episode_return > stats.best_return) {
      stats.best_return = episode_return;
    }
    ++stats.episodes;
    stats.mean_return += (episode_return - stats.mean_return) / static_cast<double>(stats.episodes);
  }
  return stats;
}

std::vector<int> RandomSearch::Greedy(const Environment& environment) {
  const HeadLayout layout(environment.action_sizes());
  std::vector<int> action = best_action_;
  if (action.empty()) action.assign(layout.sizes.size(), 0);
  RHNAS_CHECK(action.size() == layout.sizes.size(), "the agent saw %zu heads, now %zu",
              action.size(), layout.sizes.size());
  std::vector<uint8_t> mask(static_cast<size_t>(layout.total));
  if (!environment.Mask(mask.data())) return action;
  for (size_t head = 0; head < action.size(); ++head) {
    const uint8_t* allowed = mask.data() + layout.offsets[head];
    if (allowed[action[head]] != 0) continue;
    int first = 0;
    while (first + 1 < layout.sizes[head] && allowed[first] == 0) ++first;
    action[head] = first;
  }
  return action;
}

void RandomSearch::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "best_action", best_action_);
  archive.Put(prefix + "best_reward", best_reward_);
}

void RandomSearch::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "best_action", &best_action_);
  archive.Get(prefix + "best_reward", &best_reward_);
}

}  // namespace rhnas::rl
