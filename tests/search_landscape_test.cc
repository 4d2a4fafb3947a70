// The whole space at once must be what asking point by point answers, to the bit.

#include "search/landscape.h"

#include <gtest/gtest.h>

#include "hw/systolic.h"
#include "hw/vta_accelerator.h"
#include "search/hardware_environment.h"
#include "search/layers.h"

namespace rhnas::search {
namespace {

Landscape::Question QuestionOf(const hw::Accelerator& family, const char* space,
                               const std::string& network) {
  Landscape::Question q;
  q.accelerator = &family;
  hw::SpaceOptions options;
  options.derived_tags = true;
  hw::Result<std::unique_ptr<hw::DesignSpace>> found = family.FindSpace(space, options);
  EXPECT_TRUE(found.ok()) << found.error();
  q.space = std::move(*found);
  q.costs.table = &hw::DefaultCostTable();
  const engine::Result<nn::Network> parsed = nn::ParseNetwork(network);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  q.layers = ToHardwareLayers(nn::LayersOf(parsed->space, parsed->genotype));
  return q;
}

std::shared_ptr<const Landscape> Built(const Landscape::Question& q, int threads) {
  engine::ThreadPool pool(threads);
  engine::Result<std::shared_ptr<const Landscape>> built = Landscape::Build(q, pool);
  EXPECT_TRUE(built.ok()) << built.status().message();
  return *built;
}

bool SameCost(const DesignCost& a, const DesignCost& b) {
  return a.latency_cycles == b.latency_cycles && a.energy_pj == b.energy_pj &&
         a.edp_pj_cycles == b.edp_pj_cycles && a.area_um2 == b.area_um2 &&
         a.dram_bytes == b.dram_bytes;
}

// Every `step`-th point against the model itself; the optimum against all points.
void ExpectExact(const Landscape::Question& q, const Landscape& landscape, int64_t step) {
  engine::ThreadPool pool(2);
  const Workload workload(q.layers);
  int64_t valid = 0, runs = 0;
  for (int64_t point = 0; point < landscape.points(); point += step) {
    const hw::DesignPtr design = q.space->AtPoint(point);
    const std::vector<hw::BrokenRule> broken = design->CheckAll(q.limits);
    uint32_t rules = 0;
    double severity = 0;
    for (const hw::BrokenRule& rule : broken) {
      rules |= 1u << rule.rule;
      severity += rule.severity;
    }
    ASSERT_EQ(landscape.broken_rules(point), rules) << design->ShortName();
    ASSERT_EQ(landscape.severity(point), severity) << design->ShortName();
    std::optional<DesignCost> cost;
    if (broken.empty()) {
      ++valid;
      cost = Evaluate(*q.costs.Model(*design), workload, pool);
    }
    runs += cost.has_value();
    const Landscape::State expected = !broken.empty() ? Landscape::State::kInvalid
                                      : cost          ? Landscape::State::kRuns
                                                      : Landscape::State::kUnmappable;
    ASSERT_EQ(landscape.state(point), expected) << design->ShortName();
    if (cost) {
      ASSERT_TRUE(SameCost(landscape.cost(point), *cost)) << design->ShortName();
    }
  }
  if (step == 1) {
    EXPECT_EQ(landscape.valid(), valid);
    EXPECT_EQ(landscape.runs(), runs);
  }
}

TEST(Landscape, IsWhatEvaluatingEachPointAnswers) {
  Landscape::Question q =
      QuestionOf(hw::Vta(), "vta-small", "tiny:k3_e3,skip,k5_e1,k3_e1_g2,skip,k3_e6");
  const std::shared_ptr<const Landscape> landscape = Built(q, 2);
  EXPECT_EQ(landscape->points(), q.space->points());
  EXPECT_GT(landscape->runs(), 0);
  EXPECT_LT(landscape->valid(), landscape->points()) << "some points must break rules here";
  ExpectExact(q, *landscape, 1);
}

TEST(Landscape, KnowsLimitsAndOtherFamilies) {
  Landscape::Question q = QuestionOf(hw::Vta(), "vta", "resnet20");
  q.limits.area_max_um2 = q.space->Reference()->AreaUm2(*q.costs.table);
  const std::shared_ptr<const Landscape> capped = Built(q, 2);
  ExpectExact(q, *capped, 211);
  const Landscape::Question systolic = QuestionOf(hw::Systolic(), "systolic", "resnet20");
  ExpectExact(systolic, *Built(systolic, 2), 1009);
}

TEST(Landscape, ThreadsDoNotMatter) {
  const Landscape::Question q = QuestionOf(hw::Vta(), "vta-small", "resnet20");
  const std::shared_ptr<const Landscape> one = Built(q, 1), three = Built(q, 3);
  ASSERT_EQ(one->runs(), three->runs());
  for (int64_t point = 0; point < one->points(); ++point) {
    ASSERT_EQ(one->state(point), three->state(point)) << point;
    if (one->state(point) == Landscape::State::kRuns) {
      ASSERT_TRUE(SameCost(one->cost(point), three->cost(point))) << point;
    }
  }
}

TEST(Landscape, BestIsTheLeast) {
  const Landscape::Question q = QuestionOf(hw::Vta(), "vta-small", "resnet20");
  const std::shared_ptr<const Landscape> landscape = Built(q, 2);
  for (const Objective objective : {Objective::kLatency, Objective::kEnergy, Objective::kEdp}) {
    const int64_t best = landscape->Best(objective), worst = landscape->Worst(objective);
    ASSERT_GE(best, 0);
    const double least = ObjectiveValue(objective, landscape->cost(best));
    const double most = ObjectiveValue(objective, landscape->cost(worst));
    EXPECT_LT(least, most);
    for (int64_t point = 0; point < landscape->points(); ++point) {
      if (landscape->state(point) != Landscape::State::kRuns) continue;
      const double here = ObjectiveValue(objective, landscape->cost(point));
      EXPECT_TRUE(here > least || (here == least && point >= best)) << point;
      EXPECT_LE(here, most) << point;
    }
  }
  // A limit that only the fastest meet, and one that none does.
  const int64_t fastest = landscape->Best(Objective::kLatency);
  const double cycles = static_cast<double>(landscape->cost(fastest).latency_cycles);
  const int64_t limited = landscape->Best(Objective::kEnergy, cycles);
  ASSERT_GE(limited, 0);
  EXPECT_EQ(landscape->cost(limited).latency_cycles, landscape->cost(fastest).latency_cycles);
  EXPECT_EQ(landscape->Best(Objective::kEnergy, cycles - 1), -1);
}

TEST(Landscape, StopsWhenAsked) {
  const Landscape::Question q = QuestionOf(hw::Vta(), "vta", "resnet20");
  engine::ThreadPool pool(2);
  const std::atomic<bool> stop{true};
  const auto built = Landscape::Build(q, pool, nullptr, &stop);
  ASSERT_TRUE(built.ok());
  EXPECT_EQ(*built, nullptr);
}

// The environment must not be able to tell.
TEST(Landscape, EnvironmentAnswersAsWithoutIt) {
  const Landscape::Question q = QuestionOf(hw::Vta(), "vta-small", "resnet20");
  engine::ThreadPool pool(2);
  HardwareEnvironment::Setup setup;
  setup.accelerator = q.accelerator;
  setup.space = q.space;
  setup.limits = q.limits;
  setup.reference = q.space->Reference();
  setup.costs = q.costs;
  HardwareEnvironment evaluating(setup, pool);
  setup.landscape = Built(q, 2);
  HardwareEnvironment looking_up(setup, pool);
  evaluating.SetNetwork(q.layers);
  looking_up.SetNetwork(q.layers);
  engine::Rng rng(7);
  const std::vector<int>& sizes = evaluating.action_sizes();
  for (int i = 0; i < 600; ++i) {
    std::vector<int> action;
    for (const int size : sizes) {
      action.push_back(static_cast<int>(rng.NextU64() % static_cast<uint64_t>(size)));
    }
    const rl::StepResult a = evaluating.Act(action.data(), rng);
    const rl::StepResult b = looking_up.Act(action.data(), rng);
    ASSERT_EQ(a.reward, b.reward) << i;
    ASSERT_EQ(a.valid, b.valid) << i;
  }
  EXPECT_EQ(evaluating.evaluations(), looking_up.evaluations());
  EXPECT_EQ(evaluating.proposals().valid, looking_up.proposals().valid);
  EXPECT_EQ(evaluating.proposals().unmappable, looking_up.proposals().unmappable);
  EXPECT_EQ(evaluating.proposals().by_rule, looking_up.proposals().by_rule);
  EXPECT_EQ(evaluating.proposals().sample, looking_up.proposals().sample);
  ASSERT_TRUE(looking_up.has_best());
  EXPECT_EQ(evaluating.best()->ToJson(), looking_up.best()->ToJson());
  EXPECT_EQ(evaluating.best_reward(), looking_up.best_reward());
}

}  // namespace
}  // namespace rhnas::search
