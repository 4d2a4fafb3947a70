#include "hw/simulate_layer.h"

#include "hw/lower.h"

namespace rhnas::hw {

bool SimulateLayer(const Layer& layer, const Config& config, MemoryModel memory,
                   const Tiling& tiling, const SimulateOptions& options, SimulatedTime* time,
                   int64_t* instructions, std::string* why) {
  LoweredProgram lowered;
  if (!Lower(layer, config, tiling, LowerOptions{}, &lowered, why)) return false;
  *time = Simulate(lowered.program.config, memory, lowered.program.instructions, options);
  *instructions = static_cast<int64_t>(lowered.program.instructions.size());
  if (!time->finished && why != nullptr) *why = time->why;
  return time->finished;
}

}  // namespace rhnas::hw
