// The energy table beside a measured design: the Vivado power report of the default VTA on an FPGA.
#pragma once

#include <string>
#include <vector>

#include "hw/tables.h"

namespace rhnas::search {

// One block of the report. ours_mw: dynamic power of the same block in the model, at the report's
// clock, while it runs the layer of Calibrate. compared: the model has the block; it has none for
// interconnect and clocks, and of load, fetch and store it knows the instructions alone, not their
// registers and queues, which are clocked in every cycle.
struct CalibrationBlock {
  const char* name = "";
  bool compared = false;
  double report_mw = 0, ours_mw = 0;
  double factor() const { return report_mw / ours_mw; }
};

struct Calibration {
  std::vector<CalibrationBlock> blocks;
  double compared_report_mw = 0, compared_ours_mw = 0;  // over the blocks compared
  double report_mw = 0;                                 // of all programmable logic
  int64_t cycles = 0;                                   // of the layer
  double array_use = 0;                                 // of the MAC array, 0..1
  double factor() const { return compared_report_mw / compared_ours_mw; }
};

inline constexpr double kReportMhz = 100;

// The default configuration runs ResNet-18's 3 x 3 convolution of 64 channels at 56 x 56 with its
// best tiling. DRAM lies outside the report's programmable logic and is left out.
Calibration Calibrate(const hw::CostTable& table);
std::string CalibrationText(const Calibration& calibration, const std::string& table_text);
std::string CalibrationJson(const Calibration& calibration, const std::string& table_text);

}  // namespace rhnas::search
