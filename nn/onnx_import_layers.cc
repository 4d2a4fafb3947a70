// Operators that compute without a window: dense layers, scales, sums, activations.
#include <cmath>

#include "nn/onnx_importer.h"

namespace rhnas::nn {

using engine::Activation;

namespace {

constexpr int64_t kMostChannels = int64_t{1} << 20;

bool IsRelu(Activation activation) {
  return activation == Activation::kRelu || activation == Activation::kRelu6;
}

}  // namespace

bool OnnxImporter::Gemm(const OnnxNode& node) {
  const OnnxValue* in = MapAt(node, 0);
  if (in == nullptr) return false;
  const ConstTensor* weight = ConstantAt(node, 1);
  const ConstTensor* bias = ConstantAt(node, 2);
  if (weight == nullptr || node.Int("transA", 0) != 0 ||
      (bias == nullptr && InputAt(node, 2) != nullptr)) {
    return Fail("of anything but a map, constant weights and a bias");
  }
  const bool transposed = node.Int("transB", 0) != 0;
  const int64_t count = bias == nullptr ? 1 : CountOf(bias->dims);
  if (!Dense(node, *in, *weight, transposed, node.Real("alpha", 1))) return false;
  Node& made = graph_.nodes.back();
  if (count != 1 && (count != made.k || bias->dims.back() != made.k)) {
    return Fail("a bias of ", &bias->dims);
  }
  if (bias == nullptr) return true;
  params_ += made.k;
  if (!bias->known && options_.weights) weights_known_ = false;
  for (size_t i = 0; bias->known && i < made.bias.size(); ++i) {
    made.bias[i] = static_cast<float>(node.Real("beta", 1) * bias->values[count == 1 ? 0 : i]);
  }
  return true;
}

bool OnnxImporter::MatMul(const OnnxNode& node) {
  const ConstTensor* weight = ConstantAt(node, 1);
  if (weight == nullptr) return Fail("not of a map and a constant");
  const OnnxValue* in = MapAt(node, 0);
  return in != nullptr && Dense(node, *in, *weight, false, 1);
}

// A vector times a matrix; or all pixels of a map with channels last, a 1x1 convolution.
bool OnnxImporter::Dense(const OnnxNode& node, const OnnxValue& in, const ConstTensor& weight,
                         bool transposed, double alpha) {
  const Node& from = GraphNode(in.node);
  const int64_t pixels = int64_t{from.oh} * from.ow, c = from.k, last = in.dims.back();
  const bool flat = last == pixels * c;
  const Dims& d = weight.dims;
  if (d.size() != 2 || d[transposed ? 1 : 0] != last || d[transposed ? 0 : 1] < 1 ||
      d[transposed ? 0 : 1] > kMostChannels || (!flat && (!in.channels_last || last != c))) {
    return Fail("weights that do not fit its input of ", &in.dims);
  }
  const auto k = static_cast<size_t>(d[transposed ? 0 : 1]), rows = static_cast<size_t>(last);
  Node& made = Open(in, flat ? NodeKind::kDense : NodeKind::kConv);
  made.k = static_cast<int>(k);
  if (flat) made.oh = made.ow = 1;
  params_ += CountOf(d);
  if (options_.weights) made.bias.assign(k, 0);
  if (options_.weights && !weight.known) weights_known_ = false;
  if (options_.weights && weight.known) {
    made.filter.resize(rows * k);
    for (size_t i = 0; i < rows; ++i) {
      // The file reads maps channel by channel, a graph pixel by pixel.
      const auto width = static_cast<size_t>(c);
      const bool turn = flat && !in.channels_last;
      const size_t row = turn ? i % width * static_cast<size_t>(pixels) + i / width : i;
      for (size_t j = 0; j < k; ++j) {
        const double x = weight.values[transposed ? j * rows + row : row * k + j];
        made.filter[i * k + j] = static_cast<float>(alpha * x);
      }
    }
  }
  OnnxValue like;
  like.channels_last = !flat;
  Dims dims = in.dims;
  dims.back() = made.k;
  return Close(node, like, dims);
}

bool OnnxImporter::BatchNorm(const OnnxNode& node) {
  const OnnxValue* in = MapAt(node, 0);
  if (in == nullptr) return false;
  const int k = GraphNode(in->node).k;
  const Constants parts = ConstantsOf(node);
  bool known = true, fits = IsPlain(*in) && parts.size() == 5;
  for (size_t i = 1; fits && i < 5; ++i) {
    fits = parts[i] != nullptr && CountOf(parts[i]->dims) == k;
    known = fits && known && parts[i]->known;
  }
  if (!fits) return Fail("does not fit its input of ", &in->dims);
  params_ += 2 * k;
  std::vector<double> scale(static_cast<size_t>(k), 2), shift(static_cast<size_t>(k), 0);
  const double epsilon = node.Real("epsilon", double{1e-5f});
  for (size_t c = 0; known && c < scale.size(); ++c) {
    scale[c] = parts[1]->values[c] / std::sqrt(parts[4]->values[c] + epsilon);
    shift[c] = parts[2]->values[c] - parts[3]->values[c] * scale[c];
  }
  return Affine(node, *in, scale, shift, known);
}

// +, -, x, / of a map and a constant, or + of two maps.
bool OnnxImporter::Arithmetic(const OnnxNode& node) {
  const OnnxValue* left = InputAt(node, 0);
  const OnnxValue* right = InputAt(node, 1);
  if (left == nullptr || right == nullptr) return Fail("needs two inputs");
  if (left->is_map() && right->is_map()) {
    return node.type == "Add" ? AddMaps(node) : Fail("of two maps");
  }
  const bool first = left->is_map();
  const OnnxValue* in = MapAt(node, first ? 0 : 1);
  if (in == nullptr) return false;
  const ConstTensor& constant = *ConstantAt(node, first ? 1 : 0);
  const Dims& d = constant.dims;
  const int k = GraphNode(in->node).k;
  const int64_t count = CountOf(d);
  // One value for all, or one a channel.
  bool fits = count == 1;
  if (!fits && count == k && IsPlain(*in)) {
    const size_t from_end = in->dims.size() - 1 - ChannelAxis(*in);
    fits = from_end < d.size() && d[d.size() - 1 - from_end] == k;
  }
  if (!fits || d.size() > in->dims.size() || (node.type == "Div" && !first)) {
    return Fail("with a constant of ", &d);
  }
  // Half a step before a quantiser turns its rounding up: part of the rounding.
  if (node.type == "Add" && constant.single() && Quantized(node.outputs[0], constant.values[0])) {
    return View(node, *in, in->dims);
  }
  if (count == k) params_ += count;
  std::vector<double> scale(static_cast<size_t>(count), 1), shift(static_cast<size_t>(count), 0);
  for (size_t i = 0; constant.known && i < scale.size(); ++i) {
    const double x = constant.values[i];
    if (node.type == "Add") {
      shift[i] = x;
    } else if (node.type == "Sub") {
      shift[i] = first ? -x : x;
      scale[i] = first ? 1 : -1;
    } else {
      scale[i] = node.type == "Mul" ? x : 1 / x;
    }
  }
  return Affine(node, *in, scale, shift, constant.known);
}

// y = scale x + shift, by channel or one for all: into the convolution before, where nobody else
// reads that, else a 1x1 depthwise convolution.
bool OnnxImporter::Affine(const OnnxNode& node, const OnnxValue& in,
                          const std::vector<double>& scale, const std::vector<double>& shift,
                          bool known) {
  bool nothing = known;
  for (size_t i = 0; i < scale.size(); ++i) nothing = nothing && scale[i] == 1 && shift[i] == 0;
  if (nothing) return View(node, in, in.dims);
  if (!known && options_.weights) weights_known_ = false;
  Node* made = &GraphNode(in.node);
  const bool weighted = made->kind == NodeKind::kConv || made->kind == NodeKind::kDense;
  const bool fold = weighted && made->activation == Activation::kNone && OnlyReader(in);
  if (!fold) {
    made = &Open(in, NodeKind::kConv);
    made->groups = made->c;
    if (GraphNode(in.node).kind == NodeKind::kInput) {
      OpenExtra().free = true;
      notes_.push_back(Title(node) + " prepares the image: left to the host, not costed");
    }
    const auto k = static_cast<size_t>(options_.weights ? made->k : 0);
    made->filter.assign(k, 1);
    made->bias.assign(k, 0);
  }
  const auto k = static_cast<size_t>(made->k);
  for (size_t i = 0; i < made->filter.size(); ++i) {
    const double factor = scale[scale.size() == 1 ? 0 : i % k];
    made->filter[i] = static_cast<float>(double{made->filter[i]} * factor);
  }
  for (size_t i = 0; i < made->bias.size(); ++i) {
    const size_t at = scale.size() == 1 ? 0 : i;
    made->bias[i] = static_cast<float>(double{made->bias[i]} * scale[at] + shift[at]);
  }
  return fold ? View(node, in, in.dims) : Close(node, in, in.dims);
}

bool OnnxImporter::Quantized(int value, double x) const {
  for (int depth = 0; depth < 3; ++depth) {
    const std::vector<int>& readers = uses_[static_cast<size_t>(value)];
    if (readers.size() != 1 || readers[0] < 0) return false;
    const OnnxNode& node = file_.nodes[static_cast<size_t>(readers[0])];
    if (node.type == "QuantizeLinear") {
      const ConstTensor* scale = ConstantAt(node, 1);
      return scale != nullptr && scale->single() && std::fabs(x) <= 0.501 * scale->values[0];
    }
    if ((node.type != "Relu" && node.type != "Clip") || node.outputs.empty()) return false;
    value = node.outputs[0];
  }
  return false;
}

bool OnnxImporter::AddMaps(const OnnxNode& node) {
  const OnnxValue* sum = MapAt(node, 0);
  if (sum == nullptr) return false;
  OnnxValue total = *sum;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const OnnxValue* next = MapAt(node, i);
    if (next == nullptr) return false;
    const Node& a = GraphNode(total.node);
    const Node& b = GraphNode(next->node);
    if (a.oh != b.oh || a.ow != b.ow || a.k != b.k || total.dims != next->dims ||
        total.channels_last != next->channels_last) {
      return Fail("to a map of another shape, ", &next->dims);
    }
    Open(total, NodeKind::kAdd).inputs.push_back(next->node);
    Close(node, total, total.dims);
    total.node = static_cast<int>(graph_.nodes.size()) - 1;
    if (i + 1 < node.inputs.size()) extra_.back().readers = 1;
  }
  return node.inputs.size() > 1 || View(node, total, total.dims);
}

