// What no schedule of these totals can beat.
#include <algorithm>

#include "hw/schedule.h"

namespace rhnas::hw {

Ticks LowerBound(const Machine& machine, const Tiling& tiling, const Schedule& schedule) {
  const Totals& totals = schedule.totals;
  // With one context the loads of a step and its multiply take turns.
  const Ticks turns = tiling.vthreads == 1 ? totals.load + totals.multiply : totals.load;
  const Ticks fetch = machine.timing.Arrival(totals.instructions - 1, totals.instructions);
  return std::max({turns, totals.compute, totals.store, totals.read_beats, fetch});
}

}  // namespace rhnas::hw
