#include "nn/onnx_layers.h"

#include <algorithm>
#include <cstdint>

namespace rhnas::nn {

using engine::Format;

namespace {

size_t At(int index) { return static_cast<size_t>(index); }

int EndPadding(int size, int out, int tap, int stride, int pad) {
  // Less than nothing: rows at the end that no tap reads, which ONNX rounds away as well.
  return std::max(0, (out - 1) * stride + tap - pad - size);
}

std::string Joined(const std::vector<float>& values) {
  std::string text;
  for (float value : values) text += Format(text.empty() ? "%.9g" : ",%.9g", double{value});
  return text;
}

}  // namespace

OnnxLayers::OnnxLayers(const std::vector<const Node*>& nodes, int output)
    : nodes_(nodes), output_(output), logits_("logits") {
  for (const Node* node : nodes) {
    if (node->name == logits_) logits_ += "/output";
    bool flat = node->kind == NodeKind::kDense;
    if (node->kind == NodeKind::kAdd || node->kind == NodeKind::kConcat) {
      flat = true;
      for (int input : node->inputs) flat = flat && flat_[At(input)];
    }
    flat_.push_back(flat);
    value_.push_back(node->name);
  }
  if (flat_[At(output)]) value_[At(output)] = logits_;
}

std::vector<int64_t> OnnxLayers::DimsOf(int index) const {
  const Node& node = *nodes_[At(index)];
  if (flat_[At(index)]) return {node.k};
  if (node.kind == NodeKind::kInput) return {node.c, node.h, node.w};
  return {node.k, node.oh, node.ow};
}

void OnnxLayers::InputOf(int index) { writer_.Input(nodes_[At(index)]->name, DimsOf(index)); }

void OnnxLayers::DeclareShape(int index) {
  if (ValueOf(index) != logits_) writer_.Shape(ValueOf(index), DimsOf(index));
}

OnnxAttributes OnnxLayers::Window(const Node& node) {
  OnnxAttributes attributes;
  attributes.Ints("kernel_shape", {node.r, node.s});
  attributes.Ints("pads",
                  {node.pad, node.pad, EndPadding(node.h, node.oh, node.r, node.stride, node.pad),
                   EndPadding(node.w, node.ow, node.s, node.stride, node.pad)});
  attributes.Ints("strides", {node.stride, node.stride});
  return attributes;
}

std::string OnnxLayers::MapInput(int index, size_t i) {
  const int input = nodes_[At(index)]->inputs[i];
  const std::string value = ValueOf(input);
  if (!flat_[At(input)] || flat_[At(index)]) return value;
  const std::string& name = nodes_[At(index)]->name;
  const std::string map = name + Format("/map%d", static_cast<int>(i));
  writer_.Node("Unsqueeze", map, {value, writer_.Constant(Int64Tensor("axes/map", {2, 3}))}, map);
  return map;
}

void OnnxLayers::Dense(int index, const std::string& filter, const std::string& bias,
                       const std::string& to) {
  const Node& node = *nodes_[At(index)];
  std::string value = ValueOf(node.inputs[0]);
  if (!flat_[At(node.inputs[0])]) {
    const std::string flat = node.name + "/flat";
    writer_.Node("Flatten", flat, {value}, flat, OnnxAttributes().Int("axis", 1));
    value = flat;
  }
  writer_.Node("Gemm", node.name, {value, filter, bias}, to, OnnxAttributes().Int("transB", 1));
}

// Channels as groups x share, the two exchanged (Zhang et al., ShuffleNet, 2018).
void OnnxLayers::Shuffle(int index, const std::string& to) {
  const Node& node = *nodes_[At(index)];
  const std::string split = node.name + "/split", turned = node.name + "/turned";
  const std::string apart = writer_.Constant(
      Int64Tensor(split + "/shape", {0, node.groups, node.c / node.groups, node.h, node.w}));
  const std::string together =
      writer_.Constant(Int64Tensor(node.name + "/shape", {0, node.c, node.h, node.w}));
  writer_.Node("Reshape", split, {MapInput(index, 0), apart}, split);
  writer_.Node("Transpose", turned, {split}, turned,
               OnnxAttributes().Ints("perm", {0, 2, 1, 3, 4}));
  writer_.Node("Reshape", node.name, {turned, together}, to);
}

// He et al., 2015, section 3.3, option A.
void OnnxLayers::Subsample(int index, const std::string& to) {
  const Node& node = *nodes_[At(index)];
  const bool widens = node.k > node.c;
  const std::string taken = widens ? node.name + "/taken" : to;
  const std::string starts = writer_.Constant(Int64Tensor("slice/starts", {0, 0}));
  const std::string ends = writer_.Constant(Int64Tensor("slice/ends", {INT64_MAX, INT64_MAX}));
  const std::string axes = writer_.Constant(Int64Tensor("slice/axes", {2, 3}));
  const std::string steps = writer_.Constant(
      Int64Tensor(Format("slice/steps%d", node.stride), {node.stride, node.stride}));
  writer_.Node("Slice", widens ? taken : node.name, {MapInput(index, 0), starts, ends, axes, steps},
               taken);
  if (!widens) return;
  const std::string pads =
      writer_.Constant(Int64Tensor(node.name + "/pads", {0, 0, 0, 0, 0, node.k - node.c, 0, 0}));
  writer_.Node("Pad", node.name, {taken, pads}, to);
}

void OnnxLayers::Operator(int index, const std::string& filter, const std::string& bias,
                          const std::string& to) {
  const Node& node = *nodes_[At(index)];
  switch (node.kind) {
    case NodeKind::kInput:
      return;
    case NodeKind::kConv:
      writer_.Node("Conv", node.name, {MapInput(index, 0), filter, bias}, to,
                   Window(node).Int("group", node.groups));
      return;
    case NodeKind::kDense:
      return Dense(index, filter, bias, to);
    case NodeKind::kMaxPool:
      writer_.Node("MaxPool", node.name, {MapInput(index, 0)}, to, Window(node));
      return;
    case NodeKind::kAvgPool:
      writer_.Node("AveragePool", node.name, {MapInput(index, 0)}, to,
                   Window(node).Int("count_include_pad", 1));
      return;
    case NodeKind::kGlobalAvgPool:
      writer_.Node("GlobalAveragePool", node.name, {MapInput(index, 0)}, to);
      return;
    case NodeKind::kAdd:
      writer_.Node("Add", node.name, {MapInput(index, 0), MapInput(index, 1)}, to);
      return;
    case NodeKind::kConcat: {
      std::vector<std::string> inputs;
      for (size_t i = 0; i < node.inputs.size(); ++i) inputs.push_back(MapInput(index, i));
      writer_.Node("Concat", node.name, inputs, to, OnnxAttributes().Int("axis", 1));
      return;
    }
    case NodeKind::kShuffle:
      return Shuffle(index, to);
    case NodeKind::kSubsample:
      return Subsample(index, to);
  }
}

engine::Result<std::string> OnnxLayers::Finish(const std::string& name, const OnnxInfo& info,
                                               const std::string& doc) {
  const Node& last = *nodes_[At(output_)];
  std::vector<int64_t> dims = DimsOf(output_);
  if (ValueOf(output_) != logits_) {
    const bool map = last.oh * last.ow > 1;
    if (!map) dims = {last.k};
    writer_.Node(map ? "Identity" : "Flatten", logits_, {ValueOf(output_)}, logits_);
  }
  writer_.Output(logits_, dims);
  writer_.Metadata("network", name);
  if (!info.mean.empty()) {
    writer_.Metadata("mean", Joined(info.mean));
    writer_.Metadata("stddev", Joined(info.stddev));
  }
  return writer_.Finish(name, info.version, doc);
}

}  // namespace rhnas::nn
