// Operators with windows: convolutions and pools.
#include <algorithm>
#include <cmath>

#include "nn/onnx_importer.h"

namespace rhnas::nn {

namespace {

constexpr int64_t kMostWindow = 65536;

// Positions of a window along one axis, as PyTorch and ONNX Runtime count where rounding up: one
// that begins in the padding behind is none.
int64_t Positions(int64_t size, int64_t before, int64_t after, int64_t window, int64_t stride,
                  bool ceil) {
  const int64_t room = size + before + after - window;
  if (room < 0) return 0;
  int64_t count = room / stride + 1;
  if (ceil && room % stride != 0 && count * stride < size + before) ++count;
  return count;
}

}  // namespace

bool OnnxImporter::ReadWindow(const OnnxNode& node, const OnnxValue& in, OnnxWindow* window) {
  const Node& map = GraphNode(in.node);
  const size_t axes = in.dims.size() - 2;
  const int64_t sizes[2] = {map.oh, map.ow};
  const auto read = [&](const char* name, int64_t* to) {
    const OnnxAttribute* found = node.Find(name);
    if (found == nullptr || found->ints.empty()) return true;
    if (found->ints.size() != axes) return false;
    for (size_t i = 0; i < axes; ++i) to[i] = found->ints[i];
    return to[0] >= 1 && to[1] >= 1 && to[0] <= kMostWindow && to[1] <= kMostWindow;
  };
  if (!read("strides", window->stride) || !read("dilations", window->dilation)) {
    return Fail("strides or dilations that do not fit its input");
  }
  for (int64_t size : window->size) {
    if (size < 1 || size > kMostWindow) return Fail("a window that is too large");
  }
  window->ceil = node.Int("ceil_mode", 0) != 0;
  const std::string automatic = node.Text("auto_pad", "NOTSET");
  const OnnxAttribute* pads = node.Find("pads");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    for (int i = 0; i < 2; ++i) {
      const int64_t stride = window->stride[i], count = (sizes[i] + stride - 1) / stride;
      const int64_t all =
          std::max<int64_t>(0, (count - 1) * stride + window->effective(i) - sizes[i]);
      window->pads[i] = automatic == "SAME_UPPER" ? all / 2 : all - all / 2;
      window->pads[i + 2] = all - window->pads[i];
    }
  } else if (pads != nullptr && !pads->ints.empty() && automatic != "VALID") {
    if (pads->ints.size() != 2 * axes) return Fail("pads that do not fit its input");
    for (size_t i = 0; i < 2 * axes; ++i) {
      window->pads[axes == 2 ? i : 2 * i] = pads->ints[i];
      if (pads->ints[i] < 0 || pads->ints[i] > kMostWindow) return Fail("negative or huge pads");
    }
  }
  for (int side = 0; side < 4; ++side) window->pads[side] += in.border[side];
  return true;
}

// Brings a window into a graph's form: one stride, and one padding above and on the left; what is
// below and on the right follows from the output's size. Where top and left differ, the lesser is
// filled up by zeros in the filter. Sets the open node's layer: what costs the same.
bool OnnxImporter::Fit(const OnnxNode& node, OnnxWindow* window, Node* made) {
  const OnnxWindow& in = *window;
  const bool conv = made->kind == NodeKind::kConv;
  int64_t out[2] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    out[i] = Positions(i == 0 ? made->h : made->w, in.pads[i], in.pads[i + 2], in.effective(i),
                       in.stride[i], in.ceil);
    if (in.effective(i) > kMostWindow || out[i] < 1 || out[i] > kMostWindow) {
      return Fail("a window that does not fit its input");
    }
  }
  const bool line = out[0] == 1 || out[1] == 1;
  int64_t stride = line ? in.stride[out[0] == 1 ? 1 : 0] : std::min(in.stride[0], in.stride[1]);
  if (!line && in.stride[0] != in.stride[1]) Inexact("has two strides", node);
  if (out[0] == 1 && out[1] == 1) stride = 1;
  const int64_t pad = std::max(in.pads[0], in.pads[1]);
  const bool dilated = in.dilation[0] > 1 || in.dilation[1] > 1;
  for (int i = 0; i < 2; ++i) window->more[i] = pad - in.pads[i];
  if (!conv && (in.more[0] + in.more[1] > 0 || dilated)) {
    Inexact("has a pool that is dilated or has other padding above than on the left", node);
  }
  made->oh = static_cast<int>(out[0]);
  made->ow = static_cast<int>(out[1]);
  made->stride = static_cast<int>(stride);
  made->pad = static_cast<int>(pad);
  made->r = static_cast<int>(in.effective(0) + (conv ? in.more[0] : 0));
  made->s = static_cast<int>(in.effective(1) + (conv ? in.more[1] : 0));

  // What it costs: the taps as they are, with a symmetric padding that gives the same output, else
  // on a map that lies in memory with its border.
  Extra& extra = OpenExtra();
  LayerShape& layer = extra.layer;
  layer.kind = conv                               ? LayerKind::kConv
               : made->kind == NodeKind::kMaxPool ? LayerKind::kMaxPool
                                                  : LayerKind::kAvgPool;
  layer.bias = conv;
  layer.h = made->h;
  layer.w = made->w;
  layer.c = made->c;
  layer.k = made->k;
  layer.groups = made->groups;
  layer.r = static_cast<int>(in.size[0]);
  layer.s = static_cast<int>(in.size[1]);
  layer.stride = made->stride;
  layer.pad = made->pad;
  const auto same = [&] { return layer.oh() == made->oh && layer.ow() == made->ow; };
  if (!same()) {
    layer.pad = 0;
    while (layer.oh() < made->oh || layer.ow() < made->ow) ++layer.pad;
  }
  if (!same()) {
    layer.pad = 0;
    layer.h = static_cast<int>((out[0] - 1) * stride + in.size[0]);
    layer.w = static_cast<int>((out[1] - 1) * stride + in.size[1]);
  }
  extra.has_layer = layer.h != made->h || layer.w != made->w || layer.r != made->r ||
                    layer.s != made->s || layer.pad != made->pad;
  return true;
}

