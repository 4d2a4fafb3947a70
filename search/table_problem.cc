#include "search/table_problem.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rhnas::search {

using engine::Status;

namespace {

// What Roughly may be off by, with much to spare.
constexpr double kRoundings = 1e-9;
// Of bounds in messages, rounded to the side that can be met.
constexpr double kPlaces = 1e4;

bool SameTerm(const JointCosts::Term& a, const JointCosts::Term& b) {
  return a.unit == b.unit && a.count == b.count;
}
bool TermLess(const JointCosts::Term& a, const JointCosts::Term& b) {
  return a.unit != b.unit ? a.unit < b.unit : a.count < b.count;
}

}  // namespace

// The best design for one class so far.
struct TableProblem::Best {
  int row = -1;
  double value = std::numeric_limits<double>::infinity();
};

size_t TableProblem::Number(const int* network) const {
  size_t number = 0;
  for (size_t i = 0; i < sizes_.size(); ++i) {
    number = number * static_cast<size_t>(sizes_[i]) + static_cast<size_t>(network[i]);
  }
  return number;
}

std::vector<int> TableProblem::NetworkOf(size_t number) const {
  std::vector<int> network(sizes_.size());
  for (size_t i = sizes_.size(); i-- > 0;) {
    network[i] = static_cast<int>(number % static_cast<size_t>(sizes_[i]));
    number /= static_cast<size_t>(sizes_[i]);
  }
  return network;
}

Status TableProblem::Init(const std::string& name, const JointProblemOptions& options,
                          const char* hw_space, double floor, Networks networks,
                          engine::ThreadPool& pool) {
  name_ = name;
  sizes_ = networks.sizes;
  engine::Result<hw::CostTable> table = LoadCostTable(options.energy_table);
  if (!table.ok()) return table.status();
  table_ = std::make_unique<hw::CostTable>(std::move(*table));

  const std::string space_name = options.hw_space.empty() ? hw_space : options.hw_space;
  accelerator_ = hw::FindAcceleratorOfSpace(space_name);
  if (accelerator_ == nullptr) accelerator_ = hw::Accelerators().front();
  hw::SpaceOptions space_options;
  space_options.bus_bits = options.bus_bits;
  space_options.derived_tags = true;  // as in searches
  hw::Result<std::unique_ptr<hw::DesignSpace>> space =
      accelerator_->FindSpace(space_name, space_options);
  if (!space.ok()) return Status::Error("%s", space.error().c_str());
  space_ = std::move(*space);
  default_ = space_->Reference();

  hw::Limits open;
  open.area_table = table_.get();
  runs_ = std::make_unique<hw::ValidSet>(*space_, open, true);
  if (runs_->empty()) {
    return Status::Error("%s: no design of %s can be built and runs networks", name_.c_str(),
                         space_name.c_str());
  }
  std::vector<hw::DesignPtr> designs = {default_};
  for (const int64_t point : runs_->points()) designs.push_back(space_->AtPoint(point));
  CostSource source;
  source.table = table_.get();
  costs_ = std::make_unique<JointCosts>(networks.runs, networks.units, designs, source, pool);

  goal_ = {options.objective, options.accuracy_min < 0 ? floor : options.accuracy_min,
           options.area_max};
  limits_ = open;
  if (goal_.area_max > 0) limits_.area_max_um2 = goal_.area_max * default_area_um2();
  std::vector<int64_t> points;
  int smallest = 1;
  for (int row = 1; row < costs_->designs(); ++row) {
    if (costs_->area_um2(row) < costs_->area_um2(smallest)) smallest = row;
    if (limits_.area_max_um2 && costs_->area_um2(row) > *limits_.area_max_um2) continue;
    points.push_back(runs_->points()[static_cast<size_t>(row) - 1]);
  }
  if (points.empty()) {
    return Status::Error(
        "--area-max %.4g is infeasible for %s: the smallest accelerator of %s that runs networks "
        "is "
        "%s with %.4f times the default's area: raise --area-max to at least that",
        goal_.area_max, name_.c_str(), space_name.c_str(),
        designs[static_cast<size_t>(smallest)]->ShortName().c_str(),
        std::ceil(costs_->area_um2(smallest) / default_area_um2() * kPlaces) / kPlaces);
  }
  valid_ = std::make_unique<hw::ValidSet>(space_->sizes(), std::move(points));

  accuracy_ = std::move(networks.accuracy);
  MakeClasses(networks);
  if (Status status = FindReference(); !status.ok()) return status;
  if (goal_.accuracy_min > accuracy_[leader_.front()]) {
    const double best = *std::max_element(accuracy_.begin(), accuracy_.end());
    if (goal_.accuracy_min > best) {
      return Status::Error(
          "--accuracy-min %.6g is infeasible: the most accurate network of %s has %.4f: lower "
          "--accuracy-min to at most that",
          goal_.accuracy_min, name_.c_str(), std::floor(best * kPlaces + kRoundings) / kPlaces);
    }
  }
  return Status::Ok();
}

void TableProblem::MakeClasses(const Networks& networks) {
  const auto& terms = networks.terms;
  std::vector<size_t> order(terms.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const size_t shared = std::min(terms[a].size(), terms[b].size());
    for (size_t i = 0; i < shared; ++i) {
      if (!SameTerm(terms[a][i], terms[b][i])) return TermLess(terms[a][i], terms[b][i]);
    }
    return terms[a].size() != terms[b].size() ? terms[a].size() < terms[b].size() : a < b;
  });
  class_of_.assign(terms.size(), 0);
  for (size_t i = 0; i < order.size(); ++i) {
    const std::vector<JointCosts::Term>& own = terms[order[i]];
    const bool same = i > 0 && own.size() == terms[order[i - 1]].size() &&
                      std::equal(own.begin(), own.end(), terms[order[i - 1]].begin(), SameTerm);
    if (!same) {
      first_term_.push_back(static_cast<int>(terms_.size()));
      terms_.insert(terms_.end(), own.begin(), own.end());
      leader_.push_back(order[i]);
    }
    class_of_[order[i]] = static_cast<int>(leader_.size()) - 1;
    if (accuracy_[order[i]] > accuracy_[leader_.back()]) leader_.back() = order[i];
  }
  first_term_.push_back(static_cast<int>(terms_.size()));
}

