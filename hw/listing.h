// Programs for people: counts, and a listing as assembly text.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "hw/program.h"

namespace rhnas::hw {

// What stands in a program, loops multiplied out.
struct ProgramCounts {
  std::array<int64_t, 4> loads{};  // LOADs that bring data, by MemoryId
  int64_t stores = 0, resets = 0, gemms = 0, alus = 0, no_ops = 0, finishes = 0;
  std::array<int64_t, 5> elements{};  // moved between DRAM and scratchpads, by MemoryId
  int64_t padded = 0;                 // scratchpad elements that LOADs fill without DRAM
  int64_t macs = 0;                   // on the array, padding lanes included
  int64_t alu_vectors = 0;
};
ProgramCounts CountProgram(const Program& program);

// One line an instruction:
//
//     12  load     wait compute  LOAD  inp[0..63] <- 48 at 16, 3 rows of 16 every 28, pad 1 0 0 0
//                  post compute  ; input
//
// on one line: number, unit, tokens it waits for, what it does, tokens it posts, and the tensor
// that its DRAM address lies in. GEMM and ALU show their loops with the steps of each index, and
// where a kernel of micro-ops runs for the first time, its micro-ops.
std::string Listing(const Program& program);

}  // namespace rhnas::hw
