// How long one instruction keeps its unit busy, in ticks of 1/256 cycle (averages over edge tiles
// are fractions). Forms measured on the generated VTA RTL (default configuration, pipelined GEMM
// and ALU); a unit takes one more idle cycle after each instruction.
#pragma once

#include <algorithm>
#include <cstdint>

#include "hw/config.h"

namespace rhnas::hw {

using Ticks = int64_t;
inline constexpr Ticks kCycle = 256;
inline constexpr Ticks Cycles(int64_t cycles) { return cycles * kCycle; }

// How the memory spends its latency.
enum class MemoryModel {
  kQueued,     // paid once when the request queue was empty, then one beat a cycle (VTA's tsim)
  kPipelined,  // every request is served so long after it was accepted, one beat a cycle
};

struct Timing {
  Timing(const Config& config, MemoryModel memory);

  // N+7 and 2N+7: six stages of fill, one idle cycle (core/TensorGemm.scala, TensorAlu.scala).
  Ticks Gemm(int64_t vectors) const { return gemm_fixed + Cycles(vectors); }
  Ticks AluImmediate(int64_t vectors) const { return alu_fixed + Cycles(vectors); }
  Ticks AluTwoSources(int64_t vectors) const { return alu_fixed + Cycles(2 * vectors); }
  // Bus beats of `rows` rows of `bytes` contiguous bytes each; rows start at multiples of
  // `alignment` bytes. A bus wider than that reads partial words at the ends of a row.
  Ticks Beats(Ticks rows, int64_t bytes, int64_t alignment) const;
  // What a load waits beyond its first request: nothing, but with the original load unit (of before
  // the pipelined memory engine) the latency once more for every further burst.
  Ticks RequestWait(Ticks rows, int64_t bytes, int64_t alignment) const;
  // One STORE of `rows` rows: command, data and acknowledge a burst, a bubble per scratchpad read
  // where the bus is narrower than a tensor (core/TensorStoreNarrowVME.scala).
  Ticks Store(int64_t rows, int64_t bytes, int64_t alignment) const;
  // When instruction `index` of a program of `count` has been fetched and dispatched.
  Ticks Arrival(int64_t index, int64_t count) const;

  int bus_bytes;
  int bus_shift;    // log2 of it
  int fetch_shift;  // log2 of fetch_group
  int64_t read_burst_bytes, write_burst_bytes;
  bool one_request;  // the original load unit
  Ticks gemm_fixed, alu_fixed;
  Ticks load_wait;                     // from start to the first data beat, without padding
  Ticks load_inp, load_wgt, load_acc;  // fixed part of a load, the idle cycle included
  Ticks load_uop;
  Ticks store_fixed;      // per instruction
  int64_t out_row_bytes;  // a scratchpad read of the narrow store; 0: wide store
  int64_t fetch_group;    // instructions a refill brings
  Ticks fetch_period;     // between refills
  Ticks fetch_beats;      // bus beats of one instruction
  Ticks in_flight;        // bus time of the most read requests outstanding
};

// Words that an unaligned run of `bytes` touches on average, in ticks: starts are equally likely at
// every multiple of `alignment` within `word`.
Ticks ExpectedWords(int64_t bytes, int64_t alignment, int64_t word);
int64_t Gcd(int64_t a, int64_t b);

}  // namespace rhnas::hw
