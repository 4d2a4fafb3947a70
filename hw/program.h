// A VTA program: instructions, micro-ops, and where its data lies in DRAM.
//
// DRAM is five regions, one a type (micro-ops, inputs, weights, accumulators, outputs), each with a
// base address register of its own; instructions address a region in its elements from that base.
// Bases are aligned to 2 MiB or to the region's size rounded up to a power of two, whichever is
// more, since the hardware ORs offsets into them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "hw/config.h"
#include "hw/isa.h"

namespace rhnas::hw {

// Of one launch: the runtime's transfer queue has 4 MiB (TVM runtime.cc, MAX_XFER).
inline constexpr int64_t kMaxInstructions = (int64_t{1} << 22) / 16;

// A tensor in one of the regions.
struct DramTensor {
  std::string name;  // "input", "residual", "weights", "identity", "bias", "output"
  MemoryId memory = MemoryId::kInp;
  int64_t offset = 0, elements = 0;  // in elements of the region
  std::string layout;                // in words: "[batch/1][channel/16][row][column][1][16]"
};

struct Program {
  Config config;
  Isa isa = Isa::kStock;
  std::string title;  // what it computes, for listings: layer and tiling
  std::vector<Instruction> instructions;
  std::vector<MicroOp> uops;          // the region of micro-ops
  std::array<int64_t, 5> elements{};  // of each region, by MemoryId; kUop: uops.size()
  std::vector<DramTensor> tensors;

  int64_t& region(MemoryId memory) { return elements[static_cast<size_t>(memory)]; }
  int64_t region(MemoryId memory) const { return elements[static_cast<size_t>(memory)]; }
};

// Bytes of one element of a region.
int64_t ElementBytes(const Config& config, MemoryId memory);

// The regions' contents, by MemoryId: bytes as they lie in DRAM, accumulators as little-endian
// 32-bit words. kUop is not used.
struct DramImage {
  std::array<std::vector<uint8_t>, 5> region;
};

}  // namespace rhnas::hw
