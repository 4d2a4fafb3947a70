// The data of a layer, or of a chain of layers, in plain order: what a person or a file would give.
#pragma once

#include <cstdint>
#include <vector>

#include "hw/layer.h"

namespace rhnas::hw {

// Feature maps [image][channel][row][column]; filters [output channel][input channel of its
// group][row][column]; one bias an output channel. Empty where a layer has none.
struct Operands {
  std::vector<int8_t> input;     // of the first layer
  std::vector<int8_t> residual;  // second operand of an add
  struct Weights {
    std::vector<int8_t> filter;
    std::vector<int32_t> bias;
  };
  std::vector<Weights> layer;  // one a layer
};

// Sizes that the operands of a chain must have.
struct OperandSizes {
  int64_t input = 0, residual = 0, output = 0;
  std::vector<int64_t> filter, bias;
};
// REQUIRES: positive sizes (MakeWork checks).
OperandSizes SizesOf(const std::vector<Layer>& chain);

// Inputs from the whole range; filters small enough that results after `shift` seldom saturate.
Operands RandomOperands(const std::vector<Layer>& chain, int shift, uint64_t seed);

}  // namespace rhnas::hw
