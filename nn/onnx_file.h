// An ONNX file as it stands: nodes with their attributes, tensors, shapes of inputs and outputs.
// Nothing is understood yet (nn/onnx_import.h does that).
//
// Source of all field numbers: onnx/onnx.proto of the ONNX project (IR version 3 and later). The
// values of tensors stay where they are in the bytes, which must outlive this. Graphs
// inside attributes (If, Loop, Scan), functions and training information are passed over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"
#include "nn/protobuf_reader.h"

namespace rhnas::nn {

// TensorProto.DataType.
enum OnnxType {
  kOnnxFloat = 1,
  kOnnxUint8 = 2,
  kOnnxInt8 = 3,
  kOnnxUint16 = 4,
  kOnnxInt16 = 5,
  kOnnxInt32 = 6,
  kOnnxInt64 = 7,
  kOnnxBool = 9,
  kOnnxFloat16 = 10,
  kOnnxDouble = 11,
  kOnnxUint32 = 12,
  kOnnxUint64 = 13,
  kOnnxBfloat16 = 16
};

// Values are numbers into OnnxFile::names; 0 is what is left out.
struct OnnxTensor {
  int value = 0;  // an initializer's
  std::vector<int64_t> dims;
  int type = 0;
  bool external = false;  // its values are in another file
  ByteSpan message;       // the TensorProto, for OnnxNumbers
};

struct OnnxAttribute {
  std::string name;
  int64_t i = 0;
  float f = 0;
  ByteSpan s;
  std::vector<int64_t> ints;
  bool has_tensor = false;
  OnnxTensor t;
};

struct OnnxNode {
  std::string name, type, domain;
  std::vector<int> inputs, outputs;
  std::vector<OnnxAttribute> attributes;

  const OnnxAttribute* Find(const char* attribute) const;  // null: not given
  int64_t Int(const char* attribute, int64_t otherwise) const;
  double Real(const char* attribute, double otherwise) const;
  std::string Text(const char* attribute, const char* otherwise) const;
};

// A value's declared shape.
struct OnnxValueInfo {
  int value = 0;
  bool has_shape = false;
  std::vector<int64_t> dims;  // -1: named or unknown, a size of the run
};

struct OnnxFile {
  std::vector<std::string> names = {""};  // of the values
  std::vector<OnnxNode> nodes;
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxValueInfo> inputs, outputs, values;
};

// Errors: bytes that are no protocol buffer, no model or a model without a graph.
// REQUIRES: the bytes outlive the result.
engine::Result<OnnxFile> ParseOnnxFile(ByteSpan bytes);

// The values of a tensor, `count` of them, which its dimensions make. False, with the reason: kept
// in another file, of a type that no network computes in, fewer or more than dimensions tell.
bool OnnxNumbers(const OnnxTensor& tensor, int64_t count, std::vector<double>* values,
                 std::string* why);
bool IsOnnxReal(int type);

}  // namespace rhnas::nn
