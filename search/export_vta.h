// An accelerator and the program of each layer, as files for VTA's own tools.
//
//   vta_config.json        the configuration; with vta_target.json beside it the configuration tool
//                          of the extended VTA takes it (config/vta_config.py --use-cfg)
//   stock/vta_config.json  the same for the stock VTA, where BLOCK_IN and BLOCK_OUT are one
//   programs.json          a row a layer: program, tiling, shift, instruction set
//   programs/001_stem.vta  docs/PROGRAMS.md; of an int8 network also .wgt and .acc, its weights and
//                          biases as they lie in DRAM
#pragma once

#include <string>
#include <vector>

#include "engine/status.h"
#include "hw/config.h"
#include "hw/layer.h"
#include "nn/export_file.h"
#include "nn/quantize.h"

namespace rhnas::search {

// Layers as nn::LayersOf(graph) gives them; `integers`: the same network, or null for shifts of 4
// and no data. An error names the layer that cannot run on `config`, or what `config` breaks.
engine::Result<std::vector<nn::ExportFile>> ExportVta(const std::vector<hw::Layer>& layers,
                                                      const hw::Config& config,
                                                      const std::string& isa,
                                                      const nn::IntGraph* integers);

}  // namespace rhnas::search
