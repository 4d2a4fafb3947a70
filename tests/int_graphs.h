// Quantised networks for tests: of chance, with every kind of node, and hand-made.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/random.h"
#include "nn/quantize.h"

namespace rhnas::nn {

class IntGraphMaker {
 public:
  explicit IntGraphMaker(uint64_t seed) : rng_(seed) { graph_.name = "made"; }

  int Image(int h, int w, int c) {
    IntNode node = Like(NodeKind::kInput, h, w, c);
    node.node.name = "image";
    for (int i = 0; i < c; ++i) {
      std::array<int8_t, 256> table;
      const int gain = 1 + Below(2), offset = Below(120);
      for (int b = 0; b < 256; ++b) {
        table[static_cast<size_t>(b)] =
            static_cast<int8_t>(std::clamp(gain * b / 2 - offset, -127, 127));
      }
      graph_.input_table.push_back(table);
    }
    return Push(std::move(node), {});
  }

  struct Window {
    int r = 3, s = 3, stride = 1, pad = 1, groups = 1;
  };

  int Conv(int input, int k, const Window& window, bool relu) {
    IntNode node = From(NodeKind::kConv, input);
    Slide(&node, window);
    node.node.k = k;
    const int taps = window.r * window.s * node.node.c / window.groups;
    Weights(&node, taps, relu);
    return Push(std::move(node), {input});
  }

  int Dense(int input, int k) {
    IntNode node = From(NodeKind::kDense, input);
    node.node.oh = node.node.ow = 1;
    node.node.k = k;
    Weights(&node, node.node.h * node.node.w * node.node.c, false);
    return Push(std::move(node), {input});
  }

  int Pool(NodeKind kind, int input, Window window) {
    IntNode node = From(kind, input);
    if (kind == NodeKind::kGlobalAvgPool) window = {node.node.h, node.node.w, 1, 0, 1};
    Slide(&node, window);
    if (kind != NodeKind::kMaxPool) {
      while (node.multiplier * 2 <= 127 * window.r * window.s && node.shift < 14) {
        ++node.shift;
        node.multiplier *= 2;
      }
      node.multiplier = std::min(127, std::max(1, node.multiplier / (window.r * window.s)));
    }
    return Push(std::move(node), {input});
  }

  int Add(int a, int b, bool relu) {
    IntNode node = From(NodeKind::kAdd, a);
    if (relu) node.low = 0;
    return Push(std::move(node), {a, b});
  }

  int Concat(const std::vector<int>& inputs) {
    IntNode node = From(NodeKind::kConcat, inputs[0]);
    node.node.c = 0;
    for (int input : inputs) node.node.c += Of(input).k;
    node.node.k = node.node.c;
    return Push(std::move(node), inputs);
  }

  int Shuffle(int input, int groups) {
    IntNode node = From(NodeKind::kShuffle, input);
    node.node.groups = groups;
    return Push(std::move(node), {input});
  }

  int Subsample(int input, int stride, int k) {
    IntNode node = From(NodeKind::kSubsample, input);
    node.node.stride = stride;
    node.node.oh = (node.node.h - 1) / stride + 1;
    node.node.ow = (node.node.w - 1) / stride + 1;
    node.node.k = k;
    if (Below(4) == 0) node.low = 0;
    return Push(std::move(node), {input});
  }

  // A few dozen nodes of chance, each reading one of the last ones, and a classifier.
  IntGraph Chance() {
    std::vector<int> recent = {Image(5 + Below(8), 5 + Below(8), 1 + Below(4))};
    const int count = 6 + Below(16);
    for (int i = 0; i < count; ++i) {
      const int back = std::min(static_cast<int>(recent.size()), 4);
      const int input = recent[recent.size() - 1 - static_cast<size_t>(Below(back))];
      recent.push_back(ChanceNode(input, recent));
    }
    int last = recent.back();
    if (Below(2) == 0) last = Pool(NodeKind::kGlobalAvgPool, last, {});
    Dense(last, 3 + Below(9));
    return Done();
  }

  IntGraph Done() {
    graph_.output = static_cast<int>(graph_.nodes.size()) - 1;
    return graph_;
  }

  const Node& Of(int node) const { return graph_.nodes[static_cast<size_t>(node)].node; }
  int Below(int n) { return static_cast<int>(rng_.Below(static_cast<uint32_t>(n))); }

