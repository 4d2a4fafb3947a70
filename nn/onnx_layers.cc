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
      for (int input : node->inputs) flat = flat && flat_[At(input)] != 0;
    }
    flat_.push_back(flat ? 1 : 0);
    value_.push_back(node->name);
  }
  if (flat_[At(output)] != 0) value_[At(output)] = logits_;
}

std::vector<int64_t> OnnxLayers::DimsOf(int index) const {
  const Node& node = *nodes_[At(index)];
  if (flat_[At(index)] != 0) return {node.k};
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
  const std::string& value = ValueOf(input);
  if (flat_[At(input)] == 0 || flat_[At(index)] != 0) return value;
  const std::string map = nodes_[At(index)]->name + Format("/map%d", static_cast<int>(i));
  const std::string axes = writer_.Integers("axes/map", {2, 3});
  writer_.Node("Unsqueeze", map, map, {&value, &axes});
  return map;
}

void OnnxLayers::Dense(int index, const std::string& filter, const std::string& bias,
                       const std::string& to) {
  const Node& node = *nodes_[At(index)];
  std::string value = ValueOf(node.inputs[0]);
  if (flat_[At(node.inputs[0])] == 0) {
    const std::string flat = node.name + "/flat";
    writer_.Node("Flatten", flat, flat, {&value});
    value = flat;
  }
  const OnnxAttributes attributes = OnnxAttributes().Int("transB", 1);
  writer_.Node("Gemm", node.name, to, {&value, &filter, &bias}, &attributes);
}

// Channels as groups x share, the two exchanged (Zhang et al., ShuffleNet, 2018).
void OnnxLayers::Shuffle(const Node& node, const std::string& from, const std::string& to) {
  const std::string split = node.name + "/split", turned = node.name + "/turned";
  const std::string apart =
      writer_.Integers(split + "/shape", {0, node.groups, node.c / node.groups, node.h, node.w});
  const std::string together = writer_.Integers(node.name + "/shape", {0, node.c, node.h, node.w});
  const OnnxAttributes attributes = OnnxAttributes().Ints("perm", {0, 2, 1, 3, 4});
  writer_.Node("Reshape", split, split, {&from, &apart});
  writer_.Node("Transpose", turned, turned, {&split}, &attributes);
  writer_.Node("Reshape", node.name, to, {&turned, &together});
}

// He et al., 2015, section 3.3, option A.
void OnnxLayers::Subsample(const Node& node, const std::string& from, const std::string& to) {
  const std::string taken = node.k > node.c ? node.name + "/taken" : to;
  const std::string starts = writer_.Integers("slice/starts", {0, 0});
  const std::string ends = writer_.Integers("slice/ends", {INT64_MAX, INT64_MAX});
  const std::string axes = writer_.Integers("axes/map", {2, 3});
  const std::string steps = writer_.Integers(node.name + "/steps", {node.stride, node.stride});
  writer_.Node("Slice", taken, taken, {&from, &starts, &ends, &axes, &steps});
  if (node.k == node.c) return;
  const std::string pads =
      writer_.Integers(node.name + "/pads", {0, 0, 0, 0, 0, node.k - node.c, 0, 0});
  writer_.Node("Pad", node.name, to, {&taken, &pads});
}

void OnnxLayers::Operator(int index, const std::string& filter, const std::string& bias,
                          const std::string& to) {
  const Node& node = *nodes_[At(index)];
  const char* op = "";
  OnnxAttributes attributes;
  std::string first, second;
  if (node.kind != NodeKind::kInput && node.kind != NodeKind::kDense) first = MapInput(index, 0);
  switch (node.kind) {
    case NodeKind::kInput:
      return;
    case NodeKind::kDense:
      return Dense(index, filter, bias, to);
    case NodeKind::kShuffle:
      return Shuffle(node, first, to);
    case NodeKind::kSubsample:
      return Subsample(node, first, to);
    case NodeKind::kConcat: {
      std::vector<std::string> inputs = {first};
      for (size_t i = 1; i < node.inputs.size(); ++i) inputs.push_back(MapInput(index, i));
      attributes.Int("axis", 1);
      return writer_.Node("Concat", node.name, to, inputs, &attributes);
    }
    case NodeKind::kConv:
      attributes = Window(node).Int("group", node.groups);
      return writer_.Node("Conv", node.name, to, {&first, &filter, &bias}, &attributes);
    case NodeKind::kAdd:
      second = MapInput(index, 1);
      return writer_.Node("Add", node.name, to, {&first, &second});
    case NodeKind::kMaxPool:
      op = "MaxPool";
      attributes = Window(node);
      break;
    case NodeKind::kAvgPool:
      op = "AveragePool";
      attributes = Window(node).Int("count_include_pad", 1);
      break;
    case NodeKind::kGlobalAvgPool:
      op = "GlobalAveragePool";
      break;
  }
  writer_.Node(op, node.name, to, {&first}, &attributes);
}

engine::Result<std::string> OnnxLayers::Finish(const std::string& name, const OnnxInfo& info,
                                               const std::string& doc) {
  const Node& last = *nodes_[At(output_)];
  std::vector<int64_t> dims = DimsOf(output_);
  if (ValueOf(output_) != logits_) {
    const bool map = last.oh * last.ow > 1;
    if (!map) dims = {last.k};
    writer_.Node(map ? "Identity" : "Flatten", logits_, logits_, {&ValueOf(output_)});
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
