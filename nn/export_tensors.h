// Weights as named arrays in the order that other tools expect: what safetensors, .npy and ONNX
// files hold. Filters are [k, c / groups, r, s] there and dense layers [k, c h w], channels first,
// while engine/ has channels last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/graph.h"
#include "nn/quantize.h"

namespace rhnas::nn {

struct ExportTensor {
  enum class Type { kFloat32, kInt8, kInt32, kInt64 };
  std::string name;  // "stem/filter"
  Type type = Type::kFloat32;
  std::vector<int64_t> shape;  // empty: a scalar
  std::string bytes;           // row-major, little-endian
};

// The array of `values`, in their order. REQUIRES: as many values as the shape says.
ExportTensor FloatTensor(const std::string& name, const std::vector<int64_t>& shape,
                         const std::vector<float>& values);
ExportTensor Int32Tensor(const std::string& name, const std::vector<int64_t>& shape,
                         const std::vector<int32_t>& values);
ExportTensor Int64Tensor(const std::string& name, const std::vector<int64_t>& values);
ExportTensor Int8Tensor(const std::string& name, const std::vector<int64_t>& shape,
                        const std::vector<int8_t>& values);

// The filter of a kConv or kDense as "NAME/filter". REQUIRES: weights.
ExportTensor FilterOf(const Node& node);
ExportTensor FilterOf(const IntNode& node);

// NAME/filter and NAME/bias of every layer that has them, in order.
std::vector<ExportTensor> TensorsOf(const Graph& graph);
// The same as int8 and int32, and "image/table" [channel, byte of the image].
std::vector<ExportTensor> TensorsOf(const IntGraph& graph);
// As trained, batch norm apart: filter, gamma, beta, running_mean, running_var.
std::vector<ExportTensor> TensorsOf(Supernet& net, const Genotype& path);

}  // namespace rhnas::nn
