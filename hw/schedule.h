// A layer's schedule under one tiling: the program's structure, reduced to what it costs.
//
// Program (VTA as TVM schedules it, with the loop order added): after one load of micro-ops, for
// every group of one tile a context: reset the accumulators; for every step over input units, for
// every context: load inputs, load weights, multiply; then for every context: load the bias, ALU,
// store. Loads of a context wait for the multiply that used its buffers last; a reset waits for the
// context's last store. Contexts (virtual threads) take neighbouring tiles: of output units, or of
// pixels where the weights stay or there is one output tile only.
//
// Loop orders: kNone rows, outputs, columns, every operand reloaded; kWeights outputs, rows,
// columns with all weights of an output tile resident; kInputs rows, columns, outputs with all
// inputs of a pixel tile resident.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "hw/cost.h"
#include "hw/timing.h"
#include "hw/work.h"

namespace rhnas::hw {

// A dimension cut into `full` tiles of `size` and, where it does not divide, one of `tail`.
struct Cut {
  int size = 1, full = 1, tail = 0;
  int tiles() const { return full + (tail > 0 ? 1 : 0); }
};
Cut CutInto(int extent, int size);

// A cut of output rows or columns with the inputs its tiles read. [0] full tiles, [1] the tail;
// ticks where an average over tiles is meant (tiles at the border read less and pad more).
struct PixelCut {
  Cut cut;
  int extent[2] = {0, 0};  // with padding, at most
  Ticks padded[2] = {0, 0};
  Ticks valid[2] = {0, 0};
  Ticks pad_before[2] = {0, 0};
  int64_t all_valid = 0;  // over all tiles
  // What the array part fills: at most, on average (a window part's map has no padding of its own);
  // and, summed over the window's taps, the outputs that have that tap inside the map.
  int filled[2] = {0, 0};
  Ticks inside[2] = {0, 0}, tapped[2] = {0, 0};
  Ticks taps[2] = {0, 0};  // of the window's, those that any output has
};
PixelCut CutRows(const Work& work, int size);
PixelCut CutCols(const Work& work, int size);

// What a tile of pixels takes, the same for every split of channels. [row][col]: full or tail.
struct PixelTile {
  int64_t out_pixels = 0, in_pixels = 0;
  Ticks filled = 0, tapped = 0;           // accumulators the array part fills; taps of the window
  Ticks taps = 0;                         // instructions that walk those
  Ticks input_load = 0, input_beats = 0;  // of one input unit
  Ticks input_burst = 0;                  // of one request
  Ticks residual_load = 0, residual_beats = 0;  // of one output unit
  Ticks store = 0;                              // of one output unit
};
struct PixelTiles {
  PixelTile kind[2][2];
};

// One step of one context.
struct Phase {
  int64_t input_loads = 0;
  Ticks input_load = 0;   // one of them
  Ticks weight_load = 0;  // 0: none
  Ticks last_load = 0;    // the one that comes last
  Ticks load = 0;         // all loads on a quiet bus
  Ticks fetches = 0;      // what instruction fetches on the bus add to that
  Ticks input_beats = 0, weight_beats = 0;
  Ticks input_burst = 0, weight_burst = 0;  // beats of one request
  Ticks multiply = 0;
  int64_t uops = 0;          // multiplies, in cycles
  int64_t instructions = 0;  // of the loads
};

// One tile of one context.
struct TileCost {
  Phase step, last;  // `steps` times step, then last where there is a tail or a residual
  Ticks reset = 0;
  Ticks acc_load = 0, acc_beats = 0;
  Ticks alu = 0;                    // with a residual's multiply
  Ticks last_alu = 0;               // its last instruction
  Ticks store = 0, last_store = 0;  // all; the last instruction
  int64_t stores = 0;
  int64_t instructions = 0;  // reset, accumulator loads, ALU, stores
  // Counts of energy.
  int64_t reset_vectors = 0, alu_immediate = 0, alu_two_sources = 0, alu_multiplies = 0;
  int64_t acc_load_tensors = 0, store_tensors = 0, residual_uops = 0;
};

struct Totals {
  Ticks load = 0, compute = 0, store = 0, read_beats = 0;
  Ticks multiply = 0;  // of compute
  int64_t instructions = 0;
};

struct Group {
  int contexts = 1;
  TileCost tile[2];
  Totals sum;  // without the resident operand
  // The resident operand that goes with this group's position.
  Phase resident;
};

// One level of the loop nest: up to two runs of alike iterations.
enum class Axis { kRows, kCols, kOutputs };
struct Level {
  Axis axis = Axis::kRows;
  struct Run {
    int64_t count = 0;
    int8_t tile[2] = {0, -1};  // full (0), tail (1) or none (-1) of each context
  };
  std::array<Run, 2> run;
  int runs = 1;
  int64_t count() const { return run[0].count + (runs > 1 ? run[1].count : 0); }
};

// Reused from tiling to tiling: only the groups that the runs of the levels name are written.
struct Schedule {
  std::array<Level, 3> level;  // outermost first
  std::array<Group, 8> group;  // by run of level 0, 1, 2
  int64_t steps = 1;           // alike steps; a last one follows where it differs
  bool has_last = false;
  int resident_level = -1;  // the resident operand is loaded when this level or an outer one moves
  bool resident_waits = false;  // a single copy: wait until its last use
  int64_t uops = 0;             // micro-ops loaded
  Ticks uop_load = 0;
  int64_t constant_tensors = 0;  // weights loaded once
  Ticks constant_load = 0;
  Ticks clear = 0;     // of padding that no block of outputs covers, in each context's accumulators
  int64_t copies = 1;  // of all of it but the micro-ops and constants, one after the other
  Totals totals;

