// A user's network from an ONNX file: its graph with weights, and its layers.
//
// Read are models of one image: Conv (grouped, depthwise, dilated, padded as it likes), Gemm,
// MatMul, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean and ReduceMax over the
// pixels, Add, Sum, Concat, BatchNormalization, Relu, Clip, HardSwish (also spelt out), arithmetic
// with constants, channel shuffles (Reshape, Transpose, Reshape), strided Slice, Pad; Reshape,
// Flatten, Squeeze, Unsqueeze, Transpose between layouts, Identity, Cast, Dropout, QuantizeLinear
// and DequantizeLinear are read through; what has constants alone is computed. Opset 7 to 21. A
// batch that the file leaves open is one image.
//
// As in every graph here maps are H W C: filters are turned, a dense layer behind Flatten has its
// weights in that order, and an output that is a map comes channels last.
//
// Source: docs/Operators.md and docs/IR.md of the ONNX project.
#pragma once

#include <string>
#include <vector>

#include "engine/status.h"
#include "nn/graph.h"

namespace rhnas::nn {

// What is done about operators that are none of the above.
enum class Unsupported {
  kFail,  // an error that names them
  kSkip,  // they cost nothing
  kHost   // they cost one copy of their largest map through the accelerator: the host computes
};
std::vector<std::string> UnsupportedNames();  // fail, skip, host

struct OnnxOptions {
  Unsupported unsupported = Unsupported::kFail;
  bool weights = true;  // false: shapes alone, no filter is unpacked
  int resolution = 0;   // height and width of the input; 0: the file's
  int channels = 0;     // of an input that leaves them open
};

struct OnnxModel {
  Graph graph;  // without weights unless `evaluable`; named after the file
  // As LayersOf(graph), where the graph says what the file does at the same cost: filters without
  // the zeros that padding on one side alone takes, skipped operators left out.
  std::vector<LayerShape> layers;
  int64_t params = 0;  // weights, biases, scales and shifts of batch norm in the file
  // EvaluateGraph computes what the file does, up to a Softmax at the end and the rounding of
  // QuantizeLinear. Otherwise why_not says what stands against it.
  bool evaluable = false;
  std::string why_not;
  std::vector<std::string> notes;  // what a reader of costs must know, a line each
};

// Errors, on one line: a damaged file, operators that are not supported (with their nodes), sizes
// that the file leaves open.
engine::Result<OnnxModel> ParseOnnx(const std::string& bytes, const std::string& name,
                                    const OnnxOptions& options);
engine::Result<OnnxModel> ReadOnnx(const std::string& path, const OnnxOptions& options);

}  // namespace rhnas::nn
