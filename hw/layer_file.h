// Layers as CSV, with the tiling and the memory each is to be timed with: the form of the measured
// RTL runs (vta_rtl_cycles.csv) and of what `rhnas cost --layers --csv` writes.
//
// The first line names the columns, in any order. Needed: c_in, height, width, and c_out and kernel
// where the kind has them. Optional, with the value of an absent or empty cell:
//   id (the row's number), kind (conv), batch (1), stride (1), pad (0), groups (1; depthwise:
//   c_in), bias (1), relu (1) tile_h, tile_w, tile_co, tile_ci: output pixels, units of output and
//   input channels; all four
//     or, for the best tiling, none; vthreads (1), loop_order (none, weights, inputs: what stays on
//     chip), on_alu (0), split_rows (0) go with them
//   mem_latency (the configuration's), mem_model (tsim or pipelined; tsim)
//   count (1): how often the layer occurs, in totals
//   cycles: measured, to compare with
// Columns of other names are kept aside: `ignored`. Lines that are empty or begin with # are
// skipped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/cost.h"
#include "hw/layer.h"
#include "hw/result.h"
#include "hw/timing.h"

namespace rhnas::hw {

struct LayerRow {
  int line = 0;
  Layer layer;  // its name is the id
  bool tiled = false;
  Tiling tiling;
  int mem_latency = 0;  // 0: the configuration's
  MemoryModel memory = MemoryModel::kQueued;
  int64_t count = 1;
  int64_t measured_cycles = 0;  // 0: not given
};

struct LayerFile {
  std::vector<LayerRow> rows;
  std::vector<std::string> ignored;  // names of columns
};

// Errors: "PATH:LINE: column NAME: found .., expected ..".
Result<LayerFile> ParseLayerFile(const std::string& text, const std::string& path);

// "conv", "depthwise", "dense", "max-pool", "avg-pool", "global-pool", "add", "concat", "shuffle".
const char* LayerKindText(const Layer& layer);
// "none", "weights", "inputs".
const char* StationaryText(Stationary stationary);

}  // namespace rhnas::hw
