// A network as a plain graph with its weights: what a trained network is quantised, exported and
// drawn from, and what an imported one becomes. Batch norm is folded into the convolutions.
//
// Nodes stand in execution order: inputs of a node are outputs of nodes before it. Maps are H W C
// for one image, as everywhere in engine/.
//
// Not here: training (nn/supernet.h), fast float evaluation (nn/inference.h), integers
// (nn/quantize.h).
#pragma once

#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/status.h"
#include "nn/layer_shape.h"
#include "nn/supernet.h"

namespace rhnas::nn {

enum class NodeKind {
  kInput,
  kConv,           // filter [r, s, c / groups, k], bias [k]
  kDense,          // filter [c, k], bias [k]; input of h x w x c is read flat, channels last
  kMaxPool,        // padding never wins
  kAvgPool,        // padding counts among the taps
  kGlobalAvgPool,  // h x w x c -> 1 x 1 x c
  kAdd,            // two inputs of one shape
  kConcat,         // two or more inputs, along channels
  kShuffle,        // channel j of the output is channel (j mod groups) (c / groups) + j / groups
  kSubsample       // every stride-th pixel, then channels of zeros up to k (He et al., option A)
};

struct Node {
  std::string name;  // unique; "slot03/expand" as in LayersOf, "image" for the input
  NodeKind kind = NodeKind::kConv;
  std::vector<int> inputs;    // numbers of nodes
  int h = 1, w = 1, c = 1;    // of the first input (of the node itself for kInput); kConcat: c
                              // is the sum
  int oh = 1, ow = 1, k = 1;  // of the output
  int r = 1, s = 1, stride = 1, pad = 0, groups = 1;
  engine::Activation activation = engine::Activation::kNone;  // of the output
  std::vector<float> filter, bias;  // empty in a graph made without weights
};

struct Graph {
  std::string name;  // text form of the network
  std::vector<Node> nodes;
  int output = 0;  // number of the node whose output is the network's
  // Bytes of the image become (b / 255 - mean) / stddev; empty where not known.
  std::vector<float> mean, stddev;

  const Node& input() const { return nodes[0]; }
  int classes() const { return nodes[static_cast<size_t>(output)].k; }
};

// The network that `path` picks, with its weights and running statistics. REQUIRES: a path of
// net.space(), whose blocks can be trained (CheckTrainable).
Graph MakeGraph(Supernet& net, const Genotype& path);

// The plain evaluation, one thread, float sums in double: images [n,h,w,c] -> [n, outputs]. What
// faster ones and exports are compared with. REQUIRES: weights.
std::vector<float> EvaluateGraph(const Graph& graph, const float* images, int n);

// Its layers as an accelerator sees them (activations merged, the flat read of kDense free).
std::vector<LayerShape> LayersOf(const Graph& graph);

}  // namespace rhnas::nn
