// Area of a configuration by part, and what each part leaks. The parts sum to AreaUm2 (hw/cost.h)
// in their order. Pure functions, thread-safe.
#pragma once

#include <array>

#include "hw/config.h"
#include "hw/tables.h"

namespace rhnas::hw {

struct AreaPart {
  const char* name = "";  // "MAC array", "weight scratchpad"
  const char* unit = "";  // of the count: "MAC", "memory", "bit"
  const char* row = "";   // of the table; a memory: that of its capacity
  double count = 0;
  double bytes = 0;  // of one memory; 0: logic
  double each_um2 = 0;
  double leakage_mw = 0;  // of all of it
  double um2() const { return count * each_um2; }
};

// MAC array, ALU lanes, five scratchpads, instruction queues, bus buffers, control.
inline constexpr size_t kAreaParts = 10;
std::array<AreaPart, kAreaParts> AreaParts(const Config& config, const CostTable& table);

// Sums in order.
double TotalUm2(const std::array<AreaPart, kAreaParts>& parts);
double LeakageMw(const std::array<AreaPart, kAreaParts>& parts);
// At the table's clock.
double LeakagePjPerCycle(double leakage_mw, const CostTable& table);

}  // namespace rhnas::hw
