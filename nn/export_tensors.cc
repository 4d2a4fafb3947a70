#include "nn/export_tensors.h"

#include <cstring>

#include "engine/check.h"

namespace rhnas::nn {

namespace {

int64_t CountOf(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}

// Elements of 1, 4 or 8 bytes of this machine as little-endian ones.
std::string LittleEndian(const void* data, size_t count, size_t element) {
  const auto* from = static_cast<const char*>(data);
  std::string bytes(from, count * element);
  const uint16_t probe = 1;
  unsigned char first = 0;
  std::memcpy(&first, &probe, 1);
  if (first == 1 || element == 1) return bytes;
  for (size_t i = 0; i < bytes.size(); i += element) {
    for (size_t j = 0; j < element; ++j) bytes[i + j] = from[i + element - 1 - j];
  }
  return bytes;
}

ExportTensor Made(const std::string& name, ExportTensor::Type type,
                  const std::vector<int64_t>& shape, const void* data, size_t count,
                  size_t element) {
  RHNAS_CHECK(CountOf(shape) == static_cast<int64_t>(count), "%s: %lld values for %lld places",
              name.c_str(), static_cast<long long>(count), static_cast<long long>(CountOf(shape)));
  ExportTensor tensor;
  tensor.name = name;
  tensor.type = type;
  tensor.shape = shape;
  tensor.bytes = LittleEndian(data, count, element);
  return tensor;
}

// [places, c, k] -> [k, c, places].
void ChannelsFirst(size_t places, size_t c, size_t k, size_t element, std::string* bytes) {
  const std::string from = *bytes;
  RHNAS_CHECK(from.size() == places * c * k * element, "%lld bytes of a filter, %lld expected",
              static_cast<long long>(from.size()),
              static_cast<long long>(places * c * k * element));
  size_t to = 0;
  for (size_t out = 0; out < k; ++out) {
    for (size_t in = 0; in < c; ++in) {
      for (size_t place = 0; place < places; ++place, to += element) {
        std::memcpy(&(*bytes)[to], &from[((place * c + in) * k + out) * element], element);
      }
    }
  }
}

ExportTensor Filter(const Node& node, ExportTensor tensor, size_t element) {
  const bool dense = node.kind == NodeKind::kDense;
  const int rows = dense ? node.h : node.r, columns = dense ? node.w : node.s;
  const int c = node.c / (dense ? 1 : node.groups);
  tensor.name = node.name + "/filter";
  tensor.shape = {node.k, c, rows, columns};
  if (dense) tensor.shape = {node.k, int64_t{c} * rows * columns};
  ChannelsFirst(static_cast<size_t>(rows) * static_cast<size_t>(columns), static_cast<size_t>(c),
                static_cast<size_t>(node.k), element, &tensor.bytes);
  return tensor;
}

int64_t Size(size_t count) { return static_cast<int64_t>(count); }

// As trained: engine's [r,s,c,k] and [c,k] with channels first.
ExportTensor OfBuffer(const std::string& name, const std::vector<int64_t>& shape,
                      const engine::Buffer& values) {
  ExportTensor tensor = Made(name, ExportTensor::Type::kFloat32, shape, values.data(),
                             static_cast<size_t>(values.size()), 4);
  const size_t rank = shape.size();
  if (rank == 4 || rank == 2) {
    const int64_t places = rank == 4 ? shape[0] * shape[1] : 1;
    const int64_t c = shape[rank - 2], k = shape[rank - 1];
    ChannelsFirst(static_cast<size_t>(places), static_cast<size_t>(c), static_cast<size_t>(k), 4,
                  &tensor.bytes);
    tensor.shape = {k, c};
    if (rank == 4) tensor.shape = {k, c, shape[0], shape[1]};
  }
  return tensor;
}

}  // namespace

ExportTensor FloatTensor(const std::string& name, const std::vector<int64_t>& shape,
                         const std::vector<float>& values) {
  return Made(name, ExportTensor::Type::kFloat32, shape, values.data(), values.size(), 4);
}

ExportTensor Int32Tensor(const std::string& name, const std::vector<int64_t>& shape,
                         const std::vector<int32_t>& values) {
  return Made(name, ExportTensor::Type::kInt32, shape, values.data(), values.size(), 4);
}

ExportTensor Int64Tensor(const std::string& name, const std::vector<int64_t>& values) {
  return Made(name, ExportTensor::Type::kInt64, {Size(values.size())}, values.data(), values.size(),
              8);
}

ExportTensor Int8Tensor(const std::string& name, const std::vector<int64_t>& shape,
                        const std::vector<int8_t>& values) {
  return Made(name, ExportTensor::Type::kInt8, shape, values.data(), values.size(), 1);
}

ExportTensor FilterOf(const Node& node) {
  return Filter(node, FloatTensor("", {Size(node.filter.size())}, node.filter), 4);
}

ExportTensor FilterOf(const IntNode& node) {
  return Filter(node.node, Int8Tensor("", {Size(node.filter.size())}, node.filter), 1);
}

std::vector<ExportTensor> TensorsOf(const Graph& graph) {
  std::vector<ExportTensor> tensors;
  for (const Node& node : graph.nodes) {
    if (node.filter.empty()) continue;
    tensors.push_back(FilterOf(node));
    tensors.push_back(FloatTensor(node.name + "/bias", {Size(node.bias.size())}, node.bias));
  }
  return tensors;
}

std::vector<ExportTensor> TensorsOf(const IntGraph& graph) {
  std::vector<ExportTensor> tensors;
  std::vector<int8_t> table;
  for (const auto& channel : graph.input_table) {
    table.insert(table.end(), channel.begin(), channel.end());
  }
  tensors.push_back(Int8Tensor(graph.nodes[0].node.name + "/table",
                               {Size(graph.input_table.size()), 256}, table));
  for (const IntNode& node : graph.nodes) {
    if (node.filter.empty()) continue;
    tensors.push_back(FilterOf(node));
    tensors.push_back(Int32Tensor(node.node.name + "/bias", {Size(node.bias.size())}, node.bias));
  }
  return tensors;
}

std::vector<ExportTensor> TensorsOf(Supernet& net, const Genotype& path) {
  std::vector<ExportTensor> tensors;
  for (const engine::Parameter* weight : net.weights(path)) {
    std::vector<int64_t> shape;
    for (int i = 0; i < weight->shape.rank; ++i) shape.push_back(weight->shape.dim[i]);
    tensors.push_back(OfBuffer(weight->name, shape, weight->value));
  }
  for (const NamedBuffer& entry : net.statistics(path)) {
    tensors.push_back(OfBuffer(entry.name, {entry.buffer->size()}, *entry.buffer));
  }
  return tensors;
}

}  // namespace rhnas::nn
