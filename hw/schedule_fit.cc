// What a tiling takes of the scratchpads and whether it fits.
#include <algorithm>
#include <limits>

#include "hw/micro_ops.h"
#include "hw/schedule.h"

namespace rhnas::hw {
namespace {

// Fields of the instruction: sizes 16 bits, loop counts 14.
constexpr int64_t kMaxSize = 65535;
constexpr int64_t kMaxLoop = 16383;

bool OnArray(const Work& work) { return work.engine == Work::Engine::kArray; }

bool Miss(std::string* why, const char* operand, int64_t need, int64_t have) {
  if (why != nullptr) {
    *why =
        std::string(operand) + ": need " + std::to_string(need) + ", have " + std::to_string(have);
  }
  return false;
}

// PlanMicroOps' total; without its search where rows and columns can be folded and there is no
// window, as almost always.
int64_t MicroOps(const Machine& machine, const Tiling& tiling, const TileLayout& layout,
                 bool col_tail) {
  const Work& work = machine.work;
  const Config& config = machine.config;
  const int64_t acc_limit = machine.acc_depth >> config.log_acc_factor_restrict;
  const int64_t inp_limit = machine.inp_depth >> config.log_inp_factor_restrict;
  const int64_t pitch = layout.cols.InTile(layout.tw) * int64_t{work.in_split} * work.stride;
  const bool folds =
      layout.th == 1 || (layout.tw * int64_t{work.out_split} < acc_limit && pitch < inp_limit);
  const bool pixel = work.rows * work.cols == 1;  // folds the longest loops
  if (!layout.window() && !pixel && folds && int64_t{work.stride} * work.in_split < inp_limit) {
    const int tail = work.in_units % tiling.tci;
    int64_t units = tiling.tci + (tail > 0 && tiling.tco > 1 ? tail : 0);
    if (tiling.stationary != Stationary::kNone) units = int64_t{work.in_units} * layout.halves;
    const int64_t kinds = work.r > 1 && col_tail ? 2 : 1;
    const int64_t total = kinds * tiling.tco * units * layout.filter +
                          layout.vectors * (work.bias ? 2 : 1) +
                          int64_t{layout.residual_places} * tiling.tco * work.residual_uops;
    if (layout.contexts * total <= machine.uop_depth) return layout.contexts * total;
  }
  const MicroOpPlan plan = PlanMicroOps(work, config, tiling, layout, machine.uop_depth);
  return plan.total > 0 ? plan.total : std::numeric_limits<int32_t>::max();
}

}  // namespace

Machine::Machine(const Work& layer_work, const Config& machine_config, MemoryModel memory)
    : Machine(layer_work, machine_config, Timing(machine_config, memory)) {}

Machine::Machine(const Work& layer_work, const Config& machine_config, const Timing& its_timing)
    : work(layer_work),
      config(machine_config),
      timing(its_timing),
      inp_depth(int64_t{1} << machine_config.log_inp_depth()),
      wgt_depth(int64_t{1} << machine_config.log_wgt_depth()),
      acc_depth(int64_t{1} << machine_config.log_acc_depth()),
      uop_depth(int64_t{1} << machine_config.log_uop_depth()),
      wgt_bytes(machine_config.wgt_elem_bits() / 8),
      acc_bytes(machine_config.acc_elem_bits() / 8) {}

Footprint Measure(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                  const PixelCut& cols) {
  const TileLayout layout(machine.work, tiling);
  Footprint footprint;
  footprint.inp = layout.inp;
  footprint.wgt = layout.wgt;
  footprint.acc = layout.acc;
  footprint.uop = MicroOps(machine, tiling, layout, cols.cut.tail > 0);
  (void)rows;
  return footprint;
}

int64_t MicroOps(const Machine& machine, const Tiling& tiling, const PixelCut&,
                 const PixelCut& cols) {
  return MicroOps(machine, tiling, TileLayout(machine.work, tiling), cols.cut.tail > 0);
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
  const int64_t source_step = tiling.th > 1 ? acc_step * work.alu.stride : acc_step;
  if (filled_rows > 1 && !OnArray(work) && source_step >= inp_limit) {
    return Miss(why, "accumulator row step of the ALU's source", source_step, inp_limit - 1);
  }
  if (filled_rows > kMaxLoop || filled_cols > kMaxLoop) {
    return Miss(why, "loop count", std::max(filled_rows, filled_cols), kMaxLoop);
  }
  const int64_t widest =
      std::max({inp_step, int64_t{work.in_units} * work.pair_uops * work.taps(),
                int64_t{work.in_cols} * work.in_split, int64_t{work.cols} * work.out_split});
  if (widest > kMaxSize) return Miss(why, "elements in a row of a load", widest, kMaxSize);
  return true;
}

}  // namespace rhnas::hw
