// Operators that move or rename: shapes, layouts, borders, channels put together.
#include <algorithm>

#include "nn/onnx_importer.h"

namespace rhnas::nn {

// Read through. A range that begins at 0 is what is left of a ReLU.
bool OnnxImporter::Quantize(const OnnxNode& node) {
  const OnnxValue* in = InputAt(node, 0);
  if (in == nullptr || !in->is_map()) return Fail("of anything but a map");
  const ConstTensor* zero = ConstantAt(node, 2);
  if (node.type == "QuantizeLinear" && zero != nullptr && zero->single()) {
    const NodeKind kind = GraphNode(in->node).kind;
    const bool computes =
        kind == NodeKind::kConv || kind == NodeKind::kDense || kind == NodeKind::kAdd;
    const bool lowest = (zero->type == kOnnxUint8 && zero->values[0] == 0) ||
                        (zero->type == kOnnxInt8 && zero->values[0] == -128);
    if (lowest && computes && OnlyReader(*in) && !in->bordered() &&
        GraphNode(in->node).activation == engine::Activation::kNone) {
      return ActivateAs(node, *in, engine::Activation::kRelu);
    }
  }
  return View(node, *in, in->dims);
}

// Reshape, Flatten, Squeeze, Unsqueeze; Identity, Dropout, Cast.
bool OnnxImporter::Rename(const OnnxNode& node) {
  const OnnxValue* in = InputAt(node, 0);
  if (in == nullptr || !in->is_map()) return Fail("of anything but a map");
  Dims dims;
  if (!RenamedDims(node, ConstantsOf(node), in->dims, &dims)) {
    return Fail("to a shape that is no constant or does not fit ", &in->dims);
  }
  if (in->bordered() && dims != in->dims) {
    in = MapAt(node, 0);
    if (in == nullptr) return false;
  }
  return View(node, *in, dims);
}

bool OnnxImporter::Transpose(const OnnxNode& node) {
  const OnnxValue* in = MapAt(node, 0);
  if (in == nullptr) return false;
  const Dims& d = in->dims;
  const size_t rank = d.size();
  std::vector<size_t> perm;
  if (!PermOf(node, rank, &perm)) return Fail("an order that does not fit ", &d);
  Dims dims;
  bool keeps = true;  // the order of what is more than one
  size_t before = 0;
  int descents = 0;  // places where the order goes down
  for (size_t i = 0; i < rank; ++i) {
    dims.push_back(d[perm[i]]);
    if (i > 0 && perm[i] < perm[i - 1]) ++descents;
    if (dims[i] == 1) continue;
    keeps = keeps && perm[i] >= before;
    before = perm[i];
  }
  if (keeps) return View(node, *in, dims);
  if (rank >= 3 && perm[0] == 0 && descents == 1) {
    const int k = GraphNode(in->node).k;
    // Channels from behind the pixels to the front, or back.
    const bool front = perm[1] == rank - 1 && in->channels_last && dims[1] == k;
    const bool back = perm[rank - 1] == 1 && !in->channels_last && d[1] == k;
    if (front || back) {
      OnnxValue turned = *in;
      turned.channels_last = back;
      return View(node, turned, dims);
    }
    // [n, g, c / g, pixels..] -> [n, c / g, g, pixels..]: a channel shuffle.
    if (!in->channels_last && rank >= 4 && perm[1] == 2 && perm[2] == 1 && d[1] * d[2] == k) {
      Open(*in, NodeKind::kShuffle).groups = static_cast<int>(d[1]);
      return Close(node, *in, dims);
    }
  }
  return Fail("neither of layouts nor of groups of channels: ", &d);
}

bool OnnxImporter::Shape(const OnnxNode& node) {
  ConstTensor like, made;
  like.dims = InputAt(node, 0)->dims;
  const Constants inputs(1, &like);
  if (!FoldOnnx(node, inputs, &budget_, &made, &why_)) return false;
  SetConstant(node.outputs[0], &made);
  return true;
}

bool OnnxImporter::Pad(const OnnxNode& node) {
  const OnnxValue* in = InputAt(node, 0);
  if (in == nullptr || !in->is_map()) return Fail("of anything but a map");
  const Constants constants = ConstantsOf(node);
  const size_t rank = in->dims.size();
  Dims pads, axes;
  double value = node.Real("value", 0);
  const ConstTensor* given = ConstantAt(node, 2);
  if (given != nullptr && given->single()) value = given->values[0];
  if (!IntsOf(node, constants, 1, "pads", &pads) || node.Text("mode", "constant") != "constant" ||
      (given != nullptr && !given->single())) {
    return Fail("of another mode than constant, or by what is no constant");
  }
  if (!IntsOf(node, constants, 3, "axes", &axes)) {
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  }
  bool fits = pads.size() == 2 * axes.size() && rank >= 3 && IsPlain(*in);
  int64_t ends[4][2] = {}, total = 0;
  for (size_t i = 0; fits && i < axes.size(); ++i) {
    size_t at = 0;
    fits = NormaliseAxis(axes[i], rank, &at);
    for (size_t end = 0; fits && end < 2; ++end) {
      const int64_t pad = pads[i + end * axes.size()];
      fits = pad >= 0 && pad <= 65536;
      ends[at][end] = pad;
      total += pad;
    }
  }
  const size_t channel = ChannelAxis(*in);
  const int64_t channels = fits ? ends[channel][0] + ends[channel][1] : 0;
  if (!fits || ends[0][0] + ends[0][1] > 0 || (channels > 0 && (channels < total || value != 0))) {
    return Fail("of anything but the pixels, or the channels with zeros, of ", &in->dims);
  }
  if (channels > 0) {
    in = MapAt(node, 0);
    return in != nullptr && PadChannels(node, *in, ends[channel][0], ends[channel][1]);
  }
  if (in->bordered() && in->border_value != value) {
    in = MapAt(node, 0);
    if (in == nullptr) return false;
  }
  OnnxValue padded = *in;
  padded.border_value = value;
  const size_t row = in->channels_last ? 1 : 2;
  for (size_t i = 0; i + 2 < rank; ++i) {
    for (size_t end = 0; end < 2; ++end) {
      padded.border[i + 2 * end] += static_cast<int>(ends[row + i][end]);
      padded.dims[row + i] += ends[row + i][end];
    }
  }
  return View(node, padded, padded.dims);
}

// Channels of zeros: behind, as in a shortcut of He et al. (option A); in front of them too, by a
// 1x1 convolution of ones and zeros, which costs no more.
bool OnnxImporter::PadChannels(const OnnxNode& node, const OnnxValue& in, int64_t before,
                               int64_t after) {
  const Node& from = GraphNode(in.node);
  const int c = from.k, k = static_cast<int>(c + before + after);
  Dims dims = in.dims;
  dims[ChannelAxis(in)] = k;
  if (before == 0 && from.kind == NodeKind::kSubsample && from.k == from.c && OnlyReader(in) &&
      from.activation == engine::Activation::kNone) {
    GraphNode(in.node).k = k;
    return View(node, in, dims);
  }
  Node& made = Open(in, before == 0 ? NodeKind::kSubsample : NodeKind::kConv);
  made.k = k;
  if (before > 0) {
    OpenExtra().free = true;
    const int64_t size = int64_t{c} * k;
    if (size > budget_) return Fail("of too many channels");
    if (options_.weights) {
      budget_ -= size;
      made.filter.assign(static_cast<size_t>(size), 0);
      made.bias.assign(static_cast<size_t>(k), 0);
      for (int64_t i = 0; i < c; ++i) made.filter[static_cast<size_t>(i * k + before + i)] = 1;
    }
  }
  return Close(node, in, dims);
}

bool OnnxImporter::Slice(const OnnxNode& node) {
  const OnnxValue* in = MapAt(node, 0);
  if (in == nullptr) return false;
  const Dims& d = in->dims;
  std::vector<SliceAxis> axes;
  if (!SliceAxes(node, ConstantsOf(node), d, &axes)) return Fail("its bounds are no constants");
  // Every step-th row and column, in one Slice or in two; nothing else.
  const size_t row = in->channels_last ? 1 : 2;
  int64_t step[2] = {1, 1};
  step[in->step_axis] = in->step;
  Dims dims = d;
  bool whole = true;
  for (size_t i = 0; i < d.size(); ++i) {
    const SliceAxis& axis = axes[i];
    dims[i] = axis.count;
    if (axis.count == d[i] && (axis.step == 1 || axis.count == 1)) continue;
    whole = false;
    if (i < row || i > row + 1 || step[i - row] != 1 || axis.start != 0 || axis.step < 2 ||
        axis.step > 65536 || axis.count != (d[i] + axis.step - 1) / axis.step) {
      return Fail("a part of ", &d);
    }
    step[i - row] = axis.step;
  }
  if (whole) return View(node, *in, d);
  OnnxValue like = *in;
  like.step = 1;
  like.step_axis = 0;
  const Node& from = GraphNode(in->node);
  const bool line = from.oh == 1 || from.ow == 1;
  if (d.size() != 4 || from.k != d[ChannelAxis(*in)]) return Fail("a part of ", &d);
  if (step[0] != step[1] && !line) {
    if (step[0] != 1 && step[1] != 1) return Fail("of two strides, of ", &d);
    like.step_axis = step[0] == 1 ? 1 : 0;
    like.step = step[like.step_axis];
    return View(node, like, dims);
  }
  Node& made = Open(*in, NodeKind::kSubsample);
  made.stride = static_cast<int>(std::max(step[0], step[1]));
  made.oh = static_cast<int>(dims[row]);
  made.ow = static_cast<int>(dims[row + 1]);
  return Close(node, like, dims);
}

bool OnnxImporter::Concat(const OnnxNode& node) {
  const OnnxValue* first = nullptr;
  int64_t zeros[2] = {0, 0}, channels = 0;  // constant channels before and behind
  std::vector<int> inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (const ConstTensor* constant = ConstantAt(node, i)) {
      bool zero = constant->known && constant->dims.size() == 4;
      for (double x : constant->values) zero = zero && x == 0;
      if (!zero) return Fail("of a map and a constant that is not 0");
      zeros[first == nullptr ? 0 : 1] += constant->dims[1];
      continue;
    }
    const OnnxValue* value = MapAt(node, i);
    if (value == nullptr) return false;
    if (first == nullptr) first = value;
    size_t axis = 0;
    const Node& from = GraphNode(value->node);
    const Node& start = GraphNode(first->node);
    if (!NormaliseAxis(node.Int("axis", 1), value->dims.size(), &axis) || !IsPlain(*value) ||
        axis != ChannelAxis(*value) || from.oh != start.oh || from.ow != start.ow ||
        value->dims.size() != first->dims.size() || value->channels_last != first->channels_last) {
      return Fail("not along the channels of maps of one size: ", &value->dims);
    }
    inputs.push_back(value->node);
    channels += from.k;
  }
  if (first == nullptr || channels + zeros[0] + zeros[1] > (int64_t{1} << 20)) {
    return Fail("of no map, or of too many channels");
  }
  if (inputs.size() == 1) {
    return zeros[0] + zeros[1] > 0 ? PadChannels(node, *first, zeros[0], zeros[1])
                                   : View(node, *first, first->dims);
  }
  if (zeros[0] + zeros[1] > 0) return Fail("of several maps and zeros");
  Node& made = Open(*first, NodeKind::kConcat);
  made.inputs = inputs;
  made.c = made.k = static_cast<int>(channels);
  return CloseMap(node, *first);
}

}  // namespace rhnas::nn
