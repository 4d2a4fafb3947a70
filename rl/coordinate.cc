#include "rl/coordinate.h"

#include <algorithm>

namespace rhnas::rl {

CoordinateDescent::CoordinateDescent(const AgentOptions& options, const Environment& environment)
    : BlackBox("coordinate", options, environment) {}

void CoordinateDescent::Consider(const int* action, double reward) {
  if (reward <= best_reward_of_line_) return;
  best_.assign(action, action + best_.size());
  best_reward_of_line_ = reward;
}

bool CoordinateDescent::NextOfDescent(PointPicker& picker, int* action) {
  const int heads = picker.heads();
  for (;;) {
    const int head = order_[static_cast<size_t>(turn_)];
    while (value_ < picker.sizes()[static_cast<size_t>(head)]) {
      std::copy(center_.begin(), center_.end(), action);
      action[head] = value_++;
      double known;
      if (action[head] == center_[static_cast<size_t>(head)] || !picker.Allowed(action)) continue;
      if (!picker.SeenReward(action, &known)) return true;
      Consider(action, known);
    }
    quiet_ = best_ == center_ ? quiet_ + 1 : 0;
    center_ = best_;
    value_ = 0;
    turn_ = (turn_ + 1) % heads;
    if (quiet_ >= heads) return false;
  }
}

void CoordinateDescent::Ask(PointPicker& picker, int* action) {
  if (started_ && NextOfDescent(picker, action)) return;
  started_ = false;
  const int heads = picker.heads();
  order_.resize(static_cast<size_t>(heads));
  picker.rng().Permutation(heads, order_.data());
  picker.DrawNew(action);
}

void CoordinateDescent::Tell(PointPicker& picker, const int* action, const StepResult& result) {
  if (started_) {
    Consider(action, result.reward);
    return;
  }
  center_.assign(action, action + picker.heads());
  best_ = center_;
  best_reward_of_line_ = result.reward;
  started_ = true;
  turn_ = value_ = quiet_ = 0;
  ++restarts_;
  if (order_.empty()) {  // the best was proposed anew before any descent
    order_.resize(center_.size());
    picker.rng().Permutation(picker.heads(), order_.data());
  }
}

void CoordinateDescent::ProblemChanged() { started_ = false; }

void CoordinateDescent::SaveSearch(engine::ArchiveWriter& archive,
                                   const std::string& prefix) const {
  archive.PutVector(prefix + "center", center_);
  archive.PutVector(prefix + "best", best_);
  archive.PutVector(prefix + "order", order_);
  archive.Put(prefix + "best_reward", best_reward_of_line_);
  archive.Put(prefix + "started", started_);
  archive.Put(prefix + "turn", turn_);
  archive.Put(prefix + "value", value_);
  archive.Put(prefix + "quiet", quiet_);
  archive.Put(prefix + "restarts", restarts_);
}

void CoordinateDescent::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "center", &center_);
  archive.GetVector(prefix + "best", &best_);
  archive.GetVector(prefix + "order", &order_);
  archive.Get(prefix + "best_reward", &best_reward_of_line_);
  archive.Get(prefix + "started", &started_);
  archive.Get(prefix + "turn", &turn_);
  archive.Get(prefix + "value", &value_);
  archive.Get(prefix + "quiet", &quiet_);
  archive.Get(prefix + "restarts", &restarts_);
}

}  // namespace rhnas::rl
