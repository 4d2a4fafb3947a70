// The comparison with the Vivado report: its figures sum, ours are the model's own energy.
#include "search/calibration.h"

#include <gtest/gtest.h>

#include "hw/cost.h"

namespace rhnas::search {
namespace {

TEST(Calibration, BlocksSumAndAreTheModelsEnergy) {
  hw::TableOptions options;
  options.node_nm = 28;
  options.process = hw::Process::kHp;
  const hw::CostTable table = *hw::BuiltInCostTable(options);
  const Calibration calibration = Calibrate(table);
  EXPECT_EQ(calibration.report_mw, 814);  // the report's blocks, as it rounds them
  EXPECT_EQ(calibration.compared_report_mw, 365 + 2 * 58 + 20 + 7);

  hw::Layer layer;
  layer.h = layer.w = 56;
  layer.c = layer.k = 64;
  layer.r = layer.s = 3;
  layer.pad = 1;
  const hw::LayerCost cost = *hw::CostModel(hw::Config(), table).Evaluate(layer);
  EXPECT_EQ(calibration.cycles, cost.latency_cycles);
  const double on_chip_pj = cost.energy.mac_pj + cost.energy.alu_pj + cost.energy.sram_pj;
  // 100 MHz: a picojoule a cycle is a tenth of a milliwatt.
  EXPECT_NEAR(calibration.compared_ours_mw,
              on_chip_pj / static_cast<double>(cost.latency_cycles) / 10,
              1e-9 * calibration.compared_ours_mw);
  EXPECT_DOUBLE_EQ(calibration.factor(),
                   calibration.compared_report_mw / calibration.compared_ours_mw);
  EXPECT_GT(calibration.array_use, 0.7);
  EXPECT_LE(calibration.array_use, 1);
  const std::string text = CalibrationText(calibration, "28 nm");
  EXPECT_NE(text.find("weight memory (two banks of 58)"), std::string::npos) << text;
}

}  // namespace
}  // namespace rhnas::search
