#include "search/hardware_environment.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/hash.h"

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
    return static_cast<float>((std::log2(std::max(value, 1.0)) - center) / 4);
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

}  // namespace

HardwareEnvironment::HardwareEnvironment(Setup setup, engine::ThreadPool& pool)
    : setup_(std::move(setup)),
      pool_(pool),
      sizes_(setup_.space->sizes()),
      workload_({}),
      best_(setup_.reference) {
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
  const std::optional<DesignCost> cost =
      Evaluate(*setup_.costs.Model(*setup_.reference), workload_, pool_);
  RHNAS_CHECK(cost.has_value(), "the default accelerator cannot run the network");
  reference_cost_ = *cost;
  ++evaluations_;
  const bool had_best = best_valid_;
  const hw::DesignPtr incumbent = best_;
  best_valid_ = false;
  if (setup_.reference->Valid(setup_.limits)) {
    Consider(setup_.reference, reference_cost_, Reward(reference_cost_));
  }
  if (had_best && !hw::SameDesign(*incumbent, *setup_.reference)) {
    const std::optional<DesignCost> again =
        Evaluate(*setup_.costs.Model(*incumbent), workload_, pool_);
    ++evaluations_;
    if (again) Consider(incumbent, *again, Reward(*again));
  }
}

void HardwareEnvironment::Reset(engine::Rng& /*rng*/) {}

void HardwareEnvironment::Observe(float* observation) const {
  std::copy(observation_.begin(), observation_.end(), observation);
}

rl::StepResult HardwareEnvironment::Act(const int* action, engine::Rng& /*rng*/) {
  const std::vector<int> index(action, action + sizes_.size());
  rl::StepResult step;
  step.reward = Propose(index);
  step.terminal = true;
  return step;
}

double HardwareEnvironment::Reward(const DesignCost& cost) const {
  const double ratio =
      ObjectiveValue(setup_.objective, cost) / ObjectiveValue(setup_.objective, reference_cost_);
  double reward = -std::log(ratio);
  const double latency = static_cast<double>(cost.latency_cycles);
  // The limit comes first: a design that misses it must not win by its objective, hence the factor.
  if (setup_.latency_max > 0 && latency > setup_.latency_max) {
    reward = std::min(reward, 0.0) - 4 * std::log(latency / setup_.latency_max);
  }
  return std::max(reward, kWorstValid);
}

void HardwareEnvironment::Consider(const hw::DesignPtr& design, const DesignCost& cost,
                                   double reward) {
  if (best_valid_ && reward <= best_reward_) return;
  best_valid_ = true;
  best_ = design;
  best_cost_ = cost;
  best_reward_ = reward;
}

// As Propose, from the landscape.
double HardwareEnvironment::ProposeKnown(const std::vector<int>& index) {
  const Landscape& landscape = *setup_.landscape;
  const int64_t point = PointOf(index, sizes_);
  ++proposals_.total;
  const uint32_t broken = landscape.broken_rules(point);
  if (broken != 0) {
    bool unseen = false;
    for (size_t rule = 0; rule < proposals_.by_rule.size(); ++rule) {
      if ((broken >> rule & 1) != 0) unseen |= proposals_.by_rule[rule]++ == 0;
    }
    if (unseen) {
      const hw::DesignPtr design = setup_.space->At(index);
      for (const hw::BrokenRule& verdict : design->CheckAll(setup_.limits)) {
        std::string& sample = proposals_.sample[static_cast<size_t>(verdict.rule)];
        if (sample.empty()) sample = design->ShortName() + ": " + verdict.ToString();
      }
    }
    return kWorstValid - std::min(landscape.severity(point), 8.0) / 8;
  }
  const bool runs = landscape.state(point) == Landscape::State::kRuns;
  ++(runs ? proposals_.valid : proposals_.unmappable);
  const double reward = runs ? Reward(landscape.cost(point)) : kWorstValid - 1;
  if (!memo_.emplace(point, reward).second) return reward;
  ++evaluations_;
  if (runs && (!best_valid_ || reward > best_reward_)) {
    Consider(setup_.space->At(index), landscape.cost(point), reward);
  }
  return reward;
}

