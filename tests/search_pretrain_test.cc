// Agents trained on random networks: landscapes as sums are exact, one forward pass comes near the
// optimum of networks never seen, training resumes to the same bits, files are checked.
#include "search/pretrain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "engine/archive.h"
#include "rl/double_math.h"
#include "search/layers.h"
#include "search/table_flags.h"

namespace rhnas::search {
namespace {

// tiny on vta-small: 114 points that run networks.
struct Small {
  explicit Small(const char* hw_space = "vta-small") : pool(2) {
    accelerator = hw::FindAcceleratorOfSpace(hw_space);
    hw::SpaceOptions options;
    options.derived_tags = true;
    auto found = accelerator->FindSpace(hw_space, options);
    EXPECT_TRUE(found.ok());
    space = std::move(*found);
    prices = *LoadCostTable({});
    networks = *nn::FindSpace("tiny");
    auto built = SpaceCosts::Build({accelerator, space, &prices, &networks}, pool, nullptr, never);
    EXPECT_TRUE(built.ok()) << built.status().message();
    costs = *built;
    head.networks = "tiny";
    head.hw_space = hw_space;
  }
  engine::ThreadPool pool;
  std::atomic<bool> never{false};
  const hw::Accelerator* accelerator;
  std::shared_ptr<const hw::DesignSpace> space;
  hw::CostTable prices;
  nn::Space networks;
  std::shared_ptr<const SpaceCosts> costs;
  Proposer::Head head;
};

std::string Bytes(const Proposer& proposer) {
  const std::string path = testing::TempDir() + "search_pretrain_bytes";
  EXPECT_TRUE(proposer.Save(path).ok());
  return *engine::ReadFile(path);
}

TEST(SpaceCosts, SumsAreTheCostsOfWholeNetworks) {
  for (const char* hw_space : {"vta-small", "systolic"}) {
    Small small(hw_space);
    engine::Rng rng(5);
    const CostSource source{&small.prices, nullptr, nullptr};
    for (int trial = 0; trial < 3; ++trial) {
      nn::Genotype genotype;
      for (int slot : small.networks.searchable()) {
        genotype.choice.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(
            small.networks.slots[static_cast<size_t>(slot)].candidates.size()))));
      }
      const Workload workload(ToHardwareLayers(nn::LayersOf(small.networks, genotype)));
      std::vector<double> logs;
      std::vector<uint8_t> runs;
      small.costs->Landscape(genotype.choice, Objective::kEdp, &logs, &runs);
      for (size_t row = 0; row < logs.size(); row += 1 + logs.size() / 20) {
        const hw::DesignPtr design = small.space->AtPoint(small.costs->points()[row]);
        const auto cost = Evaluate(*source.Model(*design), workload, small.pool);
        ASSERT_EQ(cost.has_value(), runs[row] != 0) << hw_space << " row " << row;
        if (cost) {
          EXPECT_NEAR(logs[row], rl::Log(cost->edp_pj_cycles), 1e-12) << hw_space << " row " << row;
        }
      }
    }
  }
}

