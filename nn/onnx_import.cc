// The walk over a file: constants, the input, what is not supported, the finished graph and layers.
#include "nn/onnx_import.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/archive.h"
#include "nn/onnx_importer.h"

namespace rhnas::nn {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

// Constants up to so many elements are unpacked for layers as well: shapes, bounds, scales.
constexpr int64_t kSmall = 4096;
// Of a map; products of two stay far within 64 bits.
constexpr int64_t kMostSize = int64_t{1} << 24;

bool OneOf(const std::string& type, const char* const* types, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (type == types[i]) return true;
  }
  return false;
}

// Rows, columns, channels of a tensor of these dimensions, the first the batch. False: too large.
bool MapOf(const Dims& dims, bool channels_last, Node* node) {
  int64_t sizes[3] = {1, 1, 1};  // c, h, w
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i == 0 && dims.size() > 1) continue;
    const bool channel = channels_last || dims.size() < 3 ? i + 1 == dims.size() : i == 1;
    int64_t& size = sizes[channel ? 0 : (channels_last ? i : i - 1) == 1 ? 1 : 2];
    if (dims[i] < 1 || dims[i] > kMostSize || size > kMostSize / dims[i]) return false;
    size *= dims[i];
  }
  node->c = node->k = static_cast<int>(sizes[0]);
  node->h = node->oh = static_cast<int>(sizes[1]);
  node->w = node->ow = static_cast<int>(sizes[2]);
  return static_cast<double>(sizes[0]) * static_cast<double>(sizes[1] * sizes[2]) < 1e12;
}

}  // namespace

std::vector<std::string> UnsupportedNames() { return {"fail", "skip", "host"}; }

OnnxImporter::OnnxImporter(const OnnxFile& file, const OnnxOptions& options, size_t file_bytes)
    : file_(file),
      options_(options),
      budget_(16 * static_cast<int64_t>(file_bytes) + (int64_t{1} << 22)) {}

Result<OnnxModel> OnnxImporter::Run(const std::string& name) {
  OnnxModel model;
  graph_.name = name;
  bool ok = Prepare() && Input();
  for (size_t i = 0; ok && i < file_.nodes.size(); ++i) ok = Visit(i);
  if (ok && !missing_.empty() && options_.unsupported == Unsupported::kFail) {
    return Status::Error(
        "%s. Costs can be had without: --unsupported skip (at no cost) or host (a copy of their "
        "maps)",
        MissingText().c_str());
  }
  if (!ok || !FinishGraph(&model)) return status_;
  return model;
}

bool OnnxImporter::Prepare() {
  const size_t count = file_.nodes.size();
  live_.assign(count, 0);
  part_.assign(count, 0);
  tail_.assign(count, 0);
  hard_swish_.assign(count, 0);
  values_.resize(file_.names.size());
  uses_.resize(file_.names.size());
  maker_.assign(file_.names.size(), -1);
  std::vector<int> open;  // values that something live reads
  for (size_t i = 0; i < count; ++i) {
    for (int output : file_.nodes[i].outputs) {
      if (output != 0) maker_[static_cast<size_t>(output)] = static_cast<int>(i);
    }
  }
  for (const OnnxValueInfo& output : file_.outputs) {
    uses_[static_cast<size_t>(output.value)].push_back(-1);
    open.push_back(output.value);
  }
  while (!open.empty()) {
    const int made = maker_[static_cast<size_t>(open.back())];
    open.pop_back();
    if (made < 0 || live_[static_cast<size_t>(made)] != 0) continue;
    live_[static_cast<size_t>(made)] = 1;
    const OnnxNode& node = file_.nodes[static_cast<size_t>(made)];
    open.insert(open.end(), node.inputs.begin(), node.inputs.end());
  }
  for (size_t i = 0; i < count; ++i) {
    const OnnxNode& node = file_.nodes[i];
    // A shape is known before anything runs.
    if (live_[i] == 0 || node.type == "Shape" || node.type == "Size") continue;
    for (int input : node.inputs) {
      if (input != 0) uses_[static_cast<size_t>(input)].push_back(static_cast<int>(i));
    }
  }
  for (const OnnxTensor& tensor : file_.initializers) {
    const int64_t elements = CountOf(tensor.dims);
    ConstTensor constant;
    constant.dims = tensor.dims;
    constant.real = IsOnnxReal(tensor.type);
    constant.type = tensor.type;
    constant.known =
        !tensor.external && (options_.weights || elements <= kSmall) && Readers(tensor.value) > 0;
    if (tensor.external) weights_known_ = false;
    why_ = "has a negative size";
    if (elements < 0 ||
        (constant.known && !OnnxNumbers(tensor, elements, &constant.values, &why_))) {
      status_ = Status::Error("initializer %s %s",
                              file_.names[static_cast<size_t>(tensor.value)].c_str(), why_.c_str());
      return false;
    }
    SetConstant(tensor.value, &constant);
  }
  FindInputLayout();
  FindPatterns();
  FindTail();
  return true;
}

