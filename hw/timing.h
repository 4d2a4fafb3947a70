// How long one instruction keeps its unit busy, in ticks of 1/256 cycle (averages over edge tiles
// are fractions). Forms measured on the generated VTA RTL (default configuration, pipelined GEMM
// and ALU); a unit takes one more idle cycle after each instruction.
#pragma once

#include <algorithm>
#include <cstdint>

#include "hw/config.h"

namespace rhnas::hw {

using Ticks = int64_t;
inline constexpr int kCycleShift = 8;
inline constexpr Ticks kCycle = 1 << kCycleShift;
inline constexpr Ticks Cycles(int64_t cycles) { return cycles * kCycle; }

// How the memory spends its latency.
enum class MemoryModel {
  kQueued,     // paid once when the request queue was empty, then one beat a cycle (VTA's tsim)
  kPipelined,  // every request is served so long after it was accepted, one beat a cycle
};

// Words of 2^shift bytes that a run of `bytes` touches on average, in ticks: starts are equally
// likely at every multiple of `alignment` within a word.
inline Ticks Words(int64_t bytes, int64_t alignment, int shift) {
  const int64_t both = alignment | (int64_t{1} << shift);
  const int64_t step = both & -both;  // the greatest power of two that divides both
  return kCycle + ((((bytes + step - 1) & -step) - step) << kCycleShift >> shift);
}

struct Timing {
  Timing(const Config& config, MemoryModel memory);

  // N+7 and 2N+7: six stages of fill, one idle cycle (core/TensorGemm.scala, TensorAlu.scala).
  Ticks Gemm(int64_t vectors) const { return gemm_fixed + Cycles(vectors); }
  Ticks AluImmediate(int64_t vectors) const { return alu_fixed + Cycles(vectors); }
  Ticks AluTwoSources(int64_t vectors) const { return alu_fixed + Cycles(2 * vectors); }
  // Bus beats of `rows` rows of `bytes` contiguous bytes each; rows start at multiples of
  // `alignment` bytes. A bus wider than that reads partial words at the ends of a row.
  Ticks Beats(Ticks rows, int64_t bytes, int64_t alignment) const {
    return rows * Words(bytes, alignment, bus_shift) / kCycle;
  }
  // Of one request of such a row, on average: bursts end at multiples of their length.
  Ticks Burst(int64_t bytes, int64_t alignment) const {
    return Words(bytes, alignment, bus_shift) * kCycle / Words(bytes, alignment, read_burst_shift);
  }
  // What a load waits beyond its first request: nothing, but with the original load unit (of before
  // the pipelined memory engine) the latency once more for every further burst.
  Ticks RequestWait(Ticks rows, int64_t bytes, int64_t alignment) const;
  // One STORE of `rows` rows: command, data and acknowledge a burst, a bubble per scratchpad read
  // where the bus is narrower than a tensor (core/TensorStoreNarrowVME.scala).
  Ticks Store(int64_t rows, int64_t bytes, int64_t alignment) const {
    constexpr int64_t kPerBurst = 4;  // command, address, acknowledge
    const Ticks bursts = Words(bytes, alignment, write_burst_shift);
    const Ticks beats = Words(bytes, alignment, bus_shift);
    const Ticks bubbles =
        out_row_shift >= 0 ? Cycles(((bytes - 1) >> out_row_shift) + 1) - bursts : 0;
    return store_fixed + rows * (kPerBurst * bursts + beats + bubbles);
  }
  // From the first data of a load to its last: more than its beats where rows have few, since a
  // client asks every other cycle, and no more than 16 requests wait for the memory's latency. A
  // queue's requests gather while the first waits, and are served without gaps until it is empty;
  // nobody asks in the cycle of a last beat, so nobody does while bursts of one beat come.
  Ticks DataTime(Ticks rows, int64_t bytes, int64_t alignment) const;
  // The first cycle in which instruction `index` of a program of `count` can start: fetched with
  // its group, then dispatched, one a cycle.
  Ticks Arrival(int64_t index, int64_t count) const {
    const int64_t group = index >> fetch_shift;
    const int64_t others = count - (group << fetch_shift);
    return fetch_first + group * fetch_period + std::min(others, fetch_group) * fetch_beats +
           Cycles(index - (group << fetch_shift));
  }

  int bus_bytes;
  int bus_shift;                            // log2 of it
  int fetch_shift;                          // log2 of fetch_group
  int read_burst_shift, write_burst_shift;  // log2 of bytes
  bool one_request;                         // the original load unit
  Ticks gemm_fixed, alu_fixed;
  Ticks load_wait;                     // from start to the first data beat, without padding
  Ticks load_inp, load_wgt, load_acc;  // fixed part of a load, the idle cycle included
  Ticks load_uop;
  Ticks store_fixed;    // per instruction
  int out_row_shift;    // log2 of bytes, a scratchpad read of the narrow store; -1: wide store
  int64_t fetch_group;  // instructions a refill brings
  Ticks fetch_period;   // between refills
  Ticks fetch_first;    // launch to the first start, without the refill\'s beats
  Ticks fetch_beats;    // bus beats of one instruction
  Ticks burst;          // beats of the longest read request
  Ticks in_flight;      // bus time of the most read requests outstanding
  static constexpr int64_t kShortBursts = 16;
  Ticks burst_cost[kShortBursts + 1];  // of one in a row of bursts of that many beats
  Ticks short_bursts;                  // from here on the beats alone
  Ticks hidden_burst;                  // bursts this long hide their own wait
  Ticks fast_burst;                    // the least a burst takes before the first pause
  Ticks first_bursts;                  // bursts of one beat before it

 private:
  void MeasureBursts(const Config& config, MemoryModel memory);
};

}  // namespace rhnas::hw
