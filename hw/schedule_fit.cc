// What a tiling takes of the scratchpads and whether it fits.
#include <algorithm>
#include <iterator>

#include "hw/schedule.h"

namespace rhnas::hw {
namespace {

// Fields of the instruction: sizes 16 bits, loop counts 14.
constexpr int64_t kMaxSize = 65535;
constexpr int64_t kMaxLoop = 16383;

bool OnArray(const Work& work) { return work.engine == Work::Engine::kArray; }

// Micro-ops of one context's multiply, with the two outermost loops folded into the instruction:
// rows and columns as TVM folds them where that fits, the two longest loops where it must.
int64_t MultiplyUops(const Work& work, int64_t tco, int64_t tci, int64_t rows, int64_t cols,
                     bool tightest) {
  int64_t loops[] = {rows, cols, tco, tci, work.pair_uops, work.r, work.s};
  int64_t product = 1;
  for (size_t i = 2; i < std::size(loops); ++i) product *= loops[i];
  if (!tightest) return product;
  product *= rows * cols;
  std::sort(std::begin(loops), std::end(loops));
  return product / (loops[5] * loops[6]);
}

int64_t AllUops(const Work& work, const Tiling& tiling, const PixelCut& rows, const PixelCut& cols,
                bool tightest) {
  const int row_size = rows.filled[0];
  const int col_size = cols.filled[0];
  int64_t uops = MultiplyUops(work, tiling.tco, tiling.tci, row_size, col_size, tightest);
  const int tail = work.in_units % tiling.tci;  // a kernel of its own; other tails are prefixes
  if (tail != 0) uops += MultiplyUops(work, tiling.tco, tail, row_size, col_size, tightest);
  // In vectors of a pixel: reset and immediates; bias.
  int64_t places = 2;
  switch (work.engine) {
    case Work::Engine::kArray:
      break;
    case Work::Engine::kAluMaxPool:
      places += work.alu.taps();
      break;
    case Work::Engine::kAluAvgPool:
      places += work.rows * work.cols == 1 ? 1 : work.alu.taps();
      break;
    case Work::Engine::kAluDepthwise:
      places += 2 * work.alu.taps() + 1;  // copies, products, the sum
      break;
  }
  if (work.fused) places += 1 + (work.filled_bias ? 1 : 0);
  uops += places * tiling.tco * work.out_blocks + int64_t{tiling.tco} * work.residual_uops;
  return uops * tiling.vthreads;
}

bool Miss(std::string* why, const char* operand, int64_t need, int64_t have) {
  if (why != nullptr) {
    *why =
        std::string(operand) + ": need " + std::to_string(need) + ", have " + std::to_string(have);
  }
  return false;
}

}  // namespace

Machine::Machine(const Work& layer_work, const Config& machine_config, MemoryModel memory)
    : work(layer_work),
      config(machine_config),
      timing(machine_config, memory),
      inp_depth(int64_t{1} << machine_config.log_inp_depth()),
      wgt_depth(int64_t{1} << machine_config.log_wgt_depth()),
      acc_depth(int64_t{1} << machine_config.log_acc_depth()),
      uop_depth(int64_t{1} << machine_config.log_uop_depth()),
      wgt_bytes(machine_config.wgt_elem_bits() / 8),
      acc_bytes(machine_config.acc_elem_bits() / 8) {}

Footprint Measure(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                  const PixelCut& cols) {
  const Work& work = machine.work;
  Footprint footprint;
  const int64_t out_pixels = int64_t{rows.cut.size} * cols.cut.size;
  const int64_t in_pixels = int64_t{rows.extent[0]} * cols.extent[0];
  const int64_t contexts = tiling.vthreads;
  const int64_t tco = tiling.tco;
  int64_t units = work.private_inputs ? tco * tiling.tci : tiling.tci;
  if (tiling.stationary == Stationary::kInputs) units = work.in_units;
  footprint.inp = contexts * units * work.in_split * in_pixels;
  if (work.residual) {
    // Where tiles have one step, the next tile's residual may arrive before this one's is added:
    // tiles take turns between two places.
    const int places = tiling.tci < work.in_units ? 1 : 2;
    footprint.inp += contexts * tco * work.in_split * out_pixels * places;
  }
  const int64_t filter = int64_t{work.pair_uops} * work.taps();
  if (work.constant_weights) {
    footprint.wgt = work.pair_uops;
  } else if (tiling.stationary == Stationary::kWeights) {
    footprint.wgt = tco * work.in_units * filter;
  } else {
    footprint.wgt = contexts * tco * tiling.tci * filter;
  }
  footprint.wgt += work.residual_uops;
  int64_t pixels = out_pixels + (work.bias ? 1 : 0);
  if (!OnArray(work)) {
    pixels += int64_t{rows.filled[0]} * cols.filled[0] + (work.filled_bias ? 1 : 0);
  }
  if (work.engine == Work::Engine::kAluDepthwise) pixels += out_pixels + work.alu.taps();
  footprint.acc = contexts * tco * work.out_split * pixels;
  footprint.uop = MicroOps(machine, tiling, rows, cols);
  return footprint;
}

int64_t MicroOps(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                 const PixelCut& cols) {
  const int64_t uops = AllUops(machine.work, tiling, rows, cols, false);
  return uops <= machine.uop_depth ? uops : AllUops(machine.work, tiling, rows, cols, true);
}

bool Fits(const Machine& machine, const Tiling& tiling, const Footprint& footprint,
          std::string* why) {
  const Config& config = machine.config;
  const Work& work = machine.work;
  // The stationary operand must be used again by the inner loop.
  bool reused = true;
  if (tiling.stationary == Stationary::kWeights) {
    reused = !work.constant_weights;
  } else if (tiling.stationary == Stationary::kInputs) {
    reused = !work.private_inputs && tiling.tco < work.out_units;
  }
  if (!reused) {
    if (why != nullptr) *why = "this tiling does not use the stationary operand again";
    return false;
  }
  if (tiling.vthreads > 1 && !config.vthread) {
    return Miss(why, "virtual threads (ENABLE_VTHREAD)", tiling.vthreads, 1);
  }
  if (footprint.acc > machine.acc_depth) {
    return Miss(why, "accumulator scratchpad elements", footprint.acc, machine.acc_depth);
  }
  if (footprint.inp > machine.inp_depth) {
    return Miss(why, "input scratchpad elements", footprint.inp, machine.inp_depth);
  }
  if (footprint.wgt > machine.wgt_depth) {
    return Miss(why, "weight scratchpad elements", footprint.wgt, machine.wgt_depth);
  }
  if (footprint.uop > machine.uop_depth) {
    return Miss(why, "micro-ops", footprint.uop, machine.uop_depth);
  }
  // Address steps between rows are factors of the instruction, of fewer bits where restricted.
  const int64_t filled_rows = int64_t{tiling.th - 1} * work.alu.stride + work.alu.r;
  const int64_t filled_cols = int64_t{tiling.tw - 1} * work.alu.stride + work.alu.s;
  const int64_t acc_step = filled_cols * work.out_split;
  const int64_t inp_step = ((filled_cols - 1) * work.stride + work.s) * work.stride * work.in_split;
  const int64_t acc_limit = machine.acc_depth >> config.log_acc_factor_restrict;
  const int64_t inp_limit = machine.inp_depth >> config.log_inp_factor_restrict;
  if (filled_rows > 1 && acc_step >= acc_limit) {
    return Miss(why, "accumulator row step", acc_step, acc_limit - 1);
  }
  if (filled_rows > 1 && inp_step >= inp_limit) {
    return Miss(why, "input row step", inp_step, inp_limit - 1);
  }
  // The ALU's source steps have the input's bits.
  const int64_t source_step = acc_step * work.alu.stride;
  if (tiling.th > 1 && !OnArray(work) && source_step >= inp_limit) {
    return Miss(why, "accumulator row step of the ALU's source", source_step, inp_limit - 1);
  }
  if (filled_rows > kMaxLoop || filled_cols > kMaxLoop) {
    return Miss(why, "loop count", std::max(filled_rows, filled_cols), kMaxLoop);
  }
  const int64_t widest =
      std::max<int64_t>(inp_step, int64_t{work.in_units} * work.pair_uops * work.taps());
  if (widest > kMaxSize) return Miss(why, "elements in a row of a load", widest, kMaxSize);
  return true;
}

}  // namespace rhnas::hw
