#include "nn/npy.h"

#include <algorithm>

namespace rhnas::nn {

namespace {

const char* TypeName(ExportTensor::Type type) {
  switch (type) {
    case ExportTensor::Type::kInt8:
      return "|i1";
    case ExportTensor::Type::kInt32:
      return "<i4";
    case ExportTensor::Type::kInt64:
      return "<i8";
    case ExportTensor::Type::kFloat32:
      break;
  }
  return "<f4";
}

std::string Sizes(const ExportTensor& tensor) {
  std::string text;
  for (int64_t size : tensor.shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return text;
}

}  // namespace

std::string ToNpy(const ExportTensor& tensor) {
  std::string header = std::string("{'descr': '") + TypeName(tensor.type) +
                       "', 'fortran_order': False, 'shape': (" + Sizes(tensor) +
                       (tensor.shape.size() == 1 ? ",), }" : "), }");
  // Magic, version and length take ten bytes; the array begins at a multiple of 64, the header ends
  // with a newline.
  header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  return file + header + tensor.bytes;
}

std::vector<ExportFile> ToNpyFiles(const std::vector<ExportTensor>& tensors,
                                   const ExportMetadata& metadata) {
  std::vector<ExportFile> files;
  std::string list = "{\n  \"tensors\": [";
  for (const ExportTensor& tensor : tensors) {
    ExportFile file;
    file.name = tensor.name + ".npy";
    std::replace(file.name.begin(), file.name.end(), '/', '.');
    file.bytes = ToNpy(tensor);
    list += std::string(files.empty() ? "" : ",") + "\n    {\"name\": " + JsonString(tensor.name) +
            ", \"file\": " + JsonString(file.name) + ", \"type\": \"" + TypeName(tensor.type) +
            "\", \"shape\": [" + Sizes(tensor) + "]}";
    files.push_back(std::move(file));
  }
  list += "\n  ],\n  \"metadata\": {";
  for (size_t i = 0; i < metadata.size(); ++i) {
    list += std::string(i > 0 ? "," : "") + "\n    " + JsonString(metadata[i].first) + ": " +
            JsonString(metadata[i].second);
  }
  list += "\n  }\n}\n";
  files.push_back({"tensors.json", list});
  return files;
}

}  // namespace rhnas::nn
