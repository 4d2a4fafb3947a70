#include "hw/tiling_activity.h"

#include <algorithm>

#include "hw/micro_ops.h"

namespace rhnas::hw {
namespace {

constexpr int64_t kInstructionBytes = 16;
constexpr int kMaxPad = 15;

// Sums over the tiles of an axis.
struct AxisSums {
  int64_t tiles = 0;
  int64_t filled = 0;                    // pixels that the array fills
  int64_t tapped = 0;                    // outputs of a window that have a tap inside, over taps
  int64_t taps = 0;                      // taps that some output has
  int64_t extent = 0;                    // input pixels with padding
  int64_t read = 0;                      // of these, in the image
  int64_t zero_extent = 0;               // tiles with nothing in the image
  int64_t zero_rows = 0, data_rows = 0;  // rows that a load without data reads, by whether this
                                         // axis is the reason
};

// `tap`: kernel row that these loads are for, where each has loads of its own.
AxisSums SumAxis(const AxisShape& axis, int size, int tap) {
  AxisSums sums;
  for (int out0 = 0; out0 < axis.out; out0 += size) {
    const Span span = MakeSpan(axis, out0, std::min(size, axis.out - out0), tap);
    ++sums.tiles;
    sums.filled += span.mids;
    sums.extent += span.extent();
    const int rows = span.extent() - std::min(kMaxPad, span.extent() - 1);
    if (span.ins > 0) {
      sums.read += span.ins;
      sums.data_rows += rows;
    } else {
      sums.zero_extent += span.extent();
      sums.zero_rows += rows;
    }
    for (int i = 0; i < axis.alu_taps; ++i) {
      const TapSpan inside = MakeTapSpan(axis, span, i);
      sums.tapped += inside.count;
      sums.taps += inside.count > 0 ? 1 : 0;
    }
  }
  return sums;
}

// No-ops that take tokens: the last ones of every context that ran, and, where a tile runs alone
// among pairs, those of the context that pauses.
int64_t NoOps(const Work& work, const Tiling& tiling, const TileLayout& layout, int64_t row_tiles,
              int64_t col_tiles, int64_t out_tiles) {
  if (layout.contexts == 1) return 2;
  const int64_t images = work.copies * work.batches;
  int64_t paired = row_tiles, runs = images;  // of single tiles, where the paired axis is odd
  if (tiling.stationary != Stationary::kWeights && out_tiles > 1) {
    paired = out_tiles;
    runs *= row_tiles * (tiling.stationary == Stationary::kInputs ? col_tiles : 1);
  } else if (col_tiles > 1) {
    paired = col_tiles;
    runs *= row_tiles * out_tiles;
  } else if (tiling.stationary == Stationary::kWeights) {
    runs *= out_tiles;
  }
  return 2 * (paired % 2 == 1 ? runs + 1 : 2);
}

// Vectors and instructions of one kind.
struct Count {
  int64_t instructions = 0, vectors = 0;
  void Add(int64_t times, int64_t all_vectors) {
    instructions += times;
    vectors += all_vectors;
  }
};

struct AluCounts {
  Count resets, one_source, two_sources;
  int64_t products = 0;
};

// The window part. tiles, vectors, tapped: over all tiles; vectors of the output.
void CountWindow(const Work& work, const TileLayout& layout, int64_t tiles, int64_t vectors,
                 int64_t taps, int64_t tapped, AluCounts* alu) {
  const TapVariants variants(layout, false);
  const bool multiplies = work.engine == Work::Engine::kAluDepthwise;
  if (variants.covered) {
    alu->one_source.Add(tiles, vectors);
    if (multiplies) alu->two_sources.Add(tiles, vectors);
    taps -= tiles;
    tapped -= vectors;
  } else {
    alu->resets.Add(tiles, vectors);
    if (work.engine == Work::Engine::kAluMaxPool) alu->one_source.Add(tiles, vectors);
  }
  if (multiplies) {
    alu->one_source.Add(taps, tapped);
    alu->two_sources.Add(2 * taps, 2 * tapped);
    alu->products += tapped + (variants.covered ? vectors : 0);
  } else {
    alu->two_sources.Add(taps, tapped);
  }
}

void CountSumOfAll(const Work& work, const TileLayout& layout, int64_t images, int64_t out_tiles,
                   int tail_outs, AluCounts* alu) {
  const int64_t pixels = layout.filled();
  int64_t halvings = 0;
  for (int64_t left = pixels; left > 1; left = (left + 1) / 2) ++halvings;
  for (int64_t tile = 0; tile < 2; ++tile) {  // full ones, the last
    const bool last = tile == 1;
    const int64_t times =
        images * (last ? (tail_outs > 0 ? 1 : 0) : out_tiles - (tail_outs > 0 ? 1 : 0));
    const int64_t blocks = last ? int64_t{tail_outs} * work.out_blocks : layout.vectors;
    alu->one_source.Add(times, times * blocks);
    const int64_t additions = blocks > 1 ? (pixels > 1 ? 1 : 0) : halvings;
    alu->two_sources.Add(times * additions, times * blocks * (pixels - 1));
  }
}

}  // namespace

Activity CountActivity(const Machine& machine, const Tiling& tiling) {
  const int64_t uops =
      MicroOps(machine, tiling, CutRows(machine.work, tiling.th), CutCols(machine.work, tiling.tw));
  return CountActivity(machine, tiling, uops);
}

Activity CountActivity(const Machine& machine, const Tiling& tiling, int64_t uops) {
  const Work& work = machine.work;
  const Config& config = machine.config;
  const TileLayout layout(work, tiling);
  const bool inputs_stay = tiling.stationary == Stationary::kInputs;
  const bool weights_stay = tiling.stationary == Stationary::kWeights;
  const AxisSums rows = SumAxis(layout.rows, layout.th, 0);
  const AxisSums cols = SumAxis(layout.cols, layout.tw, 0);
  const int64_t images = work.copies * work.batches;
  const int64_t out_tiles = (work.out_units + tiling.tco - 1) / tiling.tco;
  const int64_t pixel_tiles = images * rows.tiles * cols.tiles;
  const int64_t tiles = pixel_tiles * out_tiles;
  const int64_t unit_tiles = pixel_tiles * work.out_units;
  const int64_t pixels = images * work.rows * work.cols;
  const int64_t blocks = int64_t{work.out_units} * work.out_blocks;
  const bool plane = work.rows == 1 && work.cols == 1;

  // Loads of inputs: elements of one input unit over all tiles, then how often which units come.
  int64_t inp_loads = 0, inp_elements = 0, inp_written = 0;
  if (work.one_load) {
    const int64_t steps = inputs_stay ? 1 : layout.steps;
    const int64_t repeats = work.private_inputs ? work.out_units : (inputs_stay ? 1 : out_tiles);
    inp_loads = pixel_tiles * repeats * steps;
    inp_elements = pixel_tiles * repeats * work.in_units * work.in_split;
    inp_written = inp_elements;
  } else {
    const int64_t repeats = work.private_inputs ? work.out_units : (inputs_stay ? 1 : out_tiles);
    const int split = tiling.split_rows ? work.split_taps : 1;
    for (int tap = 0; tap < split; ++tap) {
      const AxisSums r = tap == 0 ? rows : SumAxis(layout.rows, layout.th, tap);
      const int64_t units = images * repeats * (work.in_units / split);
      inp_loads += units * r.tiles * cols.tiles;
      inp_elements +=
          units * work.in_split *
          (r.read * cols.read + r.zero_rows * cols.extent + r.data_rows * cols.zero_extent);
      inp_written += units * work.in_split * r.extent * cols.extent;
    }
  }
  const int64_t residual_loads = work.residual ? (plane ? pixel_tiles * out_tiles : unit_tiles) : 0;
  const int64_t residual_elements = work.residual ? pixels * work.out_units * work.in_split : 0;

  int64_t wgt_loads = 0, wgt_elements = 0;
  const int64_t filters = work.copies * work.out_units * work.in_units * layout.filter;
  if (work.constant_weights) {
    wgt_loads = 1;
    wgt_elements = work.pair_uops;
  } else if (weights_stay) {
    wgt_loads = work.copies * out_tiles;
    wgt_elements = filters;
  } else {
    wgt_loads = tiles * layout.steps;
    wgt_elements = filters * work.batches * rows.tiles * cols.tiles;
  }
  if (work.residual) {
    ++wgt_loads;
    wgt_elements += work.residual_uops;
  }

  const int64_t acc_loads = layout.bias_unit > 0 ? tiles : 0;
  const int64_t acc_elements = unit_tiles * layout.bias_unit;

  const int64_t filled = images * rows.filled * cols.filled;
  const int64_t multiplies = filled * work.out_units * work.in_units * layout.filter +
                             (work.residual ? pixels * work.out_units * work.residual_uops : 0);
  AluCounts alu;
  alu.resets.Add(tiles, filled * blocks);
  if (work.filled_bias) alu.two_sources.Add(tiles, filled * blocks);
  alu.one_source.Add(work.filled_ops * tiles, work.filled_ops * filled * blocks);
  if (work.pool_scale != 0) alu.products += filled * blocks;
  if (layout.sum_of_all) {
    CountSumOfAll(work, layout, pixel_tiles, out_tiles, work.out_units % tiling.tco, &alu);
  } else if (layout.window()) {
    CountWindow(work, layout, tiles, pixels * blocks, images * out_tiles * rows.taps * cols.taps,
                images * blocks * rows.tapped * cols.tapped, &alu);
  }
  if (work.bias) alu.two_sources.Add(tiles, pixels * blocks);
  const int out_ops = work.immediate_ops + work.residual_ops;
  alu.one_source.Add(out_ops * tiles, out_ops * pixels * blocks);
  if (work.out_blocks < work.out_split) {  // padding blocks, once a context
    alu.resets.Add(layout.contexts, layout.contexts * layout.out_unit);
    alu.one_source.Add(layout.contexts, layout.contexts * layout.out_unit);
  }

  const int64_t stores = plane ? tiles : unit_tiles;
  const int64_t stored = pixels * work.out_units * work.out_split;

  const int64_t inp_bytes = config.inp_elem_bits() / 8, out_bytes = config.out_elem_bits() / 8;
  const int64_t uop_bytes = config.uop_bits() / 8;
  const int64_t lanes = int64_t{config.batch()} * config.block_out();
  const int64_t one = alu.one_source.vectors, two = alu.two_sources.vectors;
  const int64_t writes = multiplies + one + two;
  Activity a;
  a.instructions = 2 + NoOps(work, tiling, layout, rows.tiles, cols.tiles, out_tiles) + inp_loads +
                   residual_loads + wgt_loads + acc_loads + tiles * layout.steps +
                   (work.residual ? tiles : 0) + alu.resets.instructions +
                   alu.one_source.instructions + alu.two_sources.instructions + stores;
  a.macs = multiplies * config.macs_per_cycle();
  a.alu_ops = (one + two) * lanes;
  a.alu_multiplies = alu.products * lanes;
  a.inp_read_bytes = multiplies * inp_bytes;
  a.wgt_read_bytes = multiplies * machine.wgt_bytes;
  a.acc_read_bytes = (multiplies + one + 2 * two) * machine.acc_bytes;
  a.out_write_bytes = writes * out_bytes;
  a.uop_read_bytes = (writes + alu.resets.vectors) * uop_bytes;
  a.out_read_bytes = a.dram_out_bytes = stored * out_bytes;
  a.dram_uop_bytes = a.uop_write_bytes = uops * uop_bytes;
  a.dram_wgt_bytes = a.wgt_write_bytes = wgt_elements * machine.wgt_bytes;
  a.dram_inp_bytes = (inp_elements + residual_elements) * inp_bytes;
  a.inp_write_bytes = (inp_written + residual_elements) * inp_bytes;
  a.dram_acc_bytes = acc_elements * machine.acc_bytes;
  a.acc_write_bytes = (writes + alu.resets.vectors + acc_elements) * machine.acc_bytes;
  a.dram_instruction_bytes = a.instructions * kInstructionBytes;
  return a;
}

}  // namespace rhnas::hw
