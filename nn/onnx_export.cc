// See onnx_export.h. ONNX has channels before rows (N C H W), engine/ after them.
#include "nn/onnx_export.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/check.h"
#include "nn/onnx_layers.h"

namespace rhnas::nn {

using engine::Activation;
using engine::Format;

namespace {

constexpr char kImage[] =
    "image: float [N, channels, height, width], (byte / 255 - mean) / stddev with the mean and "
    "stddev of the metadata";

// --- float ---

// Writes `to` = activation(from). REQUIRES: there is one.
void Activate(const Node& node, const std::string& from, const std::string& to,
              OnnxWriter* writer) {
  const std::string name = node.name + "/activation";
  if (node.activation == Activation::kRelu) return writer->Node("Relu", name, to, {&from});
  if (node.activation == Activation::kRelu6) {
    const std::string low = writer->Scalar("clip/0", 0), high = writer->Scalar("clip/6", 6);
    return writer->Node("Clip", name, to, {&from, &low, &high});
  }
  // h-swish; HardSwish is an operator of its own from opset 14 on.
  const std::string gate = node.name + "/gate";
  const OnnxAttributes attributes = OnnxAttributes().Float("alpha", 1.0f / 6).Float("beta", 0.5f);
  writer->Node("HardSigmoid", gate, gate, {&from}, &attributes);
  writer->Node("Mul", name, to, {&from, &gate});
}

// --- int8 ---

class IntExporter {
 public:
  IntExporter(const IntGraph& graph, const std::vector<const Node*>& nodes)
      : graph_(graph), layers_(nodes, graph.output), writer_(layers_.writer()) {}

  engine::Result<std::string> Export(const OnnxInfo& info) {
    zero_ = writer_.Constant(Int8Tensor("zero", {}, {0}));
    if (engine::Status status = Input(info); !status.ok()) return status;
    for (size_t i = 1; i < graph_.nodes.size(); ++i) Add(static_cast<int>(i));
    return layers_.Finish(graph_.name, info,
                          std::string(kImage) + "; int8 weights and maps, scales powers of two");
  }

 private:
  const IntNode& NodeAt(int index) const { return graph_.nodes[static_cast<size_t>(index)]; }

  std::string Scale(int exponent) {
    return writer_.Scalar(Format("scale/%d", exponent), std::ldexp(1.0f, exponent));
  }

  std::string Dequantized(const ExportTensor& tensor, int exponent) {
    const std::string value = tensor.name + "/float";
    const std::string integers = writer_.Constant(tensor), scale = Scale(exponent);
    writer_.Node("DequantizeLinear", value, value, {&integers, &scale});
    return value;
  }

  // `to` = from + `units`, in units of 2^exponent. What rounds to the nearest then does what a
  // shift right does that rounds towards minus infinity: see onnx_export.h.
  void Rounded(const IntNode& node, const std::string& from, double units, const std::string& to) {
    const float term = static_cast<float>(std::ldexp(units, node.exponent - node.shift));
    const std::string half = writer_.Scalar(node.node.name + "/half", term);
    writer_.Node("Add", to, to, {&from, &half});
  }
  // 0 where nothing is rounded.
  static double HalfStep(int shift) { return shift > 0 ? std::ldexp(0.5, shift) : 0; }

  // `to` = the value on the node's own grid, clipped.
  void Requantize(const IntNode& node, const std::string& from, const std::string& to) {
    const std::string& name = node.node.name;
    std::string value = from;
    if (node.low == 0 && node.high == 127) {  // QuantizeLinear stops at 127 itself
      value = name + "/relu";
      writer_.Node("Relu", value, value, {&from});
    } else if (!Fits(node)) {
      value = name + "/clip";
      const std::string low = Bound(node.low, node.exponent);
      const std::string high = Bound(node.high, node.exponent);
      writer_.Node("Clip", value, value, {&from, &low, &high});
    }
    const std::string integer = name + "/int8", scale = Scale(node.exponent);
    writer_.Node("QuantizeLinear", integer, integer, {&value, &scale, &zero_});
    writer_.Node("DequantizeLinear", name + "/float", to, {&integer, &scale, &zero_});
  }

