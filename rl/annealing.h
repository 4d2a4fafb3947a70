// Simulated annealing: Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing",
// Science 220, 1983. One head changes at a time; a worse point is accepted with probability
// exp(-loss / temperature) (Metropolis), and the temperature falls geometrically.
//
// The scale is measured: some random points come first, the best of them is where the walk starts,
// and the standard deviation of their rewards sets the first temperature (White 1984). The walk
// goes to points it has not seen while it can, since a known one teaches nothing.
#pragma once

#include "rl/black_box.h"

namespace rhnas::rl {

struct AnnealingOptions {
  double start = 0.1, end = 0.003;  // temperatures, in standard deviations of the first points
  int first_share = 8;  // one in so many evaluations is a first random point, within the limits
  int first_least = 2, first_most = 20;
  int64_t cooling = 300;  // steps of a walk where the budget is not known
  int restarts = 0;       // walks of one budget beyond the first, each from a random point
};

class Annealing : public BlackBox {
 public:
  Annealing(const AgentOptions& options, const Environment& environment,
            const AnnealingOptions& annealing = {});
  // Metropolis' rule; gain: new reward less the present one. In [0, 1]; temperature 0: only gains.
  static double AcceptProbability(double gain, double temperature);
  // After `step` of `steps` steps.
  static double Temperature(double start, double end, int64_t step, int64_t steps);

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  void StartWalk(const int* action, double reward);

  AnnealingOptions annealing_;
  int first_;
  int64_t walk_;       // steps of a walk
  PointStore firsts_;  // random points
  std::vector<int32_t> here_;
  double here_reward_ = 0, spread_ = 0;
  bool afresh_ = false;  // the next walk starts at a random point
  int64_t step_ = 0;     // of this walk
};

}  // namespace rhnas::rl
