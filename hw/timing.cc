#include "hw/timing.h"

#include "hw/bus.h"
#include "hw/unit_timing.h"

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
  // The request queue's counter costs one cycle more than a pipelined memory of that latency; a
  // register more where the element is wider than the bus (TensorLoadNarrowVME.scala).
  const int64_t wait = latency + (memory == MemoryModel::kQueued ? 6 : 5);
  const auto fixed = [&](int64_t bits, int pipes) {
    return Cycles(wait + (bits > config.bus_bits ? 1 : 0) + pipes);
  };
  load_wait = Cycles(wait);
  load_inp = fixed(config.inp_elem_bits(), config.pipe_vme_inp + config.pipe_write_inp);
  load_wgt = fixed(config.wgt_elem_bits(), config.pipe_vme_wgt + config.pipe_write_wgt);
  load_acc = fixed(config.acc_elem_bits(), config.pipe_vme_acc + config.pipe_write_acc);
  load_uop = fixed(config.uop_bits(), config.pipe_vme_uop);
  // One register stage is part of the measured store.
  store_fixed = Cycles(1 + std::max(0, config.pipe_write_out - 1));
  // Scratchpad reads between the words of an element, one less than reads a burst.
  out_row_shift = narrow_store ? config.log_block_out : -1;
  // A 64-bit bus takes two beats an instruction and refills half the burst length of them
  // (core/FetchVME64.scala); a wide one fills its buffer of a burst length (FetchWideVME.scala).
  const bool wide = config.bus_bits >= kInstructionBits && !config.original_fetch;
  fetch_group = int64_t{1} << (wide ? config.dpi_len_bits : std::max(0, config.dpi_len_bits - 1));
  fetch_shift = Log2(fetch_group);
  fetch_beats = kInstructionBits * kCycle / config.bus_bits;
  // From the last beat to the first dispatch (a register at each end of a wide buffer), one
  // dispatch a cycle, three to the next request.
  const int64_t dispatch = wide ? 5 : 2;
  const int64_t answer = latency + (memory == MemoryModel::kQueued ? 2 : 1);
  fetch_period = Cycles(answer + dispatch + fetch_group + 1) + fetch_group * fetch_beats;
  fetch_first = Cycles(2 + answer + dispatch);  // launch is seen in cycle 0
  burst = Cycles(burst_beats);
  in_flight = Cycles(kOutstandingReads * burst_beats);
  const bool queued = memory == MemoryModel::kQueued;
  fast_burst = Cycles(queued ? 1 : 2);
  const int64_t asked = queued ? (latency + 1) / 2 + 1 : kOutstandingReads;
  first_bursts = Cycles(std::min(asked, kOutstandingReads));
  MeasureBursts(config, memory);
}

Ticks Timing::RequestWait(Ticks rows, int64_t bytes, int64_t alignment) const {
  if (!one_request) return 0;
  const Ticks bursts = rows * Words(bytes, alignment, read_burst_shift) / kCycle;
  return std::max<Ticks>(0, bursts - kCycle) * load_wait / kCycle;
}

Ticks Timing::DataTime(Ticks rows, int64_t bytes, int64_t alignment) const {
  const Ticks beats = Words(bytes, alignment, bus_shift);
  // Bursts of a full length hide their wait, unless they are capped or the memory is far away.
  if (std::min(beats, burst) >= hidden_burst) return rows * beats / kCycle;
  const Ticks a_row = Words(bytes, alignment, read_burst_shift);
  // Between two whole lengths of a burst, in a straight line.
  const Ticks length = std::max(kCycle, beats * kCycle / a_row);
  const int64_t whole = std::min<int64_t>(length / kCycle, kShortBursts);
  const int64_t next = std::min<int64_t>(whole + 1, kShortBursts);
  const Ticks steady =
      length >= Cycles(kShortBursts)
          ? std::max(length, burst_cost[1])  // what 16 requests in flight let through
          : burst_cost[whole] +
                (burst_cost[next] - burst_cost[whole]) * (length - whole * kCycle) / kCycle;
  const Ticks fast = std::max(length, fast_burst);
  const Ticks bursts = rows * a_row / kCycle;
  const Ticks round = length < Cycles(2) ? first_bursts : Cycles(kOutstandingReads);
  const Ticks rounds = std::max<Ticks>(0, bursts - 1) / round;
  const Ticks rest = bursts - rounds * round;
  return (rounds * round * std::max(steady, fast) + rest * fast) / kCycle;
}

void Timing::MeasureBursts(const Config& config, MemoryModel memory) {
  const UnitTiming units(config, memory, false);
  constexpr int kWarm = 48, kCounted = 64;
  short_bursts = kCycle;
  for (int64_t beats = 0; beats <= kShortBursts; ++beats) burst_cost[beats] = Cycles(beats);
  hidden_burst = kCycle;
  if (one_request) return;
  for (int64_t beats = 1; beats <= kShortBursts; ++beats) {
    ReadBus bus(units);
    int64_t ready = 0, begin = 0, end = 0;
    for (int i = 0; i < kWarm + kCounted; ++i) {
      const int64_t cycle = bus.Earliest(ready);
      end = bus.Request(cycle, beats) + beats;
      ready = cycle + units.request_period;
      if (i == kWarm - 1) begin = end;
    }
    burst_cost[beats] = (end - begin) * kCycle / kCounted;
    if (burst_cost[beats] == Cycles(beats)) break;
    short_bursts = Cycles(beats + 1);
  }
  hidden_burst = std::max(short_bursts, burst_cost[1]);
}

}  // namespace rhnas::hw