bool OnnxImporter::Conv(const OnnxNode& node) {
  const OnnxValue* in = InputAt(node, 0);
  in = MapAt(node, 0, in != nullptr && in->border_value == 0);
  if (in == nullptr) return false;
  const ConstTensor* weight = ConstantAt(node, 1);
  if (weight == nullptr) return Fail("its filter is computed from the image");
  const ConstTensor* bias = ConstantAt(node, 2);
  if (bias == nullptr && InputAt(node, 2) != nullptr) return Fail("its bias is no constant");
  const Dims& d = weight->dims;
  const size_t rank = in->dims.size();
  if (!IsPlain(*in) || rank < 3 || in->channels_last) return Fail("on an input of ", &in->dims);
  Node& made = Open(*in, NodeKind::kConv);
  const int64_t groups = node.Int("group", 1);
  if (d.size() != rank || d[0] < 1 || groups < 1 || groups > made.c || made.c % groups != 0 ||
      d[0] % groups != 0 || d[0] > 16 * kMostWindow || d[1] != made.c / groups ||
      (bias != nullptr && CountOf(bias->dims) != d[0])) {
    return Fail("channels that do not fit: its filter is ", &d);
  }
  made.groups = static_cast<int>(groups);
  made.k = static_cast<int>(d[0]);
  OnnxWindow window;
  for (size_t i = 2; i < rank; ++i) window.size[i - 2] = d[i];
  if (!ReadWindow(node, *in, &window) || !Fit(node, &window, &made)) return false;
  params_ += CountOf(d) + (bias != nullptr ? made.k : 0);
  if (options_.weights) {
    const double size = double{1} * made.r * made.s * static_cast<double>(d[1]) * made.k;
    if (!weight->known || (bias != nullptr && !bias->known)) {
      weights_known_ = false;
    } else if (size > static_cast<double>(budget_)) {
      Inexact("has a filter that is out of all proportion with its zeros", node);
    } else {
      budget_ -= static_cast<int64_t>(size);
      made.filter.assign(static_cast<size_t>(size), 0);
      // [k, c / groups, r, s] -> [r, s, c / groups, k], zeros before and between.
      const auto r = static_cast<size_t>(window.size[0]), s = static_cast<size_t>(window.size[1]);
      const auto per_in = static_cast<size_t>(d[1]), k = static_cast<size_t>(made.k);
      for (size_t from = 0; from < weight->values.size(); ++from) {
        const size_t row = static_cast<size_t>(window.more[0]) +
                           from / s % r * static_cast<size_t>(window.dilation[0]);
        const size_t col = static_cast<size_t>(window.more[1]) +
                           from % s * static_cast<size_t>(window.dilation[1]);
        const size_t to = (row * static_cast<size_t>(made.s) + col) * per_in * k +
                          from / (r * s) % per_in * k + from / (r * s * per_in);
        made.filter[to] = static_cast<float>(weight->values[from]);
      }
    }
    made.bias.assign(static_cast<size_t>(made.k), 0);
    for (size_t k = 0; bias != nullptr && k < bias->values.size(); ++k) {
      made.bias[k] = static_cast<float>(bias->values[k]);
    }
  }
  return CloseMap(node, *in);
}

