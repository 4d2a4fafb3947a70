// The simulated time of one layer's own program.
#pragma once

#include <string>

#include "hw/cost.h"
#include "hw/layer.h"
#include "hw/simulate.h"

namespace rhnas::hw {

// False: the layer has no program with that tiling, or it does not finish; `why` tells.
bool SimulateLayer(const Layer& layer, const Config& config, MemoryModel memory,
                   const Tiling& tiling, const SimulateOptions& options, SimulatedTime* time,
                   int64_t* instructions, std::string* why);

}  // namespace rhnas::hw
