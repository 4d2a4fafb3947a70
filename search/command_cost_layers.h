// rhnas cost --layers: a file of layers, each timed by simulating its program, beside the closed
// form and, where the file has them, measured cycles.
#pragma once

#include <string>

#include "hw/config.h"
#include "hw/tables.h"
#include "search/console.h"

namespace rhnas::search {

struct CostLayersOptions {
  std::string path;
  bool csv = false;
  bool unpipelined_gemm = false, unpipelined_alu = false;  // as hw::SimulateOptions
};

// Prints a table, CSV or JSON. Returns the exit code. REQUIRES: the configuration is valid.
int CostLayers(const CostLayersOptions& options, const hw::Config& config,
               const hw::CostTable& table, Console* console);

}  // namespace rhnas::search
