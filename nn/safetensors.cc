#include "nn/safetensors.h"

namespace rhnas::nn {

using engine::Format;

namespace {

const char* TypeName(ExportTensor::Type type) {
  switch (type) {
    case ExportTensor::Type::kInt8:
      return "I8";
    case ExportTensor::Type::kInt32:
      return "I32";
    case ExportTensor::Type::kInt64:
      return "I64";
    case ExportTensor::Type::kFloat32:
      break;
  }
  return "F32";
}

}  // namespace

std::string JsonString(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      quoted += Format("\\u%04x", byte);
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string ToSafetensors(const std::vector<ExportTensor>& tensors,
                          const ExportMetadata& metadata) {
  std::string header = "{\"__metadata__\":{";
  for (size_t i = 0; i < metadata.size(); ++i) {
    header +=
        (i > 0 ? "," : "") + JsonString(metadata[i].first) + ":" + JsonString(metadata[i].second);
  }
  header += "}";
  size_t offset = 0;
  for (const ExportTensor& tensor : tensors) {
    header +=
        "," + JsonString(tensor.name) + ":{\"dtype\":\"" + TypeName(tensor.type) + "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      header += Format(i > 0 ? ",%lld" : "%lld", static_cast<long long>(tensor.shape[i]));
    }
    const size_t end = offset + tensor.bytes.size();
    header += Format("],\"data_offsets\":[%llu,%llu]}", static_cast<unsigned long long>(offset),
                     static_cast<unsigned long long>(end));
    offset = end;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // the data begins at a multiple of eight
  std::string file;
  for (int i = 0; i < 8; ++i) {
    file += static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i) & 0xff);
  }
  file.reserve(8 + header.size() + offset);
  file += header;
  for (const ExportTensor& tensor : tensors) file += tensor.bytes;
  return file;
}

ExportMetadata MetadataOf(const IntGraph& graph) {
  ExportMetadata metadata;
  for (const IntNode& node : graph.nodes) {
    const std::string& name = node.node.name;
    metadata.emplace_back(name + "/exponent", std::to_string(node.exponent));
    if (node.node.kind == NodeKind::kInput) continue;
    metadata.emplace_back(name + "/shift", std::to_string(node.shift));
    metadata.emplace_back(name + "/multiplier", std::to_string(node.multiplier));
    metadata.emplace_back(name + "/low", std::to_string(node.low));
    metadata.emplace_back(name + "/high", std::to_string(node.high));
  }
  return metadata;
}

}  // namespace rhnas::nn
