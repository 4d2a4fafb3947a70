// What a layer on the systolic array reads from memory.
//
// The pixels of a layer pass in tiles whose partial sums stay in one half of the
// accumulators (the other half is being stored), all row folds of a tile before its next column
// fold. The scratchpad keeps inputs and weights, each streamed (two blocks in turn), for the
// current tile or column fold, or whole; of the combinations that fit, in both loop orders, the one
// that reads least counts. Choices are nested in the capacities, so more memory never costs
// traffic.
#pragma once

#include <cstdint>

#include "hw/systolic.h"

namespace rhnas::hw {

// A layer as one matrix product per group: pixels x reduction times reduction x filters.
struct Product {
  int64_t groups = 1, reduction = 1, filters = 1;
  int64_t images = 1, rows = 1, cols = 1;  // output
  int64_t in_rows = 1, in_cols = 1, channels = 1;
  int64_t r = 1, s = 1, stride = 1, pad = 0;
  bool bias = false;
  int64_t pixels() const { return images * rows * cols; }
};

// What a tile size leads to.
struct Traffic {
  int64_t tile_rows = 0, tile_cols = 0, tiles = 0;
  int64_t input_bytes = 0, weight_bytes = 0;
  int64_t read() const { return input_bytes + weight_bytes; }
};

// The least traffic with tiles of at most `tile_pixels` pixels; of no tiles: nothing fits.
Traffic LeastTraffic(const SystolicConfig& config, const Product& product, int64_t tile_pixels);

}  // namespace rhnas::hw
