// Costs as the search sees them: the workload's sum, the candidates' table, the expected
// objective's gradient, the hardware environment's rewards.

#include "search/objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "hw/vta_accelerator.h"
#include "search/hardware_environment.h"
#include "search/layers.h"
#include "search/slot_costs.h"

namespace rhnas::search {
namespace {

nn::Space Tiny() {
  engine::Result<nn::Space> space = nn::FindSpace("tiny");
  EXPECT_TRUE(space.ok());
  return *space;
}

hw::Config Default() { return *hw::FindConfig("default"); }

TEST(Objective, WorkloadSumEqualsTheModelsOwn) {
  engine::ThreadPool pool(2);
  engine::Result<nn::Network> network = nn::ParseNetwork("resnet20");
  ASSERT_TRUE(network.ok());
  const std::vector<hw::Layer> layers =
      ToHardwareLayers(nn::LayersOf(network->space, network->genotype));
  const hw::CostModel model(Default(), hw::DefaultCostTable());
  const Workload workload(layers);
  EXPECT_LT(static_cast<size_t>(workload.chains.singles()), layers.size())
      << "ResNet-20 repeats its blocks";
  const std::optional<DesignCost> sum = Evaluate(model, workload, pool);
  const std::optional<hw::NetworkCost> whole = model.Evaluate(layers);
  ASSERT_TRUE(sum && whole);
  EXPECT_EQ(sum->latency_cycles, whole->latency_cycles);
  EXPECT_EQ(sum->dram_bytes, whole->dram_bytes);
  EXPECT_NEAR(sum->energy_pj / whole->energy_pj, 1.0, 1e-12);
}

TEST(SlotCosts, AddUpToTheNetworksCost) {
  engine::ThreadPool pool(2);
  const nn::Space space = Tiny();
  const hw::CostModel model(Default(), hw::DefaultCostTable());
  engine::Result<SlotCosts> costs = CostsOfSlots(space, model, pool);
  ASSERT_TRUE(costs.ok());
  engine::Rng rng(3);
  for (int trial = 0; trial < 20; ++trial) {
    nn::Genotype genotype;
    double cycles = costs->fixed_latency_cycles, pj = costs->fixed_energy_pj;
    for (size_t slot = 0; slot < costs->latency_cycles.size(); ++slot) {
      const uint32_t n = static_cast<uint32_t>(costs->latency_cycles[slot].size());
      const size_t pick = rng.Below(n);
      genotype.choice.push_back(static_cast<int>(pick));
      cycles += costs->latency_cycles[slot][pick];
      pj += costs->energy_pj[slot][pick];
    }
    const std::optional<DesignCost> whole =
        Evaluate(model, Workload(ToHardwareLayers(nn::LayersOf(space, genotype))), pool);
    ASSERT_TRUE(whole);
    EXPECT_DOUBLE_EQ(cycles, static_cast<double>(whole->latency_cycles));
    EXPECT_NEAR(pj / whole->energy_pj, 1.0, 1e-12);
  }
}

// Some accelerators that can be built run one candidate of a slot and not another: the table then
// turns the search away from that candidate, and the search goes on.
TEST(SlotCosts, CandidateThatCannotRunIsPricedAway) {
  engine::ThreadPool pool(2);
  const nn::Space space = Tiny();
  // log2 of micro-op, input, weight and accumulator bytes, batch, input and output block, bus bits.
  const int points[][8] = {{11, 16, 13, 13, 0, 5, 6, 256},
                           {13, 17, 14, 14, 1, 6, 6, 512},
                           {14, 12, 14, 15, 2, 6, 6, 256},
                           {15, 14, 14, 13, 0, 6, 4, 64}};
  int priced = 0;
  for (const auto& p : points) {
    hw::Config config = Default();
    config.log_uop_buff = p[0];
    config.log_inp_buff = p[1];
    config.log_wgt_buff = p[2];
    config.log_acc_buff = p[3];
    config.log_batch = p[4];
    config.log_block_in = p[5];
    config.log_block_out = p[6];
    config.bus_bits = config.dpi_data_bits = p[7];
    config.vme_tag_bits = 32;
    const hw::CostModel model(config, hw::DefaultCostTable());
    const engine::Result<SlotCosts> costs = CostsOfSlots(space, model, pool);
    ASSERT_TRUE(costs.ok()) << costs.status().message();
    const std::vector<int> searchable = space.searchable();
    for (size_t slot = 0; slot < searchable.size(); ++slot) {
      const nn::Slot& here = space.slots[static_cast<size_t>(searchable[slot])];
      double dearest = 0;
      std::vector<size_t> unmappable;
      for (size_t c = 0; c < here.candidates.size(); ++c) {
        const Workload workload(ToHardwareLayers(nn::LayersOf(here, here.candidates[c], "s")));
        const std::optional<DesignCost> cost = Evaluate(model, workload, pool);
        if (!cost) unmappable.push_back(c);
        if (cost) dearest = std::max(dearest, static_cast<double>(cost->latency_cycles));
      }
      for (size_t c : unmappable) {
        EXPECT_EQ(costs->latency_cycles[slot][c], 4 * dearest);
        ++priced;
      }
    }
  }
  EXPECT_GT(priced, 0) << "these points no longer show the case: find others";
}

// With several images in a row of the array and blocks that differ, what one layer puts out is not
// what the next reads: no network runs, while each layer does.
TEST(SlotCosts, NoNetworkOnAnAcceleratorThatRearranges) {
  engine::ThreadPool pool(1);
  hw::Config config = Default();
  config.log_batch = 1;
  config.log_block_out = 5;
  config.vme_tag_bits = 32;
  const hw::CostModel model(config, hw::DefaultCostTable());
  const engine::Result<SlotCosts> costs = CostsOfSlots(Tiny(), model, pool);
  ASSERT_FALSE(costs.ok());
  EXPECT_NE(costs.status().message().find("LOG_BATCH"), std::string::npos)
      << costs.status().message();
  const std::vector<hw::Layer> layers = ToHardwareLayers(
      nn::LayersOf(nn::ParseNetwork("resnet20")->space, nn::ParseNetwork("resnet20")->genotype));
  std::string why;
  EXPECT_FALSE(model.Evaluate(layers, &why).has_value());
  EXPECT_NE(why.find("LOG_BATCH"), std::string::npos) << why;
  EXPECT_FALSE(Evaluate(model, Workload(layers), pool).has_value());
  for (const hw::Layer& layer : layers) EXPECT_TRUE(model.Evaluate(layer, &why)) << why;
}

// d(expected objective)/d(logits) against central differences of the same expression in double,
// over the candidates that were active.
TEST(SlotCosts, ExpectedObjectiveGradient) {
  engine::ThreadPool pool(1);
  const nn::Space space = Tiny();
  const hw::CostModel model(Default(), hw::DefaultCostTable());
  engine::Result<SlotCosts> costs = CostsOfSlots(space, model, pool);
  ASSERT_TRUE(costs.ok());
  const CostScale scale = UniformMixture(*costs);
  for (Objective objective : {Objective::kLatency, Objective::kEnergy, Objective::kEdp}) {
    for (float temperature : {5.0f, 1.0f, 0.1f, 0.02f}) {
      nn::Supernet net(space, engine::Rng(5));
      engine::Rng rng(11);
      for (engine::Parameter* logits : net.arch()) {
        for (int64_t i = 0; i < logits->value.size(); ++i) logits->value[i] = rng.Normal() * 0.5f;
        logits->ZeroGrad();
      }
      std::vector<float> pixels(static_cast<size_t>(2 * space.h * space.w * space.c), 0.1f);
      engine::Tape tape(pool);
      const engine::Var images =
          tape.Alias(engine::Shape(2, space.h, space.w, space.c), pixels.data());
      const nn::ArchPass pass =
          net.ForwardArch(tape, images, nn::ArchGradient::kProxyHard, temperature, rng);
      const engine::Var cost = ExpectedObjective(tape, pass, *costs, scale, objective);
      tape.Backward(cost);

      const std::vector<engine::Parameter*> arch = net.arch();
      auto expected = [&](size_t slot, size_t candidate, double shift) {
        double cycles = costs->fixed_latency_cycles / scale.latency_cycles;
        double pj = costs->fixed_energy_pj / scale.energy_pj;
        for (size_t s = 0; s < arch.size(); ++s) {
          double total = 0;
          for (int c : pass.active[s]) {
            const size_t at = static_cast<size_t>(c);
            total += std::exp(static_cast<double>(arch[s]->value[c]) +
                              (s == slot && at == candidate ? shift : 0));
          }
          for (int c : pass.active[s]) {
            const size_t at = static_cast<size_t>(c);
            const double p = std::exp(static_cast<double>(arch[s]->value[c]) +
                                      (s == slot && at == candidate ? shift : 0)) /
                             total;
            cycles += p * costs->latency_cycles[s][at] / scale.latency_cycles;
            pj += p * costs->energy_pj[s][at] / scale.energy_pj;
          }
        }
        if (objective == Objective::kLatency) return cycles;
        return objective == Objective::kEnergy ? pj : cycles * pj;
      };
      EXPECT_NEAR(static_cast<double>(*tape.value(cost)), expected(0, 0, 0), 1e-5);
      double largest = 0;
      for (size_t s = 0; s < arch.size(); ++s) {
        for (int64_t c = 0; c < arch[s]->grad.size(); ++c) {
          const double h = 1e-4;
          const size_t at = static_cast<size_t>(c);
          const double numeric = (expected(s, at, h) - expected(s, at, -h)) / (2 * h);
          EXPECT_NEAR(static_cast<double>(arch[s]->grad[c]), numeric,
                      1e-6 + 1e-4 * std::fabs(numeric))
              << ObjectiveName(objective) << " slot " << s << " candidate " << c;
          largest = std::max(largest, std::fabs(numeric));
        }
      }
      EXPECT_GT(largest, 1e-4) << "the cost must steer the architecture";
    }
  }
}

HardwareEnvironment::Setup EnvironmentSetup() {
  HardwareEnvironment::Setup setup;
  setup.accelerator = &hw::Vta();
  setup.space = std::move(*setup.accelerator->FindSpace("vta", {}));
  setup.reference = setup.space->Reference();
  setup.costs.table = &hw::DefaultCostTable();
  setup.limits.area_max_um2 = setup.reference->AreaUm2(*setup.costs.table);
  return setup;
}

TEST(HardwareEnvironment, RewardsAreBoundedAndGraded) {
  engine::ThreadPool pool(2);
  HardwareEnvironment environment(EnvironmentSetup(), pool);
  const nn::Space space = Tiny();
  nn::Genotype genotype;
  genotype.choice.assign(space.searchable().size(), 1);
  environment.SetNetwork(ToHardwareLayers(nn::LayersOf(space, genotype)));
  ASSERT_TRUE(environment.has_best()) << "the default satisfies an area cap of 1.0";
  EXPECT_EQ(environment.best_reward(), 0.0);
  engine::Rng rng(1);
  const std::vector<int>& sizes = environment.action_sizes();
  int valid = 0, invalid = 0;
  double best = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<int> action;
    for (int size : sizes)
      action.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(size))));
    const int64_t valid_before = environment.proposals().valid;
    const rl::StepResult step = environment.Act(action.data(), rng);
    EXPECT_TRUE(step.terminal);
    ASSERT_TRUE(std::isfinite(step.reward));
    if (environment.proposals().valid > valid_before) {
      ++valid;
      EXPECT_GE(step.reward, HardwareEnvironment::kWorstValid);
      best = std::max(best, step.reward);
    } else {
      ++invalid;
      EXPECT_LT(step.reward, HardwareEnvironment::kWorstValid);
      EXPECT_GE(step.reward, HardwareEnvironment::kWorstValid - 1);
    }
    EXPECT_EQ(environment.Act(action.data(), rng).reward, step.reward) << "asked again";
  }
  EXPECT_GT(valid, 0);
  EXPECT_GT(invalid, 0);
  EXPECT_EQ(environment.best_reward(), best);
  EXPECT_EQ(environment.proposals().total, 600);
  EXPECT_EQ(environment.proposals().unmappable % 2, 0);
  EXPECT_LE(environment.cost_evaluations(), valid + environment.proposals().unmappable / 2 + 2)
      << "a repeated proposal costs no evaluation";
  for (size_t rule = 0; rule < environment.proposals().by_rule.size(); ++rule) {
    EXPECT_EQ(environment.proposals().by_rule[rule] > 0,
              !environment.proposals().sample[rule].empty());
  }
}

}  // namespace
}  // namespace rhnas::search
