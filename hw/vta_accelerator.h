// VTA as a family of designs for the searches: a thin front of hw/config.h, hw/validity.h,
// hw/space.h and hw/cost.h, which stay the direct way to ask about it.
#pragma once

#include "hw/accelerator.h"
#include "hw/config.h"

namespace rhnas::hw {

// The family; lives as long as the program.
const Accelerator& Vta();
DesignPtr MakeVtaDesign(const Config& config);
// REQUIRES: the design is VTA's.
const Config& VtaConfig(const Design& design);
// The reference of a space: the published default on a bus of so many bits; 0: its own.
std::unique_ptr<DesignSpace> MakeVtaSpace(HwSpace space, int bus_bits);
// The configuration on another bus (0: unchanged), with a tag field as wide as that bus needs (R7):
// the tag is an internal wire, no parameter of the design.
Config ConfigOnBus(const Config& config, int bus_bits);
// One rule index for both: static_cast<int>(Rule).
std::vector<BrokenRule> ToBrokenRules(const std::vector<Verdict>& verdicts);

}  // namespace rhnas::hw
