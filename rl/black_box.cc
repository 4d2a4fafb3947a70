#include "rl/black_box.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"

namespace rhnas::rl {

BlackBox::BlackBox(const char* name, const AgentOptions& options,
                   const Environment& /*environment*/)
    : name_(name), batch_(options.batch), budget_(options.budget) {}

bool BlackBox::NoteObservation(const Environment& environment) {
  std::vector<float> now(static_cast<size_t>(environment.observation_size()));
  environment.Observe(now.data());
  if (now == observation_) return false;
  const bool changed = told_ > 0;
  observation_ = now;
  return changed;
}

RoundStats BlackBox::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  RHNAS_CHECK(max_steps >= 1, "%lld steps", static_cast<long long>(max_steps));
  environment.Reset(rng);
  if (NoteObservation(environment)) {
    seen_.Clear();
    best_again_ = true;
    repeats_ = 0;
    ProblemChanged();
  }
  PointPicker picker(environment, seen_, rng);
  std::vector<int> action(environment.action_sizes().size());
  RoundStats stats;
  for (const int64_t most = std::min(max_steps, batch_); stats.steps < most; ++stats.steps) {
    if (stats.steps > 0) environment.Reset(rng);
    const bool ask = !best_again_ && !Done();
    if (!ask) {
      action = best_action_;
    } else {
      Ask(picker, action.data());
    }
    picker.Settle(action.data());
    const StepResult result = environment.Act(action.data(), rng);
    RHNAS_CHECK(std::isfinite(result.reward),
                "the environment gave the reward %g; rewards must be finite", result.reward);
    if (ask) repeats_ = picker.Seen(action.data()) ? repeats_ + 1 : 0;
    seen_.Add(PointNumber(environment.action_sizes(), action.data()), result.reward);
    if (told_ == 0 || best_again_ || result.reward > best_reward_) {
      best_action_ = action;
      best_reward_ = result.reward;
    }
    ++told_;
    if (ask || best_again_) Tell(picker, action.data(), result);
    best_again_ = false;
    if (stats.steps == 0 || result.reward > stats.best_return) stats.best_return = result.reward;
    stats.mean_return += (result.reward - stats.mean_return) / static_cast<double>(stats.steps + 1);
  }
  stats.episodes = stats.steps;
  return stats;
}

std::vector<int> BlackBox::Greedy(const Environment& environment) {
  std::vector<int> action = best_action_;
  if (action.empty()) action.assign(environment.action_sizes().size(), 0);
  engine::Rng unused(0);
  PointPicker(environment, seen_, unused).Settle(action.data());
  return action;
}

void BlackBox::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "observation", observation_);
  seen_.Save(archive, prefix + "seen/");
  archive.PutVector(prefix + "best_action", best_action_);
  archive.Put(prefix + "best_reward", best_reward_);
  archive.Put(prefix + "told", told_);
  archive.Put(prefix + "repeats", repeats_);
  archive.Put(prefix + "best_again", best_again_);
  SaveSearch(archive, prefix + "search/");
}

void BlackBox::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "observation", &observation_);
  seen_.Load(archive, prefix + "seen/");
  archive.GetVector(prefix + "best_action", &best_action_);
  archive.Get(prefix + "best_reward", &best_reward_);
  archive.Get(prefix + "told", &told_);
  archive.Get(prefix + "repeats", &repeats_);
  archive.Get(prefix + "best_again", &best_again_);
  LoadSearch(archive, prefix + "search/");
}

}  // namespace rhnas::rl
