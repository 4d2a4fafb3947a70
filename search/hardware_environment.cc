#include "search/hardware_environment.h"

#include <algorithm>
#include <limits>

#include "engine/check.h"
#include "engine/hash.h"
#include "rl/double_math.h"

namespace rhnas::search {

namespace {

// Mixed-radix number of a point, first parameter most significant.
int64_t PointOf(const std::vector<int>& index, const std::vector<int>& sizes) {
  int64_t point = 0;
  for (size_t i = 0; i < sizes.size(); ++i) point = point * sizes[i] + index[i];
  return point;
}

uint64_t HashOf(const std::vector<hw::Layer>& layers) {
  engine::Fnv1a hash;
  for (const hw::Layer& l : layers) {
    for (int64_t v : {static_cast<int64_t>(l.kind), int64_t{l.n}, int64_t{l.h}, int64_t{l.w},
                      int64_t{l.c}, int64_t{l.k}, int64_t{l.r}, int64_t{l.s}, int64_t{l.stride},
                      int64_t{l.pad}, int64_t{l.groups}, int64_t{l.bias}, int64_t{l.relu}}) {
      hash.Add(&v, sizeof v);
    }
  }
  return hash.value();
}

constexpr double kLog2E = 1.4426950408889634;

// What the agent sees of a network: shares of the work by kind, and its size on log scales around
// those of networks for small images, so that every entry is of order one.
std::array<float, 8> Summary(const std::vector<hw::Layer>& layers) {
  double pointwise = 0, depthwise = 0, grouped = 0, dense = 0, total = 0, weights = 0, maps = 0;
  for (const hw::Layer& l : layers) {
    const double macs = static_cast<double>(l.macs());
    total += macs;
    maps += static_cast<double>(l.h) * l.w * l.c;
    if (l.kind == hw::LayerKind::kConv || l.kind == hw::LayerKind::kDense) {
      weights += static_cast<double>(l.r) * l.s * (l.c / l.groups) * l.k;
    }
    if (l.depthwise()) {
      depthwise += macs;
    } else if (l.groups > 1) {
      grouped += macs;
    } else if (l.r == 1) {
      pointwise += macs;
    } else {
      dense += macs;
    }
  }
  const double all = std::max(total, 1.0);
  auto scaled = [](double value, double center) {
    return static_cast<float>((kLog2E * rl::Log(std::max(value, 1.0)) - center) / 4);
  };
  return {1.0f,
          static_cast<float>(pointwise / all),
          static_cast<float>(depthwise / all),
          static_cast<float>(grouped / all),
          static_cast<float>(dense / all),
          scaled(total, 25),
          scaled(weights, 20),
          scaled(maps, 20)};
}

constexpr const char* kHandlingNames[] = {"penalty", "resample", "static-mask", "mask"};

}  // namespace

const char* InvalidHandlingName(InvalidHandling handling) {
  return kHandlingNames[static_cast<size_t>(handling)];
}

std::vector<std::string> InvalidHandlingNames() {
  return {std::begin(kHandlingNames), std::end(kHandlingNames)};
}

HardwareEnvironment::HardwareEnvironment(Setup setup, engine::ThreadPool& pool)
    : setup_(std::move(setup)),
      pool_(pool),
      sizes_(setup_.space->sizes()),
      workload_({}),
      best_(setup_.reference) {
  RHNAS_CHECK(setup_.accelerator->rules().size() <= 64, "%zu rules, at most 64 are told apart",
              setup_.accelerator->rules().size());
  proposals_.by_rule.assign(setup_.accelerator->rules().size(), 0);
  proposals_.sample.resize(setup_.accelerator->rules().size());
}

void HardwareEnvironment::SetNetwork(const std::vector<hw::Layer>& layers) {
  const uint64_t hash = HashOf(layers);
  if (hash == network_hash_) return;
  network_hash_ = hash;
  workload_ = Workload(layers);
  observation_ = Summary(layers);
  memo_.clear();
  if (setup_.invalid != InvalidHandling::kPenalty && setup_.valid == nullptr) {
    // A user's own table of costs says itself what runs, as does a network of one layer.
    const bool given = setup_.costs.layers != nullptr && setup_.costs.layers->head().given;
    setup_.valid =
        std::make_shared<hw::ValidSet>(*setup_.space, setup_.limits, !given && layers.size() > 1);
  }
  RHNAS_CHECK(
      setup_.valid == nullptr ||
          (setup_.valid->box() == setup_.space->points() && !setup_.valid->empty()),
      "%lld valid points of %lld for a space of %lld", static_cast<long long>(setup_.valid->size()),
      static_cast<long long>(setup_.valid->box()), static_cast<long long>(setup_.space->points()));
  const std::optional<DesignCost> cost =
      Evaluate(*setup_.costs.Model(*setup_.reference), workload_, pool_);
  RHNAS_CHECK(cost.has_value(), "the default accelerator cannot run the network");
  reference_cost_ = *cost;
  ++cost_evaluations_;
  const bool had_best = best_valid_;
  const hw::DesignPtr incumbent = best_;
  best_valid_ = false;
  if (setup_.reference->Valid(setup_.limits)) {
    Consider(setup_.reference, reference_cost_, Reward(reference_cost_));
  }
  if (had_best && !hw::SameDesign(*incumbent, *setup_.reference)) {
    const std::optional<DesignCost> again =
        Evaluate(*setup_.costs.Model(*incumbent), workload_, pool_);
    ++cost_evaluations_;
    if (again) Consider(incumbent, *again, Reward(*again));
  }
}

void HardwareEnvironment::Reset(engine::Rng& /*rng*/) {}

void HardwareEnvironment::Observe(float* observation) const {
  std::copy(observation_.begin(), observation_.end(), observation);
}

bool HardwareEnvironment::Mask(uint8_t* mask) const {
  if (setup_.invalid != InvalidHandling::kStaticMask && setup_.invalid != InvalidHandling::kMask) {
    return false;
  }
  const std::vector<uint8_t>& bounds = setup_.valid->static_mask();
  std::copy(bounds.begin(), bounds.end(), mask);
  return true;
}

bool HardwareEnvironment::MaskHead(int head, const int* action, uint8_t* mask) const {
  if (setup_.invalid != InvalidHandling::kMask) return false;
  setup_.valid->MaskAfter(head, action, mask);
  return true;
}

bool HardwareEnvironment::Admissible(const int* action) const {
  const bool told =
      setup_.invalid == InvalidHandling::kResample || setup_.invalid == InvalidHandling::kMask;
  return !told || setup_.valid->Contains(action);
}

rl::StepResult HardwareEnvironment::Act(const int* action, engine::Rng& /*rng*/) {
  const std::vector<int> index(action, action + sizes_.size());
  const int64_t point = PointOf(index, sizes_);
  const auto [at, fresh] = memo_.try_emplace(point);
  Known& known = at->second;
  if (fresh) {
    known = Ask(index, point);
    ++proposals_.distinct;
    if (known.valid()) ++proposals_.distinct_valid;
  }
  ++proposals_.total;
  if (known.valid()) {
    ++proposals_.valid;
    last_metrics_ = known.metrics;
  } else if (known.broken == 0) {
    ++proposals_.unmappable;
  } else {
    for (size_t rule = 0; rule < proposals_.by_rule.size(); ++rule) {
      proposals_.by_rule[rule] += known.broken >> rule & 1;
    }
  }
  rl::StepResult step;
  step.reward = known.reward;
  step.valid = known.valid();
  step.terminal = true;
  return step;
}

void HardwareEnvironment::Metrics(double* values) const {
  std::copy(last_metrics_.begin(), last_metrics_.end(), values);
}

bool HardwareEnvironment::MetricGoal(double* weight, double* limit) const {
  const Objective objective = setup_.objective;
  weight[0] = objective == Objective::kEnergy ? 0 : 1;
  weight[1] = objective == Objective::kLatency ? 0 : 1;
  weight[2] = 0;
  limit[0] = limit[1] = limit[2] = std::numeric_limits<double>::infinity();
  if (setup_.latency_max > 0) {
    limit[0] = rl::Log(setup_.latency_max / static_cast<double>(reference_cost_.latency_cycles));
  }
  if (setup_.limits.area_max_um2) {
    limit[2] = rl::Log(*setup_.limits.area_max_um2 / reference_cost_.area_um2);
  }
  return true;
}

double HardwareEnvironment::Reward(const DesignCost& cost) const {
  const double ratio =
      ObjectiveValue(setup_.objective, cost) / ObjectiveValue(setup_.objective, reference_cost_);
  double reward = -rl::Log(ratio);
  const double latency = static_cast<double>(cost.latency_cycles);
  // The limit comes first: a design that misses it must not win by its objective, hence the factor.
  if (setup_.latency_max > 0 && latency > setup_.latency_max) {
    reward = std::min(reward, 0.0) - 4 * rl::Log(latency / setup_.latency_max);
  }
  return std::max(reward, kWorstValid);
}

void HardwareEnvironment::Consider(const hw::DesignPtr& design, const DesignCost& cost,
                                   double reward) {
  // Far beyond a latency limit all rewards are the worst one: the fastest of them is the nearest.
  const bool nearer = setup_.latency_max > 0 && reward == best_reward_ &&
                      cost.latency_cycles < best_cost_.latency_cycles;
  if (best_valid_ && reward <= best_reward_ && !nearer) return;
  best_valid_ = true;
  best_ = design;
  best_cost_ = cost;
  best_reward_ = reward;
}

// Which rules the point breaks, and the penalty for it. `design` is made where it is needed.
void HardwareEnvironment::AskRules(const std::vector<int>& index, int64_t point,
                                   hw::DesignPtr* design, Known* known) {
  double severity = 0;
  bool unseen = true;  // a rule that no sample is known of
  if (setup_.landscape != nullptr) {
    known->broken = setup_.landscape->broken_rules(point);
    severity = setup_.landscape->severity(point);
    unseen = false;
    for (size_t rule = 0; rule < proposals_.sample.size(); ++rule) {
      unseen |= (known->broken >> rule & 1) != 0 && proposals_.sample[rule].empty();
    }
  }
  if (unseen) {
    *design = setup_.space->At(index);
    severity = 0;
    for (const hw::BrokenRule& verdict : (*design)->CheckAll(setup_.limits)) {
      known->broken |= uint64_t{1} << verdict.rule;
      severity += verdict.severity;
      std::string& sample = proposals_.sample[static_cast<size_t>(verdict.rule)];
      if (sample.empty()) sample = (*design)->ShortName() + ": " + verdict.ToString();
    }
  }
  known->reward = kWorstValid - std::min(severity, 8.0) / 8;
}

std::optional<DesignCost> HardwareEnvironment::AskCost(const hw::Design* design, int64_t point) {
  if (setup_.landscape == nullptr) {
    return Evaluate(*setup_.costs.Model(*design), workload_, pool_);
  }
  if (setup_.landscape->state(point) != Landscape::State::kRuns) return std::nullopt;
  return setup_.landscape->cost(point);
}

HardwareEnvironment::Known HardwareEnvironment::Ask(const std::vector<int>& index, int64_t point) {
  Known known;
  hw::DesignPtr design;
  AskRules(index, point, &design, &known);
  if (known.broken != 0) return known;
  const std::optional<DesignCost> cost = AskCost(design.get(), point);
  ++cost_evaluations_;
  known.reward = kWorstValid - 1;
  if (!cost) return known;
  known.reward = Reward(*cost);
  known.metrics = {rl::Log(static_cast<double>(cost->latency_cycles) /
                           static_cast<double>(reference_cost_.latency_cycles)),
                   rl::Log(cost->energy_pj / reference_cost_.energy_pj),
                   rl::Log(cost->area_um2 / reference_cost_.area_um2)};
  if (!best_valid_ || known.reward >= best_reward_) {
    Consider(design != nullptr ? design : setup_.space->At(index), *cost, known.reward);
  }
  return known;
}

void HardwareEnvironment::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutString(prefix + "best", best_->ToJson());
  archive.Put(prefix + "best_cost", best_cost_);
  archive.Put(prefix + "best_reward", best_reward_);
  archive.Put(prefix + "best_valid", best_valid_);
  archive.Put(prefix + "evaluations", cost_evaluations_);
  archive.Put(prefix + "total", proposals_.total);
  archive.Put(prefix + "valid", proposals_.valid);
  archive.Put(prefix + "distinct", proposals_.distinct);
  archive.Put(prefix + "distinct_valid", proposals_.distinct_valid);
  archive.Put(prefix + "unmappable", proposals_.unmappable);
  archive.PutVector(prefix + "by_rule", proposals_.by_rule);
  for (size_t rule = 0; rule < proposals_.sample.size(); ++rule) {
    archive.PutString(prefix + "sample" + std::to_string(rule), proposals_.sample[rule]);
  }
  archive.Put(prefix + "last_metrics", last_metrics_);
  std::vector<int64_t> points;
  std::vector<Known> known;
  for (const auto& [point, what] : memo_) {
    points.push_back(point);
    known.push_back(what);
  }
  archive.PutVector(prefix + "memo_points", points);
  archive.PutVector(prefix + "memo", known);
}

