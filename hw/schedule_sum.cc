// Activity of a schedule: one walk over the kinds of groups, each times how often it comes.
#include <algorithm>

#include "hw/schedule.h"

namespace rhnas::hw {
namespace {

constexpr int64_t kInstructionBytes = 16;

// fn(group, times, resident_times): every kind of group with its count, and how many of those load
// the resident operand.
template <typename Fn>
void ForEachGroup(const Schedule& s, const Fn& fn) {
  for (int a = 0; a < s.level[0].runs; ++a) {
    const int64_t outer = s.copies * s.level[0].run[static_cast<size_t>(a)].count;
    for (int b = 0; b < s.level[1].runs; ++b) {
      const int64_t middle = outer * s.level[1].run[static_cast<size_t>(b)].count;
      for (int c = 0; c < s.level[2].runs; ++c) {
        const int64_t times = middle * s.level[2].run[static_cast<size_t>(c)].count;
        int64_t resident = 0;
        if (s.resident_level == 0 && b == 0 && c == 0) resident = outer;
        if (s.resident_level == 1 && c == 0) resident = middle;
        fn(s.At(a, b, c), times, resident);
      }
    }
  }
}

int64_t Bytes(const Machine& machine, Ticks beats) {
  return (beats * machine.timing.bus_bytes + kCycle / 2) / kCycle;
}

}  // namespace

Activity CountActivity(const Machine& machine, const Schedule& s) {
  const Config& config = machine.config;
  const int64_t inp = config.inp_elem_bits() / 8;
  const int64_t wgt = machine.wgt_bytes;
  const int64_t acc = machine.acc_bytes;
  const int64_t out = config.out_elem_bits() / 8;
  const int64_t uop = config.uop_bits() / 8;
  const int64_t lanes = int64_t{config.batch()} * config.block_out();
  Activity total;
  Ticks input_beats = 0, weight_beats = 0, acc_beats = 0;
  ForEachGroup(s, [&](const Group& group, int64_t times, int64_t resident) {
    for (int c = 0; c < group.contexts; ++c) {
      const TileCost& tile = group.tile[c];
      const int64_t uops = times * (s.steps * tile.step.uops + (s.has_last ? tile.last.uops : 0) +
                                    tile.residual_uops);
      total.macs += uops * config.macs_per_cycle();
      total.inp_read_bytes += uops * inp;
      total.wgt_read_bytes += uops * wgt;
      total.acc_read_bytes += uops * acc;
      const int64_t one_source = times * tile.alu_immediate;
      const int64_t two_sources = times * tile.alu_two_sources;
      total.alu_ops += (one_source + two_sources) * lanes;
      total.alu_multiplies += times * tile.alu_multiplies * lanes;
      total.acc_read_bytes += (one_source + 2 * two_sources) * acc;
      // Array and ALU write their 8-bit result to the output scratchpad each time as well.
      const int64_t writes = uops + one_source + two_sources;
      const int64_t resets = times * tile.reset_vectors;
      total.acc_write_bytes += (writes + resets + times * tile.acc_load_tensors) * acc;
      total.out_write_bytes += writes * out;
      total.uop_read_bytes += (writes + resets) * uop;
      total.out_read_bytes += times * tile.store_tensors * out;
      const auto loads = [&](const Phase& phase, int64_t count) {
        input_beats += count * phase.input_beats;
        weight_beats += count * phase.weight_beats;
      };
      loads(tile.step, times * s.steps);
      if (s.has_last) loads(tile.last, times);
      acc_beats += times * tile.acc_beats;
    }
    (s.resident_level == 0 ? weight_beats : input_beats) += resident * group.resident_beats;
  });
  total.instructions = s.totals.instructions;
  total.uop_write_bytes = s.uops * uop;
  total.inp_write_bytes = Bytes(machine, input_beats);
  total.wgt_write_bytes = Bytes(machine, weight_beats) + s.constant_tensors * wgt;
  total.dram_inp_bytes = total.inp_write_bytes;
  total.dram_wgt_bytes = total.wgt_write_bytes;
  total.dram_acc_bytes = Bytes(machine, acc_beats);
  total.dram_uop_bytes = total.uop_write_bytes;
  total.dram_instruction_bytes = total.instructions * kInstructionBytes;
  total.dram_out_bytes = total.out_read_bytes;
  return total;
}

Ticks LowerBound(const Machine& machine, const Tiling& tiling, const Schedule& schedule) {
  const Totals& totals = schedule.totals;
  // With one context the loads of a step and its multiply take turns.
  const Ticks turns = tiling.vthreads == 1 ? totals.load + totals.multiply : totals.load;
  const Ticks fetch = machine.timing.Arrival(totals.instructions - 1, totals.instructions);
  return std::max({turns, totals.compute, totals.store, totals.read_beats, fetch});
}

}  // namespace rhnas::hw
