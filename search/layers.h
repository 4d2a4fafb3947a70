// From the shapes a network is made of to the layers an accelerator runs. nn/ and hw/ do not know
// each other; this is the only place where both are seen.
#pragma once

#include <vector>

#include "hw/layer.h"
#include "nn/layer_shape.h"

namespace rhnas::search {

hw::Layer ToHardwareLayer(const nn::LayerShape& shape);
std::vector<hw::Layer> ToHardwareLayers(const std::vector<nn::LayerShape>& shapes);

// "conv", "depthwise", "dense", "max-pool", "avg-pool", "global-pool", "add", "concat", "shuffle".
const char* LayerKindName(const hw::Layer& layer);

}  // namespace rhnas::search
