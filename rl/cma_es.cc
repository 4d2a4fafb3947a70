#include "rl/cma_es.h"

#include <algorithm>
#include <cmath>

#include "rl/resample.h"

namespace rhnas::rl {

namespace {

// Known samples in a row before any new point is taken: several generations of them.
constexpr int kMostKnown = 256;
constexpr int kMostLambda = 256;

}  // namespace

CmaEs::CmaEs(const AgentOptions& options, const Environment& environment, const CmaEsOptions& cma)
    : BlackBox("cmaes", options, environment),
      cma_(cma),
      core_(std::vector<double>(environment.action_sizes().size(), 0.5), cma.sigma),
      x_(environment.action_sizes().size()) {}

void CmaEs::Restart(PointPicker& picker) {
  const int lambda = begun_ ? std::min(kMostLambda, static_cast<int>(core_.lambda() * cma_.growth))
                            : core_.lambda();
  std::vector<double> mean(x_.size(), 0.5);
  std::vector<int> action(x_.size());
  if (begun_ && picker.DrawNew(action.data())) {
    for (size_t h = 0; h < x_.size(); ++h) mean[h] = (action[h] + 0.5) / picker.sizes()[h];
  }
  core_ = CovarianceAdaptation(mean, cma_.sigma, lambda);
  generation_.clear();
  rewards_.clear();
  new_ = stale_ = 0;
  begun_ = true;
}

void CmaEs::Draw(PointPicker& picker, int* action) {
  for (int i = 0; i < kMostRedraws; ++i) {
    core_.Sample(picker.rng(), x_.data());
    bool inside = true;
    for (size_t h = 0; h < x_.size(); ++h) {
      const int size = picker.sizes()[h];
      inside = inside && x_[h] >= 0 && x_[h] < 1;
      if (!inside) break;
      action[h] = std::min(size - 1, static_cast<int>(x_[h] * size));
    }
    if (inside && picker.Allowed(action)) return;
  }
  picker.Draw(action);
  for (size_t h = 0; h < x_.size(); ++h) x_[h] = (action[h] + 0.5) / picker.sizes()[h];
}

void CmaEs::Count(PointPicker& picker, double reward, bool is_new) {
  generation_.insert(generation_.end(), x_.begin(), x_.end());
  rewards_.push_back(reward);
  new_ += is_new ? 1 : 0;
  const size_t lambda = static_cast<size_t>(core_.lambda()), n = x_.size();
  if (rewards_.size() < lambda) return;
  std::vector<int> order(lambda);
  for (size_t i = 0; i < lambda; ++i) order[i] = static_cast<int>(i);
  std::sort(order.begin(), order.end(), [this](int a, int b) {
    const double ra = rewards_[static_cast<size_t>(a)], rb = rewards_[static_cast<size_t>(b)];
    return ra != rb ? ra > rb : a < b;
  });
  std::vector<double> sorted;
  for (int row : order) {
    const auto first =
        generation_.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * n);
    sorted.insert(sorted.end(), first, first + static_cast<std::ptrdiff_t>(n));
  }
  core_.Update(sorted);
  for (size_t h = 0; h < n; ++h) {
    core_.Widen(static_cast<int>(h), cma_.margin / picker.sizes()[h]);
  }
  stale_ = new_ == 0 ? stale_ + 1 : 0;
  generation_.clear();
  rewards_.clear();
  new_ = 0;
  // Generations that wander off the cube or grow beyond it are of no use either.
  if (stale_ >= cma_.stale || core_.sigma() > 10 || !std::isfinite(core_.sigma())) Restart(picker);
}

void CmaEs::Ask(PointPicker& picker, int* action) {
  if (!begun_) Restart(picker);
  asked_ = true;
  for (int known = 0; known < kMostKnown; ++known) {
    Draw(picker, action);
    double reward;
    if (!picker.SeenReward(action, &reward)) return;
    Count(picker, reward, false);
  }
  if (told() > 0) {
    std::copy(best_action().begin(), best_action().end(), action);
    picker.Mutate(action);
  }
  for (size_t h = 0; h < x_.size(); ++h) x_[h] = (action[h] + 0.5) / picker.sizes()[h];
}

void CmaEs::Tell(PointPicker& picker, const int* /*action*/, const StepResult& result) {
  if (!asked_) return;
  asked_ = false;
  Count(picker, result.reward, true);
}

void CmaEs::ProblemChanged() {
  generation_.clear();
  rewards_.clear();
  new_ = stale_ = 0;
  asked_ = false;
}

void CmaEs::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  core_.Save(archive, prefix + "core/");
  archive.PutVector(prefix + "generation", generation_);
  archive.PutVector(prefix + "rewards", rewards_);
  archive.Put(prefix + "new", new_);
  archive.Put(prefix + "stale", stale_);
  archive.Put(prefix + "begun", begun_);
}

void CmaEs::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  core_.Load(archive, prefix + "core/");
  archive.GetVector(prefix + "generation", &generation_);
  archive.GetVector(prefix + "rewards", &rewards_);
  archive.Get(prefix + "new", &new_);
  archive.Get(prefix + "stale", &stale_);
  archive.Get(prefix + "begun", &begun_);
  if (generation_.size() != rewards_.size() * x_.size()) {
    generation_.clear();
    rewards_.clear();
  }
}

}  // namespace rhnas::rl