bool OnnxImporter::Input() {
  const OnnxValueInfo* image = nullptr;
  for (const OnnxValueInfo& input : file_.inputs) {
    if (input.value == 0 || values_[static_cast<size_t>(input.value)].constant >= 0 ||
        Readers(input.value) == 0) {
      continue;
    }
    if (image != nullptr) {
      status_ = Status::Error("has more than one input (%s and %s), expected one image",
                              file_.names[static_cast<size_t>(image->value)].c_str(),
                              file_.names[static_cast<size_t>(input.value)].c_str());
      return false;
    }
    image = &input;
  }
  if (image == nullptr) {
    status_ = Status::Error("has no input that its output depends on");
    return false;
  }
  OnnxValue value;
  value.channels_last = input_last_;
  value.node = 0;
  value.dims = image->dims;
  const size_t rank = value.dims.size();
  bool fixed = true;
  for (size_t i = 0; i < rank; ++i) {
    int64_t& size = value.dims[i];
    const bool channel = i == (input_last_ ? rank - 1 : 1);
    if (i == 0 && size < 0) size = 1;
    if (i > 0 && rank > 2 && !channel && options_.resolution > 0) size = options_.resolution;
    if (channel && size < 0 && options_.channels > 0) size = options_.channels;
    fixed = fixed && size > 0;
  }
  graph_.nodes.emplace_back();
  Node& node = graph_.nodes[0];
  node.name = "image";
  node.kind = NodeKind::kInput;
  if (rank < 2 || rank > 4 || !fixed || !MapOf(value.dims, input_last_, &node)) {
    status_ = Status::Error(
        "input %s has the shape %s, expected [batch, channels, height, width]; sizes that are open "
        "are given with --resolution and --channels",
        file_.names[static_cast<size_t>(image->value)].c_str(), DimsText(image->dims).c_str());
    return false;
  }
  names_.emplace(node.name, 0);
  extra_.emplace_back();
  extra_[0].readers = Readers(image->value);
  Set(image->value, value);
  return true;
}

bool OnnxImporter::Visit(size_t number) {
  const OnnxNode& node = file_.nodes[number];
  if (live_[number] == 0 || part_[number] != 0 || node.outputs.empty()) return true;
  why_.clear();
  bool constant = true;
  const OnnxValue* ended = nullptr;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const OnnxValue* value = InputAt(node, i);
    if (value != nullptr) {
      constant = constant && !value->is_map();
      if (value->tail) ended = value;
      continue;
    }
    const int input = node.inputs[i], made = maker_[static_cast<size_t>(input)];
    if (input == 0 || (made >= 0 && part_[static_cast<size_t>(made)] != 0)) continue;
    status_ = Status::Error("%s reads \"%s\", which no node before it makes", Title(node).c_str(),
                            file_.names[static_cast<size_t>(input)].c_str());
    return false;
  }
  if (hard_swish_[number] != 0) {
    const OnnxValue& x = values_[static_cast<size_t>(hard_swish_[number])];
    if (x.is_map()) return ActivateAs(node, x, engine::Activation::kHSwish);
  }
  if (ended != nullptr) return View(node, *ended, ended->dims);
  const bool quantizer = node.type == "QuantizeLinear" || node.type == "DequantizeLinear";
  if (!node.domain.empty() && node.domain != "ai.onnx" && !quantizer) {
    why_ = "of domain " + node.domain;
    return NotSupported(node);
  }
  if (constant) {
    ConstTensor made;
    if (!FoldOnnx(node, ConstantsOf(node), &budget_, &made, &why_)) return NotSupported(node);
    SetConstant(node.outputs[0], &made);
    return true;
  }
  const OnnxValue* in = InputAt(node, 0);
  static constexpr const char* kEnds[] = {"Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "TopK"};
  if (tail_[number] != 0 && OneOf(node.type, kEnds, std::size(kEnds)) && in != nullptr) {
    notes_.push_back(Title(node) + " ends the network: left to the host, not costed");
    OnnxValue value = *in;
    value.tail = true;
    for (int output : node.outputs) Set(output, value);
    return true;
  }
  const Handler handler = HandlerOf(node.type);
  if (handler != nullptr && (this->*handler)(node)) return true;
  if (open_) {
    graph_.nodes.pop_back();
    extra_.pop_back();
    open_ = false;
  }
  return NotSupported(node);
}

