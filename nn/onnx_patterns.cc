// What is seen before the walk: a hard swish that is spelt out, what comes after the last layer,
// the layout of the image.
#include <cmath>

#include "nn/onnx_importer.h"

namespace rhnas::nn {

namespace {

bool Near(double a, double b) { return std::fabs(a - b) <= 1e-3 * std::fabs(b); }

}  // namespace

// A constant of one value, near this one.
bool OnnxImporter::ScalarIs(int value, double expected) const {
  const int constant = values_[static_cast<size_t>(value)].constant;
  if (constant >= 0) {
    const ConstTensor& known = constants_[static_cast<size_t>(constant)];
    return known.single() && Near(known.values[0], expected);
  }
  const OnnxNode* node = MakerOf(value);
  ConstTensor made;
  int64_t budget = 16;
  std::string why;
  return node != nullptr && node->type == "Constant" && FoldOnnx(*node, {}, &budget, &made, &why) &&
         made.single() && Near(made.values[0], expected);
}

const OnnxNode* OnnxImporter::MakerOf(int value) const {
  const int maker = maker_[static_cast<size_t>(value)];
  return value == 0 || maker < 0 ? nullptr : &file_.nodes[static_cast<size_t>(maker)];
}

// Of a division by 6 what is divided, else 0.
int OnnxImporter::SixthOf(const OnnxNode& node) const {
  if (node.inputs.size() != 2) return 0;
  const int a = node.inputs[0], b = node.inputs[1];
  if (node.type == "Div") return ScalarIs(b, 6) ? a : 0;
  if (node.type != "Mul") return 0;
  return ScalarIs(b, 1.0 / 6) ? a : ScalarIs(a, 1.0 / 6) ? b : 0;
}

// The node in which x relu6(x + 3) / 6 ends: the product x t, or a division behind it; -1: it is no
// such product. Marks the other nodes as its parts.
// Source: Howard et al., "Searching for MobileNetV3", arXiv 1905.02244, section 5.2; PyTorch writes
// it so below opset 14.
int OnnxImporter::HardSwishEnd(const OnnxNode& product, int x, int t) {
  std::vector<int> parts;
  // The node that makes a value which nobody else reads.
  const auto inside = [&](int value) -> const OnnxNode* {
    const OnnxNode* maker = MakerOf(value);
    if (maker == nullptr || Readers(value) != 1) return nullptr;
    parts.push_back(maker_[static_cast<size_t>(value)]);
    return maker;
  };
  const OnnxNode* clip = inside(t);
  if (clip == nullptr || clip->inputs.empty()) return -1;
  bool scaled = false;
  if (const int before = SixthOf(*clip); before != 0) {
    scaled = true;
    clip = inside(before);
    if (clip == nullptr || clip->inputs.empty()) return -1;
  }
  if (clip->type == "HardSigmoid") {
    // PyTorch's alpha; the operator's own default is 0.2.
    if (scaled || clip->inputs[0] != x || !Near(clip->Real("alpha", 0.2), 1.0 / 6) ||
        !Near(clip->Real("beta", 0.5), 0.5)) {
      return -1;
    }
    scaled = true;
  } else {
    const OnnxNode* sum = clip->type == "Clip" ? inside(clip->inputs[0]) : nullptr;
    const size_t bounds = clip->inputs.size();
    const bool to_six = bounds > 2 ? ScalarIs(clip->inputs[2], 6) : Near(clip->Real("max", 0), 6);
    const bool from_zero = bounds > 1 ? ScalarIs(clip->inputs[1], 0) : clip->Real("min", -1) == 0;
    if (sum == nullptr || sum->type != "Add" || sum->inputs.size() != 2 || !to_six || !from_zero) {
      return -1;
    }
    const int a = sum->inputs[0], b = sum->inputs[1];
    if (!(a == x && ScalarIs(b, 3)) && !(b == x && ScalarIs(a, 3))) return -1;
  }
  int last = maker_[static_cast<size_t>(product.outputs[0])];
  const std::vector<int>& readers = uses_[static_cast<size_t>(product.outputs[0])];
  if (!scaled) {
    if (readers.size() != 1 || readers[0] < 0) return -1;
    const int product_number = last;
    last = readers[0];
    if (SixthOf(file_.nodes[static_cast<size_t>(last)]) != product.outputs[0]) return -1;
    part_[static_cast<size_t>(product_number)] = 1;
  }
  for (int part : parts) part_[static_cast<size_t>(part)] = 1;
  // x had two readers, the product and a part, and has one now.
  std::vector<int>& of_x = uses_[static_cast<size_t>(x)];
  for (size_t i = 0; i < of_x.size(); ++i) {
    if (of_x[i] != parts.back()) continue;
    of_x.erase(of_x.begin() + static_cast<long>(i));
    break;
  }
  return last;
}

void OnnxImporter::FindPatterns() {
  for (size_t i = 0; i < file_.nodes.size(); ++i) {
    const OnnxNode& node = file_.nodes[i];
    if (live_[i] == 0 || node.type != "Mul" || node.inputs.size() != 2 || node.outputs.empty()) {
      continue;
    }
    for (size_t side = 0; side < 2; ++side) {
      const int x = node.inputs[side];
      const int last = HardSwishEnd(node, x, node.inputs[1 - side]);
      if (last < 0) continue;
      hard_swish_[static_cast<size_t>(last)] = x;
      break;
    }
  }
}

// What stands behind the last layer: all that reads it does no more than classify.
void OnnxImporter::FindTail() {
  static constexpr const char* kTypes[] = {
      "Softmax", "LogSoftmax", "Sigmoid", "ArgMax",    "TopK",           "Identity",        "Cast",
      "Reshape", "Flatten",    "Squeeze", "Unsqueeze", "QuantizeLinear", "DequantizeLinear"};
  for (size_t i = file_.nodes.size(); i-- > 0;) {
    if (live_[i] == 0) continue;
    bool ends = false;
    for (const char* type : kTypes) ends = ends || file_.nodes[i].type == type;
    for (int output : file_.nodes[i].outputs) {
      for (int reader : uses_[static_cast<size_t>(output)]) {
        ends = ends && (reader < 0 || tail_[static_cast<size_t>(reader)] != 0);
      }
    }
    tail_[i] = ends ? 1 : 0;
  }
}

// Models from TensorFlow take [n, h, w, c] and turn it before the first layer.
void OnnxImporter::FindInputLayout() {
  static constexpr const char* kElementwise[] = {
      "Cast", "Identity", "Add", "Sub", "Mul", "Div", "QuantizeLinear", "DequantizeLinear"};
  std::vector<char> image(file_.names.size(), 0);
  for (const OnnxValueInfo& input : file_.inputs) {
    if (values_[static_cast<size_t>(input.value)].constant < 0) {
      image[static_cast<size_t>(input.value)] = 1;
    }
  }
  for (size_t i = 0; i < file_.nodes.size(); ++i) {
    const OnnxNode& node = file_.nodes[i];
    bool reads = false;
    for (int input : node.inputs) reads = reads || image[static_cast<size_t>(input)] != 0;
    if (!reads || live_[i] == 0 || node.outputs.empty()) continue;
    if (node.type == "Transpose") {
      const OnnxAttribute* perm = node.Find("perm");
      input_last_ = perm != nullptr && perm->ints == Dims{0, 3, 1, 2};
      return;
    }
    for (const char* type : kElementwise) {
      if (node.type == type) image[static_cast<size_t>(node.outputs[0])] = 1;
    }
  }
}

}  // namespace rhnas::nn
