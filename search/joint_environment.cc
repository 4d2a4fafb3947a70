#include "search/joint_environment.h"

#include <algorithm>
#include <limits>

#include "engine/check.h"
#include "hw/valid_set.h"
#include "rl/double_math.h"

namespace rhnas::search {

JointEnvironment::JointEnvironment(const JointProblem& problem, bool masks)
    : problem_(problem),
      masks_(masks),
      decisions_(static_cast<int>(problem.network_sizes().size())),
      sizes_(problem.network_sizes()) {
  const std::vector<int> design = problem.space()->sizes();
  sizes_.insert(sizes_.end(), design.begin(), design.end());
  Start();
}

void JointEnvironment::Start() {
  memo_.clear();
  history_.clear();
  improvements_.clear();
  known_ = {JointProblem::kDefault};
  evaluations_ = buildable_ = 0;
  best_ = problem_.reference();
  best_objective_ = reference_objective_ = ObjectiveValue(goal().objective, best_.cost);
  JointAnswer answer;
  answer.runs = true;
  answer.accuracy = best_.accuracy;
  answer.cost = best_.cost;
  answer.objective = best_objective_;
  answer.meets = best_.accuracy >= goal().accuracy_min && Allowed(best_.point);
  meets_ = answer.meets;
  memo_.emplace(std::make_pair(best_.network, best_.point), answer);
}

bool JointEnvironment::Allowed(int64_t point) const {
  if (point != JointProblem::kDefault) return problem_.valid().Contains(point);
  return !problem_.limits().area_max_um2 ||
         problem_.default_area_um2() <= *problem_.limits().area_max_um2;
}

bool JointEnvironment::Asked(const int* network, int64_t point) const {
  return memo_.count({std::vector<int>(network, network + decisions_), point}) != 0;
}

const JointAnswer& JointEnvironment::Ask(const int* network, int64_t point) {
  std::pair<std::vector<int>, int64_t> key(std::vector<int>(network, network + decisions_), point);
  const auto found = memo_.find(key);
  if (found != memo_.end()) return found->second;
  ++evaluations_;
  history_.push_back(key);
  JointAnswer answer;
  const bool allowed = Allowed(point);
  if ((allowed || point == JointProblem::kDefault) && problem_.Cost(network, point, &answer.cost)) {
    ++buildable_;
    known_.insert(point);
    answer.runs = true;
    answer.accuracy = problem_.Accuracy(network);
    answer.objective = ObjectiveValue(goal().objective, answer.cost);
    answer.meets = allowed && answer.accuracy >= goal().accuracy_min;
  }
  if (answer.meets && (!meets_ || answer.objective < best_objective_)) {
    meets_ = true;
    best_objective_ = answer.objective;
    best_.network = key.first;
    best_.point = point;
    best_.accuracy = answer.accuracy;
    best_.cost = answer.cost;
    improvements_.push_back({evaluations_, best_});
  }
  return memo_.emplace(std::move(key), answer).first->second;
}

bool JointEnvironment::TableCost(const int* network, int64_t point, DesignCost* cost) const {
  RHNAS_CHECK(Known(point), "no layer table of point %lld: nothing was evaluated on it",
              static_cast<long long>(point));
  return problem_.Cost(network, point, cost);
}

bool JointEnvironment::TableChoices(const int* network, int64_t point,
                                    std::vector<DesignCost>* by_choice) const {
  RHNAS_CHECK(Known(point), "no layer table of point %lld: nothing was evaluated on it",
              static_cast<long long>(point));
  return problem_.ChoiceCosts(network, point, by_choice);
}

int64_t JointEnvironment::PointOf(const int* design) const {
  int64_t point = 0;
  for (size_t i = static_cast<size_t>(decisions_); i < sizes_.size(); ++i) {
    point = point * sizes_[i] + design[i - static_cast<size_t>(decisions_)];
  }
  return point;
}

bool JointEnvironment::Mask(uint8_t* mask) const {
  if (!masks_) return false;
  for (int d = 0; d < decisions_; ++d) {
    const int size = sizes_[static_cast<size_t>(d)];
    std::fill_n(mask, size, uint8_t{1});
    mask += size;
  }
  const std::vector<uint8_t>& design = problem_.valid().static_mask();
  std::copy(design.begin(), design.end(), mask);
  return true;
}

bool JointEnvironment::MaskHead(int head, const int* action, uint8_t* mask) const {
  if (!masks_) return false;
  if (head < decisions_) {
    std::fill_n(mask, sizes_[static_cast<size_t>(head)], uint8_t{1});
  } else {
    problem_.valid().MaskAfter(head - decisions_, action + decisions_, mask);
  }
  return true;
}

bool JointEnvironment::Admissible(const int* action) const {
  return !masks_ || problem_.valid().Contains(PointOf(action + decisions_));
}

double JointEnvironment::Reward(const JointAnswer& answer, int64_t point) const {
  if (answer.meets) {
    return std::max(-rl::Log(answer.objective / reference_objective_), kWorstMeeting);
  }
  if (answer.runs) {
    const double missed =
        std::clamp((goal().accuracy_min - answer.accuracy) / goal().accuracy_min, 1e-9, 1.0);
    return kWorstMeeting - 2 * missed / (missed + 0.05);
  }
  return kWorstMissing - Shortfall(point);
}

double JointEnvironment::Shortfall(int64_t point) const {
  double severity = 0;
  for (const hw::BrokenRule& rule : problem_.space()->AtPoint(point)->CheckAll(problem_.limits())) {
    severity += rule.severity;
  }
  // No rule broken, and still nothing runs there: the full grade.
  return severity > 0 ? std::min(severity, 8.0) / 8 : 1;
}

rl::StepResult JointEnvironment::Act(const int* action, engine::Rng& /*rng*/) {
  const int64_t point = PointOf(action + decisions_);
  const JointAnswer& answer = Ask(action, point);
  rl::StepResult step;
  step.reward = Reward(answer, point);
  step.terminal = true;
  step.valid = answer.runs;
  if (answer.runs) {
    const DesignCost& from = problem_.reference().cost;
    metrics_[0] = rl::Log(static_cast<double>(answer.cost.latency_cycles) /
                          static_cast<double>(from.latency_cycles));
    metrics_[1] = rl::Log(answer.cost.energy_pj / from.energy_pj);
    metrics_[2] = rl::Log(answer.cost.area_um2 / from.area_um2);
    metrics_[3] = -rl::Log(std::max(answer.accuracy, 1e-6));
  }
  return step;
}

void JointEnvironment::Metrics(double* values) const { std::copy_n(metrics_, 4, values); }

bool JointEnvironment::MetricGoal(double* weight, double* limit) const {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const Objective objective = goal().objective;
  weight[0] = objective == Objective::kEnergy ? 0 : 1;
  weight[1] = objective == Objective::kLatency ? 0 : 1;
  weight[2] = weight[3] = 0;
  limit[0] = limit[1] = limit[2] = limit[3] = kNone;
  if (problem_.limits().area_max_um2) {
    limit[2] = rl::Log(*problem_.limits().area_max_um2 / problem_.reference().cost.area_um2);
  }
  if (goal().accuracy_min > 0) limit[3] = -rl::Log(goal().accuracy_min);
  return true;
}

void JointEnvironment::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  std::vector<int> networks;
  std::vector<int64_t> points;
  for (const auto& [network, point] : history_) {
    networks.insert(networks.end(), network.begin(), network.end());
    points.push_back(point);
  }
  archive.PutVector(prefix + "networks", networks);
  archive.PutVector(prefix + "points", points);
}

engine::Status JointEnvironment::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  std::vector<int> networks;
  std::vector<int64_t> points;
  archive.GetVector(prefix + "networks", &networks);
  archive.GetVector(prefix + "points", &points);
  if (!archive.status().ok()) return archive.status();
  const size_t stride = static_cast<size_t>(decisions_);
  bool fits = networks.size() == points.size() * stride;
  for (size_t i = 0; fits && i < networks.size(); ++i) {
    fits = networks[i] >= 0 && networks[i] < sizes_[i % stride];
  }
  for (int64_t point : points) {
    fits = fits && point >= JointProblem::kDefault && point < problem_.space()->points();
  }
  if (!fits) {
    return engine::Status::Error("checkpoint: its %zu evaluated pairs are not of problem %s",
                                 points.size(), problem_.name().c_str());
  }
  Start();
  for (size_t i = 0; i < points.size(); ++i) Ask(networks.data() + i * stride, points[i]);
  return engine::Status::Ok();
}

}  // namespace rhnas::search
