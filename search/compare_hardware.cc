// hw:NETWORK: hardware for one network, every cost known.
#include <algorithm>
#include <cmath>

#include "engine/hash.h"
#include "search/compare_problems.h"
#include "search/report_json.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;
using engine::Status;

namespace {

// Streams of a run's seed: the agent's initial values come from the seed itself.
constexpr uint64_t kDraws = 4;

// Counts for itself what an agent submits, and keeps the curve of the best.
class RecordingEnvironment final : public HardwareEnvironment {
 public:
  RecordingEnvironment(const HardwareProblem& problem, engine::ThreadPool& pool, CompareRun* run)
      : HardwareEnvironment(problem.Setup(), pool),
        problem_(problem),
        run_(run),
        seen_(static_cast<size_t>(problem.landscape->points()), false) {
    SetNetwork(problem.layers);
  }

  rl::StepResult Act(const int* action, engine::Rng& rng) override {
    const rl::StepResult step = HardwareEnvironment::Act(action, rng);
    ++acts_;
    const int64_t point = PointOf(action);
    if (seen_[static_cast<size_t>(point)]) return step;
    seen_[static_cast<size_t>(point)] = true;
    ++run_->evaluations;
    const Landscape& landscape = *problem_.landscape;
    if (landscape.state(point) != Landscape::State::kRuns) return step;
    ++run_->valid;
    const DesignCost& cost = landscape.cost(point);
    const double latency_max = problem_.options.latency_max;
    if (latency_max > 0 && static_cast<double>(cost.latency_cycles) > latency_max) return step;
    const double objective = ObjectiveValue(problem_.options.objective, cost);
    if (objective < run_->curve.back().objective) {
      run_->curve.push_back({run_->evaluations, objective, 0, run_->valid});
    }
    return step;
  }

  int64_t acts() const { return acts_; }
  int64_t PointOf(const int* action) const {
    int64_t point = 0;
    for (size_t i = 0; i < action_sizes().size(); ++i)
      point = point * action_sizes()[i] + action[i];
    return point;
  }

 private:
  const HardwareProblem& problem_;
  CompareRun* run_;
  std::vector<bool> seen_;
  int64_t acts_ = 0;
};

class HardwareComparison final : public CompareProblem {
 public:
  HardwareComparison(std::shared_ptr<const HardwareProblem> problem,
                     const rl::AgentOptions& options)
      : problem_(std::move(problem)), options_(options), name_("hw:" + problem_->options.network) {
    const HardwareOptions& o = problem_->options;
    best_ = problem_->landscape->Best(o.objective, o.latency_max);
    // The default, where it meets the limits; else whatever is worst of what does.
    start_ = ObjectiveValue(o.objective, problem_->reference_cost);
    starts_at_default_ =
        problem_->reference->Valid(problem_->limits) &&
        (o.latency_max <= 0 ||
         static_cast<double>(problem_->reference_cost.latency_cycles) <= o.latency_max);
    // In a space of a user's the default may lie outside, and be better than all that is in it.
    starts_at_default_ = starts_at_default_ && start_ >= optimum();
    if (!starts_at_default_) start_ = WorstObjective();
    engine::Fnv1a hash;
    const Landscape& all = *problem_->landscape;
    for (int64_t point = 0; point < all.points(); ++point) {
      const uint32_t broken = all.broken_rules(point);
      hash.Add(&broken, sizeof broken);
      if (all.state(point) == Landscape::State::kRuns) {
        hash.Add(&all.cost(point), sizeof(DesignCost));
      }
    }
    hash.Add(&start_, sizeof start_);
    fingerprint_ = hash.value();
  }

  const std::string& name() const override { return name_; }
  std::vector<CompareMethod> methods() const override {
    std::vector<CompareMethod> methods;
    for (const rl::AgentInfo& agent : rl::Agents()) {
      methods.push_back({agent.name, agent.summary, agent.minimum, rl::Proposes(agent.kind)});
    }
    return methods;
  }
  Status Check(const CompareMethod& method) const override {
    engine::ThreadPool alone(1);
    CompareRun run;
    run.curve.push_back({});
    RecordingEnvironment environment(*problem_, alone, &run);
    return rl::MakeAgent(OptionsOf(method, 1, method.minimum), environment, alone).status();
  }
  double optimum() const override {
    return ObjectiveValue(problem_->options.objective, problem_->landscape->cost(best_));
  }
  uint64_t fingerprint() const override { return fingerprint_; }
  std::string RuleName(int rule) const override {
    return problem_->accelerator->rules()[static_cast<size_t>(rule)].name;
  }