TEST(Pretrain, ProposesWithinFivePercentForNetworksItNeverSaw) {
  for (PretrainGradient gradient : {PretrainGradient::kExact, PretrainGradient::kSampled}) {
    Small small;
    small.head.all_steps = 250;
    small.head.hidden = 64;
    small.head.gradient = gradient;
    Proposer untrained(small.head, *small.space, small.pool);
    Proposer proposer(small.head, *small.space, small.pool);
    Pretrain(proposer, small.networks, *small.costs, {}, nullptr, small.never);
    for (double cap : {0.0, 1.0}) {
      const ProposalGaps before =
          TestProposer(untrained, small.networks, *small.costs, cap, 200, 7);
      const ProposalGaps after = TestProposer(proposer, small.networks, *small.costs, cap, 200, 7);
      ASSERT_EQ(after.gaps.size(), 200u);
      EXPECT_LT(before.share_within(0.05), 0.5);
      EXPECT_LT(after.quantile(0.5), 0.01) << "cap " << cap;
      EXPECT_GT(after.share_within(0.05), 0.9) << "cap " << cap;
      EXPECT_GE(after.gaps.front(), 0);
    }
    // Proposing from layers alone is the same policy.
    nn::Genotype genotype;
    for (int slot : small.networks.searchable()) {
      static_cast<void>(slot);
      genotype.choice.push_back(0);
    }
    std::vector<double> logs;
    std::vector<uint8_t> runs;
    small.costs->Landscape(genotype.choice, Objective::kEdp, &logs, &runs);
    const int64_t point = proposer.Propose(ToHardwareLayers(nn::LayersOf(small.networks, genotype)),
                                           0, small.costs->points());
    const auto at = std::find(small.costs->points().begin(), small.costs->points().end(), point) -
                    small.costs->points().begin();
    EXPECT_LT(logs[static_cast<size_t>(at)], *std::min_element(logs.begin(), logs.end()) + 0.3);
  }
}

TEST(Pretrain, ResumesToTheSameBitsForAnyNumberOfThreads) {
  Small small;
  small.head.all_steps = 12;
  small.head.hidden = 16;
  Proposer whole(small.head, *small.space, small.pool);
  Pretrain(whole, small.networks, *small.costs, {}, nullptr, small.never);
  engine::ThreadPool one(1);
  Proposer first(small.head, *small.space, one);
  std::atomic<bool> stop{true};
  Pretrain(first, small.networks, *small.costs, {}, nullptr, stop);
  EXPECT_EQ(first.head.steps, 0);
  const std::string path = testing::TempDir() + "search_pretrain.agent";
  ASSERT_TRUE(first.Save(path).ok());
  auto second = Proposer::Load(path, *small.space, one);
  ASSERT_TRUE(second.ok()) << second.status().message();
  PretrainOptions part;
  part.most_steps = 5;
  Pretrain(**second, small.networks, *small.costs, part, nullptr, small.never);
  EXPECT_EQ((*second)->head.steps, 5);
  ASSERT_TRUE((*second)->Save(path).ok());
  auto third = Proposer::Load(path, *small.space, small.pool);
  ASSERT_TRUE(third.ok()) << third.status().message();
  Pretrain(**third, small.networks, *small.costs, {}, nullptr, small.never);
  EXPECT_TRUE(Bytes(whole) == Bytes(**third));
}

TEST(Proposer, FilesThatAreWrongAreNamed) {
  Small small;
  const std::string path = testing::TempDir() + "search_pretrain_files.agent";
  EXPECT_FALSE(Proposer::LoadHead(path + ".none").ok());
  engine::ArchiveWriter other;
  other.Put("something", 1);
  ASSERT_TRUE(other.Save(path).ok());
  EXPECT_NE(Proposer::LoadHead(path).status().message().find("not an agent"), std::string::npos);
  other.Put("proposer/version", int32_t{99});
  ASSERT_TRUE(other.Save(path).ok());
  EXPECT_NE(Proposer::LoadHead(path).status().message().find("version 99"), std::string::npos);

  Proposer proposer(small.head, *small.space, small.pool);
  ASSERT_TRUE(proposer.Save(path).ok());
  EXPECT_TRUE(Proposer::Load(path, *small.space, small.pool).ok());
  hw::SpaceOptions options;
  options.bus_bits = 128;
  const auto wide = small.accelerator->FindSpace("vta-small", options);
  ASSERT_TRUE(wide.ok());
  EXPECT_NE(Proposer::Load(path, **wide, small.pool).status().message().find("hardware space"),
            std::string::npos);
  std::string bytes = *engine::ReadFile(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::remove((path + ".prev").c_str());
  ASSERT_TRUE(engine::WriteFileAtomically(path, bytes).ok());
  EXPECT_FALSE(Proposer::LoadHead(path).ok());
}

}  // namespace
}  // namespace rhnas::search