  std::string Bound(int value, int exponent) {
    return writer_.Scalar(Format("clip/%d/%d", value, exponent),
                          std::ldexp(static_cast<float>(value), exponent));
  }

  // No value is outside of -127..127, where QuantizeLinear knows -128 as well.
  bool Fits(const IntNode& node) const {
    if (node.low > -127 || node.high < 127) return false;
    const NodeKind kind = node.node.kind;
    if (kind == NodeKind::kMaxPool || kind == NodeKind::kConcat || kind == NodeKind::kShuffle ||
        kind == NodeKind::kSubsample) {
      return true;  // copies
    }
    if (kind != NodeKind::kInput) return false;
    for (const auto& channel : graph_.input_table) {
      for (int8_t value : channel) {
        if (value == -127) return false;
      }
    }
    return true;
  }

  // Steps of the input map per unit of a normalised image, all that give a channel's table: the
  // table has rounded (byte / 255 - mean) / stddev x steps. False: no number does.
  static bool StepsOf(const std::array<int8_t, 256>& table, double mean, double stddev, double* low,
                      double* high) {
    *low = 0;
    *high = 1e9;
    for (int byte = 0; byte < 256; ++byte) {
      const double x = (byte / 255.0 - mean) / stddev;
      const int value = table[static_cast<size_t>(byte)];
      if (x == 0) continue;
      double below = (value - 0.5) / x, above = (value + 0.5) / x;
      if (x < 0) std::swap(below, above);
      // At an end of the range every larger number does as well.
      *low = std::max(*low, below);
      if (std::abs(value) < 127) *high = std::min(*high, above);
    }
    return *low < *high;
  }

  // The image in the steps of its map, which each channel has of its own.
  engine::Status Input(const OnnxInfo& info) {
    const IntNode& node = NodeAt(0);
    const std::string& name = node.node.name;
    const size_t channels = graph_.input_table.size();
    if (info.mean.size() != channels || info.stddev.size() != channels) {
      return engine::Status::Error("%s: the mean and deviation of its images are not known",
                                   graph_.name.c_str());
    }
    const double own = std::ldexp(1.0, -node.exponent);
    std::vector<float> factors;
    bool same = true;
    for (size_t c = 0; c < channels; ++c) {
      double low = 0, high = 0;
      if (!StepsOf(graph_.input_table[c], double{info.mean[c]}, double{info.stddev[c]}, &low,
                   &high)) {
        return engine::Status::Error(
            "%s: the table of channel %d is no rounded multiple of the "
            "image, ONNX has no operator for it",
            graph_.name.c_str(), static_cast<int>(c));
      }
      same = same && low < own && own < high;
      factors.push_back(static_cast<float>((low + high) / 2 / own));
    }
    layers_.InputOf(0);
    layers_.SetValue(0, name + "/quantized");
    std::string value = name;
    if (!same) {
      value = name + "/scaled";
      const std::string factor = writer_.Constant(
          FloatTensor(name + "/factor", {static_cast<int64_t>(channels), 1, 1}, factors));
      writer_.Node("Mul", value, value, {&name, &factor});
    }
    Requantize(node, value, layers_.ValueOf(0));
    return engine::Status::Ok();
  }

