// What layers compute, as plain loops over integers: the truth that programs are compared with. It
// shares nothing with the lowering.
//
//   conv, dense      clip((sum + bias) >> shift, low, 127), low = 0 with a ReLU, else -127; the
//   shift
//                    rounds towards minus infinity, sums wrap at 32 bits
//   add              clip(a + b, low, 127)
//   average pools    clip((m * sum) >> t, -127, 127), m = round(2^t / taps) with the largest t <=
//   14
//                    that keeps m <= 127; padding counts among the taps
//   max pool         the largest tap inside the image
//   concat, shuffle  copies; output channel j of a shuffle is input (j mod g) * (c / g) + j / g
#pragma once

#include <string>
#include <vector>

#include "hw/operands.h"

namespace rhnas::hw {

// m and t of an average over `taps`.
struct Reciprocal {
  int multiplier = 1, shift = 0;
};
Reciprocal ReciprocalOf(int taps);

// Output [image][channel][row][column] of the chain's last layer. False: operands of other sizes,
// or layers that do not follow each other; `why` tells.
bool Reference(const std::vector<Layer>& chain, const Operands& operands, int shift,
               std::vector<int8_t>* output, std::string* why);

}  // namespace rhnas::hw
