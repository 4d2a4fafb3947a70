// What a joint search believes of accuracy, from the networks that were evaluated and nothing else:
// the counterpart of a supernet's weights where accuracies are looked up. Bayesian linear
// regression on the one-hot code of the choices and of their pairs (MacKay, "Information theory,
// inference, and learning algorithms", 2003, section 28), refined with every evaluation by
// recursive least squares, so that a refit costs O(features^2). An ensemble drawn from the
// posterior stands for what is not known (randomised observations and priors: Lu and Van Roy,
// "Ensemble sampling", 2017).
//
// The target is asinh((accuracy - floor) / 1 %): about linear near the floor, where it matters, and
// logarithmic far below, where cells that do not learn at all would else drown everything.
//
// Each member's mean is multilinear in the choice probabilities of a relaxed network, so that its
// expectation and gradient under a product of categorical distributions are exact.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/random.h"

namespace rhnas::search {

class AccuracyModel {
 public:
  static constexpr int kMembers = 8;
  // One-hot pairs are used up to so many features, beyond that the choices alone.
  static constexpr int kMostFeatures = 1200;

  // `sizes`: choices of each decision; accuracy_floor: 0 to 1.
  AccuracyModel(const std::vector<int>& sizes, double accuracy_floor, uint64_t seed);

  // Learns from one network (one choice a decision) and its accuracy, 0 to 1. The same networks in
  // the same order leave the same bits: a checkpoint is their list.
  void Add(const int* network, double accuracy);

  // Of the target, which is 0 at the floor: posterior mean, and the variance of an observation.
  double Mean(const int* network) const;
  double Variance(const int* network) const;
  double Target(double accuracy) const;

  // Expectation of a member (0 to kMembers - 1; kMembers: the posterior mean) when decision d takes
  // choice c with probability[offset(d) + c]; adds scale * derivative to gradient[] where it is not
  // null.
  double Relaxed(int member, const double* probability, double scale, double* gradient) const;

  const std::vector<int>& offsets() const { return offsets_; }
  int choices() const { return choices_; }

 private:
  int PairBase(int a, int b) const { return pair_base_[static_cast<size_t>(a * decisions_ + b)]; }
  // The features of a network that are 1.
  void Active(const int* network, std::vector<int>* active) const;

  std::vector<int> sizes_, offsets_, pair_base_;
  int decisions_, choices_ = 0, features_ = 0;
  bool pairs_ = false;
  double floor_;
  engine::Rng rng_;
  std::vector<double> covariance_;            // features x features, symmetric
  std::vector<double> mean_;                  // features
  std::vector<std::vector<double>> members_;  // features each
  // Squared errors of predictions near the floor, each over its variance, and how many; as if ten
  // had been as expected.
  double surprise_ = 10, surprises_ = 10;
  mutable std::vector<int> active_;
  std::vector<double> gain_;
};

}  // namespace rhnas::search
