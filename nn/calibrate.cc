// See calibrate.h.
#include "nn/calibrate.h"

#include <algorithm>
#include <cmath>

#include "nn/graph_kernels.h"

namespace rhnas::nn {

namespace {

constexpr int kBatch = 16;

using engine::Activation;

float Activated(float y, Activation activation) {
  if (activation == Activation::kNone) return y;
  if (activation == Activation::kHSwish) return y * std::clamp(y + 3, 0.0f, 6.0f) / 6;
  y = std::max(y, 0.0f);
  return activation == Activation::kRelu6 ? std::min(y, 6.0f) : y;
}

// From sums to the node's values, on the way into its ranges.
void Finish(const Node& node, int64_t rows, float* y, NodeRanges* ranges) {
  float scale = 1;
  if (node.kind == NodeKind::kAvgPool) scale = 1 / static_cast<float>(node.r * node.s);
  if (node.kind == NodeKind::kGlobalAvgPool) scale = 1 / static_cast<float>(node.h * node.w);
  const bool weighted = node.kind == NodeKind::kConv || node.kind == NodeKind::kDense;
  for (int64_t row = 0; row < rows; ++row, y += node.k) {
    for (int k = 0; k < node.k; ++k) {
      const auto at = static_cast<size_t>(k);
      if (weighted) {
        ranges->mean_sum[at] += double{y[k]};
        y[k] += node.bias[at];
      }
      y[k] = Activated(y[k] * scale, node.activation);
      ranges->largest[at] = std::max(ranges->largest[at], std::fabs(y[k]));
      ranges->mean_square[at] += double{y[k]} * double{y[k]};
    }
  }
}

}  // namespace

std::vector<NodeRanges> Calibrate(const Graph& graph, const uint8_t* images, int n,
                                  engine::ThreadPool& pool) {
  std::vector<NodeRanges> ranges(graph.nodes.size());
  std::vector<const Node*> nodes;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    nodes.push_back(&node);
    const auto k = static_cast<size_t>(node.k);
    ranges[i].largest.resize(k);
    ranges[i].mean_square.resize(k);
    if (!node.bias.empty()) ranges[i].mean_sum.resize(k);
  }
  MapStore maps(nodes, graph.output);
  const int64_t image_bytes = MapSize(graph.input());
  const auto channels = static_cast<size_t>(graph.input().k);
  for (int begin = 0; begin < n; begin += kBatch) {
    const int count = std::min(kBatch, n - begin);
    for (size_t i = 0; i < nodes.size(); ++i) {
      const int number = static_cast<int>(i);
      float* out = maps.Begin(number, count);
      if (i == 0) {
        const uint8_t* from = images + begin * image_bytes;
        for (int64_t j = 0; j < count * image_bytes; ++j) {
          const size_t channel = static_cast<size_t>(j) % channels;
          out[j] =
              (static_cast<float>(from[j]) / 255 - graph.mean[channel]) / graph.stddev[channel];
        }
      } else {
        const std::vector<const float*>& inputs = maps.Inputs(number);
        NodeSums(*nodes[i], nodes[i]->filter.data(), inputs, maps.channels(), count, out, pool);
      }
      Finish(*nodes[i], int64_t{count} * nodes[i]->oh * nodes[i]->ow, out, &ranges[i]);
      maps.Done(number);
    }
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    const double values = double{1} * n * nodes[i]->oh * nodes[i]->ow;
    for (double& square : ranges[i].mean_square) square /= values;
    for (double& sum : ranges[i].mean_sum) sum /= values;
  }
  return ranges;
}

}  // namespace rhnas::nn
