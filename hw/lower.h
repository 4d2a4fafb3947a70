// The scheduler: a layer, or a chain of layers, on a configuration under a tiling becomes a VTA
// program.
//
// Structure as in schedule.h: one load of all micro-ops; for each group of one tile a context the
// resets, the steps (loads, multiply), then for each context the biases, the ALU and the stores; at
// the end no-ops that take the tokens left, and FINISH. With stationary = kNone the stream equals
// TVM's structure. Tokens are counters: a load that would wait for the wrong context's multiply
// takes the tokens in between first, in no-ops. No two units ever race, however they are delayed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/cost.h"
#include "hw/layout.h"
#include "hw/operands.h"
#include "hw/program.h"
#include "hw/work.h"

namespace rhnas::hw {

struct LowerOptions {
  Isa isa = Isa::kExtended;
  int shift = 4;  // of the sum with its bias, arithmetic; layers with weights only
};

struct LoweredProgram {
  Program program;
  std::vector<Layer> chain;  // one layer, or a chain of them
  Work work;
  Tiling tiling;  // clipped to the layer
  LowerOptions options;
  MapLayout input, residual, output;
};

// What an ISA leaves of a configuration: the stock one has no CLP, and its RTL 2048 micro-ops
// (apache/tvm-vta, core/Core.scala: uopMemDepth). Lower and the closed form agree on this.
Config ConfigFor(const Config& config, Isa isa);

// False: not a shape, the tiling does not fit, or a field of an instruction does not hold it.
// Accepts what Fits accepts, but for the fixed field widths of the stock ISA.
// REQUIRES: valid configuration.
bool Lower(const Layer& layer, const Config& config, const Tiling& tiling,
           const LowerOptions& options, LoweredProgram* lowered, std::string* why);
// Of a chain (hw/chain.h) as one program.
bool LowerChain(const std::vector<Layer>& chain, const Config& config, const Tiling& tiling,
                const LowerOptions& options, LoweredProgram* lowered, std::string* why);

// The regions' contents for the program. False: an operand has another size than the layer's (an
// empty bias is zeros).
bool PackOperands(const LoweredProgram& lowered, const Operands& operands, DramImage* image,
                  std::string* why);
// NCHW.
std::vector<int8_t> UnpackOutput(const LoweredProgram& lowered, const DramImage& image);

}  // namespace rhnas::hw
