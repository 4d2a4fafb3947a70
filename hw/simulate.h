// The time a VTA program takes, cycle by cycle, without walking the cycles.
//
// Event-driven: fetch, load, compute and store each go through their instructions; a start waits
// for the unit, the instruction's arrival and its tokens; a duration is a closed form
// (hw/unit_timing.h), but for loads and fetches, whose bursts meet on the read bus (hw/bus.h).
// Costs O(instructions + read bursts + rows stored). On the RTL of the default VTA it is exact: all
// 70 measured programs to the cycle, each unit's busy cycles too (tests/hw_simulate_test.cc).
// Micro-ops and data are not looked at: no timing depends on them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/config.h"
#include "hw/isa.h"
#include "hw/timing.h"

namespace rhnas::hw {

// Cycles from launch: dispatched into the unit's queue; first and last cycle of execution.
struct InstructionTime {
  int64_t arrival = -1, start = -1, end = -1;
};

struct SimulateOptions {
  // GEMM at four cycles a micro-op, as before pull request 30 of apache/tvm-vta, and ALU at five or
  // six an element, as before 27. The older memory units are switches of the configuration,
  // VTA_FEATURE_ORIGINAL_*.
  bool unpipelined_gemm = false, unpipelined_alu = false;
  std::vector<InstructionTime>* timeline = nullptr;  // one an instruction
};

struct SimulatedTime {
  bool finished = false;  // FINISH was executed
  std::string why;        // if not: which unit waits for what
  int64_t cycles = 0;     // from launch to finish, as the RTL counts them
  // Cycles that the unit's state machine is not idle.
  int64_t load_busy = 0, compute_busy = 0, store_busy = 0;
  int64_t read_beats = 0, write_beats = 0;  // of bus_bits, instructions included
  int64_t fetch_beats = 0;                  // of read_beats
  int64_t read_bursts = 0;
};

// Pure and thread-safe. REQUIRES: the configuration is valid (hw/validity.h); instructions' sizes
// are of the encoding's widths.
SimulatedTime Simulate(const Config& config, MemoryModel memory,
                       const std::vector<Instruction>& instructions,
                       const SimulateOptions& options = {});

}  // namespace rhnas::hw