  int contexts() const { return group[0].contexts; }  // the first group is the largest
  const Group& At(int a, int b, int c) const {
    return group[static_cast<size_t>(4 * a + 2 * b + c)];
  }
};

// What a tiling takes of the scratchpads, in elements (micro-ops: words).
struct Footprint {
  int64_t inp = 0, wgt = 0, acc = 0, uop = 0;
};

// Everything about a (work, configuration) that no tiling changes.
struct Machine {
  Machine(const Work& work, const Config& config, MemoryModel memory);
  Machine(const Work& work, const Config& config, const Timing& timing);
  Work work;
  Config config;
  Timing timing;
  int64_t inp_depth, wgt_depth, acc_depth, uop_depth;
  int64_t wgt_bytes, acc_bytes;  // of one element
};

// What a tile takes of the ALU, at least: instructions, and cycles a filled accumulator, a tap and
// an output of one block. A tap of a maximum or a sum takes two cycles, but the first tap's copy to
// the output (an immediate operation with another source) one; of a depthwise convolution copy to a
// temporary, MUL by the filter and ADD five, the first without the ADD.
struct Epilogue {
  explicit Epilogue(const Work& work);
  int64_t instructions = 0;
  int64_t filled_cycles = 0, tap_cycles = 0, out_cycles = 0;
  int64_t acc_tensors = 0;    // loaded for an output unit: biases, filters
  int64_t residual_uops = 0;  // multiplies of an output unit's pixel after the last step
};

// Micro-ops of the whole program: few loops folded into instructions where that fits, the longest
// where it must.
int64_t MicroOps(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                 const PixelCut& cols);
Footprint Measure(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                  const PixelCut& cols);
// False: does not fit, or a field of the instruction cannot hold it; `why` (optional) tells.
bool Fits(const Machine& machine, const Tiling& tiling, const Footprint& footprint,
          std::string* why);
PixelTiles MakePixelTiles(const Machine& machine, const PixelCut& rows, const PixelCut& cols);
// REQUIRES: it fits.
void BuildSchedule(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                   const PixelCut& cols, const PixelTiles& pixels, Schedule* schedule);
// The same where the micro-ops are counted already (Footprint).
void BuildSchedule(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                   const PixelCut& cols, const PixelTiles& pixels, int64_t uops,
                   Schedule* schedule);

// No schedule is faster than its busiest unit, its bus or its fetch.
Ticks LowerBound(const Machine& machine, const Tiling& tiling, const Schedule& schedule);
// Cycles from launch to finish: the recurrence over groups. Gives up with some number above
// `enough_cycles` as soon as it can tell that the answer is.
int64_t LatencyCycles(const Machine& machine, const Tiling& tiling, const Schedule& schedule,
                      int64_t enough_cycles = std::numeric_limits<int64_t>::max());

}  // namespace rhnas::hw
