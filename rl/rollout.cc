#include "rl/rollout.h"

#include <cmath>

#include "engine/check.h"
#include "rl/resample.h"

namespace rhnas::rl {

void Rollout::Clear() {
  rows = reached_rows = complete_rows = 0;
  masked = false;
  observations.clear();
  masks.clear();
  actions.clear();
  rewards.clear();
  ends.clear();
  reached.clear();
  returns.clear();
}

void Rollout::KeepComplete() {
  if (rows == complete_rows) return;
  const size_t keep = static_cast<size_t>(complete_rows), all = static_cast<size_t>(rows);
  observations.resize(observations.size() / all * keep);
  masks.resize(masks.size() / all * keep);
  actions.resize(actions.size() / all * keep);
  rewards.resize(keep);
  ends.resize(keep);
  // The one state after the rows that were dropped: only a cut can follow the last whole episode.
  reached.resize(reached.size() / static_cast<size_t>(reached_rows) *
                 static_cast<size_t>(reached_rows - 1));
  --reached_rows;
  rows = complete_rows;
}

void Player::Gather(Actor& actor, int64_t max_steps, int episodes, Rollout* rollout) {
  RHNAS_CHECK(max_steps >= 1 && episodes >= 1, "%lld steps, %d episodes",
              static_cast<long long>(max_steps), episodes);
  const HeadLayout layout(environment_.action_sizes());
  const size_t size = static_cast<size_t>(environment_.observation_size());
  const size_t total = static_cast<size_t>(layout.total);
  std::vector<float> observation(size);
  std::vector<uint8_t> mask(total);
  std::vector<int> action(layout.sizes.size());
  for (int64_t step = 0; step < max_steps && episodes > 0; ++step) {
    if (!open_) {
      environment_.Reset(rng_);
      open_ = true;
      return_ = 0;
    }
    environment_.Observe(observation.data());
    bool masked = false;
    const bool drawn = DrawAdmissible(environment_, action.data(), [&] {
      masked = actor.Draw(environment_, observation.data(), &rng_, action.data(), mask.data());
    });
    if (!drawn && !masked) {
      // The policy has moved to where nothing is allowed: what uniform draws find leads it back.
      DrawAdmissible(environment_, action.data(), [&] {
        for (size_t head = 0; head < action.size(); ++head) {
          action[head] = static_cast<int>(rng_.Below(static_cast<uint32_t>(layout.sizes[head])));
        }
      });
    }
    const StepResult result = environment_.Act(action.data(), rng_);
    RHNAS_CHECK(std::isfinite(result.reward),
                "the environment gave the reward %g; rewards must be finite", result.reward);
    rollout->observations.insert(rollout->observations.end(), observation.begin(),
                                 observation.end());
    rollout->masks.insert(rollout->masks.end(), mask.begin(), mask.end());
    rollout->masked = rollout->masked || masked;
    rollout->actions.insert(rollout->actions.end(), action.begin(), action.end());
    rollout->rewards.push_back(result.reward);
    ++rollout->rows;
    return_ += result.reward;
    StepEnd end = StepEnd::kGoesOn;
    if (result.terminal) {
      end = StepEnd::kTerminal;
    } else if (result.truncated) {
      end = StepEnd::kTruncated;
    } else if (step + 1 == max_steps) {
      end = StepEnd::kCut;
    }
    rollout->ends.push_back(end);
    if (end == StepEnd::kTruncated || end == StepEnd::kCut) {
      environment_.Observe(observation.data());
      rollout->reached.insert(rollout->reached.end(), observation.begin(), observation.end());
      ++rollout->reached_rows;
    }
    if (end == StepEnd::kTerminal || end == StepEnd::kTruncated) {
      open_ = false;
      --episodes;
      rollout->returns.push_back(return_);
      rollout->complete_rows = rollout->rows;
    }
  }
}

std::vector<double> ReturnsToGo(const Rollout& rollout, double gamma) {
  std::vector<double> returns(static_cast<size_t>(rollout.rows));
  double beyond = 0;
  for (size_t row = returns.size(); row-- > 0;) {
    if (rollout.ends[row] != StepEnd::kGoesOn) beyond = 0;
    returns[row] = beyond = rollout.rewards[row] + gamma * beyond;
  }
  return returns;
}

std::vector<double> GeneralizedAdvantages(const Rollout& rollout, const std::vector<double>& value,
                                          const std::vector<double>& reached_value, double gamma,
                                          double lambda) {
  std::vector<double> advantages(static_cast<size_t>(rollout.rows));
  size_t reached = reached_value.size();
  double advantage = 0;
  for (size_t row = advantages.size(); row-- > 0;) {
    double next = 0;
    switch (rollout.ends[row]) {
      case StepEnd::kGoesOn:
        next = value[row + 1];
        break;
      case StepEnd::kTerminal:
        advantage = 0;
        break;
      case StepEnd::kTruncated:
      case StepEnd::kCut:
        next = reached_value[--reached];
        advantage = 0;
        break;
    }
    const double delta = rollout.rewards[row] + gamma * next - value[row];
    advantages[row] = advantage = delta + gamma * lambda * advantage;
  }
  return advantages;
}

}  // namespace rhnas::rl
