#include "rl/best_found.h"

#include "engine/check.h"

namespace rhnas::rl {

std::vector<int> BestFound::Action(const Environment& environment) const {
  const HeadLayout layout(environment.action_sizes());
  std::vector<int> action = action_;
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

void BestFound::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "action", action_);
  archive.Put(prefix + "reward", reward_);
  archive.Put(prefix + "valid", valid_);
}

void BestFound::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "action", &action_);
  archive.Get(prefix + "reward", &reward_);
  archive.Get(prefix + "valid", &valid_);
}

}  // namespace rhnas::rl
