#include "rl/evolution.h"

#include <algorithm>

namespace rhnas::rl {

RegularizedEvolution::RegularizedEvolution(const AgentOptions& options,
                                           const Environment& environment,
                                           const EvolutionOptions& evolution)
    : BlackBox("evolution", options, environment),
      size_(evolution.population),
      population_(static_cast<int>(environment.action_sizes().size())) {
  if (options.budget > 0) {
    const int64_t share = options.budget / evolution.population_share;
    size_ = static_cast<int>(std::clamp<int64_t>(
        share, std::min(EvolutionOptions::kFewest, evolution.population), evolution.population));
  }
  sample_ = std::max(1, size_ / evolution.sample_share);
}

void RegularizedEvolution::Ask(PointPicker& picker, int* action) {
  if (population_.size() < size_) {
    picker.DrawNew(action);
    return;
  }
  int parent = picker.Below(population_.size());
  for (int i = 1; i < sample_; ++i) {
    const int rival = picker.Below(population_.size());
    if (population_.reward(rival) > population_.reward(parent)) parent = rival;
  }
  std::copy_n(population_.action(parent), picker.heads(), action);
  picker.Mutate(action);
}

void RegularizedEvolution::Tell(PointPicker& /*picker*/, const int* action,
                                const StepResult& result) {
  population_.Add(action, result.reward);
  if (population_.size() > size_) population_.Remove(0);
}

void RegularizedEvolution::SaveSearch(engine::ArchiveWriter& archive,
                                      const std::string& prefix) const {
  population_.Save(archive, prefix);
}

void RegularizedEvolution::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  population_.Load(archive, prefix);
}

}  // namespace rhnas::rl
