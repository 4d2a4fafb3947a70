// The hardware environment as agents see it: what it counts, measures and lets them know of the
// rules.
#include "search/hardware_environment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "hw/vta_accelerator.h"
#include "nn/space.h"
#include "search/layers.h"

namespace rhnas::search {
namespace {

HardwareEnvironment::Setup SetupOf(const char* space, InvalidHandling invalid) {
  HardwareEnvironment::Setup setup;
  setup.accelerator = &hw::Vta();
  setup.space = std::move(*setup.accelerator->FindSpace(space, {}));
  setup.reference = setup.space->Reference();
  setup.costs.table = &hw::DefaultCostTable();
  setup.limits.area_max_um2 = setup.reference->AreaUm2(*setup.costs.table);
  setup.invalid = invalid;
  return setup;
}

std::vector<hw::Layer> TinyLayers() {
  const nn::Space space = *nn::FindSpace("tiny");
  nn::Genotype genotype;
  genotype.choice.assign(space.searchable().size(), 1);
  return ToHardwareLayers(nn::LayersOf(space, genotype));
}

std::vector<int> Uniform(const std::vector<int>& sizes, engine::Rng& rng) {
  std::vector<int> action;
  for (int size : sizes) action.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(size))));
  return action;
}

TEST(HardwareEnvironment, CountsDistinctPoints) {
  engine::ThreadPool pool(1);
  HardwareEnvironment environment(SetupOf("vta-small", InvalidHandling::kPenalty), pool);
  environment.SetNetwork(TinyLayers());
  engine::Rng rng(3);
  std::set<std::vector<int>> seen;
  std::set<std::vector<int>> valid;
  for (int trial = 0; trial < 400; ++trial) {
    const std::vector<int> action = Uniform(environment.action_sizes(), rng);
    const rl::StepResult step = environment.Act(action.data(), rng);
    EXPECT_EQ(step.valid, step.reward >= HardwareEnvironment::kWorstValid);
    seen.insert(action);
    if (step.valid) valid.insert(action);
    ASSERT_EQ(environment.evaluations(), static_cast<int64_t>(seen.size()));
    ASSERT_EQ(environment.proposals().distinct_valid, static_cast<int64_t>(valid.size()));
  }
  EXPECT_LT(environment.evaluations(), 162) << "vta-small has 162 points";
  EXPECT_LT(valid.size(), seen.size());
}

TEST(HardwareEnvironment, MetricsMakeTheReward) {
  for (const Objective objective : {Objective::kLatency, Objective::kEnergy, Objective::kEdp}) {
    engine::ThreadPool pool(1);
    HardwareEnvironment::Setup setup = SetupOf("vta-small", InvalidHandling::kPenalty);
    setup.objective = objective;
    HardwareEnvironment environment(setup, pool);
    environment.SetNetwork(TinyLayers());
    ASSERT_EQ(environment.metrics(), 3);
    double weight[3], limit[3], metric[3];
    ASSERT_TRUE(environment.MetricGoal(weight, limit));
    EXPECT_EQ(limit[0], std::numeric_limits<double>::infinity());
    EXPECT_NEAR(limit[2], 0, 1e-12) << "the cap is the reference's own area";
    engine::Rng rng(4);
    for (int trial = 0; trial < 200; ++trial) {
      const std::vector<int> action = Uniform(environment.action_sizes(), rng);
      const rl::StepResult step = environment.Act(action.data(), rng);
      if (!step.valid) continue;
      environment.Metrics(metric);
      double goal = 0;
      for (int i = 0; i < 3; ++i) goal -= weight[i] * metric[i];
      EXPECT_NEAR(goal, step.reward, 1e-9);
      EXPECT_LE(metric[2], limit[2]);
    }
  }
}

TEST(HardwareEnvironment, OffersWhatItsHandlingSays) {
  struct Offer {
    InvalidHandling handling;
    bool mask, head_mask, admissible;
  };
  for (const Offer& offer : {Offer{InvalidHandling::kPenalty, false, false, false},
                             Offer{InvalidHandling::kResample, false, false, true},
                             Offer{InvalidHandling::kStaticMask, true, false, false},
                             Offer{InvalidHandling::kMask, true, true, true}}) {
    const char* name = InvalidHandlingName(offer.handling);
    engine::ThreadPool pool(1);
    const HardwareEnvironment::Setup setup = SetupOf("vta", offer.handling);
    HardwareEnvironment environment(setup, pool);
    environment.SetNetwork(TinyLayers());
    const hw::ValidSet valid(*setup.space, setup.limits, true);
    const std::vector<int>& sizes = environment.action_sizes();
    int total = 0;
    for (int size : sizes) total += size;
    std::vector<uint8_t> mask(static_cast<size_t>(total), 7), head_mask(16);
    ASSERT_EQ(environment.Mask(mask.data()), offer.mask) << name;
    if (offer.mask) {
      EXPECT_EQ(mask, valid.static_mask()) << name;
    }
    engine::Rng rng(5);
    int forbidden = 0;
    for (int trial = 0; trial < 500; ++trial) {
      std::vector<int> action = Uniform(sizes, rng);
      const bool holds = valid.Contains(action.data());
      EXPECT_EQ(environment.Admissible(action.data()), holds || !offer.admissible) << name;
      forbidden += !holds;
      for (int head = 0; head < static_cast<int>(sizes.size()); ++head) {
        ASSERT_EQ(environment.MaskHead(head, action.data(), head_mask.data()), offer.head_mask);
        if (!offer.head_mask) break;
        // The first allowed choice from the drawn one on.
        int& choice = action[static_cast<size_t>(head)];
        while (head_mask[static_cast<size_t>(choice)] == 0) {
          choice = (choice + 1) % sizes[static_cast<size_t>(head)];
        }
      }
      if (offer.head_mask) {
        EXPECT_TRUE(environment.Act(action.data(), rng).valid);
      }
    }
    EXPECT_GT(forbidden, 400) << name;
  }
}

TEST(HardwareEnvironment, ResumesWhereItStood) {
  engine::ThreadPool pool(1);
  const HardwareEnvironment::Setup setup = SetupOf("vta-small", InvalidHandling::kMask);
  HardwareEnvironment first(setup, pool), second(setup, pool);
  first.SetNetwork(TinyLayers());
  second.SetNetwork(TinyLayers());
  engine::Rng rng(6);
  for (int i = 0; i < 50; ++i) {
    first.Act(Uniform(first.action_sizes(), rng).data(), rng);
  }
  engine::ArchiveWriter writer;
  first.Save(writer, "");
  const std::string path = testing::TempDir() + "environment.ckpt";
  ASSERT_TRUE(writer.Save(path).ok());
  engine::Result<engine::ArchiveReader> reader = engine::ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(second.Load(*reader, "").ok());
  for (int i = 0; i < 50; ++i) {
    const std::vector<int> action = Uniform(first.action_sizes(), rng);
    const rl::StepResult a = first.Act(action.data(), rng), b = second.Act(action.data(), rng);
    ASSERT_EQ(a.reward, b.reward);
    ASSERT_EQ(a.valid, b.valid);
    double left[3], right[3];
    first.Metrics(left);
    second.Metrics(right);
    for (int k = 0; k < 3; ++k) ASSERT_EQ(left[k], right[k]);
  }
  EXPECT_EQ(first.evaluations(), second.evaluations());
  EXPECT_EQ(first.cost_evaluations(), second.cost_evaluations());
  EXPECT_EQ(first.proposals().by_rule, second.proposals().by_rule);
}

}  // namespace
}  // namespace rhnas::search