  void Add(int index) {
    const IntNode& node = NodeAt(index);
    const std::string& name = node.node.name;
    const std::string sum = name + "/sum";
    switch (node.node.kind) {
      case NodeKind::kConv:
      case NodeKind::kDense: {
        const int unit = node.exponent - node.shift;
        const int input = NodeAt(node.node.inputs[0]).exponent;
        // Half a step is in the bias of the integers, not in what is rounded to the nearest.
        const auto half = static_cast<int32_t>(HalfStep(node.shift));
        std::vector<int32_t> bias = node.bias;
        for (int32_t& value : bias) value -= half;
        const std::string linear = node.shift > 0 ? name + "/linear" : sum;
        layers_.Operator(index, Dequantized(FilterOf(node), unit - input),
                         Dequantized(Int32Tensor(name + "/bias", {node.node.k}, bias), unit),
                         linear);
        if (node.shift > 0) Rounded(node, linear, 0.5, sum);
        break;
      }
      case NodeKind::kAvgPool:
      case NodeKind::kGlobalAvgPool:
        Average(index, sum);
        break;
      default:
        layers_.Operator(index, "", "", sum);
    }
    Requantize(node, sum, layers_.ValueOf(index));
    layers_.DeclareShape(index);
  }

  // (m x sum of taps) >> t: AveragePool would divide, which is not exact.
  void Average(int index, const std::string& to) {
    const IntNode& node = NodeAt(index);
    const std::string& name = node.node.name;
    const std::string total = name + "/total", scaled = name + "/scaled";
    const std::string value = layers_.MapInput(index, 0);
    if (node.node.kind == NodeKind::kGlobalAvgPool) {
      const std::string axes = writer_.Integers("axes/map", {2, 3});
      const std::string factor = writer_.Scalar(
          name + "/factor", std::ldexp(static_cast<float>(node.multiplier), -node.shift));
      writer_.Node("ReduceSum", name, total, {&value, &axes});
      writer_.Node("Mul", scaled, scaled, {&total, &factor});
    } else {
      const int64_t taps = int64_t{node.node.r} * node.node.s;
      const std::vector<int8_t> weights(static_cast<size_t>(node.node.c * taps),
                                        static_cast<int8_t>(node.multiplier));
      const std::string filter = Dequantized(
          Int8Tensor(name + "/filter", {node.node.c, 1, node.node.r, node.node.s}, weights),
          -node.shift);
      const OnnxAttributes attributes = OnnxLayers::Window(node.node).Int("group", node.node.c);
      writer_.Node("Conv", name, scaled, {&value, &filter}, &attributes);
    }
    Rounded(node, scaled, (node.shift > 0 ? 0.5 : 0) - HalfStep(node.shift), to);
  }

  const IntGraph& graph_;
  OnnxLayers layers_;
  OnnxWriter& writer_;
  std::string zero_;
};

}  // namespace

engine::Result<std::string> ToOnnx(const Graph& graph, const OnnxInfo& info) {
  std::vector<const Node*> nodes;
  for (const Node& node : graph.nodes) nodes.push_back(&node);
  OnnxLayers layers(nodes, graph.output);
  OnnxWriter& writer = layers.writer();
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = *nodes[i];
    const int index = static_cast<int>(i);
    if (node.kind == NodeKind::kInput) {
      layers.InputOf(index);
      continue;
    }
    std::string filter, bias;
    if (node.kind == NodeKind::kConv || node.kind == NodeKind::kDense) {
      RHNAS_CHECK(!node.filter.empty(), "%s has no weights", node.name.c_str());
      filter = writer.Constant(FilterOf(node));
      bias = writer.Constant(
          FloatTensor(node.name + "/bias", {static_cast<int64_t>(node.bias.size())}, node.bias));
    }
    const bool plain = node.activation == Activation::kNone;
    const std::string value = layers.ValueOf(index);
    const std::string linear = plain ? value : node.name + "/linear";
    layers.Operator(index, filter, bias, linear);
    if (!plain) Activate(node, linear, value, &writer);
    layers.DeclareShape(index);
  }
  return layers.Finish(graph.name, info, kImage);
}

engine::Result<std::string> ToOnnx(const IntGraph& graph, const OnnxInfo& info) {
  std::vector<const Node*> nodes;
  for (const IntNode& node : graph.nodes) nodes.push_back(&node.node);
  return IntExporter(graph, nodes).Export(info);
}

}  // namespace rhnas::nn
