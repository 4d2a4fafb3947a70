// Tables over sequential decisions. In a state of an environment the heads of an action are chosen
// one after the other, each knowing those before, so that a multi-discrete action is a path in a
// tree and a table over the tree's nodes is exact for it. A one-step problem without states is the
// tree alone; a problem with one head is the ordinary table of states and actions.
//
// Not here: what the entries mean (rl/temporal_difference.h: values; rl/softmax_table.h:
// preferences).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rl/environment.h"
#include "rl/resample.h"

namespace rhnas::rl {

// What was decided in one state.
struct Decision {
  int state = 0;
  std::vector<int> action;    // one choice a head
  std::vector<uint8_t> mask;  // head after head: what each was allowed, given the choices before it
};

class DecisionTree {
 public:
  // Entries beyond which a problem is refused: 32 MiB of doubles.
  static constexpr int64_t kMaxEntries = int64_t{1} << 22;
  // Entries a problem needs, or kMaxEntries + 1 if more than kMaxEntries.
  static int64_t Entries(const Environment& environment);

  // REQUIRES: Entries(environment) <= kMaxEntries.
  explicit DecisionTree(const Environment& environment);

  size_t entries() const { return entries_; }
  int heads() const { return static_cast<int>(sizes_.size()); }
  int size(int head) const { return sizes_[static_cast<size_t>(head)]; }
  // Where a head's choices begin in Decision::mask.
  int offset(int head) const { return offsets_[static_cast<size_t>(head)]; }
  // The entry of choice 0 of `head` in `state` after the choices action[0, head).
  size_t Node(int state, int head, const int* action) const;

  // Fails (RHNAS_CHECK) unless the environment has the heads this tree was made for.
  void Check(const Environment& environment) const;

  // Decides for the environment as it stands: choose(node, head, mask) -> an allowed choice.
  // Honours Mask and MaskHead.
  template <class Choose>
  void Decide(const Environment& environment, Choose choose, Decision* decision) const {
    Begin(environment, decision);
    for (int head = 0; head < heads(); ++head) {
      const uint8_t* mask = Allowed(environment, head, decision);
      decision->action[static_cast<size_t>(head)] =
          choose(Node(decision->state, head, decision->action.data()), head, mask);
    }
  }
  // The same, again and again until the environment admits the action (rl/resample.h).
  template <class Choose>
  void DecideAdmissible(const Environment& environment, Choose choose, Decision* decision) const {
    decision->action.resize(sizes_.size());
    DrawAdmissible(environment, decision->action.data(),
                   [&] { Decide(environment, choose, decision); });
  }

 private:
  void Begin(const Environment& environment, Decision* decision) const;
  const uint8_t* Allowed(const Environment& environment, int head, Decision* decision) const;

  std::vector<int> sizes_, offsets_;  // of heads, and where each lies in a mask
  std::vector<size_t> head_base_;     // where each head's nodes start within a state's entries
  size_t state_entries_ = 0, entries_ = 0;
};

}  // namespace rhnas::rl
