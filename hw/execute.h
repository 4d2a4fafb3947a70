// A functional machine: runs a program on data, instruction by instruction, without time.
//
// Three units (load: inputs and weights; compute: GEMM, ALU, loads of micro-ops and accumulators;
// store) each take their instructions in program order and wait for tokens; between units any order
// that tokens and instruction queues allow may happen, so the caller picks one. What the RTL
// asserts, hangs on or leaves undefined is an error here: scratchpad and DRAM bounds, reads of what
// was never written, more than 255 tokens, deadlock, data that a unit may read while another writes
// it (by vector clocks: whatever the order picked, every such pair is found), ALU hazards, tokens
// left over at the end. Arithmetic: core/TensorGemm.scala, TensorAlu.scala of the sources named in
// isa.h.
#pragma once

#include <array>
#include <cstdint>

#include "hw/program.h"
#include "hw/result.h"

namespace rhnas::hw {

struct ExecuteOptions {
  // Which unit goes on when several can.
  enum class Order : uint8_t { kLoadFirst, kComputeFirst, kStoreFirst, kRandom };
  Order order = Order::kLoadFirst;
  uint64_t seed = 0;    // of kRandom
  bool hazards = true;  // ALU operations that need a bypass which the pipelined RTL lacks
  bool races = true;
  // An ALU operation with an immediate takes its first operand from the source, as the pipelined
  // Chisel ALU does; false: from the destination, as the unpipelined one (TensorAluOrig) does.
  bool immediate_reads_source = true;
};

// What ran.
struct ExecuteReport {
  std::array<int64_t, 3> instructions{};  // by Unit
  int64_t macs = 0;                       // on the array, padding lanes included
  int64_t alu_vectors = 0;
  int most_tokens = 0;  // in any of the four counters at any time
};

// Regions of the program's sizes, all zero.
DramImage EmptyImage(const Program& program);

// Runs the program; image->region[kOut] receives the stores. The error is one line: "instruction 12
// (GEMM): ...". REQUIRES: valid configuration, regions of the program's sizes (checked).
Result<ExecuteReport> Execute(const Program& program, DramImage* image,
                              const ExecuteOptions& options = {});

}  // namespace rhnas::hw
