#include "nn/onnx_writer.h"

#include <algorithm>

namespace rhnas::nn {

namespace {

// onnx.proto.
enum ModelField { kIrVersion = 1, kProducer = 2, kProducerVersion = 3, kDoc = 6, kGraph = 7 };
enum ModelListField { kOpsetImport = 8, kMetadataProps = 14 };
enum GraphField { kNode = 1, kGraphName = 2, kInitializer = 5, kGraphInput = 11 };
enum GraphListField { kGraphOutput = 12, kValueInfo = 13 };
enum NodeField { kNodeInput = 1, kNodeOutput = 2, kNodeName = 3, kOpType = 4, kAttribute = 5 };
enum AttributeField { kAttributeName = 1, kFloat = 2, kInt = 3, kInts = 8, kAttributeType = 20 };
enum AttributeType { kTypeFloat = 1, kTypeInt = 2, kTypeInts = 7 };
enum TensorField { kDims = 1, kDataType = 2, kTensorName = 8, kRawData = 9 };
enum DataType { kFloat32Data = 1, kInt8Data = 3, kInt32Data = 6, kInt64Data = 7 };

constexpr size_t kMostBytes = 0x7fffffff;

DataType DataTypeOf(ExportTensor::Type type) {
  switch (type) {
    case ExportTensor::Type::kInt8:
      return kInt8Data;
    case ExportTensor::Type::kInt32:
      return kInt32Data;
    case ExportTensor::Type::kInt64:
      return kInt64Data;
    case ExportTensor::Type::kFloat32:
      break;
  }
  return kFloat32Data;
}

// ValueInfoProto {name = 1, type = 2 {tensor_type = 1 {elem_type = 1, shape = 2 {dim = 1}}}}; a
// Dimension has dim_value = 1 or dim_param = 2.
ProtoWriter ValueInfo(const std::string& name, const std::vector<int64_t>& dims) {
  ProtoWriter shape;
  shape.Message(1, ProtoWriter().String(2, "N"));
  for (int64_t dim : dims) shape.Message(1, ProtoWriter().Int(1, dim));
  ProtoWriter tensor;
  tensor.Int(1, kFloat32Data).Message(2, shape);
  ProtoWriter info;
  info.String(1, name).Message(2, ProtoWriter().Message(1, tensor));
  return info;
}

}  // namespace

OnnxAttributes& OnnxAttributes::Int(const char* name, int64_t value) {
  ProtoWriter attribute;
  attribute.String(kAttributeName, name).Int(kInt, value).Int(kAttributeType, kTypeInt);
  node_.Message(kAttribute, attribute);
  return *this;
}

OnnxAttributes& OnnxAttributes::Float(const char* name, float value) {
  ProtoWriter attribute;
  attribute.String(kAttributeName, name).Float(kFloat, value).Int(kAttributeType, kTypeFloat);
  node_.Message(kAttribute, attribute);
  return *this;
}

OnnxAttributes& OnnxAttributes::Ints(const char* name, std::initializer_list<int64_t> values) {
  ProtoWriter attribute;
  attribute.String(kAttributeName, name);
  for (int64_t value : values) attribute.Int(kInts, value);
  attribute.Int(kAttributeType, kTypeInts);
  node_.Message(kAttribute, attribute);
  return *this;
}

void OnnxWriter::Node(const char* op, const std::string& name, const std::string& output,
                      std::initializer_list<const std::string*> inputs,
                      const OnnxAttributes* attributes) {
  ProtoWriter node;
  for (const std::string* input : inputs) node.String(kNodeInput, *input);
  Add(node, op, name, output, attributes);
}

void OnnxWriter::Node(const char* op, const std::string& name, const std::string& output,
                      const std::vector<std::string>& inputs, const OnnxAttributes* attributes) {
  ProtoWriter node;
  for (const std::string& input : inputs) node.String(kNodeInput, input);
  Add(node, op, name, output, attributes);
}

void OnnxWriter::Add(ProtoWriter node, const char* op, const std::string& name,
                     const std::string& output, const OnnxAttributes* attributes) {
  node.String(kNodeOutput, output).String(kNodeName, name).String(kOpType, op);
  if (attributes != nullptr) node.Raw(attributes->bytes());
  graph_.Message(kNode, node);
}

std::string OnnxWriter::Constant(const ExportTensor& tensor) {
  if (std::find(names_.begin(), names_.end(), tensor.name) != names_.end()) return tensor.name;
  names_.push_back(tensor.name);
  ProtoWriter constant;
  for (int64_t size : tensor.shape) constant.Int(kDims, size);
  constant.Int(kDataType, DataTypeOf(tensor.type)).String(kTensorName, tensor.name);
  graph_.Message(kInitializer, constant.String(kRawData, tensor.bytes));
  return tensor.name;
}

std::string OnnxWriter::Scalar(const std::string& name, float value) {
  return Constant(FloatTensor(name, {}, {value}));
}

std::string OnnxWriter::Integers(const std::string& name, std::initializer_list<int64_t> values) {
  return Constant(Int64Tensor(name, values));
}

void OnnxWriter::Input(const std::string& name, const std::vector<int64_t>& dims) {
  graph_.Message(kGraphInput, ValueInfo(name, dims));
}

void OnnxWriter::Output(const std::string& name, const std::vector<int64_t>& dims) {
  graph_.Message(kGraphOutput, ValueInfo(name, dims));
}

void OnnxWriter::Shape(const std::string& name, const std::vector<int64_t>& dims) {
  graph_.Message(kValueInfo, ValueInfo(name, dims));
}

void OnnxWriter::Metadata(const std::string& key, const std::string& value) {
  metadata_.Message(kMetadataProps, ProtoWriter().String(1, key).String(2, value));
}

engine::Result<std::string> OnnxWriter::Finish(const std::string& graph_name,
                                               const std::string& version,
                                               const std::string& doc) const {
  ProtoWriter graph = graph_;  // fields of a message come in any order
  graph.String(kGraphName, graph_name);
  ProtoWriter model;
  model.Int(kIrVersion, kOnnxIrVersion).String(kProducer, "rhnas");
  model.String(kProducerVersion, version).String(kDoc, doc).Message(kGraph, graph);
  model.Message(kOpsetImport, ProtoWriter().String(1, "").Int(2, kOnnxOpset));
  model.Raw(metadata_.bytes());
  if (model.bytes().size() > kMostBytes) {
    return engine::Status::Error("%s: the ONNX file would have %.1f GiB, protobuf holds 2",
                                 graph_name.c_str(),
                                 static_cast<double>(model.bytes().size()) / (1 << 30));
  }
  return model.bytes();
}

}  // namespace rhnas::nn
