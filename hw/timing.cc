#include "hw/timing.h"

namespace rhnas::hw {
namespace {

// VME: 16 read requests outstanding (shell/VME.scala, RequestQueueDepth).
constexpr int64_t kOutstandingReads = 16;
constexpr int64_t kInstructionBits = 128;

}  // namespace

int64_t Gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

Ticks ExpectedWords(int64_t bytes, int64_t alignment, int64_t word) {
  const int64_t g = Gcd(alignment, word);
  const int64_t rounded = (bytes + g - 1) / g * g;
  return kCycle + (rounded - g) * kCycle / word;
}

Timing::Timing(const Config& config, MemoryModel memory) {
  const int64_t latency = config.dpi_delay;
  const int64_t burst_beats =
      config.max_burst_length > 0
          ? std::min<int64_t>(config.max_burst_length, int64_t{1} << config.dpi_len_bits)
          : int64_t{1} << config.dpi_len_bits;
  bus_bytes = config.bus_bytes();
  bus_shift = 0;
  while ((2 << bus_shift) <= bus_bytes) ++bus_shift;
  read_burst_bytes = burst_beats * bus_bytes;
  // The cap holds for what goes through the wide command generator; narrow stores ignore it.
  const bool narrow_store = config.bus_bits < config.out_elem_bits();
  write_burst_bytes =
      narrow_store ? (int64_t{1} << config.dpi_len_bits) * bus_bytes : read_burst_bytes;
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
  const int64_t row_bytes = config.block_out();
  out_row_bytes = narrow_store ? row_bytes : 0;
  // A 64-bit bus takes two beats an instruction and refills half the burst length of them
  // (core/FetchVME64.scala); a wide one fills its buffer of a burst length (FetchWideVME.scala).
  fetch_group = config.bus_bits >= kInstructionBits ? int64_t{1} << config.dpi_len_bits
                                                    : int64_t{1} << (config.dpi_len_bits - 1);
  fetch_shift = 0;
  while ((int64_t{2} << fetch_shift) <= fetch_group) ++fetch_shift;
  fetch_beats = kInstructionBits * kCycle / config.bus_bits;
  fetch_period = Cycles(latency + 4 + fetch_group) + fetch_group * fetch_beats;
  in_flight = Cycles(kOutstandingReads * burst_beats);
}

Ticks Timing::Beats(Ticks rows, int64_t bytes, int64_t alignment) const {
  const Ticks words = bytes % bus_bytes == 0 && alignment % bus_bytes == 0
                          ? bytes / bus_bytes * kCycle
                          : ExpectedWords(bytes, alignment, bus_bytes);
  return rows * words / kCycle;
}

Ticks Timing::RequestWait(Ticks rows, int64_t bytes, int64_t alignment) const {
  if (!one_request) return 0;
  const Ticks bursts = rows * ExpectedWords(bytes, alignment, read_burst_bytes) / kCycle;
  return std::max<Ticks>(0, bursts - kCycle) * load_wait / kCycle;
}

Ticks Timing::Store(int64_t rows, int64_t bytes, int64_t alignment) const {
  constexpr int64_t kPerBurst = 3;  // command, address, acknowledge
  const Ticks bursts = ExpectedWords(bytes, alignment, write_burst_bytes);
  const Ticks beats = Beats(kCycle, bytes, alignment);
  const Ticks bubbles =
      out_row_bytes > 0 ? (bytes + out_row_bytes - 1) / out_row_bytes * kCycle : 0;
  return store_fixed + rows * (kPerBurst * bursts + beats + bubbles);
}

Ticks Timing::Arrival(int64_t index, int64_t count) const {
  const int64_t first = std::min(count, fetch_group);
  const Ticks start = fetch_period - Cycles(fetch_group) - (fetch_group - first) * fetch_beats;
  if (index < first) return start + Cycles(index + 2);
  return start + Cycles(first + 1) + ((index - first + 1) * fetch_period >> fetch_shift);
}

}  // namespace rhnas::hw