bool OnnxImporter::Pool(const OnnxNode& node) {
  const bool largest = node.type == "MaxPool";
  if (node.outputs.size() > 1 && Readers(node.outputs[1]) > 0) return Fail("its indices are used");
  const OnnxValue* in = InputAt(node, 0);
  // Padding never wins in a largest tap: a border of zeros does as much only where nothing is below
  // 0.
  const bool zero = in != nullptr && in->is_map() && in->border_value == 0;
  const bool border = zero ? !largest || !in->bordered() || NeverNegative(in->node)
                           : largest && in != nullptr && in->border_value < -1e30;
  in = MapAt(node, 0, border);
  if (in == nullptr) return false;
  const OnnxAttribute* kernel = node.Find("kernel_shape");
  const size_t rank = in->dims.size();
  if (!IsPlain(*in) || rank < 3 || kernel == nullptr || kernel->ints.size() != rank - 2 ||
      in->channels_last) {
    return Fail("on an input of ", &in->dims);
  }
  OnnxWindow window;
  for (size_t i = 0; i + 2 < rank; ++i) window.size[i] = kernel->ints[i];
  if (!ReadWindow(node, *in, &window)) return false;
  int64_t padding = 0, border_padding = 0;
  for (int side = 0; side < 4; ++side) {
    padding += window.pads[side];
    border_padding += in->border[side];
  }
  const Node& from = GraphNode(in->node);
  if (padding == 0 && !largest && window.size[0] == from.oh && window.size[1] == from.ow) {
    Dims dims = in->dims;
    for (size_t i = 2; i < rank; ++i) dims[i] = 1;
    return WholeMap(node, *in, false, dims);
  }
  const bool copy = padding == 0 && window.size[0] == 1 && window.size[1] == 1;
  if (copy && window.stride[0] == 1 && window.stride[1] == 1) return View(node, *in, in->dims);
  Node& made = Open(*in, largest ? NodeKind::kMaxPool : NodeKind::kAvgPool);
  if (!Fit(node, &window, &made)) return false;
  if (copy) {
    made.kind = NodeKind::kSubsample;
    OpenExtra().has_layer = false;
  }
  const int sizes[2] = {made.h, made.w}, out[2] = {made.oh, made.ow};
  bool counted = node.Int("count_include_pad", 0) != 0 || padding == border_padding;
  for (int i = 0; i < 2; ++i) {  // taps beyond the padding, where sizes are rounded up
    counted = counted && (out[i] - 1) * window.stride[i] + window.size[i] <=
                             sizes[i] + window.pads[i] + window.pads[i + 2];
  }
  if (!largest && !counted) Inexact("leaves padding out of averages, a graph counts it,", node);
  return CloseMap(node, *in);
}

bool OnnxImporter::GlobalPool(const OnnxNode& node) {
  const OnnxValue* in = MapAt(node, 0);
  if (in == nullptr) return false;
  if (!IsPlain(*in) || in->channels_last) return Fail("on an input of ", &in->dims);
  Dims dims = in->dims;
  for (size_t i = 2; i < dims.size(); ++i) dims[i] = 1;
  return WholeMap(node, *in, node.type == "GlobalMaxPool", dims);
}

// Over all pixels.
bool OnnxImporter::Reduce(const OnnxNode& node) {
  const OnnxValue* in = MapAt(node, 0);
  if (in == nullptr) return false;
  const size_t rank = in->dims.size(), channel = in->channels_last ? rank - 1 : 1;
  Dims axes, dims;
  bool fits = IntsOf(node, ConstantsOf(node), 1, "axes", &axes) && rank >= 2 && rank < 64 &&
              in->dims[channel] == GraphNode(in->node).k;
  uint64_t over = 0;
  for (int64_t axis : axes) {
    size_t at = 0;
    fits = fits && NormaliseAxis(axis, rank, &at);
    over |= uint64_t{1} << at;
  }
  for (size_t i = 0; fits && i < rank; ++i) {
    const bool reduced = (over >> i & 1) != 0;
    fits = reduced == (i != 0 && i != channel) || in->dims[i] == 1;
    if (!reduced || node.Int("keepdims", 1) != 0) dims.push_back(reduced ? 1 : in->dims[i]);
  }
  if (!fits) return Fail("not over all pixels of a map");
  if (node.type == "ReduceSum") {
    // A mean where the next node divides by the number of pixels, more or less.
    const Node& from = GraphNode(in->node);
    const std::vector<int>& readers = uses_[static_cast<size_t>(node.outputs[0])];
    const OnnxNode* next = readers.size() == 1 && readers[0] >= 0
                               ? &file_.nodes[static_cast<size_t>(readers[0])]
                               : nullptr;
    const ConstTensor* factor = next != nullptr ? ConstantAt(*next, 1) : nullptr;
    if (factor == nullptr || next->type != "Mul" || !factor->single() ||
        std::fabs(factor->values[0] * from.oh * from.ow - 1) > 0.02) {
      return Fail("a sum over pixels that is not divided by their number");
    }
    part_[static_cast<size_t>(readers[0])] = 1;
    OnnxNode mean = node;
    mean.outputs = next->outputs;
    return WholeMap(mean, *in, false, dims);
  }
  return WholeMap(node, *in, node.type == "ReduceMax", dims);
}

bool OnnxImporter::WholeMap(const OnnxNode& node, const OnnxValue& in, bool largest,
                            const Dims& dims) {
  const Node& from = GraphNode(in.node);
  if (from.oh == 1 && from.ow == 1) return View(node, in, dims);
  Node& made = Open(in, largest ? NodeKind::kMaxPool : NodeKind::kGlobalAvgPool);
  made.r = made.h;
  made.s = made.w;
  made.oh = made.ow = 1;
  OnnxValue like;
  return Close(node, like, dims);
}

}  // namespace rhnas::nn
