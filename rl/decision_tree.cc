#include "rl/decision_tree.h"

#include <algorithm>

#include "engine/check.h"

namespace rhnas::rl {

int64_t DecisionTree::Entries(const Environment& environment) {
  const int64_t states = std::max(environment.states(), 1);
  int64_t nodes = 1, entries = 0;
  for (int size : environment.action_sizes()) {
    nodes *= size;
    entries += nodes;
    if (entries > kMaxEntries / states) return kMaxEntries + 1;
  }
  return entries * states;
}

DecisionTree::DecisionTree(const Environment& environment) : sizes_(environment.action_sizes()) {
  const int64_t entries = Entries(environment);
  RHNAS_CHECK(entries <= kMaxEntries, "a table of more than %lld entries",
              static_cast<long long>(kMaxEntries));
  int offset = 0;
  size_t nodes = 1;
  for (int size : sizes_) {
    offsets_.push_back(offset);
    offset += size;
    head_base_.push_back(state_entries_);
    nodes *= static_cast<size_t>(size);
    state_entries_ += nodes;
  }
  entries_ = static_cast<size_t>(entries);
}

size_t DecisionTree::Node(int state, int head, const int* action) const {
  size_t path = 0;
  for (int i = 0; i < head; ++i) {
    path =
        path * static_cast<size_t>(sizes_[static_cast<size_t>(i)]) + static_cast<size_t>(action[i]);
  }
  const size_t h = static_cast<size_t>(head);
  return static_cast<size_t>(state) * state_entries_ + head_base_[h] +
         path * static_cast<size_t>(sizes_[h]);
}

void DecisionTree::Check(const Environment& environment) const {
  RHNAS_CHECK(environment.action_sizes() == sizes_, "the agent was made for %zu heads, found %zu",
              sizes_.size(), environment.action_sizes().size());
}

void DecisionTree::Begin(const Environment& environment, Decision* decision) const {
  decision->state = environment.state();
  decision->action.resize(sizes_.size());
  const size_t choices = static_cast<size_t>(offsets_.back() + sizes_.back());
  decision->mask.resize(choices);
  if (!environment.Mask(decision->mask.data())) decision->mask.assign(choices, 1);
}

const uint8_t* DecisionTree::Allowed(const Environment& environment, int head,
                                     Decision* decision) const {
  uint8_t* mask = decision->mask.data() + offset(head);
  environment.MaskHead(head, decision->action.data(), mask);
  RHNAS_CHECK(std::count(mask, mask + size(head), 0) < size(head),
              "head %d: every one of %d choices is masked", head, size(head));
  return mask;
}

}  // namespace rhnas::rl