OnnxImporter::Handler OnnxImporter::HandlerOf(const std::string& type) {
  static constexpr const char* kTypes[] = {"Conv",
                                           "Gemm",
                                           "MatMul",
                                           "MaxPool",
                                           "AveragePool",
                                           "Add",
                                           "Sub",
                                           "Mul",
                                           "Div",
                                           "GlobalAveragePool",
                                           "Sum",
                                           "Relu",
                                           "Clip",
                                           "HardSwish",
                                           "GlobalMaxPool",
                                           "Identity",
                                           "Dropout",
                                           "Cast",
                                           "QuantizeLinear",
                                           "DequantizeLinear",
                                           "Reshape",
                                           "Flatten",
                                           "Squeeze",
                                           "Unsqueeze",
                                           "BatchNormalization",
                                           "Transpose",
                                           "Shape",
                                           "Size",
                                           "Pad",
                                           "Slice",
                                           "Concat",
                                           "ReduceMean",
                                           "ReduceMax",
                                           "ReduceSum"};
  size_t at = 0;
  while (at < std::size(kTypes) && type != kTypes[at]) ++at;
  switch (at) {
    case 0:
      return &OnnxImporter::Conv;
    case 1:
      return &OnnxImporter::Gemm;
    case 2:
      return &OnnxImporter::MatMul;
    case 3:
    case 4:
      return &OnnxImporter::Pool;
    case 5:
    case 6:
    case 7:
    case 8:
      return &OnnxImporter::Arithmetic;
    case 9:
    case 14:
      return &OnnxImporter::GlobalPool;
    case 10:
      return &OnnxImporter::AddMaps;
    case 11:
    case 12:
    case 13:
      return &OnnxImporter::Activate;
    case 18:
    case 19:
      return &OnnxImporter::Quantize;
    case 15:
    case 16:
    case 17:
    case 20:
    case 21:
    case 22:
    case 23:
      return &OnnxImporter::Rename;
    case 24:
      return &OnnxImporter::BatchNorm;
    case 25:
      return &OnnxImporter::Transpose;
    case 26:
    case 27:
      return &OnnxImporter::Shape;
    case 28:
      return &OnnxImporter::Pad;
    case 29:
      return &OnnxImporter::Slice;
    case 30:
      return &OnnxImporter::Concat;
    case 31:
    case 32:
    case 33:
      return &OnnxImporter::Reduce;
    default:
      return nullptr;
  }
}