  std::string Text() const override {
    const HardwareProblem& p = *problem_;
    const Landscape& all = *p.landscape;
    const hw::DesignPtr best = p.space->AtPoint(best_);
    std::string text = Format(
        "problem      %s, least %s on %s, bus %s, limits: %s\n"
        "space        %s points, %s can be built, %s of them run the network\n",
        name_.c_str(), ObjectiveName(p.options.objective), p.space->name().c_str(),
        p.options.bus_bits == 0 ? "free" : std::to_string(p.options.bus_bits).c_str(),
        p.LimitsText().c_str(), Grouped(all.points()).c_str(), Grouped(all.valid()).c_str(),
        Grouped(all.runs()).c_str());
    text += Format("optimum      %s: %.6g, %.3fx better than %s\n", best->ShortName().c_str(),
                   optimum(), start_ / optimum(),
                   starts_at_default_ ? "the default" : "the worst (the default is not to be had)");
    text += Format("invalid      %s\n", InvalidHandlingName(p.options.invalid));
    return text;
  }
  void AddJson(hw::JsonWriter* json) const override {
    const HardwareProblem& p = *problem_;
    json->Key("optimum_design").String(p.space->AtPoint(best_)->ShortName());
    json->Key("optimum_hw").Raw(p.space->AtPoint(best_)->ToJson());
    json->Key("optimum_cost").BeginObject();
    AddCost(p.landscape->cost(best_), json);
    json->EndObject();
    json->Key("default_cost").BeginObject();
    AddCost(p.reference_cost, json);
    json->EndObject();
    json->Key("start").Double(start_);
    json->Key("objective").String(ObjectiveName(p.options.objective));
    json->Key("hw_space").String(p.space->name());
    json->Key("bus").Int(p.options.bus_bits);
    json->Key("area_max").Double(p.options.area_max);
    json->Key("latency_max").Double(p.options.latency_max);
    json->Key("board").String(p.options.board);
    json->Key("invalid").String(InvalidHandlingName(p.options.invalid));
    json->Key("points").Int(p.landscape->points());
    json->Key("points_valid").Int(p.landscape->valid());
    json->Key("points_run").Int(p.landscape->runs());
  }

  engine::Result<bool> Run(const CompareMethod& method, uint64_t seed, int64_t budget,
                           const std::atomic<bool>& stop, CompareRun* run) const override {
    engine::ThreadPool alone(1);
    run->curve.push_back({0, start_, 0, 0});
    RecordingEnvironment environment(*problem_, alone, run);
    engine::Result<std::unique_ptr<rl::Agent>> agent =
        rl::MakeAgent(OptionsOf(method, seed, budget), environment, alone);
    if (!agent.ok()) return agent.status();
    engine::Rng rng(seed, kDraws);
    // There is no more to ask than the space has.
    const int64_t most = std::min(budget, problem_->landscape->points());
    while (run->evaluations < most && environment.acts() < kActsPerEvaluation * most &&
           !(*agent)->Done()) {
      if (stop) return false;
      const int64_t before = environment.acts();
      (*agent)->Round(environment, most - run->evaluations, rng);
      if (environment.acts() == before) break;
      if (method.proposes) CountProposal(environment, **agent, run);
    }
    return true;
  }

 private:
  rl::AgentOptions OptionsOf(const CompareMethod& method, uint64_t seed, int64_t budget) const {
    rl::AgentOptions options = options_;
    options.name = method.name;
    options.seed = seed;
    options.budget = budget;
    return options;
  }

  void CountProposal(const RecordingEnvironment& environment, rl::Agent& agent,
                     CompareRun* run) const {
    const std::vector<int> action = agent.Proposal(environment);
    if (action.empty()) return;
    const int64_t point = environment.PointOf(action.data());
    ++run->proposals;
    run->final_broken = problem_->landscape->broken_rules(point);
    if (problem_->landscape->state(point) == Landscape::State::kUnmappable) {
      run->final_broken = kCannotRun;
    }
    run->proposals_broken += run->final_broken != 0 ? 1 : 0;
  }

  // Of the designs that meet the latency limit.
  double WorstObjective() const {
    const Landscape& all = *problem_->landscape;
    const double latency_max = problem_->options.latency_max;
    double worst = 0;
    for (int64_t point = 0; point < all.points(); ++point) {
      if (all.state(point) != Landscape::State::kRuns) continue;
      const DesignCost& cost = all.cost(point);
      if (latency_max > 0 && static_cast<double>(cost.latency_cycles) > latency_max) continue;
      worst = std::max(worst, ObjectiveValue(problem_->options.objective, cost));
    }
    return worst;
  }

  std::shared_ptr<const HardwareProblem> problem_;
  rl::AgentOptions options_;
  std::string name_;
  int64_t best_ = 0;
  double start_ = 0;
  bool starts_at_default_ = true;
  uint64_t fingerprint_ = 0;
};

}  // namespace

std::unique_ptr<CompareProblem> MakeHardwareComparison(
    std::shared_ptr<const HardwareProblem> problem, const rl::AgentOptions& options) {
  return std::make_unique<HardwareComparison>(std::move(problem), options);
}

}  // namespace rhnas::search
