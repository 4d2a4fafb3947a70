#include "hw/unit_timing.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

constexpr int64_t kInstructionBytes = 16;

}  // namespace

UnitTiming::UnitTiming(const Config& config, MemoryModel memory_model, bool unpipelined_gemm,
                       bool unpipelined_alu)
    : memory(memory_model), latency(config.dpi_delay) {
  // Measured: 6 + N and 6 + 2N. Before the pipelines a state machine took four states a micro-op,
  // and five or six an ALU element, with up to three to drain (TensorGemmSimple, TensorAluOrig).
  gemm_step = unpipelined_gemm ? 4 : 1;
  gemm_fixed = unpipelined_gemm ? 4
                                : 6 + config.pipe_gemm_rd_data + config.pipe_gemm_inp_idx +
                                      config.pipe_gemm_rd_uop;
  alu_immediate = unpipelined_alu ? 5 : 1;
  alu_two_sources = unpipelined_alu ? 6 : 2;
  alu_fixed = unpipelined_alu ? 1 : 6 + config.pipe_alu_rd_data;

  bus_bytes = config.bus_bytes();
  bus_shift = 0;
  while ((2 << bus_shift) <= bus_bytes) ++bus_shift;
  const int64_t longest = int64_t{1} << config.dpi_len_bits;
  read_burst =
      config.max_burst_length > 0 ? std::min<int64_t>(config.max_burst_length, longest) : longest;

  read_burst_mask = (read_burst & (read_burst - 1)) == 0 ? read_burst - 1 : -1;

  one_request = config.original_vme;
  outstanding = one_request ? 1 : 16;  // VMEParams.RequestQueueDepth
  client_delay = one_request ? 0 : 1;
  request_period = 2;

  const int64_t bits[4] = {config.uop_bits(), config.wgt_elem_bits(), config.inp_elem_bits(),
                           config.acc_elem_bits()};
  const int data_pipe[4] = {config.pipe_vme_uop, config.pipe_vme_wgt, config.pipe_vme_inp,
                            config.pipe_vme_acc};
  const int write_pipe[4] = {0, config.pipe_write_wgt, config.pipe_write_inp,
                             config.pipe_write_acc};
  for (int i = 0; i < 4; ++i) {
    Load& l = load[i];
    l.element_bytes = bits[i] / 8;
    l.one_at_a_time = i == 0 ? config.original_load_uop : config.original_tensor_load;
    if (l.one_at_a_time) {
      // The state machine itself takes the data, and pads one bus word a cycle between rows.
      l.pad_cycles = std::max<int64_t>(1, l.element_bytes / bus_bytes);
      l.data_delay = client_delay;
      l.finish = 0;
      continue;
    }
    // TensorLoadNarrowVME registers data and padding once more than TensorLoadWideVME.
    const bool narrow = bits[i] > config.bus_bits;
    l.data_delay = client_delay + data_pipe[i] + (narrow ? 1 : 0);
    l.pad_start = narrow ? 2 : 1;
    l.finish = 1 + write_pipe[i];
  }

  out_bytes = config.out_elem_bits() / 8;
  const bool narrow_store = config.out_elem_bits() > config.bus_bits;
  out_words = narrow_store ? config.block_out() / bus_bytes : 0;
  // The narrow store ignores MAX_BURST_LENGTH.
  write_burst = narrow_store ? longest : read_burst;
  // One register stage is part of the measured store.
  store_fixed = std::max(0, config.pipe_write_out - 1);
  // Measured narrow: 3 + c + ceil(c / words). Of its bubbles the last is none, so the rest is 4.
  burst_fixed = 4;
  bubble = 1;

  // The wide fetch fills a buffer of a burst length of instructions, and has a register at each
  // end. The narrow one takes two beats an instruction.
  const bool wide = config.bus_bits >= 8 * kInstructionBytes && !config.original_fetch;
  fetch_group = wide ? longest : std::max<int64_t>(1, longest / 2);
  fetch_burst = wide ? read_burst : longest;  // MAX_BURST_LENGTH holds for the wide one only
  fetch_dispatch = wide ? client_delay + 4 : client_delay + 1;
  fetch_again = 3;
  queue_entries = 512;  // CoreParams.instQueueEntries
}

Rows UnitTiming::RowsOf(const Instruction& instruction) const {
  const int64_t element = instruction.op == Opcode::kStore
                              ? out_bytes
                              : load[static_cast<int>(instruction.memory) & 3].element_bytes;
  Rows rows;
  rows.address = instruction.dram * element;
  rows.stride = instruction.x_stride * element;
  rows.bytes = instruction.x_size * element;
  rows.count = instruction.y_size;
  return rows;
}

int64_t UnitTiming::Store(const Rows& rows, int64_t* beats) const {
  int64_t cycles = store_fixed, words = 0;
  int64_t address = rows.address;
  // Rows that begin at the same place of a burst are alike.
  const int64_t burst_bytes = write_burst << bus_shift;
  const int distinct = rows.stride % burst_bytes == 0 ? std::min(rows.count, 1) : rows.count;
  for (int y = 0; y < distinct; ++y, address += rows.stride) {
    int64_t left = Words(address, rows.bytes);
    words += left;
    cycles += left;
    int64_t burst = write_burst - (address >> bus_shift) % write_burst;
    for (; left > 0; left -= burst, burst = write_burst) {
      const int64_t now = std::min(burst, left);
      cycles += burst_fixed;
      if (out_words > 0) cycles += bubble * ((now + out_words - 1) / out_words - 1);
    }
  }
  if (distinct == 1 && rows.count > 1) {
    cycles = store_fixed + (cycles - store_fixed) * rows.count;
    words *= rows.count;
  }
  *beats += words;
  return cycles;
}

}  // namespace rhnas::hw
