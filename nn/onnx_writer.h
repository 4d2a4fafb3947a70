// An ONNX model under construction: nodes, weights, shapes. Field numbers are those of onnx.proto
// (ONNX IR specification, version 7), operators those of opset 13.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "engine/status.h"
#include "nn/export_tensors.h"
#include "nn/protobuf_writer.h"

namespace rhnas::nn {

inline constexpr int kOnnxOpset = 13;
inline constexpr int kOnnxIrVersion = 7;

// The attributes of a node.
class OnnxAttributes {
 public:
  OnnxAttributes& Int(const char* name, int64_t value);
  OnnxAttributes& Float(const char* name, float value);
  OnnxAttributes& Ints(const char* name, std::initializer_list<int64_t> values);
  const std::string& bytes() const { return node_.bytes(); }

 private:
  ProtoWriter node_;
};

class OnnxWriter {
 public:
  // A node that writes the value `output`. Inputs by address: their names are copied at once.
  void Node(const char* op, const std::string& name, const std::string& output,
            std::initializer_list<const std::string*> inputs,
            const OnnxAttributes* attributes = nullptr);
  void Node(const char* op, const std::string& name, const std::string& output,
            const std::vector<std::string>& inputs, const OnnxAttributes* attributes);
  // A constant; returns its name. The second of one name is dropped: constants are shared by name.
  std::string Constant(const ExportTensor& tensor);
  // One float without dimensions; a list of integers.
  std::string Scalar(const std::string& name, float value);
  std::string Integers(const std::string& name, std::initializer_list<int64_t> values);
  // float [N, dims..], N named so.
  void Input(const std::string& name, const std::vector<int64_t>& dims);
  void Output(const std::string& name, const std::vector<int64_t>& dims);
  void Shape(const std::string& name, const std::vector<int64_t>& dims);
  void Metadata(const std::string& key, const std::string& value);

  // The file. An error where it has 2 GiB or more, which protobuf does not hold.
  engine::Result<std::string> Finish(const std::string& graph_name, const std::string& version,
                                     const std::string& doc) const;

 private:
  // `node` with its inputs becomes one of the graph's.
  void Add(ProtoWriter node, const char* op, const std::string& name, const std::string& output,
           const OnnxAttributes* attributes);
  ProtoWriter graph_, metadata_;
  std::vector<std::string> names_;  // of constants
};

}  // namespace rhnas::nn
