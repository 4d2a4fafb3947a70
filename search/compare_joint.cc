// nb201:DATASET and tiny: network and accelerator together, every pair known.
#include <algorithm>
#include <cmath>

#include "engine/hash.h"
#include "hw/valid_set.h"
#include "rl/double_math.h"
#include "search/compare_problems.h"
#include "search/joint_methods.h"
#include "search/report_json.h"
#include "search/report_text.h"
#include "search/statistics.h"

namespace rhnas::search {

using engine::Format;
using engine::Status;

namespace {

// A method that asks nothing new for so many steps in a row has converged.
constexpr int kIdleSteps = 50;
constexpr int kSampledPairs = 2000;  // of the fingerprint

class JointComparison final : public CompareProblem {
 public:
  JointComparison(std::shared_ptr<const JointProblem> problem, const std::string& agent, bool masks)
      : problem_(std::move(problem)), agent_(agent), masks_(masks) {
    const JointProblem& p = *problem_;
    optimum_ = *p.Optimum(p.goal());
    const std::vector<JointPair> pairs = p.ParetoFront(p.goal());
    start_pair_ = StartPair(pairs);
    start_ = Objective(start_pair_.cost);
    most_loss_ = rl::Log(start_);
    std::vector<FrontPoint> front;
    engine::Fnv1a hash;
    for (const JointPair& pair : pairs) {
      front.push_back({pair.accuracy, rl::Log(Objective(pair.cost))});
      hash.Add(&front.back(), sizeof(FrontPoint));
    }
    exact_volume_ = Hypervolume(front, p.goal().accuracy_min, most_loss_);
    const double numbers[] = {start_, Objective(optimum_.cost), p.goal().accuracy_min,
                              p.goal().area_max};
    hash.Add(numbers, sizeof numbers);
    engine::Rng rng(1);
    const std::vector<int64_t>& points = p.valid().points();
    for (int i = 0; i < kSampledPairs; ++i) {
      std::vector<int> network;
      for (const int size : p.network_sizes()) {
        network.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(size))));
      }
      const int64_t point = points[rng.Below(static_cast<uint32_t>(points.size()))];
      DesignCost cost;
      if (p.Cost(network.data(), point, &cost)) hash.Add(&cost, sizeof cost);
      const double accuracy = p.Accuracy(network.data());
      hash.Add(&accuracy, sizeof accuracy);
    }
    fingerprint_ = hash.value();
  }

  const std::string& name() const override { return problem_->name(); }
  std::vector<CompareMethod> methods() const override {
    std::vector<CompareMethod> methods;
    for (const JointMethodInfo& info : JointMethods(agent_)) {
      methods.push_back({info.name, info.summary, info.minimum, info.proposes});
    }
    return methods;
  }
  Status Check(const CompareMethod& method) const override {
    engine::ThreadPool alone(1);
    JointEnvironment environment(*problem_, masks_);
    return MakeJointMethod(OptionsOf(method, 1, method.minimum), environment, alone).status();
  }
  double optimum() const override { return Objective(optimum_.cost); }
  bool joint() const override { return true; }
  uint64_t fingerprint() const override { return fingerprint_; }
  std::string RuleName(int rule) const override {
    return problem_->accelerator().rules()[static_cast<size_t>(rule)].name;
  }

  std::string Text() const override {
    const JointProblem& p = *problem_;
    double networks = 1;
    for (const int size : p.network_sizes()) networks *= size;
    std::string text = Format(
        "problem      %s, least %s, accuracy at least %.2f%%, area %s\n", p.name().c_str(),
        ObjectiveName(p.goal().objective), 100 * p.goal().accuracy_min,
        p.goal().area_max > 0 ? Format("at most %.4gx the default's", p.goal().area_max).c_str()
                              : "free");
    text += Format("pairs        %s networks x %s accelerators of %s\n",
                   Grouped(std::llround(networks)).c_str(),
                   Grouped(static_cast<int64_t>(p.valid().points().size())).c_str(),
                   p.space()->name().c_str());
    text += "start        " + PairText(start_pair_) +
            (start_pair_.point == JointProblem::kDefault
                 ? "\n"
                 : ", its worst (the default breaks the area cap)\n");
    text += "optimum      " + PairText(optimum_) +
            Format(", %.3fx better\n", start_ / Objective(optimum_.cost));
    return text;
  }
  void AddJson(hw::JsonWriter* json) const override {
    const JointProblem& p = *problem_;
    json->Key("objective").String(ObjectiveName(p.goal().objective));
    json->Key("accuracy_min").Double(p.goal().accuracy_min);
    json->Key("area_max").Double(p.goal().area_max);
    json->Key("hw_space").String(p.space()->name());
    json->Key("points_run").Int(static_cast<int64_t>(p.valid().points().size()));
    AddPair("start_pair", start_pair_, json);
    AddPair("optimum_pair", optimum_, json);
  }

  engine::Result<bool> Run(const CompareMethod& method, uint64_t seed, int64_t budget,
                           const std::atomic<bool>& stop, CompareRun* run) const override {
    engine::ThreadPool alone(1);
    JointEnvironment environment(*problem_, masks_);
    run->curve.push_back({0, start_, start_pair_.accuracy, 0});
    engine::Result<std::unique_ptr<JointMethod>> made =
        MakeJointMethod(OptionsOf(method, seed, budget), environment, alone);
    if (!made.ok()) return made.status();
    // There is no more to ask than there are pairs.
    const int64_t most = std::min(budget, Pairs());
    for (int idle = 0; environment.evaluations() < most && idle < kIdleSteps;) {
      if (stop) return false;
      const int64_t before = environment.evaluations();
      (*made)->Step(most - before);
      idle = environment.evaluations() > before ? 0 : idle + 1;
      if (method.proposes) CountProposal(**made, run);
    }
    Record(environment, run);
    return true;
  }

 private:
  // The reference pair; where the default breaks the cap, the most accurate network on the worst
  // design that meets it (running on none of them, the front's worst pair).
  JointPair StartPair(const std::vector<JointPair>& front) const {
    const JointPair& reference = problem_->reference();
    if (JointEnvironment(*problem_, masks_).meets()) return reference;
    JointPair worst;
    double most = 0;
    const auto consider = [&](const JointPair& pair) {
      if (Objective(pair.cost) <= most) return;
      most = Objective(pair.cost);
      worst = pair;
    };
    for (const int64_t point : problem_->valid().points()) {
      JointPair pair = reference;
      pair.point = point;
      if (problem_->Cost(pair.network.data(), point, &pair.cost)) consider(pair);
    }
    if (most > 0) return worst;
    for (const JointPair& pair : front) consider(pair);
    return most > 0 ? worst : optimum_;
  }

  // All that can be asked: under masks of the designs that can be built, but for the default.
  int64_t Pairs() const {
    int64_t pairs = masks_ ? problem_->valid().size() + 1 : problem_->space()->points() + 1;
    for (const int size : problem_->network_sizes()) pairs *= size;
    return pairs;
  }

  void CountProposal(JointMethod& method, CompareRun* run) const {
    std::vector<int> network;
    int64_t point = 0;
    if (!method.Proposal(&network, &point)) return;
    ++run->proposals;
    run->final_broken = 0;
    const hw::DesignPtr design = problem_->space()->AtPoint(point);
    for (const hw::BrokenRule& rule : design->CheckAll(problem_->limits())) {
      run->final_broken |= uint64_t{1} << rule.rule;
    }
    DesignCost cost;
    if (run->final_broken == 0 && !problem_->Cost(network.data(), point, &cost)) {
      run->final_broken = kCannotRun;
    }
    run->proposals_broken += run->final_broken != 0 ? 1 : 0;
  }

  double Objective(const DesignCost& cost) const {
    return ObjectiveValue(problem_->goal().objective, cost);
  }

  // The curve, from every pair in the order in which it was asked.
  void Record(const JointEnvironment& environment, CompareRun* run) const {
    const JointGoal& goal = problem_->goal();
    std::vector<FrontPoint> found;
    for (const auto& [network, point] : environment.history()) {
      ++run->evaluations;
      DesignCost cost;
      if (!environment.Allowed(point) || !problem_->Cost(network.data(), point, &cost)) continue;
      ++run->valid;
      const double accuracy = problem_->Accuracy(network.data()), objective = Objective(cost);
      if (accuracy < goal.accuracy_min) continue;
      found.push_back({accuracy, rl::Log(objective)});
      if (objective >= run->curve.back().objective) continue;
      run->curve.push_back({run->evaluations, objective, accuracy, run->valid});
    }
    if (exact_volume_ > 0) {
      run->hypervolume = Hypervolume(found, goal.accuracy_min, most_loss_) / exact_volume_;
    }
  }

  JointMethodOptions OptionsOf(const CompareMethod& method, uint64_t seed, int64_t budget) const {
    JointMethodOptions options;
    options.name = method.name;
    options.agent = agent_;
    options.budget = budget;
    options.seed = seed;
    return options;
  }

  std::string DesignName(int64_t point) const {
    const hw::DesignPtr design = point == JointProblem::kDefault
                                     ? problem_->default_design()
                                     : problem_->space()->AtPoint(point);
    return design->ShortName();
  }
  std::string PairText(const JointPair& pair) const {
    return Format("%s on %s: %.6g at %.2f%%", problem_->NetworkText(pair.network.data()).c_str(),
                  DesignName(pair.point).c_str(), Objective(pair.cost), 100 * pair.accuracy);
  }
  void AddPair(const char* key, const JointPair& pair, hw::JsonWriter* json) const {
    json->Key(key).BeginObject();
    json->Key("network").String(problem_->NetworkText(pair.network.data()));
    json->Key("hw_name").String(DesignName(pair.point));
    json->Key("accuracy").Double(pair.accuracy);
    AddCost(pair.cost, json);
    json->EndObject();
  }

  std::shared_ptr<const JointProblem> problem_;
  std::string agent_;
  bool masks_;
  JointPair optimum_, start_pair_;
  double start_ = 0, most_loss_ = 0, exact_volume_ = 0;
  uint64_t fingerprint_ = 0;
};

}  // namespace

std::unique_ptr<CompareProblem> MakeJointComparison(std::shared_ptr<const JointProblem> problem,
                                                    const std::string& agent, bool masks) {
  return std::make_unique<JointComparison>(std::move(problem), agent, masks);
}

}  // namespace rhnas::search
