// The inside of nn/onnx_import.h: a walk over the nodes of a file that builds the graph.
//
// A value of the file is a constant, or the map of one node of the graph seen under some shape: in
// the order C H W or H W C, perhaps with a border that a Pad before has put around it. Operators
// that only rename (Reshape, Flatten, Identity, ..) make another view of the same map.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nn/onnx_import.h"
#include "nn/onnx_tensor.h"

namespace rhnas::nn {

struct OnnxValue {
  int node = -1;               // of the graph, or
  int constant = -1;           // one of the importer's; neither: not there yet
  bool channels_last = false;  // the order of its elements
  bool tail = false;           // behind a Softmax or the like that ends the network
  // Around the map: top, left, bottom, right, of this value.
  int border[4] = {0, 0, 0, 0};
  double border_value = 0;
  // Of the map's rows (axis 0) or columns (1) every step-th, the others to follow.
  int64_t step = 1;
  size_t step_axis = 0;
  Dims dims;
  bool is_map() const { return node >= 0; }
  bool bordered() const { return border[0] + border[1] + border[2] + border[3] > 0; }
};

// A window as the file has it: rows, then columns.
struct OnnxWindow {
  int64_t size[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1};
  int64_t pads[4] = {0, 0, 0, 0};  // top, left, bottom, right
  bool ceil = false;
  int64_t more[2] = {0, 0};  // rows and columns of zeros before the filter, see Fit
  int64_t effective(int axis) const { return (size[axis] - 1) * dilation[axis] + 1; }
};

class OnnxImporter {
 public:
  OnnxImporter(const OnnxFile& file, const OnnxOptions& options, size_t file_bytes);
  engine::Result<OnnxModel> Run(const std::string& name);

 private:
  using Handler = bool (OnnxImporter::*)(const OnnxNode& node);
  static Handler HandlerOf(const std::string& type);

  // What is known of a node of the graph beyond the graph.
  struct Extra {
    int readers = 1;         // of all its views; 1: the next operator may become part of it
    bool free = false;       // costs nothing (skipped)
    bool has_layer = false;  // `layer` is what it costs
    LayerShape layer;
  };
  struct Missing {
    std::string what, node;  // what it is, where it is first
    int count = 0;
  };

  // onnx_import.cc
  bool Prepare();  // uses, constants, patterns; false: status_
  bool Input();
  bool Visit(size_t number);
  bool NotSupported(const OnnxNode& node);
  bool OutputDims(const OnnxNode& node, size_t output, Dims* dims) const;
  std::string MissingText() const;
  bool FinishGraph(OnnxModel* model);
  void FinishLayers(OnnxModel* model) const;

  // onnx_import_values.cc: what handlers use.
  bool Fail(const char* why, const Dims* of = nullptr);
  // The graph does not compute what the file does.
  void Inexact(const char* why, const OnnxNode& node);
  std::string NameOf(const OnnxNode& node) const;
  std::string Title(const OnnxNode& node) const;  // "Conv (node conv1)"
  int Readers(int value) const;
  // The i-th input; null: left out, or not there yet.
  const OnnxValue* InputAt(const OnnxNode& node, size_t i) const;
  const ConstTensor* ConstantAt(const OnnxNode& node, size_t i) const;  // null: no constant
  Constants ConstantsOf(const OnnxNode& node) const;
  // The map that the i-th input is; a border around it is made real unless it is allowed.
  const OnnxValue* MapAt(const OnnxNode& node, size_t i, bool border_allowed = false);
  // Is its shape [n, c, h, w], or without w, or without both where it is one pixel, or [n, h, w, c]
  // where channels are last?
  bool IsPlain(const OnnxValue& value) const;
  size_t ChannelAxis(const OnnxValue& value) const;
  bool OnlyReader(const OnnxValue& value) const;
  Node& GraphNode(int node) { return graph_.nodes[static_cast<size_t>(node)]; }
  // Opens a node behind `value` that keeps its size; Close makes it the output of `node`, seen
  // like `like` but of these dimensions. What is not closed is dropped.
  Node& Open(const OnnxValue& value, NodeKind kind);
  Extra& OpenExtra() { return extra_.back(); }
  bool Close(const OnnxNode& node, const OnnxValue& like, const Dims& dims);
  bool CloseMap(const OnnxNode& node, const OnnxValue& like);  // dimensions as the node's
  // The output is the map of `value` under another shape.
  bool View(const OnnxNode& node, const OnnxValue& value, const Dims& dims);
  void Set(int value, const OnnxValue& to);
  void SetConstant(int value, ConstTensor* constant);