bool OnnxImporter::NotSupported(const OnnxNode& node) {
  const std::string what = why_.empty() ? node.type : node.type + ": " + why_;
  size_t at = 0;
  while (at < missing_.size() && missing_[at].what != what) ++at;
  if (at == missing_.size()) {
    missing_.emplace_back();
    missing_[at].what = what;
    missing_[at].node = NameOf(node);
  }
  ++missing_[at].count;

  const OnnxValue* in = nullptr;
  for (size_t i = 0; i < node.inputs.size() && in == nullptr; ++i) {
    in = InputAt(node, i);
    if (in != nullptr && !in->is_map()) in = nullptr;
  }
  const bool skip = options_.unsupported != Unsupported::kHost;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (Readers(node.outputs[i]) == 0) continue;
    Dims dims;
    Node sizes;
    if (!OutputDims(node, i, &dims) || !MapOf(dims, in != nullptr && in->channels_last, &sizes)) {
      status_ = Status::Error(
          "%s; no shape of the output of %s is known, and so nothing behind it "
          "(onnx.shape_inference writes shapes into a file)",
          MissingText().c_str(), NameOf(node).c_str());
      return false;
    }
    if (in == nullptr) {  // a constant that is not known
      ConstTensor constant;
      constant.dims = dims;
      constant.real = true;
      SetConstant(node.outputs[i], &constant);
      continue;
    }
    OnnxNode part;
    part.name = NameOf(node) + (skip ? "" : " (host)");
    part.outputs.push_back(node.outputs[i]);
    if (skip && i == 0 && dims == in->dims && node.outputs.size() == 1) {
      return View(part, *in, dims);
    }
    const Node before = GraphNode(in->node);
    Node& made = Open(*in, NodeKind::kMaxPool);
    made.h = made.oh = sizes.h;
    made.w = made.ow = sizes.w;
    made.c = made.k = sizes.c;
    Extra& extra = OpenExtra();
    extra.free = skip || i > 0;
    if (int64_t{before.oh} * before.ow * before.k > int64_t{made.h} * made.w * made.c) {
      extra.has_layer = true;
      extra.layer.kind = LayerKind::kMaxPool;
      extra.layer.bias = false;
      extra.layer.h = before.oh;
      extra.layer.w = before.ow;
      extra.layer.c = extra.layer.k = before.k;
    }
    const OnnxValue like = *in;
    Close(part, like, dims);
  }
  return true;
}

bool OnnxImporter::OutputDims(const OnnxNode& node, size_t output, Dims* dims) const {
  for (const OnnxValueInfo& info : file_.values) {
    if (info.value != node.outputs[output] || !info.has_shape || options_.resolution > 0) continue;
    *dims = info.dims;
    if (!dims->empty() && (*dims)[0] < 0) (*dims)[0] = 1;
    if (CountOf(*dims) > 0) return true;
  }
  const OnnxValue* in = InputAt(node, 0);
  if (in == nullptr || output > 0) return false;
  *dims = in->dims;
  static constexpr const char* kKeeping[] = {"Sigmoid",
                                             "Tanh",
                                             "HardSigmoid",
                                             "LeakyRelu",
                                             "PRelu",
                                             "Elu",
                                             "Selu",
                                             "Celu",
                                             "Softplus",
                                             "Softsign",
                                             "Erf",
                                             "Exp",
                                             "Log",
                                             "Sqrt",
                                             "Neg",
                                             "Abs",
                                             "Floor",
                                             "Ceil",
                                             "Round",
                                             "Gelu",
                                             "Mish",
                                             "Softmax",
                                             "LRN",
                                             "Reciprocal",
                                             "Clip",
                                             "LogSoftmax",
                                             "ThresholdedRelu",
                                             "InstanceNormalization",
                                             "LayerNormalization",
                                             "GroupNormalization",
                                             "LpNormalization",
                                             "BatchNormalization",
                                             "Add",
                                             "Sub",
                                             "Mul",
                                             "Div",
                                             "Pow",
                                             "Max",
                                             "Min",
                                             "Sum",
                                             "Where"};
  if (OneOf(node.type, kKeeping, std::size(kKeeping))) {
    // Those of several maps broadcast; to the others their parameters are no larger than the map.
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const OnnxValue* other = InputAt(node, i);
      Dims both;
      if (other != nullptr && BroadcastDims(*dims, other->dims, &both)) *dims = both;
    }
    return true;
  }
  const Constants constants = ConstantsOf(node);
  if (node.type == "Resize" || node.type == "Upsample") {
    Dims sizes;
    if (IntsOf(node, constants, 3, "", &sizes) && sizes.size() == dims->size()) {
      *dims = sizes;
      return CountOf(*dims) > 0;
    }
    const size_t at = node.type == "Resize" && node.inputs.size() > 2 ? 2 : 1;
    const ConstTensor* scales = at < constants.size() ? constants[at] : nullptr;
    if (scales == nullptr || scales->values.size() != dims->size()) return false;
    for (size_t i = 0; i < dims->size(); ++i) {
      const double size = static_cast<double>((*dims)[i]) * scales->values[i];
      if (!(size >= 1 && size < 1e9)) return false;
      (*dims)[i] = static_cast<int64_t>(size);
    }
    return true;
  }
  std::vector<SliceAxis> axes;
  std::vector<size_t> perm;
  if (node.type == "Slice" && SliceAxes(node, constants, in->dims, &axes)) {
    for (size_t i = 0; i < axes.size(); ++i) (*dims)[i] = axes[i].count;
    return CountOf(*dims) > 0;
  }
  if (node.type != "Transpose" || !PermOf(node, dims->size(), &perm)) return false;
  for (size_t i = 0; i < perm.size(); ++i) (*dims)[i] = in->dims[perm[i]];
  return true;
}

