// From blocks and their weights to a graph, and its layers. See graph.h.
//
// Modules hand out their weights in the order of their layers (nn/blocks.h, Module::Collect), so a
// walk over LayersOf consumes them one after the other.
#include "nn/graph.h"

#include <cmath>
#include <utility>

#include "engine/check.h"
#include "nn/nasbench201.h"

namespace rhnas::nn {

namespace {

using engine::Activation;
using engine::Parameter;

class Builder {
 public:
  Builder(Supernet& net, const Genotype& path)
      : space_(net.space()),
        blocks_(BlocksOf(net.space(), path)),
        weights_(net.weights(path)),
        statistics_(net.statistics(path)) {
    graph_.name = ToText(net.space(), path);
  }

  Graph Build() {
    Node image;
    image.name = "image";
    image.kind = NodeKind::kInput;
    image.h = image.oh = space_.h;
    image.w = image.ow = space_.w;
    image.c = image.k = space_.c;
    graph_.nodes.push_back(image);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      Add(space_.slots[i], *blocks_[i], SlotPrefix(space_, static_cast<int>(i)));
    }
    RHNAS_CHECK(next_weight_ == weights_.size() && next_statistic_ == statistics_.size(),
                "%s: %d of %d weights used", space_.name.c_str(), static_cast<int>(next_weight_),
                static_cast<int>(weights_.size()));
    graph_.output = last();
    return std::move(graph_);
  }

 private:
  int last() const { return static_cast<int>(graph_.nodes.size()) - 1; }

  // The layers of a block, one after the other; an addition takes what the block read, or its
  // shortcut.
  void Add(const Slot& slot, const Block& block, const std::string& prefix) {
    const std::vector<LayerShape> layers = LayersOf(slot, block, prefix);
    const int input = last();
    const bool residual = block.kind == BlockKind::kResidual;
    const size_t convs = block.expansion > 1 ? 3 : 2;
    for (size_t i = 0; i < layers.size(); ++i) {
      const LayerShape& layer = layers[i];
      if (residual && i == convs) {
        Shortcut(slot, layer, prefix, input);
        if (layer.kind != LayerKind::kAdd) continue;
      }
      if (layer.kind == LayerKind::kAdd) {
        const int shortcut = residual ? shortcut_ : input;
        const int branch = residual ? branch_ : last();
        Push(layer, {branch, shortcut}, block.activation);
      } else {
        Push(layer, {last()}, block.activation);
      }
    }
  }

  // `layer` is the first behind the branch: the shortcut's, or the addition where there is none.
  void Shortcut(const Slot& slot, const LayerShape& layer, const std::string& prefix, int input) {
    branch_ = last();
    shortcut_ = input;
    if (layer.kind == LayerKind::kConv) {
      Push(layer, {input}, Activation::kNone);
      shortcut_ = last();
    } else if (!slot.same_shape()) {
      Node node;
      node.name = prefix + "/shortcut";
      node.kind = NodeKind::kSubsample;
      node.inputs = {input};
      node.h = slot.h;
      node.w = slot.w;
      node.c = slot.cin;
      node.stride = slot.stride;
      node.oh = (slot.h - 1) / slot.stride + 1;
      node.ow = (slot.w - 1) / slot.stride + 1;
      node.k = slot.cout;
      graph_.nodes.push_back(node);
      shortcut_ = last();
    }
  }

  void Push(const LayerShape& layer, std::vector<int> inputs, Activation activation) {
    Node node;
    node.name = layer.name;
    node.inputs = std::move(inputs);
    node.h = layer.h;
    node.w = layer.w;
    node.c = layer.c;
    node.oh = layer.oh();
    node.ow = layer.ow();
    node.k = layer.k;
    node.r = layer.r;
    node.s = layer.s;
    node.stride = layer.stride;
    node.pad = layer.pad;
    node.groups = layer.groups;
    node.activation = layer.relu ? activation : Activation::kNone;
    switch (layer.kind) {
      case LayerKind::kConv:
        node.kind = NodeKind::kConv;
        Fold(&node);
        break;
      case LayerKind::kDense: {
        node.kind = NodeKind::kDense;
        const Parameter& weight = *weights_[next_weight_++];
        const Parameter& bias = *weights_[next_weight_++];
        node.filter.assign(weight.value.data(), weight.value.data() + weight.value.size());
        node.bias.assign(bias.value.data(), bias.value.data() + bias.value.size());
        break;
      }
      case LayerKind::kMaxPool:
        node.kind = NodeKind::kMaxPool;
        break;
      case LayerKind::kAvgPool:
        node.kind = NodeKind::kAvgPool;
        break;
      case LayerKind::kGlobalAvgPool:
        node.kind = NodeKind::kGlobalAvgPool;
        break;
      case LayerKind::kAdd:
        node.kind = NodeKind::kAdd;
        break;
      case LayerKind::kConcat:
        node.kind = NodeKind::kConcat;
        break;
      case LayerKind::kShuffle:
        node.kind = NodeKind::kShuffle;
        break;
    }
    graph_.nodes.push_back(std::move(node));
  }

