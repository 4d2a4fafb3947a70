#include "hw/timing.h"

namespace rhnas::hw {
namespace {

// VME: 16 read requests outstanding (shell/VME.scala, RequestQueueDepth).
constexpr int64_t kOutstandingReads = 16;
constexpr int64_t kInstructionBits = 128;

int Log2(int64_t value) {
  int log = 0;
  while ((int64_t{2} << log) <= value) ++log;
  return log;
}

}  // namespace

Timing::Timing(const Config& config, MemoryModel memory) {
  const int64_t latency = config.dpi_delay;
  const int64_t burst_beats =
      config.max_burst_length > 0
          ? std::min<int64_t>(config.max_burst_length, int64_t{1} << config.dpi_len_bits)
          : int64_t{1} << config.dpi_len_bits;
  bus_bytes = config.bus_bytes();
  bus_shift = Log2(bus_bytes);
  // A cap that is no power of two makes bursts of the next lower one.
  read_burst_shift = Log2(burst_beats) + bus_shift;
  // The cap holds for what goes through the wide command generator; narrow stores ignore it.
  const bool narrow_store = config.bus_bits < config.out_elem_bits();
  write_burst_shift = narrow_store ? config.dpi_len_bits + bus_shift : read_burst_shift;
  one_request = config.original_tensor_load;
  gemm_fixed =
      Cycles(7 + config.pipe_gemm_rd_data + config.pipe_gemm_inp_idx + config.pipe_gemm_rd_uop);
  alu_fixed = Cycles(7 + config.pipe_alu_rd_data);
  // The request queue's counter costs one cycle more than a pipelined memory of that latency.
  const int64_t wait = latency + (memory == MemoryModel::kQueued ? 6 : 5);
  load_wait = Cycles(wait);
  load_inp = Cycles(wait + 1 + config.pipe_vme_inp + config.pipe_write_inp);
  load_wgt = Cycles(wait + 1 + config.pipe_vme_wgt + config.pipe_write_wgt);
  load_acc = Cycles(wait + 1 + config.pipe_vme_acc + config.pipe_write_acc);
  load_uop = Cycles(latency + 6 + config.pipe_vme_uop);
  // One register stage is part of the measured store.
  store_fixed = Cycles(1 + std::max(0, config.pipe_write_out - 1));
  out_row_shift = narrow_store ? config.log_block_out : -1;
  // A 64-bit bus takes two beats an instruction and refills half the burst length of them
  // (core/FetchVME64.scala); a wide one fills its buffer of a burst length (FetchWideVME.scala).
  fetch_group = config.bus_bits >= kInstructionBits ? int64_t{1} << config.dpi_len_bits
                                                    : int64_t{1} << (config.dpi_len_bits - 1);
  fetch_shift = Log2(fetch_group);
  fetch_beats = kInstructionBits * kCycle / config.bus_bits;
  fetch_period = Cycles(latency + 4 + fetch_group) + fetch_group * fetch_beats;
  in_flight = Cycles(kOutstandingReads * burst_beats);
}

Ticks Timing::RequestWait(Ticks rows, int64_t bytes, int64_t alignment) const {
  if (!one_request) return 0;
  const Ticks bursts = rows * Words(bytes, alignment, read_burst_shift) / kCycle;
  return std::max<Ticks>(0, bursts - kCycle) * load_wait / kCycle;
}

}  // namespace rhnas::hw
