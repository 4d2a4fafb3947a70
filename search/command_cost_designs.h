// rhnas cost --layers for accelerators without programs: a file of layers, each by the family's
// closed form, beside measured or published cycles where the file has them.
#pragma once

#include <string>

#include "hw/accelerator.h"
#include "search/console.h"

namespace rhnas::search {

// `path`: the CSV form of hw/layer_file.h (tilings are ignored) or a SCALE-Sim topology
// (hw/systolic_topology.h). Prints a table, CSV or JSON. Returns the exit code. REQUIRES: the
// design is valid.
int CostLayersOnDesign(const std::string& path, bool csv, const hw::Design& design,
                       const hw::CostTable& table, Console* console);

}  // namespace rhnas::search
