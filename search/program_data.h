// The data that `rhnas program` executes on: random from a seed, or raw files.
#pragma once

#include <string>
#include <vector>

#include "engine/status.h"
#include "hw/operands.h"
#include "hw/program.h"
#include "search/flags.h"

namespace rhnas::search {

// "uop", "wgt", "inp", "acc", "out".
const char* RegionName(size_t memory);

class ProgramData {
 public:
  // --input, --residual, --weights, --bias.
  void Declare(FlagSet* flags);
  bool any() const;
  // Random operands, with what files give in their place. Weights and biases of a chain follow each
  // other in one file. A file of another size is an error.
  engine::Result<hw::Operands> Load(const std::vector<hw::Layer>& layers, int shift,
                                    uint64_t seed) const;

 private:
  std::string input_, residual_, weights_, bias_;
};

// Random bytes in the regions of inputs and weights, small numbers in that of accumulators.
void RandomImage(uint64_t seed, hw::DramImage* image);

}  // namespace rhnas::search