bool OnnxImporter::Activate(const OnnxNode& node) {
  Activation activation = node.type == "HardSwish" ? Activation::kHSwish : Activation::kRelu;
  const OnnxValue* in = MapAt(node, 0);
  if (in == nullptr) return false;
  if (node.type == "Clip") {
    double bounds[2] = {node.Real("min", -INFINITY), node.Real("max", INFINITY)};
    for (size_t i = 0; i < 2; ++i) {
      const ConstTensor* given = ConstantAt(node, i + 1);
      if (given != nullptr && given->single()) {
        bounds[i] = given->values[0];
      } else if (InputAt(node, i + 1) != nullptr) {
        return Fail("its bounds are no constants");
      }
    }
    const bool open = bounds[0] < -1e30 && bounds[1] > 1e30;
    if (open || (bounds[0] < 0 && bounds[1] > 0 && Quantized(node.outputs[0], 0))) {
      return View(node, *in, in->dims);
    }
    if (bounds[0] != 0 || !(bounds[1] > 0)) return Fail("from anything but 0");
    if (bounds[1] < 1e30) {
      activation = Activation::kRelu6;
      if (std::fabs(bounds[1] - 6) > 1e-4) Inexact("clips at another value than 6", node);
    }
  }
  return ActivateAs(node, *in, activation);
}