std::string OnnxImporter::MissingText() const {
  constexpr size_t kListed = 6;
  std::string text = "has operators that are not supported:";
  for (size_t i = 0; i < missing_.size(); ++i) {
    if (i == kListed) {
      text += Format(", and %d more kinds", static_cast<int>(missing_.size() - i));
      break;
    }
    const Missing& each = missing_[i];
    text += Format("%s %s (node %s", i > 0 ? "," : "", each.what.c_str(), each.node.c_str());
    text += each.count > 1 ? Format(" and %d more)", each.count - 1) : ")";
  }
  return text;
}

bool OnnxImporter::FinishGraph(OnnxModel* model) {
  const OnnxValue* output = nullptr;
  for (const OnnxValueInfo& each : file_.outputs) {
    const OnnxValue& value = values_[static_cast<size_t>(each.value)];
    if (output == nullptr && value.is_map()) output = &value;
  }
  if (output == nullptr || graph_.nodes.size() < 2) {
    status_ = Status::Error("has no layers between its input and an output");
    return false;
  }
  if (file_.outputs.size() > 1) {
    notes_.push_back(Format("%d outputs: what leads to any of them is costed",
                            static_cast<int>(file_.outputs.size())));
  }
  graph_.output = output->node;
  std::string& why = model->why_not;
  why = inexact_;
  if (!missing_.empty()) {
    why = MissingText();
    notes_.push_back(why + (options_.unsupported == Unsupported::kHost
                                ? "; each is costed as one copy of its largest map through the "
                                  "accelerator, the host's own work is not"
                                : "; skipped, at no cost"));
  }
  FinishLayers(model);
  if (!options_.weights) {
    why = "was read without its weights";
  } else if (!weights_known_ && why.empty()) {
    why =
        "keeps its weights in another file (external data), which is not read: save the model "
        "in one file";
  }
  for (const Node& node : graph_.nodes) {
    bool finite = true;
    for (float x : node.filter) finite = finite && std::isfinite(x);
    for (float x : node.bias) finite = finite && std::isfinite(x);
    if (!finite && why.empty()) why = "has weights that are no finite numbers in " + node.name;
  }
  model->evaluable = why.empty();
  for (Node& node : graph_.nodes) {
    if (model->evaluable) break;
    node.filter.clear();
    node.bias.clear();
  }
  model->params = params_;
  model->notes = std::move(notes_);
  model->graph = std::move(graph_);
  return true;
}

void OnnxImporter::FinishLayers(OnnxModel* model) const {
  bool dropped = false;
  for (LayerShape& layer : LayersOf(graph_)) {
    const Extra& extra = extra_[static_cast<size_t>(names_.find(layer.name)->second)];
    if (dropped) layer.chained = false;
    dropped = extra.free;
    if (extra.free) continue;
    if (extra.has_layer) {
      LayerShape own = extra.layer;
      own.name = layer.name;
      own.relu = layer.relu;
      own.chained = layer.chained;
      layer = own;
    }
    model->layers.push_back(layer);
  }
}

Result<OnnxModel> ParseOnnx(const std::string& bytes, const std::string& name,
                            const OnnxOptions& options) {
  const Result<OnnxFile> file =
      ParseOnnxFile({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  Status status = file.status();
  if (file.ok()) {
    Result<OnnxModel> model = OnnxImporter(*file, options, bytes.size()).Run(name);
    if (model.ok()) return model;
    status = model.status();
  }
  return Status::Error("%s: %s", name.c_str(), status.message().c_str());
}

Result<OnnxModel> ReadOnnx(const std::string& path, const OnnxOptions& options) {
  const Result<std::string> bytes = engine::ReadFile(path);
  if (!bytes.ok()) return bytes.status();
  return ParseOnnx(*bytes, path, options);
}

}  // namespace rhnas::nn
