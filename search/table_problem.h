// A joint problem small enough to hold: accuracies by network, costs by unit and design
// (search/joint_costs.h), the exact best pair by looking at all of them.
//
// Networks of the same units cost the same everywhere and are one class; only the most accurate of
// a class can be part of an answer. Every class is taken on every design: roughly first, exactly
// where it comes within 1e-9 of the best.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hw/valid_set.h"
#include "search/joint_costs.h"
#include "search/joint_problem.h"

namespace rhnas::search {

class TableProblem : public JointProblem {
 public:
  const std::string& name() const override { return name_; }
  const std::vector<int>& network_sizes() const override { return sizes_; }
  const hw::Accelerator& accelerator() const override { return *accelerator_; }
  const std::shared_ptr<const hw::DesignSpace>& space() const override { return space_; }
  const hw::ValidSet& valid() const override { return *valid_; }
  const hw::Limits& limits() const override { return limits_; }
  const hw::DesignPtr& default_design() const override { return default_; }
  double default_area_um2() const override { return costs_->area_um2(0); }
  const JointGoal& goal() const override { return goal_; }
  double Accuracy(const int* network) const override { return accuracy_[Number(network)]; }
  bool Cost(const int* network, int64_t point, DesignCost* cost) const override;
  bool ChoiceCosts(const int* network, int64_t point,
                   std::vector<DesignCost>* by_choice) const override;
  const JointPair& reference() const override { return reference_; }
  std::optional<JointPair> Optimum(const JointGoal& goal) const override;
  std::vector<JointPair> ParetoFront(const JointGoal& goal) const override;

  // Networks that cost alike everywhere, once.
  int classes() const { return static_cast<int>(first_term_.size()) - 1; }
  const JointCosts& costs() const { return *costs_; }

 protected:
  struct Networks {
    std::vector<int> sizes;
    std::vector<double> accuracy;                      // 0..1 by network number
    std::vector<JointCosts::Run> runs;                 // of the units,
    std::vector<std::vector<int>> units;               // as indices of runs
    std::vector<std::vector<JointCosts::Term>> terms;  // by network number, by growing unit
  };
  // hw_space: where the options name none. floor: where they give none.
  engine::Status Init(const std::string& name, const JointProblemOptions& options,
                      const char* hw_space, double floor, Networks networks,
                      engine::ThreadPool& pool);
  // The first decision counts most.
  size_t Number(const int* network) const;
  std::vector<int> NetworkOf(size_t number) const;

 private:
  struct Best;  // of one class
  JointCosts::Terms TermsOf(int cls) const {
    const auto at = static_cast<size_t>(cls);
    return {&terms_[static_cast<size_t>(first_term_[at])], first_term_[at + 1] - first_term_[at]};
  }
  int RowOf(int64_t point) const;  // -1: runs no networks
  JointPair Pair(size_t number, int row) const;
  void MakeClasses(const Networks& networks);
  engine::Status FindReference();

  std::string name_;
  std::vector<int> sizes_;
  const hw::Accelerator* accelerator_ = nullptr;
  std::shared_ptr<const hw::DesignSpace> space_;
  std::unique_ptr<hw::CostTable> table_;
  hw::Limits limits_;
  hw::DesignPtr default_;
  JointGoal goal_;
  std::unique_ptr<hw::ValidSet> runs_;   // all that run networks: rows 1, 2, .. of costs_
  std::unique_ptr<hw::ValidSet> valid_;  // under the cap
  std::unique_ptr<JointCosts> costs_;
  std::vector<double> accuracy_;  // by network number
  std::vector<int> class_of_;     // by network number
  std::vector<int> first_term_;   // by class, and the end
  std::vector<JointCosts::Term> terms_;
  std::vector<size_t> leader_;  // of a class: its most accurate network
  JointPair reference_;
};

}  // namespace rhnas::search
