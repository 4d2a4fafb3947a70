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

struct QuantizeOptions {
  // Cross-layer equalisation: factors of channels are moved between layers (nn/quantize_steps.h).
  bool equalize = true;
  // Biases make up for the mean error that rounding leaves on the calibration images, layer by
  // layer on what the integer layers before give (Nagel et al., arXiv 1906.04721, section 4.2, with
  // measured means).
  bool correct_bias = true;
  float range = 1;  // the part of the largest values seen that maps can hold
};

// Post-training quantisation. images: n training images [n,h,w,c] bytes, on which ranges are taken;
// a few hundred do. Errors: a graph without weights or with ones that are not finite, without mean
// and deviation of its images, with HSwish, or with a filter of more than 65,535 taps.
//
// Maps inside are real only up to a factor for each channel, which the weights after them undo; the
// output node's is integer x 2^exponent. REQUIRES: n >= 1.
engine::Result<IntGraph> Quantize(const Graph& graph, const uint8_t* images, int n,
                                  const QuantizeOptions& options, engine::ThreadPool& pool);

// m and t of an average over `taps`: m = round(2^t / taps) with the largest t <= 14 that keeps m <=
// 127, as hw::ReciprocalOf.
struct Average {
  int multiplier = 1, shift = 0;
};
Average AverageOf(int taps);

}  // namespace rhnas::nn
