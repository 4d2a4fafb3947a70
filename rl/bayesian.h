// Bayesian optimisation: a Gaussian process of the rewards (rl/gaussian_process.h), and the point
// of the greatest expected improvement next, one at a time: Jones, Schonlau and Welch, "Efficient
// global optimization of expensive black-box functions", J. Global Optimization 13, 1998; length
// scales per parameter with a Matern 5/2 kernel as Snoek, Larochelle and Adams, NIPS 2012.
//
// Cost stays bounded: at most kMostKept observations are kept (the best half and the latest), at
// most some thousand candidates are looked at, and the length scales are learned anew only as the
// observations grow by a tenth.
#pragma once

#include "rl/black_box.h"
#include "rl/gaussian_process.h"

namespace rhnas::rl {

struct BayesianOptions {
  int first_per_head = 2;  // random points before the first model, a head; at most a share:
  int first_share = 4;     // one in so many evaluations of the budget
  int all_below = 1024;    // problems of fewer points have all of them looked at; others:
  int random = 400;        // random candidates
  int parents = 4;         // of the best observations, whose neighbours are candidates
  int climbs = 8;          // steps from the best candidate to its best neighbour
};

class BayesianSearch : public BlackBox {
 public:
  static constexpr int kMostKept = 256;
  BayesianSearch(const AgentOptions& options, const Environment& environment,
                 const BayesianOptions& bayesian = {});

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  // Fits the process to the observations.
  void Model();
  void Candidates(PointPicker& picker, std::vector<int>* rows) const;

  BayesianOptions bayesian_;
  int first_;
  GaussianProcess process_;
  PointStore kept_;
  std::vector<uint8_t> valid_;  // of each observation
  int learned_at_ = 0;          // observations when the scales were learned
  double target_ = 0;           // the best value as the model sees it
};

}  // namespace rhnas::rl
