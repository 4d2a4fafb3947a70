// A small graph with every kind of node, float and integer, and a plain evaluation of the latter.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/random.h"
#include "nn/quantize.h"

namespace rhnas::nn {

using Kind = NodeKind;
using engine::Activation;

class EveryKind {
 public:
  // Values about 1 all the way. `swish`: h-swish where there may be one.
  explicit EveryKind(uint64_t seed, bool swish) : rng_(seed) {
    Node image;
    image.name = "image";
    image.kind = Kind::kInput;
    image.h = image.oh = 9;
    image.w = image.ow = 7;
    image.c = image.k = 6;
    graph_.name = "every-kind";
    graph_.nodes.push_back(image);
    Conv("stem", 0, 8, 3, 1, 1, 1, Activation::kRelu);  // 1
    Conv("slot00/depthwise", 1, 8, 3, 2, 1, 8,          // 2
         swish ? Activation::kHSwish : Activation::kNone);
    Conv("slot00/project", 2, 12, 1, 1, 0, 2, Activation::kRelu6);                 // 3
    Plain("slot00/shuffle", Kind::kShuffle, {3}).groups = 3;                       // 4
    Pool("slot01/max", Kind::kMaxPool, 4, 3, 2, 1, 3, 2);                          // 5
    Node& shortcut = Pool("slot01/shortcut", Kind::kSubsample, 4, 1, 2, 0, 3, 2);  // 6
    shortcut.k = 16;
    Pool("slot01/average", Kind::kAvgPool, 5, 3, 1, 1, 3, 2);  // 7
    Plain("slot01/concat", Kind::kConcat, {5, 7});             // 8
    graph_.nodes[8].c = graph_.nodes[8].k = 24;
    Conv("slot01/conv", 8, 16, 1, 1, 0, 1, Activation::kNone);               // 9
    Plain("slot01/add", Kind::kAdd, {9, 6}).activation = Activation::kRelu;  // 10
    Pool("slot02/max", Kind::kMaxPool, 10, 2, 2, 0, 2, 1);  // the last row of taps is padding  11
    Dense("hidden", 11, 16, Activation::kRelu);             // 12
    Pool("pool", Kind::kGlobalAvgPool, 10, 1, 1, 0, 1, 1);  // 13
    Plain("sum", Kind::kAdd, {12, 13});                     // 14
    Dense("classifier", 14, 7, Activation::kNone);          // 15
    graph_.output = 15;
    graph_.mean = {0.4f, 0.5f, 0.6f, 0.5f, 0.4f, 0.45f};
    graph_.stddev = {0.25f, 0.2f, 0.3f, 0.25f, 0.22f, 0.21f};
  }

  const Graph& graph() const { return graph_; }

  // The same with integers: random int8 filters, exponents that fit each other, sums whose shifts
  // meet many ties. REQUIRES: no h-swish.
  IntGraph Integers() {
    IntGraph integers;
    integers.name = graph_.name;
    integers.output = graph_.output;
    // Additions and concatenations have inputs of one exponent, copies and averages keep theirs.
    static constexpr int kExponent[] = {-6, -4, -5, -3, -3, -3, -3, -3,
                                        -3, -3, -3, -3, -3, -3, -3, -2};
    static constexpr int kShift[] = {0, 6, 4, 4, 0, 0, 0, 0, 0, 5, 0, 0, 6, 0, 0, 4};
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      IntNode node;
      node.node = graph_.nodes[i];
      node.exponent = kExponent[i];
      node.shift = kShift[i];
      for (size_t j = 0; j < node.node.filter.size(); ++j) {
        node.filter.push_back(static_cast<int8_t>(static_cast<int>(rng_.Uniform() * 21) - 10));
      }
      for (size_t j = 0; j < node.node.bias.size(); ++j) {
        node.bias.push_back(static_cast<int32_t>(rng_.Uniform() * 301) - 150);
      }
      node.node.filter.clear();
      node.node.bias.clear();
      if (node.node.kind == Kind::kAvgPool || node.node.kind == Kind::kGlobalAvgPool) {
        // hw::ReciprocalOf: 9 taps 114 / 2^10, 6 taps 85 / 2^9.
        node.multiplier = node.node.kind == Kind::kAvgPool ? 114 : 85;
        node.shift = node.node.kind == Kind::kAvgPool ? 10 : 9;
      }
      if (node.node.activation != Activation::kNone) node.low = 0;
      if (node.node.activation == Activation::kRelu6) node.high = 48;  // 6 / 2^-3
      integers.nodes.push_back(node);
    }
    for (size_t c = 0; c < graph_.mean.size(); ++c) {
      std::array<int8_t, 256> table{};
      for (int byte = 0; byte < 256; ++byte) {
        const double value = (byte / 255.0 - double{graph_.mean[c]}) / double{graph_.stddev[c]};
        // Channels have steps of their own, as equalisation leaves them.
        const double steps = std::ldexp(1 - 0.07 * static_cast<double>(c), -kExponent[0]);
        const double grid = std::floor(value * steps + 0.5);
        table[static_cast<size_t>(byte)] = static_cast<int8_t>(std::clamp(grid, -127.0, 127.0));
      }
      integers.input_table.push_back(table);
    }
    return integers;
  }

 private:
  Node& Plain(const std::string& name, Kind kind, const std::vector<int>& inputs) {
    const Node& from = graph_.nodes[static_cast<size_t>(inputs[0])];
    Node node;
    node.name = name;
    node.kind = kind;
    node.inputs = inputs;
    node.h = node.oh = from.oh;
    node.w = node.ow = from.ow;
    node.c = node.k = from.k;
    graph_.nodes.push_back(node);
    return graph_.nodes.back();
  }

