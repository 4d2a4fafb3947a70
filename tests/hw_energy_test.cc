// Energy: parts and terms sum to totals bit for bit, for layers, networks and areas.
#include "hw/energy.h"

#include <gtest/gtest.h>

#include "hw/area.h"
#include "hw/cost.h"
#include "hw/space.h"

namespace rhnas::hw {
namespace {

Layer Conv(int hw, int c, int k, int r, int stride, int groups = 1) {
  Layer layer;
  layer.name = "conv";
  layer.h = layer.w = hw;
  layer.c = c;
  layer.k = k;
  layer.r = layer.s = r;
  layer.stride = stride;
  layer.pad = r / 2;
  layer.groups = groups;
  return layer;
}

// The bill, line by line as --explain prints it.
EnergyParts Bill(const Activity& activity, int64_t cycles, const EnergyPrices& prices) {
  EnergyParts bill;
  for (const EnergyTerm& term : EnergyTerms()) {
    bill.*term.part += static_cast<double>(term.CountOf(activity)) * prices.*term.price;
  }
  bill.leakage_pj += static_cast<double>(cycles) * prices.leakage_pj_per_cycle;
  return bill;
}

TEST(Energy, BillsSumToTotalsBitForBit) {
  const std::vector<Layer> layers = {Conv(14, 64, 64, 3, 1), Conv(15, 20, 33, 3, 2),
                                     Conv(9, 72, 72, 3, 1, 72), Conv(7, 112, 672, 1, 1)};
  for (const std::string& name : PresetNames()) {
    for (const int node : {16, 28, 45}) {
      TableOptions options;
      options.node_nm = node;
      const CostTable table = *BuiltInCostTable(options);
      const CostModel model(*FindConfig(name), table);
      const std::optional<NetworkCost> cost = model.Evaluate(layers);
      ASSERT_TRUE(cost.has_value()) << name;
      const auto expect = [&](const Activity& activity, int64_t cycles, const EnergyParts& energy,
                              double total_pj) {
        const EnergyParts bill = Bill(activity, cycles, model.prices());
        EXPECT_EQ(bill.mac_pj, energy.mac_pj) << name;
        EXPECT_EQ(bill.alu_pj, energy.alu_pj) << name;
        EXPECT_EQ(bill.sram_pj, energy.sram_pj) << name;
        EXPECT_EQ(bill.dram_pj, energy.dram_pj) << name;
        EXPECT_EQ(bill.control_pj, energy.control_pj) << name;
        EXPECT_EQ(bill.leakage_pj, energy.leakage_pj) << name;
        EXPECT_EQ(bill.total_pj(), total_pj) << name;
      };
      Activity sum;
      double layers_pj = 0;
      for (const LayerCost& layer : cost->layers) {
        expect(layer.activity, layer.latency_cycles, layer.energy, layer.energy_pj);
        sum += layer.activity;
        layers_pj += layer.energy_pj;
      }
      expect(sum, cost->latency_cycles, cost->energy, cost->energy_pj);
      EXPECT_EQ(sum.dram_bytes(), cost->dram_bytes);
      EXPECT_NEAR(cost->energy_pj / layers_pj, 1, 1e-12) << name;
    }
  }
}

// By hand: one pointwise layer on the default, its array work alone.
TEST(Energy, KnownLayer) {
  const Layer layer = Conv(8, 16, 16, 1, 1);
  const CostModel model(Config(), DefaultCostTable());
  const LayerCost cost = *model.Evaluate(layer);
  EXPECT_EQ(cost.activity.macs, 8 * 8 * 16 * 16);
  EXPECT_DOUBLE_EQ(cost.energy.mac_pj, 16384 * 0.3);
  // Weights: 256 bytes for each of 64 vectors, out of 32 memories of 8 KB.
  EXPECT_EQ(cost.activity.wgt_read_bytes, 64 * 256);
  EXPECT_EQ(model.prices().wgt_read, 0.395);
  EXPECT_EQ(model.prices().acc_write, 0.552);  // 8 memories of 16 KB
  EXPECT_EQ(model.prices().dram_read, 64);
  EXPECT_EQ(cost.activity.dram_wgt_bytes, 256);
  EXPECT_EQ(cost.activity.dram_inp_bytes, 8 * 8 * 16);
  EXPECT_EQ(cost.activity.dram_out_bytes, 8 * 8 * 16);
  EXPECT_EQ(cost.activity.dram_instruction_bytes, 16 * cost.activity.instructions);
}

TEST(Energy, DramTypeAndClockChangeTheirPartAlone) {
  const Layer layer = Conv(14, 64, 64, 3, 1);
  TableOptions options;
  options.dram = Dram::kDdr3;
  options.clock_mhz = 200;
  const LayerCost standard = *CostModel(Config(), DefaultCostTable()).Evaluate(layer);
  const LayerCost other = *CostModel(Config(), *BuiltInCostTable(options)).Evaluate(layer);
  EXPECT_EQ(other.latency_cycles, standard.latency_cycles);
  EXPECT_DOUBLE_EQ(other.energy.dram_pj, standard.energy.dram_pj * 560 / 64);
  EXPECT_DOUBLE_EQ(other.energy.leakage_pj, standard.energy.leakage_pj / 2);
  EXPECT_EQ(other.energy.mac_pj, standard.energy.mac_pj);
  EXPECT_EQ(other.energy.sram_pj, standard.energy.sram_pj);
}

TEST(Energy, AreaPartsSumBitForBit) {
  const HwSpace space = *FindHwSpace("vta-wide");
  for (int64_t point = 0; point < space.points(); point += 9973) {
    const Config config = space.At(point);
    double sum = 0;
    for (const AreaPart& part : AreaParts(config, DefaultCostTable())) {
      EXPECT_GT(part.um2(), 0) << part.name << " " << ShortName(config);
      EXPECT_GT(part.leakage_mw, 0) << part.name << " " << ShortName(config);
      sum += part.um2();
    }
    EXPECT_EQ(sum, AreaUm2(config, DefaultCostTable())) << ShortName(config);
  }
}

}  // namespace
}  // namespace rhnas::hw
