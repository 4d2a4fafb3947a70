// Choosing an accelerator as a one-step reinforcement-learning problem: an action is one index per
// parameter of the hardware space, the reward compares the design with the default accelerator on
// the same network.
//
// A valid design gets r = -log(objective / objective of the default); where a latency limit is
// missed, min(r, 0) - 4 log(latency / limit); at least kWorstValid. An invalid one gets
// kWorstValid - severity / 8, in [kWorstValid - 1, kWorstValid): bounded, below every valid design,
// graded by how far the rules are missed. A design that satisfies the rules but on which the
// network cannot run (a layer fits no tiling, or one layer's output is not the next one's input)
// counts as invalid too, with the full grade.
//
// How much of the rules the agent is told beforehand is a choice (InvalidHandling). Its counter is
// that of every comparison: a distinct point is one evaluation, valid or not; a repeat is free.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "hw/accelerator.h"
#include "hw/valid_set.h"
#include "rl/environment.h"
#include "search/cost_source.h"
#include "search/landscape.h"
#include "search/objective.h"

namespace rhnas::search {

// The four ways with designs that cannot be built. All but the first know the rules, the limits and
// which designs run networks at all (hw::ValidSet); what a network's own layers need, only its
// evaluation tells.
enum class InvalidHandling {
  kPenalty,     // the agent learns the rules from graded penalties
  kResample,    // it draws again, free of charge, until the rules are met (Admissible)
  kStaticMask,  // choices that no valid design has are masked; the rest is penalised
  kMask,        // choices after which no valid design is left are masked, parameter by parameter
};
const char* InvalidHandlingName(InvalidHandling handling);  // "penalty", "resample", ..
std::vector<std::string> InvalidHandlingNames();            // in the order of the enumeration

// What was proposed so far, over all networks.
struct Proposals {
  int64_t total = 0, valid = 0;
  int64_t distinct = 0, distinct_valid = 0;  // repeats left out; a point counts once a network
  // By rule of the accelerator's family: proposals that broke it (may be several), and one of them
  // with its reason.
  std::vector<int64_t> by_rule;
  std::vector<std::string> sample;
  int64_t unmappable = 0;  // valid, but the network cannot run there
};

class HardwareEnvironment : public rl::Environment {
 public:
  static constexpr double kWorstValid = -3.0;

  struct Setup {
    const hw::Accelerator* accelerator = nullptr;
    std::shared_ptr<const hw::DesignSpace> space;  // of the accelerator
    hw::Limits limits;
    hw::DesignPtr reference;  // the default accelerator on this platform
    CostSource costs;
    Objective objective = Objective::kEdp;
    double latency_max = 0;  // cycles; 0: none
    // Every answer on this space under these limits, for one network: the same results in a
    // microsecond each. Null: evaluated. REQUIRES: SetNetwork is called with that network alone.
    std::shared_ptr<const Landscape> landscape;
    InvalidHandling invalid = InvalidHandling::kPenalty;
    // The points that it goes by, where it needs them. Null: made at the first network, as those
    // that satisfy the limits and run networks. REQUIRES: of this space, not empty.
    std::shared_ptr<const hw::ValidSet> valid;
  };
  HardwareEnvironment(Setup setup, engine::ThreadPool& pool);

  // The network to design for. Forgets what was evaluated for another one; the incumbent stays and
  // is evaluated anew.
  void SetNetwork(const std::vector<hw::Layer>& layers);

  // rl::Environment
  const std::vector<int>& action_sizes() const override { return sizes_; }
  int observation_size() const override { return kObservation; }
  void Reset(engine::Rng& rng) override;
  void Observe(float* observation) const override;
  bool Mask(uint8_t* mask) const override;
  bool MaskHead(int head, const int* action, uint8_t* mask) const override;
  bool Admissible(const int* action) const override;
  rl::StepResult Act(const int* action, engine::Rng& rng) override;
  // log latency, log energy, log area, each of the ratio to the reference on this network.
  int metrics() const override { return kMetrics; }
  void Metrics(double* values) const override;
  // Holds for rewards above kWorstValid.
  bool MetricGoal(double* weight, double* limit) const override;

  const hw::DesignSpace& space() const { return *setup_.space; }

  // The best valid design for the current network so far; the reference itself until one beats it
  // (it always satisfies an area cap of 1.0), unless the reference breaks the limits: then none at
  // first.
  bool has_best() const { return best_valid_; }
  const hw::DesignPtr& best() const { return best_; }
  const DesignCost& best_cost() const { return best_cost_; }
  const DesignCost& reference_cost() const { return reference_cost_; }
  double best_reward() const { return best_reward_; }

  const Proposals& proposals() const { return proposals_; }
  // What a budget counts: distinct points proposed, valid or not, anew for each network.
  int64_t evaluations() const { return proposals_.distinct; }
  // Whole designs that the cost model was asked for, references and incumbents included.
  int64_t cost_evaluations() const { return cost_evaluations_; }

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  // REQUIRES: SetNetwork was called with the network of the time of Save.
  engine::Status Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  static constexpr int kObservation = 8, kMetrics = 3;
  // What is known of a point for the current network.
  struct Known {
    double reward = 0;
    uint64_t broken = 0;  // bit i: breaks rule i
    std::array<double, kMetrics> metrics{};
    bool valid() const { return broken == 0 && reward >= kWorstValid; }
  };
  double Reward(const DesignCost& cost) const;
  Known Ask(const std::vector<int>& index, int64_t point);
  void AskRules(const std::vector<int>& index, int64_t point, hw::DesignPtr* design, Known* known);
  std::optional<DesignCost> AskCost(const hw::Design* design, int64_t point);
  void Consider(const hw::DesignPtr& design, const DesignCost& cost, double reward);

  Setup setup_;
  engine::ThreadPool& pool_;
  std::vector<int> sizes_;
  Workload workload_;
  uint64_t network_hash_ = 0;
  std::array<float, kObservation> observation_{};
  DesignCost reference_cost_;
  hw::DesignPtr best_;
  DesignCost best_cost_;
  double best_reward_ = 0;
  bool best_valid_ = false;
  std::map<int64_t, Known> memo_;  // by point, for the current network
  std::array<double, kMetrics> last_metrics_{};
  Proposals proposals_;
  int64_t cost_evaluations_ = 0;
};

}  // namespace rhnas::search
