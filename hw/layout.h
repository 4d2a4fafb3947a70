// How a layer's operands lie in DRAM, and which channels a unit of its output draws from.
//
// Feature maps: [image / BATCH][channel / unit][row][column][unit / block][BATCH][block], unit and
// block as in work.h. Weights: [output unit][input unit][tap row][tap column][block
// pair][BLOCK_OUT] [BLOCK_IN]. Per-channel accumulators: [output
// unit][slot][block][BATCH][BLOCK_OUT], slots: the bias, then the filter's taps where the ALU
// multiplies.
#pragma once

#include <cstdint>
#include <vector>

#include "hw/layer.h"
#include "hw/work.h"

namespace rhnas::hw {

// A feature map; addresses in elements of its region.
struct MapLayout {
  int64_t base = 0;
  int64_t batches = 1, units = 1;
  int rows = 1, cols = 1;  // with borders
  int border = 0;          // columns of zeros on either side
  int split = 1;           // elements of a unit
  int64_t Address(int64_t image, int64_t unit, int64_t row, int64_t col) const {
    return base + (((image * units + unit) * rows + row) * cols + col) * split;
  }
  int64_t elements() const { return batches * units * rows * cols * split; }
};

// Most units that a channel shuffle draws one unit of its output from.
int ShuffleUnits(int channels, int groups, int unit);
// The `in_units` input units that a program loads for output unit `out`, where each has its own.
// Where fewer hold what the unit needs, others fill up and their weights are zero.
// REQUIRES: a grouped convolution or a shuffle.
std::vector<int> SourceUnits(const Layer& layer, int in_units, int unit, int out);

// Pixels that an average pool takes the mean of.
int64_t AverageTaps(const Layer& layer);

}  // namespace rhnas::hw
