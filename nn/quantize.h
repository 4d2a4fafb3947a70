// A trained network in VTA's arithmetic: int8 weights and maps, int32 sums, scales that are powers
// of two, arithmetic shifts right, clips. What this file computes is what the accelerator computes,
// bit for bit (hw/reference.h; the two meet in tests and in search/).
//
// Real value of a map: integer x 2^exponent. By kind of node:
//   kConv, kDense    clip((sum + bias) >> shift, low, high); the shift rounds towards minus
//                    infinity, half a step is in the bias
//   kAdd             clip(a + b, low, high): both inputs have the node's exponent
//   averages         clip((m * sum) >> t, low, high), m and t as hw::ReciprocalOf; exponent kept
//   kMaxPool, kConcat, kShuffle, kSubsample  copies, exponents kept (clipped with an activation)
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "nn/graph.h"

namespace rhnas::nn {

struct IntNode {
  Node node;                   // shapes; its float filter and bias are empty
  std::vector<int8_t> filter;  // layouts as in Node
  std::vector<int32_t> bias;
  int shift = 0;               // kConv, kDense: right shift of the sum; 0..31
  int multiplier = 1;          // averages: m; `shift` is their t
  int low = -127, high = 127;  // clip: 0 where an activation cuts below, less than 127 for ReLU6
  int exponent = 0;            // of the output
};

struct IntGraph {
  std::string name;
  std::vector<IntNode> nodes;  // as Graph
  int output = 0;
  // [channel][byte of the image] -> integer of the input map.
  std::vector<std::array<int8_t, 256>> input_table;

  int classes() const { return nodes[static_cast<size_t>(output)].node.k; }
};

}  // namespace rhnas::nn