engine::Status HardwareEnvironment::Load(engine::ArchiveReader& archive,
                                         const std::string& prefix) {
  std::string best;
  archive.GetString(prefix + "best", &best);
  archive.Get(prefix + "best_cost", &best_cost_);
  archive.Get(prefix + "best_reward", &best_reward_);
  archive.Get(prefix + "best_valid", &best_valid_);
  archive.Get(prefix + "evaluations", &cost_evaluations_);
  archive.Get(prefix + "total", &proposals_.total);
  archive.Get(prefix + "valid", &proposals_.valid);
  archive.Get(prefix + "distinct", &proposals_.distinct);
  archive.Get(prefix + "distinct_valid", &proposals_.distinct_valid);
  archive.Get(prefix + "unmappable", &proposals_.unmappable);
  archive.GetVector(prefix + "by_rule", &proposals_.by_rule);
  for (size_t rule = 0; rule < proposals_.sample.size(); ++rule) {
    archive.GetString(prefix + "sample" + std::to_string(rule), &proposals_.sample[rule]);
  }
  archive.Get(prefix + "last_metrics", &last_metrics_);
  std::vector<int64_t> points;
  std::vector<Known> known;
  archive.GetVector(prefix + "memo_points", &points);
  archive.GetVector(prefix + "memo", &known);
  if (!archive.status().ok()) return archive.status();
  const hw::Result<hw::DesignPtr> design = setup_.accelerator->Parse(best, "checkpoint");
  if (!design.ok()) return engine::Status::Error("%s", design.error().c_str());
  if (proposals_.by_rule.size() != proposals_.sample.size()) {
    return engine::Status::Error("checkpoint: counts of %zu rules, accelerator %s has %zu",
                                 proposals_.by_rule.size(), setup_.accelerator->name(),
                                 proposals_.sample.size());
  }
  if (points.size() != known.size()) {
    return engine::Status::Error("checkpoint: %zu evaluated points but %zu rewards", points.size(),
                                 known.size());
  }
  best_ = *design;
  memo_.clear();
  for (size_t i = 0; i < points.size(); ++i) memo_.emplace(points[i], known[i]);
  return engine::Status::Ok();
}

}  // namespace rhnas::search
