// The best tiling of a layer on a configuration.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "hw/schedule.h"

namespace rhnas::hw {

struct BestTiling {
  Tiling tiling;
  int64_t latency_cycles = 0;
  int64_t dram_beats = 0;
};

inline constexpr int64_t kAnyCycles = std::numeric_limits<int64_t>::max();

// The least latency over a fixed grid of tile sizes (the layer's sizes divided by small numbers),
// one or two contexts and all loop orders; ties go to less DRAM traffic, then to the first in the
// grid (rows, columns, outputs, inputs, contexts, order). The grid does not depend on the
// configuration's scratchpads, so a larger one cannot lose. Allocates nothing. The pruning bounds
// are known to exceed the latency of a few tilings of 1x1 work without bias on two contexts (by
// 0.8 % where seen): there a tie, or as much, can be missed.
// Only what takes fewer than `below_cycles` is looked for: a rival's latency prunes from the start.
// False: nothing on the grid fits and is that fast; `why` (optional) tells what the smallest tile
// lacks, if it does not fit.
bool FindTiling(const Machine& machine, BestTiling* best, std::string* why,
                int64_t below_cycles = kAnyCycles);

}  // namespace rhnas::hw
