// Training an agent on random networks of a space, so that it proposes hardware for networks it has
// never seen, and testing it on such.
//
// The landscape of a training network is a sum of rows (search/space_costs.h), so the reward of
// every point is known and the policy gradient may be exact: with p the policy over the n points
// allowed, R = -log(objective / best) and temperature T, the objective E_p[R] / T + H(p) has the
// gradient p(x) (A(x) - E_p[A]), A = R / T - log p, in the logits. The sampled form is REINFORCE
// with entropy regularisation on draws from p with their mean as baseline. T falls geometrically.
// Area caps are drawn too, and observed.
//
// A hash of the genotype halves the networks: training draws from one half, tests from the other,
// so that no test network was trained on in a small space either.
#pragma once

#include <atomic>

#include "search/proposer.h"
#include "search/space_costs.h"

namespace rhnas::search {

struct PretrainOptions {
  int batch = 16;    // networks a step
  int samples = 32;  // designs a network, of the sampled gradient
  float learning_rate = 2e-3f;
  int64_t most_steps = 0;  // of this call; 0: all that are left
  double temperature = 0.3, temperature_final = 0.01;
};

// Trains from head.steps to head.all_steps, or until *stop; every step depends on seed and step
// number alone, so a resumed training gives the same bits.
void Pretrain(Proposer& proposer, const nn::Space& networks, const SpaceCosts& costs,
              const PretrainOptions& options, ProgressSink* sink, const std::atomic<bool>& stop);

struct ProposalGaps {
  std::vector<double> gaps;  // objective / exact optimum - 1, ascending
  double share_within(double gap) const;
  double quantile(double share) const;  // REQUIRES: gaps not empty
};
// On `count` random networks of the half that no training draws from. area_max: 0 none.
// Empty gaps: no point can be built under the cap.
ProposalGaps TestProposer(Proposer& proposer, const nn::Space& networks, const SpaceCosts& costs,
                          double area_max, int count, uint64_t seed);

}  // namespace rhnas::search
