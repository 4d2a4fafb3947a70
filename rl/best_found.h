// The best valid action of a one-step problem so far: what a black box answers with.
#pragma once

#include <string>
#include <vector>

#include "rl/agent.h"
#include "rl/categorical.h"

namespace rhnas::rl {

class BestFound {
 public:
  // An invalid action counts only until there is a valid one.
  void Consider(const int* action, size_t heads, const StepResult& result) {
    if (!action_.empty() && (valid_ ? !result.valid || result.reward <= reward_
                                    : !result.valid && result.reward <= reward_)) {
      return;
    }
    action_.assign(action, action + heads);
    reward_ = result.reward;
    valid_ = result.valid;
  }
  void Forget() { action_.clear(); }
  bool valid() const { return !action_.empty() && valid_; }
  double reward() const { return reward_; }
  // With choices that are forbidden now replaced by the first allowed one; before the first action
  // all first choices.
  std::vector<int> Action(const Environment& environment) const;

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  std::vector<int> action_;
  double reward_ = 0;
  bool valid_ = false;
};

}  // namespace rhnas::rl