  // onnx_import_windows.cc
  bool ReadWindow(const OnnxNode& node, const OnnxValue& in, OnnxWindow* window);
  bool Fit(const OnnxNode& node, OnnxWindow* window, Node* made);
  bool Conv(const OnnxNode& node);
  bool Pool(const OnnxNode& node);
  bool GlobalPool(const OnnxNode& node);
  bool Reduce(const OnnxNode& node);
  bool WholeMap(const OnnxNode& node, const OnnxValue& in, bool largest, const Dims& dims);

  // onnx_import_layers.cc
  bool Gemm(const OnnxNode& node);
  bool MatMul(const OnnxNode& node);
  bool Dense(const OnnxNode& node, const OnnxValue& in, const ConstTensor& weight, bool transposed,
             double alpha);
  bool BatchNorm(const OnnxNode& node);
  bool Arithmetic(const OnnxNode& node);
  bool Affine(const OnnxNode& node, const OnnxValue& in, const std::vector<double>& scale,
              const std::vector<double>& shift, bool known);
  // Does a quantiser read this value, behind a ReLU or a Clip perhaps, that rounds `x` away, or
  // clips where the range of integers ends?
  bool Quantized(int value, double x) const;
  bool AddMaps(const OnnxNode& node);
  bool Activate(const OnnxNode& node);
  bool ActivateAs(const OnnxNode& node, const OnnxValue& in, engine::Activation activation);
  bool NeverNegative(int node) const;

  // onnx_import_views.cc
  bool Quantize(const OnnxNode& node);
  bool Rename(const OnnxNode& node);
  bool Transpose(const OnnxNode& node);
  bool Shape(const OnnxNode& node);
  bool Pad(const OnnxNode& node);
  bool PadChannels(const OnnxNode& node, const OnnxValue& in, int64_t before, int64_t after);
  bool Slice(const OnnxNode& node);
  bool Concat(const OnnxNode& node);

  // onnx_patterns.cc
  void FindPatterns();
  void FindTail();
  void FindInputLayout();
  bool ScalarIs(int value, double expected) const;
  const OnnxNode* MakerOf(int value) const;
  int SixthOf(const OnnxNode& node) const;
  int HardSwishEnd(const OnnxNode& product, int x, int t);

  const OnnxFile& file_;
  const OnnxOptions& options_;
  int64_t budget_;  // elements of constants and filters that may be made yet
  engine::Status status_;
  std::string why_;  // of the handler that failed

  // By value of the file.
  std::vector<OnnxValue> values_;
  std::vector<std::vector<int>> uses_;  // live nodes that read it; -1: it is an output
  std::vector<int> maker_;              // node that makes it; -1: none
  std::vector<ConstTensor> constants_;
  // By node of the file.
  std::vector<char> live_, tail_, part_;  // part_: of a pattern, computed by its last node
  std::vector<int> hard_swish_;           // the input where it is a pattern's last, else 0
  bool input_last_ = false;               // the file's input is [n, h, w, c]

  Graph graph_;
  std::vector<Extra> extra_;          // by node of the graph
  std::map<std::string, int> names_;  // of the graph's nodes
  bool open_ = false;                 // the last node is not closed yet
  int64_t params_ = 0;
  bool weights_known_ = true;
  std::string inexact_;
  std::vector<std::string> notes_;
  std::vector<Missing> missing_;
};

}  // namespace rhnas::nn
