// A Gaussian process over the points of a discrete problem (Rasmussen and Williams, "Gaussian
// processes for machine learning", 2006, algorithm 2.1), without noise but for a nugget.
//
// The correlation of two points is the product over the heads of a Matern 5/2 function of the
// distance of their choices, taken as ordinal positions in [0, 1], in units of the head's length
// scale (the tensor-product form of Roustant, Ginsbourger and Deville, J. Stat. Software 51, 2012):
// so all of it stands in one small table a head. The constant mean and the variance have their
// maximum-likelihood values in closed form (Jones, Schonlau and Welch 1998, equations 5 and 6); the
// length scales and the nugget are searched for the rest of the likelihood.
#pragma once

#include <vector>

namespace rhnas::rl {

struct Posterior {
  double mean = 0, variance = 0;
};

class GaussianProcess {
 public:
  explicit GaussianProcess(const std::vector<int>& sizes);

  // log2 of the length scales, one a head, and log2 of the nugget's share of the variance.
  const std::vector<double>& logs() const { return logs_; }
  void set_logs(const std::vector<double>& logs);

  // actions: rows x heads, row after row. Mean, variance and factor for the present scales.
  // REQUIRES: rows >= 1.
  void Fit(const std::vector<int>& actions, const std::vector<double>& values);
  // Searches scales of higher marginal likelihood (times a weak prior, see .cc) for the data, from
  // the present ones; leaves the process fitted.
  void Learn(const std::vector<int>& actions, const std::vector<double>& values);
  // Of the data, at their scales. REQUIRES: Fit.
  double log_likelihood() const { return log_likelihood_; }
  double mean() const { return mean_; }
  double variance() const { return variance_; }
  double Correlation(const int* a, const int* b) const;

  // Of the value at a point. REQUIRES: Fit. Not const: scratch space.
  Posterior At(const int* action);

 private:
  double Score(const std::vector<int>& actions, const std::vector<double>& values);

  std::vector<int> sizes_, offsets_;
  std::vector<double> logs_;
  std::vector<double> table_;  // correlation by head and distance in choices
  int rows_ = 0;
  std::vector<int> actions_;
  std::vector<double> factor_, alpha_, scratch_;
  double mean_ = 0, variance_ = 0, log_likelihood_ = 0;
};

// Expected improvement over `best` (larger is better); where the variance is 0, what the mean is
// above it, or 0.
double ExpectedImprovement(const Posterior& posterior, double best);

}  // namespace rhnas::rl
