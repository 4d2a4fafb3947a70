#include "rl/ant_colony.h"

#include <algorithm>

#include "rl/resample.h"

namespace rhnas::rl {

namespace {

// Known points are drawn again so often, less and less greedily.
constexpr int kTries = 64;

}  // namespace

AntColony::AntColony(const AgentOptions& options, const Environment& environment,
                     const AntColonyOptions& colony)
    : BlackBox("antcolony", options, environment),
      colony_(colony),
      ants_(static_cast<int>(environment.action_sizes().size())) {
  for (int size : environment.action_sizes()) {
    pheromones_.insert(pheromones_.end(), static_cast<size_t>(size), 1.0 / size);
  }
}

void AntColony::Walk(PointPicker& picker, double greediness, int* action) const {
  const double* strength = pheromones_.data();
  for (int h = 0; h < picker.heads(); ++h) {
    const int size = picker.sizes()[static_cast<size_t>(h)];
    const uint8_t* mask = picker.HeadMask(h, action);
    int strongest = -1, last = 0;
    double sum = 0;
    for (int v = 0; v < size; ++v) {
      if (mask[v] == 0) continue;
      if (strongest < 0 || strength[v] > strength[strongest]) strongest = v;
      sum += strength[v];
      last = v;
    }
    action[h] = std::max(strongest, 0);
    if (static_cast<double>(picker.rng().Uniform()) >= greediness) {
      double left = static_cast<double>(picker.rng().Uniform()) * sum;
      action[h] = last;
      for (int v = 0; v < last; ++v) {
        if (mask[v] == 0) continue;
        left -= strength[v];
        if (left < 0) {
          action[h] = v;
          break;
        }
      }
    }
    strength += size;
  }
}

void AntColony::Ask(PointPicker& picker, int* action) {
  // The first colony has nothing to be greedy of.
  double greediness = told() < colony_.ants ? 0 : colony_.greediness;
  for (int known = 0, forbidden = 0; known < kTries && forbidden < kMostRedraws;) {
    Walk(picker, greediness, action);
    if (!picker.Allowed(action)) {
      ++forbidden;
    } else if (picker.Seen(action)) {
      ++known;
      greediness *= 0.5;
    } else {
      return;
    }
  }
  if (told() > 0) {
    std::copy(best_action().begin(), best_action().end(), action);
    picker.Mutate(action);
  } else {
    picker.DrawNew(action);
  }
}

void AntColony::Lay(const std::vector<int>& sizes, const int* action, double amount) {
  double* strength = pheromones_.data();
  for (size_t h = 0; h < sizes.size(); ++h) {
    strength[action[h]] += amount;
    strength += sizes[h];
  }
}

void AntColony::Update(const std::vector<int>& sizes) {
  for (double& strength : pheromones_) strength *= 1 - colony_.evaporation;
  ants_.KeepBest(colony_.layers);
  // Weights fall linearly with the rank.
  const double ranks = 0.5 * ants_.size() * (ants_.size() + 1);
  for (int rank = 0; rank < ants_.size(); ++rank) {
    Lay(sizes, ants_.action(rank),
        colony_.evaporation * (1 - colony_.best_share) * (ants_.size() - rank) / ranks);
  }
  Lay(sizes, best_action().data(), colony_.evaporation * colony_.best_share);
  ants_.Clear();
  // A floor under each value that leaves the sum as it is.
  double* strength = pheromones_.data();
  for (int size : sizes) {
    for (int v = 0; v < size; ++v) {
      strength[v] = (1 - colony_.least) * strength[v] + colony_.least / size;
    }
    strength += size;
  }
}

void AntColony::Tell(PointPicker& picker, const int* action, const StepResult& result) {
  ants_.Add(action, result.reward);
  if (ants_.size() >= colony_.ants) Update(picker.sizes());
}

void AntColony::ProblemChanged() { ants_.Clear(); }

void AntColony::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "pheromones", pheromones_);
  ants_.Save(archive, prefix + "ants/");
}

void AntColony::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "pheromones", &pheromones_);
  ants_.Load(archive, prefix + "ants/");
}

}  // namespace rhnas::rl
