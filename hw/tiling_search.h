// The best tiling of a layer on a configuration.
#pragma once

#include <string>

#include "hw/schedule.h"

namespace rhnas::hw {

struct BestTiling {
  Tiling tiling;
  int64_t latency_cycles = 0;
  int64_t dram_beats = 0;
};

// The least latency over a fixed grid of tile sizes (the layer's sizes divided by small numbers),
// one or two contexts and all loop orders; ties go to less DRAM traffic. The grid does not depend
// on the configuration, so a larger scratchpad or a wider bus cannot lose. Allocates nothing.
// False: nothing on the grid fits; `why` (optional) tells what the smallest tile lacks.
bool FindTiling(const Machine& machine, BestTiling* best, std::string* why);

}  // namespace rhnas::hw
