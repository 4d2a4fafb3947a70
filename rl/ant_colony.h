// Ant colony optimisation with one pheromone per value of each parameter, as in ArchGym
// (Krishnan et al., ISCA 2023), with the rules of Dorigo and Gambardella, "Ant colony system",
// IEEE Trans. Evol. Comput. 1, 1997: an ant takes the strongest value of a parameter with
// probability `greediness`, else one in proportion to the pheromones.
//
// Pheromones are those of the hyper-cube framework (Blum and Dorigo, IEEE Trans. SMC B 34, 2004):
// what evaporates is what is laid, so each parameter's sum stays 1 and rewards need no scale. The
// bounds are those of max-min ant system (Stuetzle and Hoos 2000), against stagnation.
#pragma once

#include "rl/black_box.h"

namespace rhnas::rl {

// Within ArchGym's sweep (2 to 64 ants, evaporation 0.1 to 1, greediness 0 to 1), the best of a
// few on five landscapes of the `vta` space; so are the shares.
struct AntColonyOptions {
  int ants = 8;              // between two updates
  double evaporation = 0.5;  // share of the pheromone replaced by an update
  double greediness = 0.4;
  double best_share = 0.8;  // of what is laid: by the best point of all; the rest by the best ants
  int layers = 2;           // best ants of a colony that lay
  double least = 0.02;      // of a parameter's pheromone, spread evenly over its values
};

class AntColony : public BlackBox {
 public:
  AntColony(const AgentOptions& options, const Environment& environment,
            const AntColonyOptions& colony = {});
  // One a value, head after head; each head's sum to 1.
  const std::vector<double>& pheromones() const { return pheromones_; }

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  void Walk(PointPicker& picker, double greediness, int* action) const;
  void Lay(const std::vector<int>& sizes, const int* action, double amount);
  void Update(const std::vector<int>& sizes);

  AntColonyOptions colony_;
  std::vector<double> pheromones_;
  PointStore ants_;  // of this colony
};

}  // namespace rhnas::rl
