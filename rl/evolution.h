// Regularized (ageing) evolution: Real, Aggarwal, Huang and Le, "Regularized evolution for image
// classifier architecture search", AAAI 2019, algorithm 1. The best of a random sample of the
// population has one child by mutation, and the oldest of the population dies, however good.
#pragma once

#include "rl/black_box.h"

namespace rhnas::rl {

// The paper's are population 100 and sample 25 for 20,000 evaluations. A search of some hundreds
// would end before such a population were full, so it gets a share of the budget.
struct EvolutionOptions {
  int population = 100;      // at most
  int population_share = 4;  // at most one in so many evaluations of the budget; at least kFewest
  int sample_share = 2;      // one in so many of the population is in a tournament
  static constexpr int kFewest = 8;
};

class RegularizedEvolution : public BlackBox {
 public:
  RegularizedEvolution(const AgentOptions& options, const Environment& environment,
                       const EvolutionOptions& evolution = {});
  // The living, oldest first.
  const PointStore& population() const { return population_; }
  int population_size() const { return size_; }

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  int size_, sample_;
  PointStore population_;
};

}  // namespace rhnas::rl
