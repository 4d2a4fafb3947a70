// SCALE-Sim's topology files: a layer a line,
//   Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter,
//   Strides
// with a comma at the end or not. Maps have no padding, and where the stride does not divide the
// outputs are rounded up (ScaleSimOutputs): such a layer is given the rows that this reads beyond
// its map, so that it has the cycles and multiply-accumulates that SCALE-Sim tells.
#pragma once

#include <string>

#include "hw/layer_file.h"

namespace rhnas::hw {

// The first line starts with "Layer name" (in any case).
bool IsTopology(const std::string& text);
// Errors: "PATH:LINE: found .., expected ..".
Result<LayerFile> ParseTopology(const std::string& text, const std::string& path);

}  // namespace rhnas::hw
