#include "rl/exhaustive.h"

#include <algorithm>

namespace rhnas::rl {

bool Exhaustive::Enumerable(const Environment& environment) {
  int64_t points = 1;
  for (int size : environment.action_sizes()) {
    if (points > kMost / size) return false;
    points *= size;
  }
  return true;
}

Exhaustive::Exhaustive(const AgentOptions& options, const Environment& environment)
    : BlackBox("exhaustive", options, environment), next_(environment.action_sizes().size(), -1) {}

void Exhaustive::Advance(PointPicker& picker) {
  ready_ = true;
  const int last = picker.heads() - 1;
  int head = next_[0] < 0 ? 0 : last;
  while (head >= 0) {
    const size_t h = static_cast<size_t>(head);
    const int size = picker.sizes()[h];
    const uint8_t* mask = picker.HeadMask(head, next_.data());
    do ++next_[h];
    while (next_[h] < size && mask[next_[h]] == 0);
    if (next_[h] >= size) {
      --head;
    } else if (head < last) {
      next_[static_cast<size_t>(++head)] = -1;
    } else if (picker.Allowed(next_.data())) {
      return;
    }
  }
  done_ = true;
}

void Exhaustive::Ask(PointPicker& picker, int* action) {
  if (!ready_) Advance(picker);
  if (!done_) {
    std::copy(next_.begin(), next_.end(), action);
  } else if (told() > 0) {
    std::copy(best_action().begin(), best_action().end(), action);
  } else {  // nothing is allowed
    std::fill_n(action, picker.heads(), 0);
  }
}

void Exhaustive::Tell(PointPicker& picker, const int* action, const StepResult& /*result*/) {
  // At once, so that Done() is known after the last point.
  if (!done_ && ready_ && std::equal(next_.begin(), next_.end(), action)) Advance(picker);
}

void Exhaustive::ProblemChanged() {
  std::fill(next_.begin(), next_.end(), -1);
  ready_ = done_ = false;
}

void Exhaustive::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "next", next_);
  archive.Put(prefix + "ready", ready_);
  archive.Put(prefix + "done", done_);
}

void Exhaustive::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "next", &next_);
  archive.Get(prefix + "ready", &ready_);
  archive.Get(prefix + "done", &done_);
}

}  // namespace rhnas::rl
