// The continuous core of CMA-ES: Hansen, "The CMA evolution strategy: a tutorial",
// arXiv 1604.00772 (2016), figure 6 with the defaults of table 1: weighted recombination, both
// evolution paths, rank-one and rank-mu update with negative weights, cumulative step size control.
// Knows no bounds and no discrete choices: those are rl/cma_es.h's.
#pragma once

#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/random.h"

namespace rhnas::rl {

class CovarianceAdaptation {
 public:
  // lambda: points of a generation; 0: 4 + floor(3 ln n). REQUIRES: mean not empty, sigma > 0,
  // lambda 0 or at least 4.
  CovarianceAdaptation(const std::vector<double>& mean, double sigma, int lambda = 0);

  int dimension() const { return n_; }
  int lambda() const { return lambda_; }
  const std::vector<double>& mean() const { return mean_; }
  double sigma() const { return sigma_; }
  // Standard deviation of the search along one axis.
  double Deviation(int axis) const;

  // Draws one point of the present distribution.
  void Sample(engine::Rng& rng, double* x) const;
  // points: lambda x n, best first. They may come from elsewhere than Sample.
  void Update(const std::vector<double>& points);
  // Raises the deviation along one axis to at least `least`, correlations as they are.
  void Widen(int axis, double least);

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  // Also a state of another lambda.
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  void SetConstants();
  void Decompose();
  // C^-1/2 y
  std::vector<double> Whiten(const double* y) const;

  int n_, lambda_, mu_ = 0;
  std::vector<double> weights_;  // lambda of them, falling; the last ones negative
  double mu_eff_ = 0, c_sigma_ = 0, d_sigma_ = 0, c_c_ = 0, c_1_ = 0, c_mu_ = 0, chi_ = 0;

  std::vector<double> mean_, covariance_, path_sigma_, path_c_;
  double sigma_;
  int64_t generation_ = 0;
  std::vector<double> axes_, lengths_;  // eigenvectors; square roots of the eigenvalues
};

}  // namespace rhnas::rl
