#include "rl/genetic.h"

#include <algorithm>

namespace rhnas::rl {

namespace {

// Children that are forbidden or known are made again so often; then the last is mutated until it
// is neither.
constexpr int kTries = 64;

}  // namespace

Genetic::Genetic(const AgentOptions& options, const Environment& environment,
                 const GeneticOptions& genetic)
    : BlackBox("genetic", options, environment),
      genetic_(genetic),
      size_(genetic.population),
      parents_(static_cast<int>(environment.action_sizes().size())),
      generation_(parents_) {
  if (options.budget > 0) {
    const int64_t share = options.budget / genetic.population_share;
    size_ = static_cast<int>(std::clamp<int64_t>(
        share, std::min(GeneticOptions::kFewest, genetic.population), genetic.population));
  }
}

void Genetic::Child(PointPicker& picker, int* action) const {
  engine::Rng& rng = picker.rng();
  const int heads = picker.heads();
  const int mother = picker.Below(parents_.size()), father = picker.Below(parents_.size());
  std::copy_n(parents_.action(mother), heads, action);
  if (static_cast<double>(rng.Uniform()) < genetic_.crossover) {
    for (int h = 0; h < heads; ++h) {
      if (picker.Below(2) == 1) action[h] = parents_.action(father)[h];
    }
  }
  for (int h = 0; h < heads; ++h) {
    const int size = picker.sizes()[static_cast<size_t>(h)];
    if (static_cast<double>(rng.Uniform()) * heads < genetic_.mutations) {
      action[h] = picker.Below(size);
    }
  }
}

void Genetic::Ask(PointPicker& picker, int* action) {
  if (parents_.size() == 0) {
    picker.DrawNew(action);
    return;
  }
  for (int i = 0; i < kTries; ++i) {
    Child(picker, action);
    if (picker.Allowed(action) && !picker.Seen(action)) return;
  }
  std::copy_n(parents_.action(picker.Below(parents_.size())), picker.heads(), action);
  picker.Mutate(action);
}

void Genetic::Tell(PointPicker& /*picker*/, const int* action, const StepResult& result) {
  generation_.Add(action, result.reward);
  if (generation_.size() < size_) return;
  for (int i = 0; i < std::min(genetic_.elite, parents_.size()); ++i) {
    generation_.Add(parents_.action(i), parents_.reward(i));
  }
  generation_.KeepBest(std::max(2, static_cast<int>(genetic_.parents * size_)));
  parents_ = generation_;
  generation_.Clear();
}

void Genetic::ProblemChanged() {
  parents_.Clear();
  generation_.Clear();
}

void Genetic::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  parents_.Save(archive, prefix + "parents/");
  generation_.Save(archive, prefix + "generation/");
}

void Genetic::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  parents_.Load(archive, prefix + "parents/");
  generation_.Load(archive, prefix + "generation/");
}

}  // namespace rhnas::rl