bool OnnxImporter::ActivateAs(const OnnxNode& node, const OnnxValue& in, Activation activation) {
  Node& from = GraphNode(in.node);
  const bool again = activation == Activation::kRelu
                         ? NeverNegative(in.node)
                         : activation == Activation::kRelu6 && from.activation == activation;
  // One that the node before can take as its own.
  const bool free = from.activation == Activation::kNone ||
                    (from.activation == Activation::kRelu && activation == Activation::kRelu6);
  if (again || (from.kind != NodeKind::kInput && OnlyReader(in) && free)) {
    if (!again) from.activation = activation;
    return View(node, in, in.dims);
  }
  Open(in, NodeKind::kMaxPool).activation = activation;  // of one pixel: a copy
  return Close(node, in, in.dims);
}

bool OnnxImporter::NeverNegative(int number) const {
  // Down first inputs; the others are looked at alone.
  for (;;) {
    const Node& node = graph_.nodes[static_cast<size_t>(number)];
    if (IsRelu(node.activation)) return true;
    if (node.kind == NodeKind::kConv || node.kind == NodeKind::kDense ||
        node.kind == NodeKind::kInput || node.activation != Activation::kNone) {
      return false;
    }
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (!IsRelu(graph_.nodes[static_cast<size_t>(node.inputs[i])].activation)) return false;
    }
    number = node.inputs[0];
  }
}

}  // namespace rhnas::nn
