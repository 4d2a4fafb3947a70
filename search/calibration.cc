// The report: Vivado 2021.2, stock HLS VTA on xc7z020 at 100 MHz, vectorless, medium confidence
// (OilyHand/vta-gemm-core, report/vta_hls_power_report.txt). Programmable logic, dynamic; the
// processing system (1.567 W) and static power (0.183 W) are not of the accelerator.
#include "search/calibration.h"

#include "hw/cost.h"
#include "hw/json.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

enum Block { kCompute, kWeights, kInputs, kOutputs, kControl, kInterconnect, kClocking, kBlocks };

// Accumulators and micro-ops are arrays inside the report's compute block.
constexpr CalibrationBlock kReport[kBlocks] = {
    {"compute: MACs, ALU, accumulators, micro-ops", true, 365, 0},
    {"weight memory (two banks of 58)", true, 116, 0},
    {"input memory", true, 20, 0},
    {"output memory", true, 7, 0},
    {"load 55, fetch 36, store 15, queues 9", false, 115, 0},
    {"AXI interconnect (smartconnect 80, crossbar 4)", false, 84, 0},
    {"PLL", false, 107, 0},
};

Block BlockOf(const hw::EnergyTerm& term) {
  if (term.bank == hw::WeightBank) return kWeights;
  if (term.bank == hw::InputBank) return kInputs;
  if (term.bank == hw::OutputBank) return kOutputs;
  return term.part == &hw::EnergyParts::control_pj ? kControl : kCompute;
}

hw::Layer BusyLayer() {
  hw::Layer layer;
  layer.name = "resnet18 C2";
  layer.h = layer.w = 56;
  layer.c = layer.k = 64;
  layer.r = layer.s = 3;
  layer.pad = 1;
  return layer;
}

std::string Times(double value) { return Format("%.1f", value); }

}  // namespace

Calibration Calibrate(const hw::CostTable& table) {
  Calibration result;
  result.blocks.assign(kReport, kReport + kBlocks);
  const hw::CostModel model(hw::Config(), table);
  const hw::LayerCost cost = model.Evaluate(BusyLayer()).value_or(hw::LayerCost());
  result.cycles = cost.latency_cycles;
  result.array_use = static_cast<double>(cost.macs) /
                     (static_cast<double>(cost.latency_cycles) * model.config().macs_per_cycle());
  for (const hw::EnergyTerm& term : hw::EnergyTerms()) {
    if (term.part == &hw::EnergyParts::dram_pj) continue;
    const double pj = static_cast<double>(term.CountOf(cost.activity)) * model.prices().*term.price;
    // pJ a cycle times MHz are microwatts.
    result.blocks[BlockOf(term)].ours_mw +=
        pj / static_cast<double>(cost.latency_cycles) * kReportMhz / 1000;
  }
  for (const CalibrationBlock& block : result.blocks) {
    result.report_mw += block.report_mw;
    if (!block.compared) continue;
    result.compared_report_mw += block.report_mw;
    result.compared_ours_mw += block.ours_mw;
  }
  return result;
}

std::string CalibrationText(const Calibration& calibration, const std::string& table_text) {
  std::string text = Format(
      "Dynamic power of the default VTA at %.0f MHz: Vivado's report of the HLS design on xc7z020 "
      "(28 "
      "nm)\n"
      "beside the model (%s),\n"
      "busy with conv 64x56x56 -> 64 k3 s1 p1: %s cycles, MAC array %.1f%% used.\n\n"
      "%-48s %10s %10s %8s\n",
      kReportMhz, table_text.c_str(), Grouped(calibration.cycles).c_str(),
      100 * calibration.array_use, "block", "Vivado, mW", "model, mW", "factor");
  for (const CalibrationBlock& block : calibration.blocks) {
    text += Format("%-48s %10.0f %10s %8s\n", block.name, block.report_mw,
                   (block.compared ? Format("%.2f", block.ours_mw) : std::string("-")).c_str(),
                   !block.compared ? "-" : Times(block.factor()).c_str());
  }
  text += Format("%-48s %10.0f %10.2f %8s\n", "the four compared", calibration.compared_report_mw,
                 calibration.compared_ours_mw, Times(calibration.factor()).c_str());
  text += Format("%-48s %10.0f\n", "all programmable logic", calibration.report_mw);
  text += Format(
      "\nThe factor is what the FPGA's fabric costs over an ASIC of the table: multiply the "
      "on-chip\n"
      "dynamic energy (MAC, ALU, SRAM) by %s for this board. It is one point of one "
      "design,\n"
      "vectorless, and no other number of rhnas uses it. Not compared: interconnect and PLL, which "
      "the\n"
      "model has not, and load, fetch and store, of which it prices the instructions alone, not "
      "the\n"
      "registers and queues that are clocked in every cycle.\n",
      Times(calibration.factor()).c_str());
  return text;
}

std::string CalibrationJson(const Calibration& calibration, const std::string& table_text) {
  hw::JsonWriter json;
  json.BeginObject().Key("table").String(table_text).Key("clock_mhz").Double(kReportMhz);
  json.Key("latency_cycles").Int(calibration.cycles).Key("array_use").Double(calibration.array_use);
  json.Key("blocks").BeginArray();
  for (const CalibrationBlock& block : calibration.blocks) {
    json.BeginObject().Key("block").String(block.name).Key("report_mw").Double(block.report_mw);
    if (!block.compared) {
      json.Key("model_mw").Null().Key("factor").Null();
    } else {
      json.Key("model_mw").Double(block.ours_mw).Key("factor").Double(block.factor());
    }
    json.EndObject();
  }
  json.EndArray().Key("report_mw").Double(calibration.report_mw);
  json.Key("compared_report_mw").Double(calibration.compared_report_mw);
  json.Key("compared_model_mw").Double(calibration.compared_ours_mw);
  json.Key("factor").Double(calibration.factor()).EndObject();
  return json.text() + "\n";
}

}  // namespace rhnas::search
