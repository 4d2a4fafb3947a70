// The differentiable half of a joint search: which network to evaluate next, by a gradient through
// relaxed choices (Liu et al., "DARTS", 2019; Cai et al., "ProxylessNAS", 2019), with the cost of
// every choice on the current accelerator and an accuracy model in place of supernet weights.
//
//   minimise over logits   log objective(E cost) + lambda E softplus(-accuracy target)
//
// The expected cost is linear in the probabilities and the accuracy model's expectation
// multilinear, so both gradients are exact. lambda, the multiplier of the accuracy floor, grows
// while proposals miss it and falls while they meet it. Each proposal descends under members of the
// accuracy model's ensemble (Thompson sampling), draws networks from the relaxed distributions it
// arrives at and takes the draw of the greatest expected improvement under the floor (Schonlau,
// Welch and Jones 1998; Gardner et al. 2014) that was not evaluated yet.
#pragma once

#include <set>
#include <vector>

#include "engine/archive.h"
#include "engine/random.h"
#include "search/accuracy_model.h"
#include "search/objective.h"

namespace rhnas::search {

// Costs of choices on one accelerator, around one network: what a layer table says.
class ChoiceTable {
 public:
  // base: one choice a decision; by_choice: the whole cost with each choice put in (decisions in
  // order, then choices).
  ChoiceTable() = default;
  ChoiceTable(const std::vector<int>& sizes, const int* base,
              const std::vector<DesignCost>& by_choice);

  // Natural logarithm of the objective of the expected latency and energy when each choice is taken
  // with its probability (laid out like by_choice), and its derivatives (may be null).
  double LogObjective(Objective objective, const double* probability, double* gradient) const;

 private:
  double latency_ = 1, energy_ = 1;  // of the base
  std::vector<double> latency_more_, energy_more_;
};

// The objective's logarithm of a whole network on the current accelerator, exactly.
class NetworkPricer {
 public:
  virtual ~NetworkPricer() = default;
  // False: it does not run there.
  virtual bool LogObjective(const int* network, double* log_objective) const = 0;
};

class NetworkSearch {
 public:
  enum class Form {
    kExpectedImprovement,  // as above
    // As published differentiable searches do: one distribution that moves by one gradient step an
    // evaluation, under the accuracy model's mean; a proposal is a draw from it.
    kOneDistribution,
  };
  NetworkSearch(const std::vector<int>& sizes, Objective objective, double accuracy_floor,
                Form form, uint64_t seed);

  void SetCosts(ChoiceTable table) { table_ = std::move(table); }
  // What an evaluation said; a network seen before teaches nothing. The state is a function of what
  // was added in which order (a checkpoint is the list of evaluations), but for the one
  // distribution, which Save keeps.
  void Add(const int* network, double accuracy);
  // A network to evaluate, given the logarithm of the best objective so far and exact prices (edges
  // that share work make the expected cost of a draw differ from the network's own); never one that
  // was seen. REQUIRES: !exhausted().
  std::vector<int> Propose(double best_log_objective, const NetworkPricer& pricer,
                           engine::Rng& rng);

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

  double multiplier() const { return multiplier_; }
  // Every network was seen.
  bool exhausted() const { return static_cast<double>(seen_.size()) >= networks_; }
  // Those that reach the floor, in the order seen.
  const std::vector<std::vector<int>>& accurate() const { return accurate_; }

 private:
  double Score(const std::vector<int>& network, double best_log_objective,
               const NetworkPricer& pricer) const;
  void Draw(const std::vector<double>& probability, double uniform, engine::Rng& rng,
            std::vector<int>* network) const;
  std::vector<int> ProposeFromOne(engine::Rng& rng);
  void Descend(int member, engine::Rng& rng, std::vector<double>* probability);
  void Steps(int member, int steps, double rate, std::vector<double>* probability);
  std::vector<int> AnyUnseen(engine::Rng& rng) const;

  Form form_;
  std::vector<int> sizes_;
  Objective objective_;
  double floor_;
  AccuracyModel model_;
  ChoiceTable table_;
  std::set<std::vector<int>> seen_;
  std::vector<std::vector<int>> accurate_;
  std::vector<double> logits_, moment_, square_;
  double networks_ = 1;  // how many there are
  double multiplier_ = 1;
};

}  // namespace rhnas::search
