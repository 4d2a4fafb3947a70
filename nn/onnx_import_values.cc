// Values, and the nodes of the graph that they are the maps of.
#include <algorithm>
#include <utility>

#include "nn/onnx_importer.h"

namespace rhnas::nn {

using engine::Format;

bool OnnxImporter::Fail(const char* why, const Dims* of) {
  why_ = why;
  if (of != nullptr) why_ += DimsText(*of);
  return false;
}

void OnnxImporter::Inexact(const char* why, const OnnxNode& node) {
  if (inexact_.empty()) inexact_ = why + (" in " + Title(node));
}

std::string OnnxImporter::NameOf(const OnnxNode& node) const {
  if (!node.name.empty() || node.outputs.empty()) return node.name;
  return file_.names[static_cast<size_t>(node.outputs[0])];
}

std::string OnnxImporter::Title(const OnnxNode& node) const {
  return Format("%s (node %s)", node.type.c_str(), NameOf(node).c_str());
}

int OnnxImporter::Readers(int value) const {
  return static_cast<int>(uses_[static_cast<size_t>(value)].size());
}

const OnnxValue* OnnxImporter::InputAt(const OnnxNode& node, size_t i) const {
  if (i >= node.inputs.size() || node.inputs[i] == 0) return nullptr;
  const OnnxValue& value = values_[static_cast<size_t>(node.inputs[i])];
  return value.node >= 0 || value.constant >= 0 ? &value : nullptr;
}

const ConstTensor* OnnxImporter::ConstantAt(const OnnxNode& node, size_t i) const {
  const OnnxValue* value = InputAt(node, i);
  if (value == nullptr || value->constant < 0) return nullptr;
  return &constants_[static_cast<size_t>(value->constant)];
}

Constants OnnxImporter::ConstantsOf(const OnnxNode& node) const {
  Constants constants;
  for (size_t i = 0; i < node.inputs.size(); ++i) constants.push_back(ConstantAt(node, i));
  return constants;
}

bool OnnxImporter::IsPlain(const OnnxValue& value) const {
  const Node& node = graph_.nodes[static_cast<size_t>(value.node)];
  const Dims& d = value.dims;
  const size_t rank = d.size();
  if (rank < 2 || rank > 4 || d[ChannelAxis(value)] != node.k) return false;
  const int64_t sizes[2] = {node.oh + value.border[0] + value.border[2],
                            node.ow + value.border[1] + value.border[3]};
  const size_t row = value.channels_last ? 1 : 2;
  for (size_t i = 0; i < 2; ++i) {
    if (sizes[i] != (i + 2 < rank ? d[row + i] : 1)) return false;
  }
  return true;
}

size_t OnnxImporter::ChannelAxis(const OnnxValue& value) const {
  return value.channels_last || value.dims.size() < 3 ? value.dims.size() - 1 : 1;
}

bool OnnxImporter::OnlyReader(const OnnxValue& value) const {
  return extra_[static_cast<size_t>(value.node)].readers == 1;
}

const OnnxValue* OnnxImporter::MapAt(const OnnxNode& node, size_t i, bool border_allowed) {
  const OnnxValue* found = InputAt(node, i);
  if (found == nullptr || !found->is_map() || found->dims.empty()) {
    Fail("an input that is no map");
    return nullptr;
  }
  OnnxValue& value = values_[static_cast<size_t>(node.inputs[i])];
  if (value.step > 1) {
    if (node.type == "Slice") return &value;
    Fail("on every so manieth row or column alone");
    return nullptr;
  }
  if (value.bordered() && !border_allowed) {
    // The border becomes real: a 1x1 depthwise convolution of ones with padding, which costs a
    // copy.
    OnnxWindow window;
    for (int side = 0; side < 4; ++side) window.pads[side] = value.border[side];
    if (value.border_value != 0) {
      Fail("behind a Pad whose value is not 0");
      return nullptr;
    }
    OnnxNode pad;
    pad.name = file_.names[static_cast<size_t>(node.inputs[i])];
    pad.outputs = {node.inputs[i]};
    Node& made = Open(value, NodeKind::kConv);
    made.groups = made.c;
    if (!Fit(node, &window, &made)) return nullptr;
    const auto k = static_cast<size_t>(made.k);
    if (options_.weights) {
      made.filter.assign(static_cast<size_t>(made.r) * static_cast<size_t>(made.s) * k, 0);
      for (size_t c = 0; c < k; ++c) made.filter[made.filter.size() - 1 - c] = 1;
      made.bias.assign(k, 0);
    }
    Extra& extra = OpenExtra();
    extra.has_layer = true;
    extra.layer = LayerShape();
    extra.layer.kind = LayerKind::kMaxPool;
    extra.layer.bias = false;
    extra.layer.h = made.oh;
    extra.layer.w = made.ow;
    extra.layer.c = extra.layer.k = made.k;
    OnnxValue like = value;
    for (int& side : like.border) side = 0;
    Close(pad, like, like.dims);
  }
  if (!IsPlain(value)) {
    // One pixel, or one channel, is in either order.
    const Node& from = GraphNode(value.node);
    if (from.oh * from.ow == 1 || from.k == 1) {
      value.channels_last = !value.channels_last;
      if (!IsPlain(value)) value.channels_last = !value.channels_last;
    }
  }
  return &value;
}

Node& OnnxImporter::Open(const OnnxValue& value, NodeKind kind) {
  graph_.nodes.emplace_back();
  extra_.emplace_back();
  open_ = true;
  const Node& before = GraphNode(value.node);
  Node& made = graph_.nodes.back();
  made.kind = kind;
  made.inputs.push_back(value.node);
  made.h = made.oh = before.oh;
  made.w = made.ow = before.ow;
  made.c = made.k = before.k;
  return made;
}

bool OnnxImporter::Close(const OnnxNode& node, const OnnxValue& like, const Dims& dims) {
  open_ = false;
  const int number = static_cast<int>(graph_.nodes.size()) - 1;
  // Names of layers are unique.
  std::string name = NameOf(node);
  for (int copy = 2; !names_.emplace(name, number).second; ++copy) {
    name = Format("%s#%d", NameOf(node).c_str(), copy);
  }
  graph_.nodes.back().name = name;
  extra_.back().readers = Readers(node.outputs[0]);
  OnnxValue value;
  value.dims = dims;
  value.node = number;
  value.channels_last = like.channels_last;
  Set(node.outputs[0], value);
  return true;
}

bool OnnxImporter::CloseMap(const OnnxNode& node, const OnnxValue& like) {
  const Node& made = graph_.nodes.back();
  Dims dims = like.dims;
  const size_t row = like.channels_last ? 1 : 2, rank = dims.size();
  dims[ChannelAxis(like)] = made.k;
  if (rank > 2) dims[row] = made.oh;
  if (rank > 3) dims[row + 1] = made.ow;
  return Close(node, like, dims);
}

bool OnnxImporter::View(const OnnxNode& node, const OnnxValue& value, const Dims& dims) {
  OnnxValue view = value;
  view.dims = dims;
  extra_[static_cast<size_t>(value.node)].readers += Readers(node.outputs[0]) - 1;
  // What an exporter spells out in several nodes, "conv/pads" and then "conv", is named by the
  // last.
  Node& from = GraphNode(value.node);
  if (!node.name.empty() && from.name.compare(0, node.name.size() + 1, node.name + "/") == 0 &&
      names_.emplace(node.name, value.node).second) {
    names_.erase(from.name);
    from.name = node.name;
  }
  Set(node.outputs[0], view);
  return true;
}

void OnnxImporter::Set(int value, const OnnxValue& to) {
  if (value != 0) values_[static_cast<size_t>(value)] = to;
}

void OnnxImporter::SetConstant(int value, ConstTensor* constant) {
  OnnxValue made;
  made.constant = static_cast<int>(constants_.size());
  made.dims = constant->dims;
  constants_.push_back(std::move(*constant));
  Set(value, made);
}

}  // namespace rhnas::nn
