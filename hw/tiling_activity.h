// What a tiling's program does, counted without making it: sums over row tiles times sums over
// column tiles, as integers. Equals CountActivity of the program (hw/program_activity.h) in every
// field.
#pragma once

#include "hw/energy.h"
#include "hw/schedule.h"

namespace rhnas::hw {

// REQUIRES: it fits.
Activity CountActivity(const Machine& machine, const Tiling& tiling);
// The same where the micro-ops are counted already.
Activity CountActivity(const Machine& machine, const Tiling& tiling, int64_t uops);

}  // namespace rhnas::hw
