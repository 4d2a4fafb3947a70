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
  if (!OnArray(work)) loops[5] = loops[6] = 1;
  int64_t product = 1;
  for (size_t i = 2; i < std::size(loops); ++i) product *= loops[i];
  if (!tightest) return product;
  product *= rows * cols;
  std::sort(std::begin(loops), std::end(loops));
  return product / (loops[5] * loops[6]);
}

int64_t AllUops(const Work& work, const Tiling& tiling, const PixelCut& rows, const PixelCut& cols,
                bool tightest) {
  const int row_size = OnArray(work) ? rows.cut.size : rows.extent[0];
  const int col_size = OnArray(work) ? cols.cut.size : cols.extent[0];
  int64_t uops = MultiplyUops(work, tiling.tco, tiling.tci, row_size, col_size, tightest);
  const int tail = work.in_units % tiling.tci;  // a kernel of its own; other tails are prefixes
  if (tail != 0) uops += MultiplyUops(work, tiling.tco, tail, row_size, col_size, tightest);
  const int64_t vectors = int64_t{tiling.tco} * work.out_blocks;
  uops += 2 * vectors;  // reset and immediates; bias
  if (work.engine == Work::Engine::kAluMaxPool) uops += work.taps() * vectors;
  if (work.engine == Work::Engine::kAluDepthwise) uops += 3 * work.taps() * vectors;
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
  const int64_t filter = int64_t{work.pair_uops} * work.taps();
  if (work.constant_weights) {
    footprint.wgt = work.pair_uops;
  } else if (tiling.stationary == Stationary::kWeights) {
    footprint.wgt = tco * work.in_units * filter;
  } else {
    footprint.wgt = contexts * tco * tiling.tci * filter;
  }
  int64_t pixels = out_pixels + (work.bias ? 1 : 0);
  if (work.engine != Work::Engine::kArray) pixels += in_pixels;
  if (work.engine == Work::Engine::kAluDepthwise) pixels += out_pixels + work.taps();
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
    reused = OnArray(work) && !work.constant_weights;
  } else if (tiling.stationary == Stationary::kInputs) {
    reused = OnArray(work) && !work.private_inputs && tiling.tco < work.out_units;
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
  const int64_t acc_step = int64_t{tiling.tw} * machine.work.out_split;
  const int64_t inp_step = (int64_t{tiling.tw - 1} * machine.work.stride + machine.work.s) *
                           machine.work.stride * machine.work.in_split;
  const int64_t acc_limit = machine.acc_depth >> config.log_acc_factor_restrict;
  const int64_t inp_limit = machine.inp_depth >> config.log_inp_factor_restrict;
  if (tiling.th > 1 && acc_step >= acc_limit) {
    return Miss(why, "accumulator row step", acc_step, acc_limit - 1);
  }
  if (tiling.th > 1 && inp_step >= inp_limit) {
    return Miss(why, "input row step", inp_step, inp_limit - 1);
  }
  if (tiling.th > kMaxLoop || tiling.tw > kMaxLoop) {
    return Miss(why, "loop count", std::max(tiling.th, tiling.tw), kMaxLoop);
  }
  const int64_t widest = std::max<int64_t>(
      inp_step, int64_t{machine.work.in_units} * machine.work.pair_uops * machine.work.taps());
  if (widest > kMaxSize) return Miss(why, "elements in a row of a load", widest, kMaxSize);
  return true;
}

}  // namespace rhnas::hw
