// The plain evaluation of a graph: each value as its definition reads. See graph.h.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/check.h"
#include "nn/graph.h"

namespace rhnas::nn {

namespace {

using engine::Activation;

using Map = std::vector<float>;

double Activated(double y, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      break;
    case Activation::kRelu:
      return std::max(y, 0.0);
    case Activation::kRelu6:
      return std::clamp(y, 0.0, 6.0);
    case Activation::kHSwish:
      return y * std::clamp(y + 3, 0.0, 6.0) / 6;
  }
  return y;
}

// One output pixel of a convolution, sums over taps and channels in order.
void ConvPixel(const Node& node, const Map& in, int row, int col, std::vector<double>* sums) {
  const int per_in = node.c / node.groups, per_out = node.k / node.groups;
  for (int k = 0; k < node.k; ++k) {
    (*sums)[static_cast<size_t>(k)] = double{node.bias[static_cast<size_t>(k)]};
  }
  for (int r = 0; r < node.r; ++r) {
    for (int s = 0; s < node.s; ++s) {
      const int y = row * node.stride + r - node.pad, x = col * node.stride + s - node.pad;
      if (y < 0 || y >= node.h || x < 0 || x >= node.w) continue;
      const float* pixel = in.data() + (int64_t{y} * node.w + x) * node.c;
      const float* filter = node.filter.data() + int64_t{r * node.s + s} * per_in * node.k;
      for (int g = 0; g < node.groups; ++g) {
        for (int c = 0; c < per_in; ++c) {
          const double value = double{pixel[g * per_in + c]};
          const float* weights = filter + int64_t{c} * node.k + g * per_out;
          double* sum = sums->data() + g * per_out;
          for (int k = 0; k < per_out; ++k) sum[k] += value * double{weights[k]};
        }
      }
    }
  }
}

// The largest tap inside the image, or the mean over all taps.
double PoolTaps(const Node& node, const Map& in, int row, int col, int channel) {
  const bool global = node.kind == NodeKind::kGlobalAvgPool;
  const int rows = global ? node.h : node.r, cols = global ? node.w : node.s;
  double sum = 0, most = -INFINITY;
  for (int r = 0; r < rows; ++r) {
    for (int s = 0; s < cols; ++s) {
      const int y = global ? r : row * node.stride + r - node.pad;
      const int x = global ? s : col * node.stride + s - node.pad;
      if (y < 0 || y >= node.h || x < 0 || x >= node.w) continue;
      const double value =
          double{in[static_cast<size_t>((int64_t{y} * node.w + x) * node.c + channel)]};
      sum += value;
      most = std::max(most, value);
    }
  }
  if (node.kind != NodeKind::kMaxPool) return sum / (double{1} * rows * cols);
  return std::isfinite(most) ? most : 0;  // a window wholly outside
}

// Every value of a node's map, before its activation.
void RunNode(const Graph& graph, const Node& node, const std::vector<Map>& maps, Map* out) {
  const Map& in = maps[static_cast<size_t>(node.inputs[0])];
  const int64_t pixels = int64_t{node.oh} * node.ow;
  std::vector<double> sums(static_cast<size_t>(node.k));
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    const int row = static_cast<int>(pixel / node.ow), col = static_cast<int>(pixel % node.ow);
    float* result = out->data() + pixel * node.k;
    if (node.kind == NodeKind::kConv) ConvPixel(node, in, row, col, &sums);
    int start = 0;  // kConcat: channels of the inputs before
    size_t part = 0;
    for (int k = 0; k < node.k; ++k) {
      double value = 0;
      switch (node.kind) {
        case NodeKind::kInput:
          break;
        case NodeKind::kConv:
          value = sums[static_cast<size_t>(k)];
          break;
        case NodeKind::kDense:
          value = double{node.bias[static_cast<size_t>(k)]};
          for (size_t c = 0; c < in.size(); ++c) {
            value += double{in[c]} *
                     double{node.filter[c * static_cast<size_t>(node.k) + static_cast<size_t>(k)]};
          }
          break;
        case NodeKind::kMaxPool:
        case NodeKind::kAvgPool:
        case NodeKind::kGlobalAvgPool:
          value = PoolTaps(node, in, row, col, k);
          break;
        case NodeKind::kAdd: {
          const Map& other = maps[static_cast<size_t>(node.inputs[1])];
          const auto at = static_cast<size_t>(pixel * node.k + k);
          value = double{in[at]} + double{other[at]};
          break;
        }
        case NodeKind::kConcat: {
          auto number = static_cast<size_t>(node.inputs[part]);
          while (k - start >= graph.nodes[number].k) {
            start += graph.nodes[number].k;
            number = static_cast<size_t>(node.inputs[++part]);
          }
          value =
              double{maps[number][static_cast<size_t>(pixel * graph.nodes[number].k + k - start)]};
          break;
        }
        case NodeKind::kShuffle: {
          const int from = k % node.groups * (node.c / node.groups) + k / node.groups;
          value = double{in[static_cast<size_t>(pixel * node.c + from)]};
          break;
        }
        case NodeKind::kSubsample: {
          const int64_t from = int64_t{row} * node.stride * node.w + int64_t{col} * node.stride;
          if (k < node.c) value = double{in[static_cast<size_t>(from * node.c + k)]};
          break;
        }
      }
      result[k] = static_cast<float>(Activated(value, node.activation));
    }
  }
}

}  // namespace

std::vector<float> EvaluateGraph(const Graph& graph, const float* images, int n) {
  std::vector<float> outputs;
  const Node& input = graph.input();
  const size_t pixels = static_cast<size_t>(int64_t{input.oh} * input.ow * input.k);
  std::vector<Map> maps(graph.nodes.size());
  for (int image = 0; image < n; ++image) {
    const float* from = images + static_cast<size_t>(image) * pixels;
    maps[0].assign(from, from + pixels);
    for (size_t i = 1; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      const bool weighted = node.kind == NodeKind::kConv || node.kind == NodeKind::kDense;
      RHNAS_CHECK(!weighted || !node.filter.empty(), "%s has no weights", node.name.c_str());
      maps[i].resize(static_cast<size_t>(int64_t{node.oh} * node.ow * node.k));
      RunNode(graph, node, maps, &maps[i]);
    }
    const Map& result = maps[static_cast<size_t>(graph.output)];
    outputs.insert(outputs.end(), result.begin(), result.end());
  }
  return outputs;
}

}  // namespace rhnas::nn
