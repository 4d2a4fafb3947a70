// Programs as files.
//
// Binary, all numbers little-endian:
//   0   8 bytes  "RHNASVTA"
//   8   u32      version, 1
//   12  u32      instruction set: 0 stock, 1 extended
//   16  u32      bytes of the configuration's text
//   20  u32      bytes of the description's text
//   24  u64      instructions
//   32  u64      micro-ops
//   40  u32      bytes of a micro-op: 4 or 8
//   44  u32      0
//   48  5 u64    elements of each region of DRAM: micro-ops, weights, inputs, accumulators, outputs
//   88  u64      FNV-1a of all bytes of the file but these eight
//   96           the configuration (vta_config.json), then the description (JSON: title, layers,
//                tiling, shift, tensors), then zeros up to a multiple of 16
//   ..           instructions, 16 bytes each, low word first: as VTA fetches them
//   ..           micro-ops
// A testbench may copy the last two parts to memory as they are.
//
// Text ("hex"), as RTL testbenches read it: one instruction a line, high word and low word; the
// micro-ops, one a line, in a file of their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/layer.h"
#include "hw/program.h"
#include "hw/result.h"

namespace rhnas::hw {

// A region of DRAM in a file, or to be executed, has at most so many bytes.
inline constexpr int64_t kMostRegionBytes = int64_t{1} << 28;
// False: a region has more; `why` says which.
bool FitsMemory(const Program& program, std::string* why);

// A program and what it was made from.
struct ProgramFile {
  Program program;
  std::vector<Layer> layers;  // empty: not known
  std::string tiling;         // as Tiling::ToString
  int shift = 4;
};

// The file's bytes; false when an instruction or a micro-op cannot be encoded (`why` says which).
bool EncodeProgramFile(const ProgramFile& file, std::string* bytes, std::string* why);
// The error is one line: path, offset, what was found and expected. Whatever the bytes are, nothing
// worse happens, and what comes back can be executed (hw/execute.h).
Result<ProgramFile> DecodeProgramFile(const std::string& bytes, const std::string& path);

// Hex text of the instructions, of the micro-ops. False as above.
bool EncodeHex(const Program& program, std::string* instructions, std::string* uops,
               std::string* why);
// The regions are as large as the instructions need; no tensors, no layers. `uops` may be empty:
// such a program can be timed and listed, not executed. REQUIRES: valid configuration.
Result<Program> DecodeHex(const std::string& instructions, const std::string& uops,
                          const Config& config, Isa isa, const std::string& path);

}  // namespace rhnas::hw