  // The next convolution of the network: y = (f * x) scale + (beta - mean scale).
  void Fold(Node* node) {
    RHNAS_CHECK(next_weight_ + 3 <= weights_.size() && next_statistic_ + 2 <= statistics_.size(),
                "%s has no weights", node->name.c_str());
    const Parameter& filter = *weights_[next_weight_];
    const Parameter& gamma = *weights_[next_weight_ + 1];
    const Parameter& beta = *weights_[next_weight_ + 2];
    const engine::Buffer& mean = *statistics_[next_statistic_].buffer;
    const engine::Buffer& variance = *statistics_[next_statistic_ + 1].buffer;
    next_weight_ += 3;
    next_statistic_ += 2;
    RHNAS_CHECK(filter.shape == engine::Shape(node->r, node->s, node->c / node->groups, node->k),
                "%s is not the filter of layer %s", filter.name.c_str(), node->name.c_str());
    const double epsilon = double{engine::BatchNormOptions().epsilon};
    std::vector<double> scale(static_cast<size_t>(node->k));
    for (int k = 0; k < node->k; ++k) {
      double& factor = scale[static_cast<size_t>(k)];
      factor = double{gamma.value[k]} / std::sqrt(double{variance[k]} + epsilon);
      node->bias.push_back(static_cast<float>(double{beta.value[k]} - double{mean[k]} * factor));
    }
    node->filter.resize(static_cast<size_t>(filter.value.size()));
    for (int64_t i = 0; i < filter.value.size(); ++i) {
      node->filter[static_cast<size_t>(i)] =
          static_cast<float>(double{filter.value[i]} * scale[static_cast<size_t>(i % node->k)]);
    }
  }

  const Space& space_;
  std::vector<const Block*> blocks_;
  std::vector<Parameter*> weights_;
  std::vector<NamedBuffer> statistics_;
  Graph graph_;
  size_t next_weight_ = 0, next_statistic_ = 0;
  int branch_ = 0, shortcut_ = 0;  // of the residual block that is being built
};

LayerKind KindOf(NodeKind kind) {
  switch (kind) {
    case NodeKind::kInput:
    case NodeKind::kConv:
      return LayerKind::kConv;
    case NodeKind::kDense:
      return LayerKind::kDense;
    case NodeKind::kMaxPool:
    case NodeKind::kSubsample:
      return LayerKind::kMaxPool;
    case NodeKind::kAvgPool:
      return LayerKind::kAvgPool;
    case NodeKind::kGlobalAvgPool:
      return LayerKind::kGlobalAvgPool;
    case NodeKind::kAdd:
      return LayerKind::kAdd;
    case NodeKind::kConcat:
      return LayerKind::kConcat;
    case NodeKind::kShuffle:
      return LayerKind::kShuffle;
  }
  return LayerKind::kConv;
}

}  // namespace

Graph MakeGraph(Supernet& net, const Genotype& path) {
  RHNAS_CHECK(CheckTrainable(net.space()).ok(), "%s has no weights", net.space().name.c_str());
  return Builder(net, path).Build();
}

std::vector<LayerShape> LayersOf(const Graph& graph) {
  std::vector<int> readers(graph.nodes.size(), 0);
  for (const Node& node : graph.nodes) {
    for (int input : node.inputs) ++readers[static_cast<size_t>(input)];
  }
  ++readers[static_cast<size_t>(graph.output)];
  std::vector<LayerShape> layers;
  int before = -1;  // the node of the last layer, if its map is a layer's alone
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    // Channels of zeros are not read: without a stride they are no layer.
    const bool subsample = node.kind == NodeKind::kSubsample;
    if (node.kind == NodeKind::kInput || (subsample && node.stride == 1)) continue;
    LayerShape layer;
    layer.name = node.name;
    layer.kind = KindOf(node.kind);
    layer.h = node.h;
    layer.w = node.w;
    layer.c = node.c;
    layer.k = subsample ? node.c : node.k;
    layer.r = node.r;
    layer.s = node.s;
    layer.stride = node.stride;
    layer.pad = node.pad;
    layer.groups = node.groups;
    if (node.kind == NodeKind::kDense) {
      layer.c = node.h * node.w * node.c;
      layer.h = layer.w = 1;
    } else if (node.kind == NodeKind::kGlobalAvgPool) {
      layer.r = node.h;
      layer.s = node.w;
    }
    layer.bias = node.kind == NodeKind::kConv || node.kind == NodeKind::kDense;
    layer.relu = node.activation != Activation::kNone;
    // Of an addition's inputs either may be the layer before.
    for (int input : node.inputs) {
      if (input == before && readers[static_cast<size_t>(input)] == 1) layer.chained = true;
    }
    before = subsample ? -1 : static_cast<int>(i);
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace rhnas::nn