double HardwareEnvironment::Propose(const std::vector<int>& index) {
  if (setup_.landscape != nullptr) return ProposeKnown(index);
  const hw::DesignPtr design = setup_.space->At(index);
  ++proposals_.total;
  const std::vector<hw::BrokenRule> broken = design->CheckAll(setup_.limits);
  if (!broken.empty()) {
    double severity = 0;
    for (const hw::BrokenRule& verdict : broken) {
      const size_t rule = static_cast<size_t>(verdict.rule);
      ++proposals_.by_rule[rule];
      if (proposals_.sample[rule].empty()) {
        proposals_.sample[rule] = design->ShortName() + ": " + verdict.ToString();
      }
      severity += verdict.severity;
    }
    return kWorstValid - std::min(severity, 8.0) / 8;
  }
  const int64_t point = PointOf(index, sizes_);
  const auto known = memo_.find(point);
  if (known != memo_.end()) {
    ++(known->second >= kWorstValid ? proposals_.valid : proposals_.unmappable);
    return known->second;
  }
  const std::optional<DesignCost> cost = Evaluate(*setup_.costs.Model(*design), workload_, pool_);
  ++evaluations_;
  double reward = kWorstValid - 1;
  if (cost) {
    ++proposals_.valid;
    reward = Reward(*cost);
    Consider(design, *cost, reward);
  } else {
    ++proposals_.unmappable;
  }
  memo_.emplace(point, reward);
  return reward;
}

void HardwareEnvironment::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutString(prefix + "best", best_->ToJson());
  archive.Put(prefix + "best_cost", best_cost_);
  archive.Put(prefix + "best_reward", best_reward_);
  archive.Put(prefix + "best_valid", best_valid_);
  archive.Put(prefix + "evaluations", evaluations_);
  archive.Put(prefix + "total", proposals_.total);
  archive.Put(prefix + "valid", proposals_.valid);
  archive.Put(prefix + "unmappable", proposals_.unmappable);
  archive.PutVector(prefix + "by_rule", proposals_.by_rule);
  for (size_t rule = 0; rule < proposals_.sample.size(); ++rule) {
    archive.PutString(prefix + "sample" + std::to_string(rule), proposals_.sample[rule]);
  }
  std::vector<int64_t> points;
  std::vector<double> rewards;
  for (const auto& [point, reward] : memo_) {
    points.push_back(point);
    rewards.push_back(reward);
  }
  archive.PutVector(prefix + "memo_points", points);
  archive.PutVector(prefix + "memo_rewards", rewards);
}

engine::Status HardwareEnvironment::Load(engine::ArchiveReader& archive,
                                         const std::string& prefix) {
  std::string best;
  archive.GetString(prefix + "best", &best);
  archive.Get(prefix + "best_cost", &best_cost_);
  archive.Get(prefix + "best_reward", &best_reward_);
  archive.Get(prefix + "best_valid", &best_valid_);
  archive.Get(prefix + "evaluations", &evaluations_);
  archive.Get(prefix + "total", &proposals_.total);
  archive.Get(prefix + "valid", &proposals_.valid);
  archive.Get(prefix + "unmappable", &proposals_.unmappable);
  archive.GetVector(prefix + "by_rule", &proposals_.by_rule);
  for (size_t rule = 0; rule < proposals_.sample.size(); ++rule) {
    archive.GetString(prefix + "sample" + std::to_string(rule), &proposals_.sample[rule]);
  }
  std::vector<int64_t> points;
  std::vector<double> rewards;
  archive.GetVector(prefix + "memo_points", &points);
  archive.GetVector(prefix + "memo_rewards", &rewards);
  if (!archive.status().ok()) return archive.status();
  const hw::Result<hw::DesignPtr> design = setup_.accelerator->Parse(best, "checkpoint");
  if (!design.ok()) return engine::Status::Error("%s", design.error().c_str());
  if (proposals_.by_rule.size() != proposals_.sample.size()) {
    return engine::Status::Error("checkpoint: counts of %zu rules, accelerator %s has %zu",
                                 proposals_.by_rule.size(), setup_.accelerator->name(),
                                 proposals_.sample.size());
  }
  if (points.size() != rewards.size()) {
    return engine::Status::Error("checkpoint: %zu evaluated points but %zu rewards", points.size(),
                                 rewards.size());
  }
  best_ = *design;
  memo_.clear();
  for (size_t i = 0; i < points.size(); ++i) memo_.emplace(points[i], rewards[i]);
  return engine::Status::Ok();
}

}  // namespace rhnas::search
