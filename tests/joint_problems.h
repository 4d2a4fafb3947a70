// A joint problem whose costs and accuracies are formulas, small enough to enumerate: 4 decisions
// of 3 choices on the points of vta-small that run networks.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hw/valid_set.h"
#include "search/joint_problem.h"

namespace rhnas::search {

class FormulaProblem : public JointProblem {
 public:
  explicit FormulaProblem(double accuracy_min, double area_max = 0) {
    accelerator_ = hw::FindAccelerator("vta");
    auto found = accelerator_->FindSpace("vta-small", {});
    space_ = std::shared_ptr<const hw::DesignSpace>(std::move(*found));
    default_ = space_->Reference();
    default_area_ = default_->AreaUm2(hw::DefaultCostTable());
    goal_.accuracy_min = accuracy_min;
    goal_.area_max = area_max;
    if (area_max > 0) limits_.area_max_um2 = area_max * default_area_;
    valid_ = std::make_unique<hw::ValidSet>(*space_, limits_, true);
    for (int64_t point = 0; point < space_->points(); ++point) {
      areas_.push_back(space_->AtPoint(point)->AreaUm2(hw::DefaultCostTable()));
    }
    reference_ = MostAccurate();
  }

  const std::string& name() const override { return name_; }
  const std::vector<int>& network_sizes() const override { return sizes_; }
  std::string NetworkText(const int* network) const override {
    std::string text;
    for (int i = 0; i < 4; ++i) text += static_cast<char>('0' + network[i]);
    return text;
  }
  engine::Result<std::vector<int>> ParseNetwork(const std::string& text) const override {
    if (text.size() != 4) return engine::Status::Error("%s", text.c_str());
    std::vector<int> network;
    for (char c : text) network.push_back(c - '0');
    return network;
  }
  const hw::Accelerator& accelerator() const override { return *accelerator_; }
  const std::shared_ptr<const hw::DesignSpace>& space() const override { return space_; }
  const hw::ValidSet& valid() const override { return *valid_; }
  const hw::Limits& limits() const override { return limits_; }
  const hw::DesignPtr& default_design() const override { return default_; }
  double default_area_um2() const override { return default_area_; }
  const JointGoal& goal() const override { return goal_; }

  // Larger choices are more accurate, with a pair that helps and one that hurts.
  double Accuracy(const int* network) const override {
    double accuracy = 0.5;
    for (int d = 0; d < 4; ++d) accuracy += 0.02 * (d + 1) * network[d];
    if (network[0] == 1 && network[3] == 1) accuracy += 0.07;
    if (network[1] == 2 && network[2] == 2) accuracy -= 0.05;
    return accuracy;
  }
  // A network likes one array shape more than another, so that the best pair is no best of parts.
  bool Cost(const int* network, int64_t point, DesignCost* cost) const override {
    std::vector<int> index(space_->sizes().size(), 0);
    double speed = 1, power = 1, area = default_area_;
    if (point != kDefault) {
      // The mask's answer only says whether it is allowed; every point that could be built has a
      // cost.
      if (valid_->Rank(point) < 0) return false;
      valid_->IndexOf(point, index.data());
      for (size_t i = 0; i < index.size(); ++i) {
        speed += 0.3 * index[i] / static_cast<double>(i + 1);
        power += 0.2 * index[i] * static_cast<double>(i % 3);
      }
      area = areas_[static_cast<size_t>(point)];
    }
    double work = 2;
    for (int d = 0; d < 4; ++d) work += (1 + 0.3 * d) * network[d];
    const double waits = 0.4 * network[0] * index.back() + 0.2 * network[3] * index[0];
    cost->latency_cycles = static_cast<int64_t>(1e6 * (work / speed + waits)) + 1;
    cost->energy_pj = 1e9 * work * power;
    cost->edp_pj_cycles = cost->energy_pj * static_cast<double>(cost->latency_cycles);
    cost->area_um2 = area;
    cost->dram_bytes = 1;
    return true;
  }
  bool ChoiceCosts(const int* network, int64_t point,
                   std::vector<DesignCost>* by_choice) const override {
    by_choice->clear();
    std::vector<int> other(network, network + 4);
    for (size_t d = 0; d < 4; ++d) {
      for (other[d] = 0; other[d] < sizes_[d]; ++other[d]) {
        DesignCost cost;
        if (!Cost(other.data(), point, &cost)) return by_choice->clear(), false;
        by_choice->push_back(cost);
      }
      other[d] = network[d];
    }
    return true;
  }
  const JointPair& reference() const override { return reference_; }
  std::optional<JointPair> Optimum(const JointGoal& goal) const override {
    std::optional<JointPair> best;
    for (int i = 0; i < 81; ++i) {
      const std::vector<int> network = Network(i);
      if (Accuracy(network.data()) < goal.accuracy_min) continue;
      for (int64_t point : valid_->points()) {
        JointPair pair{network, point, Accuracy(network.data()), {}};
        if (!Cost(network.data(), point, &pair.cost)) continue;
        if (!best || ObjectiveValue(goal.objective, pair.cost) <
                         ObjectiveValue(goal.objective, best->cost)) {
          best = pair;
        }
      }
    }
    return best;
  }
  std::vector<JointPair> ParetoFront(const JointGoal& /*goal*/) const override { return {}; }

  static std::vector<int> Network(int i) { return {i / 27, i / 9 % 3, i / 3 % 3, i % 3}; }

 private:
  JointPair MostAccurate() const {
    JointPair best;
    for (int i = 0; i < 81; ++i) {
      const std::vector<int> network = Network(i);
      if (best.network.empty() || Accuracy(network.data()) > best.accuracy) {
        best.network = network;
        best.accuracy = Accuracy(network.data());
      }
    }
    best.point = kDefault;
    Cost(best.network.data(), kDefault, &best.cost);
    return best;
  }

  std::string name_ = "formula";
  std::vector<int> sizes_{3, 3, 3, 3};
  const hw::Accelerator* accelerator_ = nullptr;
  std::shared_ptr<const hw::DesignSpace> space_;
  std::unique_ptr<hw::ValidSet> valid_;
  hw::Limits limits_;
  hw::DesignPtr default_;
  double default_area_ = 0;
  std::vector<double> areas_;
  JointGoal goal_;
  JointPair reference_;
};

}  // namespace rhnas::search
