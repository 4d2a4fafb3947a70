// rhnas cost --layer: one layer, or a chain that runs as one program, as it is typed.
#pragma once

#include <string>

#include "hw/config.h"
#include "hw/tables.h"
#include "search/console.h"

namespace rhnas::search {

struct CostLayerOptions {
  std::string layer;   // hw/parse_layer.h, or NETWORK:LAYER
  std::string tiling;  // empty: the best one
  bool explain = false;
};

// Prints text or JSON. Returns the exit code. REQUIRES: the configuration is valid.
int CostLayer(const CostLayerOptions& options, const hw::Config& config, const hw::CostTable& table,
              const std::string& table_text, Console* console);

}  // namespace rhnas::search
