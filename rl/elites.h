// The best recent proposals of a one-step problem, to be learned from again: priority-queue
// training (Abolafia et al., "Neural program synthesis with priority queue training", 2018). An
// evaluation of a design is dear, a second look at its result is not.
//
// Entries keep the observation and mask they were made under, so that a policy that sees the
// network learns what was good for that network. Old entries are dropped: rewards move when the
// problem does.
#pragma once

#include <string>
#include <vector>

#include "engine/archive.h"
#include "rl/rollout.h"

namespace rhnas::rl {

class Elites {
 public:
  // Keeps at most `capacity` entries, none older than `window` steps.
  Elites(int capacity, int64_t window) : capacity_(capacity), window_(window) {}

  // Takes in the one-step episodes of a rollout, made at the time `steps`. A proposal that is known
  // under the same observation has its reward and age renewed.
  void Add(const Rollout& rollout, int64_t steps);

  int size() const { return static_cast<int>(entries_.size()); }
  // Appends observation, mask and action of all entries, best first, to a rollout's rows.
  void AppendTo(Rollout* rollout) const;

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  // Errors are in the archive's status.
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  struct Entry {
    double reward = 0;
    int64_t steps = 0;
    std::vector<float> observation;
    std::vector<uint8_t> mask;
    std::vector<int32_t> action;
  };
  int capacity_;
  int64_t window_;
  std::vector<Entry> entries_;  // best first; among equals the earlier
};

}  // namespace rhnas::rl
