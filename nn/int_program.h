// Evaluates an integer network: what the accelerator will answer, bit for bit (nn/quantize.h says
// in which arithmetic; tests compare every layer with hw/reference.h).
//
// The sums run on the float kernels of engine/conv.h: products of two 8-bit integers add up exactly
// in a float while the sum of their sizes stays below 2^24. Where filters are so large that it
// might not, they are split into digits of four or two bits, a sum each. Then bias, shift and clip
// in integers.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "nn/graph_kernels.h"
#include "nn/quantize.h"

namespace rhnas::nn {

// Whether a network is one that can be evaluated: inputs before their readers, sizes that fit, maps
// of an addition with one exponent, shifts 0..31, clips within -127..127, sums within 32 bits. The
// error names the node.
engine::Status CheckIntGraph(const IntGraph& graph);

// One node made ready for NodeSums.
class IntKernel {
 public:
  explicit IntKernel(const IntNode& node);
  // The node's map of n images from its inputs', integers in floats. `node` is the constructor's.
  void Run(const IntNode& node, const std::vector<const float*>& inputs,
           const std::vector<int>& channels, int n, float* out, engine::ThreadPool& pool) const;

 private:
  int digit_bits_ = 8;                     // of a digit of the filter
  std::vector<std::vector<float>> digit_;  // the filter is the sum of digit_[i] 2^(i digit_bits)
};

class IntProgram {
 public:
  // REQUIRES: CheckIntGraph(graph).ok().
  explicit IntProgram(IntGraph graph);
  IntProgram(const IntProgram&) = delete;  // the maps refer to its nodes
  IntProgram& operator=(const IntProgram&) = delete;
  const IntGraph& graph() const { return graph_; }
  // images [n,h,w,c] bytes -> outputs [n, values of the output node], for any n. The same for any
  // number of threads. Work memory is kept in the program: one thread runs it at a time.
  void Run(const uint8_t* images, int n, int8_t* outputs, engine::ThreadPool& pool);
  // Every node's map of one image, H W C.
  std::vector<std::vector<int8_t>> Maps(const uint8_t* image, engine::ThreadPool& pool);

 private:
  void RunNode(int node, const uint8_t* images, int n, engine::ThreadPool& pool);
  IntGraph graph_;
  std::vector<IntKernel> kernels_;
  MapStore maps_;
};

// The input map from bytes.
void ReadImages(const IntGraph& graph, const uint8_t* images, int n, float* out);

// The class of the largest output, the first of equals.
int ArgMax(const int8_t* outputs, int classes);

}  // namespace rhnas::nn
