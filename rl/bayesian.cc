#include "rl/bayesian.h"

#include <algorithm>

namespace rhnas::rl {

BayesianSearch::BayesianSearch(const AgentOptions& options, const Environment& environment,
                               const BayesianOptions& bayesian)
    : BlackBox("gp", options, environment),
      bayesian_(bayesian),
      first_(bayesian.first_per_head * static_cast<int>(environment.action_sizes().size())),
      process_(environment.action_sizes()),
      kept_(static_cast<int>(environment.action_sizes().size())) {
  if (options.budget > 0) {
    first_ = static_cast<int>(
        std::min<int64_t>(first_, std::max<int64_t>(1, options.budget / bayesian.first_share)));
  }
}

void BayesianSearch::Model() {
  const int n = kept_.size();
  // What cannot be built counts as the worst that can: a penalty below it would bend the model near
  // the border, where the best points often lie. While few are valid, though, the grades of the
  // penalties are what leads there.
  std::vector<double> valid;
  for (int i = 0; i < n; ++i) {
    if (valid_[static_cast<size_t>(i)] != 0) valid.push_back(kept_.reward(i));
  }
  std::vector<double> values = kept_.rewards();
  if (valid.size() + 1 >= process_.logs().size()) {
    const double worst = *std::min_element(valid.begin(), valid.end());
    for (size_t i = 0; i < values.size(); ++i) {
      if (valid_[i] == 0) values[i] = worst;
    }
  }
  std::vector<int> actions;
  for (int i = 0; i < n; ++i) {
    actions.insert(actions.end(), kept_.action(i),
                   kept_.action(i) + static_cast<std::ptrdiff_t>(process_.logs().size() - 1));
  }
  target_ = *std::max_element(values.begin(), values.end());
  if (learned_at_ == 0 || n < learned_at_ || n >= learned_at_ + std::max(2, learned_at_ / 10)) {
    process_.Learn(actions, values);
    learned_at_ = n;
  } else {
    process_.Fit(actions, values);
  }
}

void BayesianSearch::Candidates(PointPicker& picker, std::vector<int>* rows) const {
  const size_t heads = picker.sizes().size();
  int64_t points = 1;
  for (int size : picker.sizes()) points = std::min<int64_t>(points * size, int64_t{1} << 30);
  std::vector<int> point(heads, 0);
  if (points <= bayesian_.all_below) {
    for (int64_t p = 0; p < points; ++p) {
      int64_t left = p;
      for (size_t h = heads; h-- > 0; left /= picker.sizes()[h]) {
        point[h] = static_cast<int>(left % picker.sizes()[h]);
      }
      if (picker.Allowed(point.data())) rows->insert(rows->end(), point.begin(), point.end());
    }
    return;
  }
  for (int i = 0; i < bayesian_.random; ++i) {
    if (!picker.Draw(point.data())) break;
    rows->insert(rows->end(), point.begin(), point.end());
  }
  PointStore best = kept_;
  best.KeepBest(bayesian_.parents);
  std::vector<int> around;
  for (int i = 0; i < best.size(); ++i) {
    picker.Neighbours(best.action(i), &around);
    rows->insert(rows->end(), around.begin(), around.end());
  }
}

void BayesianSearch::Ask(PointPicker& picker, int* action) {
  if (kept_.size() < first_) {
    picker.DrawNew(action);
    return;
  }
  Model();
  std::vector<int> rows;
  Candidates(picker, &rows);
  const size_t heads = picker.sizes().size();
  double best = -1;
  for (int climb = 0; climb <= bayesian_.climbs; ++climb) {
    bool better = false;
    for (size_t row = 0; row + heads <= rows.size(); row += heads) {
      const int* point = &rows[row];
      if (picker.Seen(point)) continue;
      const double gain = ExpectedImprovement(process_.At(point), target_);
      if (gain <= best) continue;
      best = gain;
      better = true;
      std::copy_n(point, heads, action);
    }
    if (!better) break;
    picker.Neighbours(action, &rows);
  }
  if (best >= 0) return;
  // All candidates are known.
  std::copy(best_action().begin(), best_action().end(), action);
  picker.Mutate(action);
}

void BayesianSearch::Tell(PointPicker& picker, const int* action, const StepResult& result) {
  for (int i = 0; i < kept_.size(); ++i) {
    // A repeat: the model takes no point twice.
    if (std::equal(action, action + picker.heads(), kept_.action(i))) return;
  }
  kept_.Add(action, result.reward);
  valid_.push_back(result.valid ? 1 : 0);
  if (kept_.size() <= kMostKept) return;
  // The oldest that is not of the better half goes.
  std::vector<double> sorted = kept_.rewards();
  std::sort(sorted.begin(), sorted.end());
  int victim = 0;
  while (kept_.reward(victim) > sorted[sorted.size() / 2]) ++victim;
  kept_.Remove(victim);
  valid_.erase(valid_.begin() + victim);
}

void BayesianSearch::ProblemChanged() {
  kept_.Clear();
  valid_.clear();
}

void BayesianSearch::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  kept_.Save(archive, prefix);
  archive.PutVector(prefix + "valid", valid_);
  archive.PutVector(prefix + "logs", process_.logs());
  archive.Put(prefix + "learned_at", learned_at_);
}

void BayesianSearch::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  std::vector<double> logs;
  kept_.Load(archive, prefix);
  archive.GetVector(prefix + "valid", &valid_);
  archive.GetVector(prefix + "logs", &logs);
  archive.Get(prefix + "learned_at", &learned_at_);
  if (logs.size() == process_.logs().size()) process_.set_logs(logs);
  if (valid_.size() != static_cast<size_t>(kept_.size())) {
    kept_.Clear();
    valid_.clear();
  }
}

}  // namespace rhnas::rl
