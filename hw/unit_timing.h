// Exact cycles of VTA's units, from one configuration: what the simulator charges an instruction.
//
// A unit is idle in the cycle it starts, executes for the cycles given here, posts its tokens in
// the last of them and is idle again in the next. Forms measured on the RTL that apache/tvm-vta
// @d4a15f6 generates by default; what was not measured (wide buses, units of before the pipelines)
// is counted from the state machines of its hardware/chisel sources, named at each member. Integer
// cycles, no averages: the closed form's hw/timing.h is the other end.
#pragma once

#include <cstdint>

#include "hw/config.h"
#include "hw/isa.h"
#include "hw/timing.h"

namespace rhnas::hw {

// One bus request pattern: where a LOAD or STORE finds its rows, in bytes from the region's base.
struct Rows {
  int64_t address = 0, stride = 0, bytes = 0;
  int count = 0;
};

struct UnitTiming {
  // unpipelined: the units of before pull requests 30 (GEMM) and 27 (ALU) of apache/tvm-vta.
  UnitTiming(const Config& config, MemoryModel memory, bool unpipelined_gemm = false,
             bool unpipelined_alu = false);

  int64_t Gemm(int64_t iterations) const { return gemm_fixed + gemm_step * iterations; }
  int64_t Alu(int64_t iterations, bool immediate) const {
    return alu_fixed + (immediate ? alu_immediate : alu_two_sources) * iterations;
  }
  // One STORE; adds its data beats.
  int64_t Store(const Rows& rows, int64_t* beats) const;
  Rows RowsOf(const Instruction& instruction) const;
  int64_t Words(int64_t address, int64_t bytes) const {
    return ((address + bytes + bus_bytes - 1) >> bus_shift) - (address >> bus_shift);
  }

  // Place of a bus word in its burst.
  int64_t InBurst(int64_t word) const {
    return read_burst_mask >= 0 ? word & read_burst_mask : word % read_burst;
  }

  int64_t gemm_fixed, gemm_step, alu_fixed, alu_immediate, alu_two_sources;

  // --- Memory (dpi/VTAMemDPI.scala), read and write channels apart ---
  MemoryModel memory;
  int64_t latency;  // DPI_DELAY
  int bus_shift;    // log2 of bytes a beat
  int64_t bus_bytes;
  int64_t read_burst, write_burst;  // beats; bursts end at multiples of it
  int64_t read_burst_mask;          // of a power of two; -1: of another length

  // --- Read requests (shell/VME.scala, VMESimple.scala) ---
  int64_t outstanding;     // requests whose last beat has not come
  bool one_request;        // VMESimple: the next request waits for the end of this one
  int64_t client_delay;    // from the bus to the client: a register for the tag's look-up
  int64_t request_period;  // of one client: a queue of one entry refills every other cycle

  // --- Loads (core/TensorLoad*.scala), by MemoryId: kUop, kWgt, kInp, kAcc ---
  struct Load {
    int64_t element_bytes = 1;
    int64_t pad_cycles = 1;      // per padded element
    int64_t pad_start = 1;       // first cycle that can pad, from the start
    int64_t data_delay = 0;      // from the bus to the scratchpad's write
    int64_t finish = 1;          // from the last write to the end
    bool one_at_a_time = false;  // TensorLoadSimple: a burst is asked for when the last has come
  };
  Load load[4];

  int64_t out_bytes;    // of one element
  int64_t out_words;    // bus words of one row of it; 0: not wider than the bus
  int64_t store_fixed;  // an instruction
  int64_t burst_fixed;  // command, address, response of one write burst
  int64_t bubble;       // a scratchpad read between rows of elements

  // --- Fetch (core/FetchVME64.scala, FetchWideVME.scala) ---
  int64_t fetch_group;     // instructions a refill brings
  int64_t fetch_burst;     // longest burst
  int64_t fetch_dispatch;  // from the last beat to the first dispatch
  int64_t fetch_again;     // from the last dispatch to the next request on the bus
  int64_t queue_entries;   // of each unit's instruction queue
};

}  // namespace rhnas::hw
