// How coarse each channel of each map becomes: the step, the real value of one integer.
//
// A map has one exponent and a layer one shift, but networks with folded batch norm have channels
// of very different ranges. A positive factor of a channel passes through ReLU, pooling, copies and
// (if both inputs have it) additions, and the weights that read the channel can undo it, so every
// channel may have its own step (cross-layer equalisation, Nagel et al., arXiv 1906.04721, section
// 4.1). Channels tied by additions and copies share one. Two things bound a step from below:
//
//   largest value of the channel <= 127 step
//   largest |weight| of its row, in steps of the row's inputs, x 2^shift <= 127 step
//
// A larger shift makes weights finer and, where the second bound is met, maps coarser. Each layer's
// shift is the one of least noise at the network's output, where noise is counted as
// step^2 (1 + 4^-shift x sum over taps of the mean square of the integers read): the rounding of
// the result and of the weights, carried on by the squares of the weights behind (half of it
// through a ReLU). Layers are gone through in order, several times, since each one's rows depend on
// the steps before it.
//
// A channel that ReLU6 cuts has the step 6 / 127, so that clipping at 127 is the cut.
#pragma once

#include <vector>

#include "nn/calibrate.h"
#include "nn/graph.h"
#include "nn/quantize.h"

namespace rhnas::nn {

struct NodeSteps {
  std::vector<double> step;  // of each channel of the map
  int exponent = 0;          // equal for all maps tied; the output's step is 2^exponent
  int shift = 0;             // kConv, kDense
};

std::vector<NodeSteps> ChooseSteps(const Graph& graph, const std::vector<NodeRanges>& ranges,
                                   const QuantizeOptions& options);

// The channel of the input that a weight of a filter [.., c / groups, k] multiplies.
inline int InputChannel(const Node& node, size_t weight) {
  const int k = static_cast<int>(weight % static_cast<size_t>(node.k));
  const auto share = static_cast<size_t>(node.c / node.groups);
  const int group = k / (node.k / node.groups);
  return static_cast<int>(weight / static_cast<size_t>(node.k) % share) +
         group * static_cast<int>(share);
}

}  // namespace rhnas::nn
