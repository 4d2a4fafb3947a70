// Joint problems with a known answer: a space of networks whose accuracies are known times a space
// of accelerators, every pair's accuracy and cost a lookup, so that the best pair is known exactly.
//
// The goal: least objective among the pairs whose network reaches an accuracy floor, on a design
// that can be built and runs networks, under an area cap. What methods are compared on
// (search/joint_methods.h). One evaluation is one distinct pair asked; accuracy and cost are
// answered together. ChoiceCosts is a lookup in layer costs and no evaluation: differentiable
// methods have that table for free, and so has everybody else.
//
// Problems: nb201:cifar10, nb201:cifar100, nb201:imagenet16 (search/nb201_problem.h), tiny
// (search/tiny_problem.h). All functions are const and thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/accelerator.h"
#include "search/objective.h"
#include "search/table_flags.h"

namespace rhnas::hw {
class ValidSet;  // hw/valid_set.h
}

namespace rhnas::search {

// A network on an accelerator.
struct JointPair {
  std::vector<int> network;  // one choice a decision
  int64_t point = 0;         // of the space, or JointProblem::kDefault
  double accuracy = 0;       // 0..1
  DesignCost cost;
};

struct JointGoal {
  Objective objective = Objective::kEdp;
  double accuracy_min = 0;  // 0..1; 0: none
  double area_max = 0;      // relative to the default accelerator's; 0: none
};

class JointProblem {
 public:
  // Stands for the default accelerator on the problem's bus wherever a point is asked for: it need
  // not lie in the space.
  static constexpr int64_t kDefault = -1;

  virtual ~JointProblem() = default;
  virtual const std::string& name() const = 0;  // "nb201:cifar10"

  // Networks: choices of each decision (nb201: six times 5).
  virtual const std::vector<int>& network_sizes() const = 0;
  // As --network of rhnas cost takes it, and back; an error names what is wrong.
  virtual std::string NetworkText(const int* network) const = 0;
  virtual engine::Result<std::vector<int>> ParseNetwork(const std::string& text) const = 0;

  // Accelerators: the points that run networks under the goal's area cap (none of them: an error of
  // MakeJointProblem).
  virtual const hw::Accelerator& accelerator() const = 0;
  virtual const std::shared_ptr<const hw::DesignSpace>& space() const = 0;
  virtual const hw::ValidSet& valid() const = 0;
  virtual const hw::Limits& limits() const = 0;  // the area cap, in um^2
  virtual const hw::DesignPtr& default_design() const = 0;
  virtual double default_area_um2() const = 0;

  // As given, or the problem's own floor.
  virtual const JointGoal& goal() const = 0;

  // 0..1. REQUIRES of this and the next two: one choice a decision, each below its size.
  virtual double Accuracy(const int* network) const = 0;
  // Bit for bit what rhnas cost says. False: the design cannot be built or cannot run networks
  // whatever the cap, or this one fits no tiling. Area caps are not looked at (cost->area_um2
  // tells).
  virtual bool Cost(const int* network, int64_t point, DesignCost* cost) const = 0;
  // Cost of the network with each choice of each decision put in, the others left: decisions in
  // order, then choices (nb201: 30). False as above, then empty.
  virtual bool ChoiceCosts(const int* network, int64_t point,
                           std::vector<DesignCost>* by_choice) const = 0;

  // What every method starts from and knows: the most accurate network on the default accelerator.
  virtual const JointPair& reference() const = 0;

  // Exact. Among equals the most accurate, then the smallest network and point. Empty: no network
  // is that accurate, or no design that small.
  virtual std::optional<JointPair> Optimum(const JointGoal& goal) const = 0;
  // Pairs that no other beats in both accuracy and objective, by growing accuracy; at least the
  // goal's floor, under its cap.
  virtual std::vector<JointPair> ParetoFront(const JointGoal& goal) const = 0;
};

struct JointProblemOptions {
  // Folder of shared data (nasbench201/nb201_accuracy.csv in it) or that file; empty: the
  // environment's RHNAS_SHARED.
  std::string data;
  std::string hw_space;  // empty: vta, of tiny vta-small
  int bus_bits = 64;     // 0: searched
  Objective objective = Objective::kEdp;
  double area_max = 1.0;     // relative to the default accelerator's; 0: no cap
  double accuracy_min = -1;  // 0..1; negative: the problem's own
  TableChoice energy_table;
};

// Reads the data and prices every layer of the networks on every design that runs networks, in
// seconds, on the pool. Errors: a name that is no problem's (lists them and the nearest), data that
// cannot be read, a cap under which no design is left.
engine::Result<std::unique_ptr<JointProblem>> MakeJointProblem(const std::string& name,
                                                               const JointProblemOptions& options,
                                                               engine::ThreadPool& pool);
std::vector<std::string> JointProblemNames();

}  // namespace rhnas::search
