// Which micro-ops a program needs, and which loops its instructions fold: shared by the scheduler,
// which builds them, and the closed form, which counts them.
//
// An instruction runs lp0 x lp1 x (its micro-ops); addresses grow by a factor a loop, so any loop
// of a multiply can be folded. Rows and columns are, as TVM does (FoldUopLoop), where the micro-op
// scratchpad then holds all of them; otherwise the two loops that leave the fewest. Addresses in
// micro-ops are absolute: each context, each half of a resident operand and each step over a
// resident operand has micro-ops of its own.
#pragma once

#include <cstdint>
#include <string>

#include "hw/lower_geometry.h"

namespace rhnas::hw {

// Loops of one multiply, outermost first in the order of its micro-ops.
enum MultiplyLoop { kOutUnits, kInUnits, kTapRows, kTapCols, kPairs, kRows, kCols, kLoops };

// What one iteration of a loop adds to the three addresses.
struct LoopStep {
  int64_t count = 1, acc = 0, inp = 0, wgt = 0;
};

// Sizes of scratchpad elements that do not change from tile to tile.
struct TileLayout {
  TileLayout(const Work& work, const Tiling& tiling);
  AxisShape rows, cols;
  int th, tw;              // outputs of a full tile
  int mid_rows, mid_cols;  // pixels that the array fills of a full tile
  int64_t in_unit;         // of one input unit of a full tile
  int64_t out_unit;        // accumulators of one output unit
  int64_t mid_unit;        // of a filled unit; 0: the array fills the output
  int64_t filter;          // weight tensors of a pair of units
  int64_t inp_context, acc_context, wgt_context;
  int64_t mid_base, scratch_base;  // within the context's accumulators
  int64_t vectors;                 // micro-ops of an instruction over a full output tile
  int64_t inp, wgt, acc;           // all of it, contexts included
  // A residual tile: units, contexts and places to take turns in; identity weights.
  int64_t residual_base = 0, residual_unit = 0, residual_context = 0, identity_base = 0;
  int residual_places = 0;
  int64_t bias_base, bias_context, bias_unit;
  int contexts;  // that ever have a tile
  int halves;    // copies of the resident inputs
  int steps;     // over input units
  bool window() const { return mid_unit > 0; }
  // All that is filled becomes one pixel: its sum needs no micro-ops for each tap.
  bool sum_of_all = false;
  int64_t filled() const { return int64_t{mid_rows} * mid_cols; }
};

// Widths of the column tiles: full, narrower at the right edge, and at the map's borders where a
// window on the ALU reaches beyond them. A multiply with several taps has micro-ops for each.
struct ColumnKinds {
  static constexpr int kMost = 8;
  int extent[kMost], cols[kMost];  // input and filled pixels
  int count = 0;
  bool ok = true;  // no more than kMost
  int Find(int in_extent) const;
};

struct MicroOpPlan {
  bool ok = false;
  int64_t total = 0;
  MultiplyLoop fold0 = kRows, fold1 = kCols;
  // Variants of the multiply by tile: a folded loop's count is no matter.
  bool row_kinds = false, col_kinds = false, step_kinds = false;
  ColumnKinds columns;
};

// The loops of a multiply over the tile at these spans, `ins` input units.
void MultiplyLoops(const Work& work, const Tiling& tiling, const TileLayout& layout,
                   const Span& row, const Span& col, int outs, int ins, LoopStep* loops);

// Micro-ops of a window on the ALU. Borders cut the first tiles: a tap then begins at a later
// output pixel (`first`) and at another place in the filled tile (`source`).
struct TapVariants {
  TapVariants(const TileLayout& layout, bool out_tail);
  struct Axis {
    int sources, firsts;  // 0 .. n - 1 come
    int pairs;            // (first, source) that come: uncut first, then one each pixel missing
    int uncut;
    int covering;  // places of the covering tap; 0: there is none
    int stride;
    int PairIndex(const TapSpan& tap) const {
      return tap.first == 0 ? tap.source : uncut + tap.first * stride - tap.source - 1;
    }
    TapSpan Pair(int index) const;
  };
  Axis rows, cols;
  bool covered;  // some tap has all outputs
  int tails;     // 2: the last column tile's rows are shorter
};

// Additions, each with micro-ops of its own, where all that is filled becomes one pixel.
int SumSteps(const Work& work, const TileLayout& layout);

// False in `ok`: more than `limit` micro-ops, however they are folded.
MicroOpPlan PlanMicroOps(const Work& work, const Config& config, const Tiling& tiling,
                         const TileLayout& layout, int64_t limit);

}  // namespace rhnas::hw