  Node& Pool(const std::string& name, Kind kind, int from, int size, int stride, int pad, int oh,
             int ow) {
    Node& node = Plain(name, kind, {from});
    node.r = kind == Kind::kGlobalAvgPool ? node.h : size;
    node.s = kind == Kind::kGlobalAvgPool ? node.w : size;
    node.stride = stride;
    node.pad = pad;
    node.oh = oh;
    node.ow = ow;
    return node;
  }

  void Fill(Node* node, int taps) {
    node->filter.resize(static_cast<size_t>(taps) * static_cast<size_t>(node->k));
    for (float& x : node->filter) x = rng_.Normal() / std::sqrt(static_cast<float>(taps));
    node->bias.resize(static_cast<size_t>(node->k));
    for (float& x : node->bias) x = rng_.Normal();
  }

  void Conv(const std::string& name, int from, int k, int size, int stride, int pad, int groups,
            Activation activation) {
    Node& node = Plain(name, Kind::kConv, {from});
    node.k = k;
    node.r = node.s = size;
    node.stride = stride;
    node.pad = pad;
    node.groups = groups;
    node.oh = (node.h + 2 * pad - size) / stride + 1;
    node.ow = (node.w + 2 * pad - size) / stride + 1;
    node.activation = activation;
    Fill(&node, size * size * node.c / groups);
  }

  void Dense(const std::string& name, int from, int k, Activation activation) {
    Node& node = Plain(name, Kind::kDense, {from});
    node.k = k;
    node.oh = node.ow = 1;
    node.activation = activation;
    Fill(&node, node.h * node.w * node.c);
  }

  engine::Rng rng_;
  Graph graph_;
};

// The integers of a graph as quantize.h defines them, one pixel after the other; shares nothing
// with nn/. `image`: integers of the input map, H W C. Returns every node's map.
inline std::vector<std::vector<int>> EvaluateIntegers(const IntGraph& graph,
                                                      const std::vector<int>& image) {
  std::vector<std::vector<int>> maps = {image};
  for (size_t i = 1; i < graph.nodes.size(); ++i) {
    const IntNode& node = graph.nodes[i];
    const Node& n = node.node;
    const std::vector<int>& in = maps[static_cast<size_t>(n.inputs[0])];
    // 0 outside; `inside` tells.
    const auto tap = [&](int y, int x, int c, bool* inside) {
      *inside = y >= 0 && y < n.h && x >= 0 && x < n.w;
      return *inside ? in[static_cast<size_t>((y * n.w + x) * n.c + c)] : 0;
    };
    std::vector<int> out;
    for (int row = 0; row < n.oh; ++row) {
      for (int col = 0; col < n.ow; ++col) {
        for (int k = 0; k < n.k; ++k) {
          const int y0 = row * n.stride - n.pad, x0 = col * n.stride - n.pad;
          const size_t at = static_cast<size_t>((row * n.ow + col) * n.k + k);
          bool inside = false;
          int64_t value = 0;
          if (n.kind == Kind::kConv) {
            const int share = n.c / n.groups, group = k / (n.k / n.groups);
            value = node.bias[static_cast<size_t>(k)];
            for (int r = 0; r < n.r; ++r) {
              for (int s = 0; s < n.s; ++s) {
                for (int c = 0; c < share; ++c) {
                  const int w =
                      node.filter[static_cast<size_t>(((r * n.s + s) * share + c) * n.k + k)];
                  value += int64_t{w} * tap(y0 + r, x0 + s, group * share + c, &inside);
                }
              }
            }
            value >>= node.shift;
          } else if (n.kind == Kind::kDense) {
            value = node.bias[static_cast<size_t>(k)];
            for (size_t c = 0; c < in.size(); ++c) {
              value += int64_t{node.filter[c * static_cast<size_t>(n.k) + static_cast<size_t>(k)]} *
                       in[c];
            }
            value >>= node.shift;
          } else if (n.kind == Kind::kMaxPool) {
            value = -128;
            for (int r = 0; r < n.r; ++r) {
              for (int s = 0; s < n.s; ++s) {
                const int x = tap(y0 + r, x0 + s, k, &inside);
                if (inside) value = std::max<int64_t>(value, x);
              }
            }
          } else if (n.kind == Kind::kAvgPool || n.kind == Kind::kGlobalAvgPool) {
            for (int r = 0; r < n.r; ++r) {
              for (int s = 0; s < n.s; ++s) value += tap(y0 + r, x0 + s, k, &inside);
            }
            value = value * node.multiplier >> node.shift;
          } else if (n.kind == Kind::kAdd) {
            value = in[at] + maps[static_cast<size_t>(n.inputs[1])][at];
          } else if (n.kind == Kind::kConcat) {
            const int first = graph.nodes[static_cast<size_t>(n.inputs[0])].node.k;
            const std::vector<int>& from = maps[static_cast<size_t>(n.inputs[k < first ? 0 : 1])];
            const int width = k < first ? first : n.k - first;
            value = from[static_cast<size_t>((row * n.ow + col) * width + k % first)];
          } else if (n.kind == Kind::kShuffle) {
            value = tap(row, col, k % n.groups * (n.c / n.groups) + k / n.groups, &inside);
          } else if (n.kind == Kind::kSubsample) {
            value = k < n.c ? tap(row * n.stride, col * n.stride, k, &inside) : 0;
          }
          out.push_back(static_cast<int>(std::clamp<int64_t>(value, node.low, node.high)));
        }
      }
    }
    maps.push_back(out);
  }
  return maps;
}

}  // namespace rhnas::nn
