#include "rl/dyna.h"

#include <algorithm>
#include <cmath>

#include "rl/double_math.h"
#include "rl/policy_gradient.h"

namespace rhnas::rl {

namespace {

std::vector<int> WithProblem(std::vector<int> sizes) {
  sizes.push_back(Dyna::kMostProblems);
  return sizes;
}

}  // namespace

DynaOptions DynaOptions::WithoutPolicy() {
  DynaOptions options;
  options.rounds = 0;
  return options;
}

Dyna::Dyna(const AgentOptions& options, const Environment& environment, const DynaOptions& dyna)
    : BlackBox(dyna.rounds > 0 ? "dyna" : "dyna-nopolicy", options, environment),
      dyna_(dyna),
      heads_(static_cast<int>(environment.action_sizes().size())),
      first_(dyna.first),
      policy_(environment.action_sizes()),
      reward_(WithProblem(environment.action_sizes())),
      validity_(reward_),
      kept_(heads_ + 1),
      row_(static_cast<size_t>(heads_ + 1)) {
  if (options.budget > 0) {
    first_ = static_cast<int>(
        std::min<int64_t>(first_, std::max<int64_t>(1, options.budget / dyna_.first_share)));
  }
}

void Dyna::Model() {
  const int n = kept_.size();
  // Until some designs could be built, how far the others missed the rules is what can be learned.
  int buildable = 0;
  double worst = 0, best = 0, best_here = 0;
  bool any_here = false;
  for (int i = 0; i < n; ++i) {
    if (valid_[static_cast<size_t>(i)] == 0) continue;
    const double reward = kept_.reward(i);
    worst = buildable == 0 ? reward : std::min(worst, reward);
    best = buildable == 0 ? reward : std::max(best, reward);
    ++buildable;
    if (kept_.action(i)[heads_] != 0) continue;
    best_here = any_here ? std::max(best_here, reward) : reward;
    any_here = true;
  }
  const bool graded = buildable < 3;
  some_failed_ = buildable < n && !graded;
  std::vector<int> actions, all_actions;
  std::vector<double> values, labels;
  for (int i = 0; i < n; ++i) {
    const int* row = kept_.action(i);
    const bool built = valid_[static_cast<size_t>(i)] != 0;
    if (built || graded) {
      actions.insert(actions.end(), row, row + heads_ + 1);
      values.push_back(kept_.reward(i));
    }
    all_actions.insert(all_actions.end(), row, row + heads_ + 1);
    labels.push_back(built ? 1 : -1);
  }
  target_ = any_here && !graded ? best_here : *std::max_element(values.begin(), values.end());
  const bool learn =
      learned_at_ == 0 || n < learned_at_ || n >= learned_at_ + std::max(1, learned_at_ / 8);
  if (learn) {
    learned_at_ = n;
    reward_.Learn(actions, values);
    if (some_failed_) validity_.Learn(all_actions, labels);
  } else {
    reward_.Fit(actions, values);
    if (some_failed_) validity_.Fit(all_actions, labels);
  }
}

double Dyna::Gain(const int* action) {
  std::copy_n(action, heads_, row_.begin());
  row_.back() = 0;
  double gain = ExpectedImprovement(reward_.At(row_.data()), target_);
  if (some_failed_) {
    const Posterior built = validity_.At(row_.data());
    gain *= NormalCdf(built.mean / std::sqrt(built.variance + 0.1));
  }
  return gain;
}

bool Dyna::Imagine(PointPicker& picker, int* action) {
  std::vector<int> point(static_cast<size_t>(heads_)), around;
  double best = -1;
  SeenPoints looked;
  // What the model says of a point; of what is known, that there is nothing to gain.
  const auto look = [&](const int* candidate) {
    const uint64_t number = PointNumber(picker.sizes(), candidate);
    double gain;
    if (looked.Find(number, &gain)) return gain;
    gain = picker.Seen(candidate) ? -1 : picker.Allowed(candidate) ? Gain(candidate) : -2;
    looked.Add(number, gain);
    if (gain > best) {
      best = gain;
      std::copy_n(candidate, heads_, action);
    }
    return gain;
  };
  // Where the policy would not look: anywhere, and beside the best.
  batch_.Clear();
  for (int i = 0; i < dyna_.anywhere && picker.Draw(point.data()); ++i) {
    look(point.data());
  }
  std::copy(best_action().begin(), best_action().end(), point.begin());
  picker.Neighbours(point.data(), &around);
  for (size_t at = 0; at < around.size(); at += static_cast<size_t>(heads_)) look(&around[at]);
  for (int round = 0; round < dyna_.rounds; ++round) {
    batch_.Clear();
    for (int i = 0; i < dyna_.proposals; ++i) {
      policy_.Sample(picker, point.data(), &batch_);
      batch_.advantages.push_back(look(point.data()));
    }
    RankScores(&batch_.advantages);
    policy_.Update(batch_, dyna_.on_model);
  }
  for (int climb = 0; climb < dyna_.climbs && best >= 0; ++climb) {
    picker.Neighbours(action, &around);
    const double before = best;
    for (size_t at = 0; at < around.size(); at += static_cast<size_t>(heads_)) look(&around[at]);
    if (!(best > before)) break;
  }
  return best >= 0;
}

void Dyna::Ask(PointPicker& picker, int* action) {
  predicted_ = false;
  if (kept_.size() < first_) {
    picker.DrawNew(action);
    return;
  }
  Model();
  if (!Imagine(picker, action)) {
    std::copy(best_action().begin(), best_action().end(), action);
    picker.Mutate(action);
    return;
  }
  if (!trusts_model() && dyna_.rounds == 0) {
    picker.DrawNew(action);
  } else if (!trusts_model()) {
    // The policy's own word, which the last evaluations have taught.
    batch_.Clear();
    std::vector<int> point(static_cast<size_t>(heads_));
    for (int i = 0; i < dyna_.proposals; ++i) {
      policy_.Sample(picker, point.data(), &batch_);
      if (picker.Seen(point.data()) || !picker.Allowed(point.data())) continue;
      std::copy(point.begin(), point.end(), action);
      break;
    }
  }
  std::copy_n(action, heads_, row_.begin());
  row_.back() = 0;
  predicted_ = true;
  prediction_ = reward_.At(row_.data()).mean;
}

std::vector<int> Dyna::Proposal(const Environment& environment) {
  engine::Rng unused(0);
  const SeenPoints none;
  PointPicker picker(environment, none, unused);
  std::vector<int> action(static_cast<size_t>(heads_));
  policy_.Greedy(picker, action.data());
  return action;
}

bool Dyna::trusts_model() const {
  if (static_cast<int>(predictions_.size()) < dyna_.judged) return true;
  double missed = 0;
  for (size_t i = 0; i < predictions_.size(); ++i) {
    missed += (predictions_[i] - outcomes_[i]) * (predictions_[i] - outcomes_[i]);
  }
  // Not the spread of the outcomes alone: near the optimum it is too small to be a measure.
  std::vector<double> rewards;
  for (int i = 0; i < kept_.size(); ++i) {
    if (valid_[static_cast<size_t>(i)] != 0 && kept_.action(i)[heads_] == 0) {
      rewards.push_back(kept_.reward(i));
    }
  }
  return missed < MomentsOf(rewards).variance * static_cast<double>(predictions_.size());
}

void Dyna::Tell(PointPicker& picker, const int* action, const StepResult& result) {
  std::copy_n(action, heads_, row_.begin());
  row_.back() = 0;
  if (predicted_ && result.valid) {
    predictions_.push_back(prediction_);
    outcomes_.push_back(result.reward);
    if (static_cast<int>(predictions_.size()) > dyna_.judged) {
      predictions_.erase(predictions_.begin());
      outcomes_.erase(outcomes_.begin());
    }
  }
  predicted_ = false;
  for (int i = 0; i < kept_.size(); ++i) {
    // A repeat: the model takes no point twice.
    if (std::equal(row_.begin(), row_.end(), kept_.action(i))) return;
  }
  if (kept_.size() > 1 && dyna_.rounds > 0) {
    const Moments moments = MomentsOf(kept_.rewards());
    batch_.Clear();
    policy_.Append(picker, action, &batch_);
    const double spread = std::sqrt(moments.variance) + 1e-9;
    batch_.advantages = {std::clamp((result.reward - moments.mean) / spread, -1.0, 1.0)};
    policy_.Update(batch_, dyna_.on_truth);
  }
  kept_.Add(row_.data(), result.reward);
  valid_.push_back(result.valid ? 1 : 0);
  if (kept_.size() > kMostKept) Forget();
}

void Dyna::Forget() {
  // The oldest of another problem; without one, the oldest that is not of the better half.
  int victim = 0;
  while (victim < kept_.size() && kept_.action(victim)[heads_] == 0) ++victim;
  if (victim == kept_.size()) {
    std::vector<double> sorted = kept_.rewards();
    std::sort(sorted.begin(), sorted.end());
    const double middle = sorted[sorted.size() / 2];
    for (victim = 0; kept_.reward(victim) > middle; ++victim) {
    }
  }
  kept_.Remove(victim);
  valid_.erase(valid_.begin() + victim);
}

void Dyna::ProblemChanged() {
  // Every evaluation is one problem older now; the oldest go.
  PointStore older(heads_ + 1);
  std::vector<uint8_t> valid;
  for (int i = 0; i < kept_.size(); ++i) {
    std::copy_n(kept_.action(i), heads_ + 1, row_.begin());
    if (++row_.back() == kMostProblems) continue;
    older.Add(row_.data(), kept_.reward(i));
    valid.push_back(valid_[static_cast<size_t>(i)]);
  }
  kept_ = older;
  valid_ = valid;
  learned_at_ = 0;
  predictions_.clear();
  outcomes_.clear();
}

void Dyna::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  policy_.Save(archive, prefix + "policy/");
  kept_.Save(archive, prefix + "kept/");
  archive.PutVector(prefix + "valid", valid_);
  archive.PutVector(prefix + "reward_logs", reward_.logs());
  archive.PutVector(prefix + "validity_logs", validity_.logs());
  archive.Put(prefix + "learned_at", learned_at_);
  archive.PutVector(prefix + "predictions", predictions_);
  archive.PutVector(prefix + "outcomes", outcomes_);
}

void Dyna::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  std::vector<double> reward_logs, validity_logs;
  policy_.Load(archive, prefix + "policy/");
  kept_.Load(archive, prefix + "kept/");
  archive.GetVector(prefix + "valid", &valid_);
  archive.GetVector(prefix + "reward_logs", &reward_logs);
  archive.GetVector(prefix + "validity_logs", &validity_logs);
  archive.Get(prefix + "learned_at", &learned_at_);
  archive.GetVector(prefix + "predictions", &predictions_);
  archive.GetVector(prefix + "outcomes", &outcomes_);
  if (reward_logs.size() == reward_.logs().size()) reward_.set_logs(reward_logs);
  if (validity_logs.size() == validity_.logs().size()) validity_.set_logs(validity_logs);
  if (valid_.size() != static_cast<size_t>(kept_.size()) ||
      predictions_.size() != outcomes_.size()) {
    kept_.Clear();
    valid_.clear();
    predictions_.clear();
    outcomes_.clear();
  }
}

}  // namespace rhnas::rl