Status TableProblem::FindReference() {
  size_t best = accuracy_.size();
  DesignCost cost;
  for (size_t number = 0; number < accuracy_.size(); ++number) {
    if (best < accuracy_.size() && accuracy_[number] <= accuracy_[best]) continue;
    if (costs_->Cost(TermsOf(class_of_[number]), 0, &cost)) best = number;
  }
  if (best == accuracy_.size()) {
    return Status::Error("%s: no network runs on the default accelerator", name_.c_str());
  }
  reference_ = Pair(best, 0);
  return Status::Ok();
}

JointPair TableProblem::Pair(size_t number, int row) const {
  JointPair pair;
  pair.network = NetworkOf(number);
  pair.point = row == 0 ? kDefault : runs_->points()[static_cast<size_t>(row) - 1];
  pair.accuracy = accuracy_[number];
  costs_->Cost(TermsOf(class_of_[number]), row, &pair.cost);
  return pair;
}

int TableProblem::RowOf(int64_t point) const {
  if (point == kDefault) return 0;
  const int64_t rank = runs_->Rank(point);
  return rank < 0 ? -1 : static_cast<int>(rank) + 1;
}

bool TableProblem::Cost(const int* network, int64_t point, DesignCost* cost) const {
  const int row = RowOf(point);
  return row >= 0 && costs_->Cost(TermsOf(class_of_[Number(network)]), row, cost);
}

bool TableProblem::ChoiceCosts(const int* network, int64_t point,
                               std::vector<DesignCost>* by_choice) const {
  by_choice->clear();
  std::vector<int> other(network, network + sizes_.size());
  for (size_t i = 0; i < sizes_.size(); ++i) {
    for (int choice = 0; choice < sizes_[i]; ++choice) {
      other[i] = choice;
      by_choice->emplace_back();
      if (Cost(other.data(), point, &by_choice->back())) continue;
      by_choice->clear();
      return false;
    }
    other[i] = network[i];
  }
  return true;
}

std::optional<JointPair> TableProblem::Optimum(const JointGoal& goal) const {
  std::vector<int> classes;
  for (int cls = 0; cls < this->classes(); ++cls) {
    if (accuracy_[leader_[static_cast<size_t>(cls)]] >= goal.accuracy_min) classes.push_back(cls);
  }
  const double cap = goal.area_max > 0 ? goal.area_max * default_area_um2()
                                       : std::numeric_limits<double>::infinity();
  size_t best = 0;
  int best_row = -1;
  double value = std::numeric_limits<double>::infinity();
  for (int row = 1; row < costs_->designs(); ++row) {
    if (costs_->area_um2(row) > cap) continue;
    for (const int cls : classes) {
      const JointCosts::Terms terms = TermsOf(cls);
      if (costs_->Roughly(terms, row, goal.objective) > value * (1 + kRoundings)) continue;
      DesignCost cost;
      if (!costs_->Cost(terms, row, &cost)) continue;
      const double mine = ObjectiveValue(goal.objective, cost);
      const size_t number = leader_[static_cast<size_t>(cls)];
      if (best_row >= 0) {
        if (mine > value) continue;
        if (mine == value && accuracy_[number] < accuracy_[best]) continue;
        // Rows come by growing point: of the same network the first stays.
        if (mine == value && accuracy_[number] == accuracy_[best] && number >= best) continue;
      }
      best = number;
      best_row = row;
      value = mine;
    }
  }
  if (best_row < 0) return std::nullopt;
  return Pair(best, best_row);
}

std::vector<JointPair> TableProblem::ParetoFront(const JointGoal& goal) const {
  const double cap = goal.area_max > 0 ? goal.area_max * default_area_um2()
                                       : std::numeric_limits<double>::infinity();
  std::vector<Best> best(leader_.size());
  for (int row = 1; row < costs_->designs(); ++row) {
    if (costs_->area_um2(row) > cap) continue;
    for (size_t cls = 0; cls < best.size(); ++cls) {
      if (accuracy_[leader_[cls]] < goal.accuracy_min) continue;
      const JointCosts::Terms terms = TermsOf(static_cast<int>(cls));
      if (costs_->Roughly(terms, row, goal.objective) > best[cls].value * (1 + kRoundings)) {
        continue;
      }
      DesignCost cost;
      if (!costs_->Cost(terms, row, &cost)) continue;
      const double mine = ObjectiveValue(goal.objective, cost);
      if (mine < best[cls].value) best[cls] = {row, mine};
    }
  }
  std::vector<size_t> order;
  for (size_t cls = 0; cls < best.size(); ++cls) {
    if (best[cls].row >= 0) order.push_back(cls);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (best[a].value != best[b].value) return best[a].value < best[b].value;
    const double one = accuracy_[leader_[a]], other = accuracy_[leader_[b]];
    return one != other ? one > other : leader_[a] < leader_[b];
  });
  std::vector<JointPair> front;
  for (const size_t cls : order) {
    const double accuracy = accuracy_[leader_[cls]];
    if (!front.empty() && accuracy <= front.back().accuracy) continue;
    front.push_back(Pair(leader_[cls], best[cls].row));
  }
  return front;
}

}  // namespace rhnas::search
