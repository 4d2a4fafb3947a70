// A genetic algorithm with generations (Holland 1975; as in the second stage of ConfuciuX: Kao,
// Jeong and Krishna, "ConfuciuX: autonomous hardware resource assignment for DNN accelerators",
// MICRO 2020): the best of a generation are the parents of the next, by uniform crossover and
// mutation, and the best few live on.
#pragma once

#include "rl/black_box.h"

namespace rhnas::rl {

// Population, parents and elite as in ConfuciuX's code: 20, 8, 1. Its crossover rate of 0.2 goes
// with one pair of genes a layer; here it was chosen on some networks of the `vta` space.
struct GeneticOptions {
  int population = 20;       // at most
  int population_share = 8;  // at most one in so many evaluations of the budget; at least kFewest
  double parents = 0.4;      // share of the population that has children
  int elite = 1;             // of a generation, that compete in the next one too
  double crossover = 0.7;    // children with two parents
  double mutations = 1;      // heads of a child that change on average
  static constexpr int kFewest = 6;
};

class Genetic : public BlackBox {
 public:
  Genetic(const AgentOptions& options, const Environment& environment,
          const GeneticOptions& genetic = {});
  // Those that have children now, best first; empty in the first generation.
  const PointStore& parents() const { return parents_; }

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  void Child(PointPicker& picker, int* action) const;

  GeneticOptions genetic_;
  int size_;
  PointStore parents_, generation_;
};

}  // namespace rhnas::rl