 private:
  int ChanceNode(int input, const std::vector<int>& recent) {
    const Node shape = Of(input);
    Window window = {1 + Below(3), 1 + Below(3), 1 + Below(2), Below(2), 1};
    const bool fits =
        shape.oh + 2 * window.pad >= window.r && shape.ow + 2 * window.pad >= window.s;
    if (!fits || (window.r == 1 && window.s == 1)) window = {1, 1, 1, 0, 1};
    if (window.pad >= std::min(window.r, window.s)) window.pad = 0;
    if (shape.oh < window.r || shape.ow < window.s) window = {1, 1, 1, 0, 1};
    if (shape.oh * shape.ow < 9) window.stride = 1;
    switch (Below(10)) {
      case 0:
      case 1:
        return Conv(input, 1 + Below(13), window, Below(2) == 0);
      case 2:
        window.groups = shape.k;
        return Conv(input, shape.k * (1 + Below(8) / 7), window, Below(2) == 0);
      case 3:
        window.groups = shape.k % 2 == 0 ? 2 : 1;
        return Conv(input, window.groups * (1 + Below(6)), window, Below(2) == 0);
      case 4:
        return Pool(Below(2) == 0 ? NodeKind::kMaxPool : NodeKind::kAvgPool, input, window);
      case 5:
        return Shuffle(input, shape.k % 3 == 0 ? 3 : shape.k % 2 == 0 ? 2 : 1);
      case 6:
        return Subsample(input, shape.oh > 3 && shape.ow > 3 ? 2 : 1, shape.k + Below(5));
      case 7: {
        std::vector<int> same = {input};
        for (int node : recent) {
          if (Of(node).oh == shape.oh && Of(node).ow == shape.ow && same.size() < 3) {
            same.push_back(node);
          }
        }
        return Concat(same);
      }
      default: {  // a residual block around one or two convolutions
        int branch = input;
        if (Below(2) == 0) branch = Conv(branch, 1 + Below(20), {3, 3, 1, 1, 1}, true);
        branch = Conv(branch, shape.k, {3, 3, 1, 1, 1}, false);
        if (Below(4) == 0) input = Conv(input, shape.k, {1, 1, 1, 0, 1}, false);
        return Below(2) == 0 ? Add(branch, input, Below(2) == 0)
                             : Add(input, branch, Below(2) == 0);
      }
    }
  }

  IntNode Like(NodeKind kind, int h, int w, int c) {
    IntNode node;
    node.node.name = "node" + std::to_string(graph_.nodes.size());
    node.node.kind = kind;
    node.node.h = node.node.oh = h;
    node.node.w = node.node.ow = w;
    node.node.c = node.node.k = c;
    return node;
  }

  IntNode From(NodeKind kind, int input) {
    return Like(kind, Of(input).oh, Of(input).ow, Of(input).k);
  }

  static void Slide(IntNode* node, const Window& window) {
    Node& shape = node->node;
    shape.r = window.r;
    shape.s = window.s;
    shape.stride = window.stride;
    shape.pad = window.pad;
    shape.groups = window.groups;
    shape.oh = (shape.h + 2 * window.pad - window.r) / window.stride + 1;
    shape.ow = (shape.w + 2 * window.pad - window.s) / window.stride + 1;
  }

  // Shifts so that outputs are spread over the range of eight bits, and some are clipped.
  void Weights(IntNode* node, int taps, bool relu) {
    const int k = node->node.k;
    for (int i = 0; i < taps * k; ++i) {
      node->filter.push_back(static_cast<int8_t>(Below(255) - 127));
    }
    int bits = 0;
    while ((1 << bits) * (1 << bits) < taps) ++bits;
    node->shift = 5 + bits;
    for (int i = 0; i < k; ++i) node->bias.push_back((Below(128) - 64) * (1 << node->shift));
    if (relu) node->low = 0;
  }

  int Push(IntNode node, std::vector<int> inputs) {
    node.node.inputs = std::move(inputs);
    graph_.nodes.push_back(std::move(node));
    return static_cast<int>(graph_.nodes.size()) - 1;
  }

  engine::Rng rng_;
  IntGraph graph_;
};

}  // namespace rhnas::nn
