#include "nn/onnx_file.h"

#include <cmath>
#include <cstring>
#include <map>

namespace rhnas::nn {

namespace {

using engine::Result;
using engine::Status;

bool ParseTensor(ByteSpan bytes, OnnxTensor* tensor, ByteSpan* name) {
  tensor->message = bytes;
  ProtoReader reader(bytes);
  while (reader.Next()) {
    const int field = reader.field();
    if (field == 1) reader.AppendIntegers(&tensor->dims);
    if (field == 2) tensor->type = static_cast<int>(reader.number() & 0xff);
    if (field == 8) *name = reader.bytes();
    if (field == 13 || (field == 14 && reader.number() == 1)) tensor->external = true;
  }
  return reader.ok();
}

bool ParseAttribute(ByteSpan bytes, OnnxAttribute* attribute) {
  ProtoReader reader(bytes);
  ByteSpan name;
  bool ok = true;
  while (ok && reader.Next()) {
    const int field = reader.field();
    if (field == 1) attribute->name = reader.bytes().text();
    if (field == 2) attribute->f = reader.real();
    if (field == 3) attribute->i = reader.integer();
    if (field == 4) attribute->s = reader.bytes();
    if (field == 5) {
      attribute->has_tensor = true;
      ok = ParseTensor(reader.bytes(), &attribute->t, &name);
    }
    if (field == 8) reader.AppendIntegers(&attribute->ints);
  }
  return ok && reader.ok();
}

// The bytes of the first field of this number; damaged bytes are as none.
bool Inside(ByteSpan bytes, int field, ByteSpan* found) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    *found = reader.bytes();
    if (reader.field() == field) return true;
  }
  return false;
}

class Parser {
 public:
  explicit Parser(OnnxFile* file) : file_(file) {}

  bool Graph(ByteSpan bytes) {
    ProtoReader reader(bytes);
    bool ok = true;
    while (ok && reader.Next()) {
      const int field = reader.field();
      if (field == 1) {
        file_->nodes.emplace_back();
        ok = ParseNode(reader.bytes(), &file_->nodes.back());
      } else if (field == 5) {
        file_->initializers.emplace_back();
        OnnxTensor& tensor = file_->initializers.back();
        ByteSpan name;
        ok = ParseTensor(reader.bytes(), &tensor, &name);
        tensor.value = Number(name);
      } else if (field >= 11 && field <= 13) {
        std::vector<OnnxValueInfo>& list = field == 11   ? file_->inputs
                                           : field == 12 ? file_->outputs
                                                         : file_->values;
        list.emplace_back();
        ok = ParseValueInfo(reader.bytes(), &list.back());
      }
    }
    return ok && reader.ok();
  }

 private:
  int Number(ByteSpan name) {
    if (name.size == 0) return 0;
    int& number = numbers_[name.text()];
    if (number == 0) {
      number = static_cast<int>(file_->names.size());
      file_->names.push_back(name.text());
    }
    return number;
  }

  bool ParseNode(ByteSpan bytes, OnnxNode* node) {
    ProtoReader reader(bytes);
    bool ok = true;
    while (ok && reader.Next()) {
      const ByteSpan value = reader.bytes();
      const int field = reader.field();
      if (field == 1 || field == 2) {
        (field == 1 ? node->inputs : node->outputs).push_back(Number(value));
      } else if (field == 5) {
        node->attributes.emplace_back();
        ok = ParseAttribute(value, &node->attributes.back());
      } else if (field == 3 || field == 4 || field == 7) {
        (field == 3 ? node->name : field == 4 ? node->type : node->domain) = value.text();
      }
    }
    return ok && reader.ok();
  }

  bool ParseValueInfo(ByteSpan bytes, OnnxValueInfo* info) {
    ProtoReader reader(bytes);
    while (reader.Next()) {
      if (reader.field() == 1) info->value = Number(reader.bytes());
      ByteSpan tensor, shape;  // TypeProto.tensor_type and its shape
      if (reader.field() != 2 || !Inside(reader.bytes(), 1, &tensor) ||
          !Inside(tensor, 2, &shape)) {
        continue;
      }
      info->has_shape = true;
      info->dims.clear();
      ProtoReader dims(shape);
      while (dims.Next()) {
        if (dims.field() != 1) continue;
        int64_t size = -1;
        ProtoReader dim(dims.bytes());
        while (dim.Next()) {
          if (dim.field() == 1) size = dim.integer();
        }
        info->dims.push_back(size > 0 ? size : -1);
      }
      if (!dims.ok()) return false;
    }
    return reader.ok();
  }

  OnnxFile* file_;
  std::map<std::string, int> numbers_;
};

// Source: IEEE 754-2019, binary16.
double OfHalf(uint64_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
  double value =
      std::ldexp(mantissa + (exponent == 0 ? 0 : 1024), exponent - (exponent == 0 ? 24 : 25));
  if (exponent == 31) value = mantissa == 0 ? double{INFINITY} : double{NAN};
  return (bits & 0x8000) != 0 ? -value : value;
}

// What these bits are in a type.
double NumberOf(int type, uint64_t bits) {
  double value = 0;
  switch (type) {
    case kOnnxFloat:
      return double{FloatOfBits(static_cast<uint32_t>(bits))};
    case kOnnxBfloat16:
      return double{FloatOfBits(static_cast<uint32_t>(bits & 0xffff) << 16)};
    case kOnnxFloat16:
      return OfHalf(bits);
    case kOnnxDouble:
      std::memcpy(&value, &bits, sizeof value);
      return value;
    case kOnnxInt8:
      return static_cast<int8_t>(bits & 0xff);
    case kOnnxInt16:
      return static_cast<int16_t>(bits & 0xffff);
    case kOnnxInt32:
      return static_cast<int32_t>(bits & 0xffffffffu);
    default:
      return static_cast<double>(static_cast<int64_t>(bits));
  }
}

int BytesOf(int type) {
  static constexpr uint8_t kBytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 0, 0, 2};
  return type >= 0 && type < static_cast<int>(sizeof kBytes) ? kBytes[type] : 0;
}

}  // namespace

bool IsOnnxReal(int type) {
  return type == kOnnxFloat || type == kOnnxDouble || type == kOnnxFloat16 || type == kOnnxBfloat16;
}

const OnnxAttribute* OnnxNode::Find(const char* attribute) const {
  for (const OnnxAttribute& each : attributes) {
    if (each.name == attribute) return &each;
  }
  return nullptr;
}

int64_t OnnxNode::Int(const char* attribute, int64_t otherwise) const {
  const OnnxAttribute* found = Find(attribute);
  return found == nullptr ? otherwise : found->i;
}

double OnnxNode::Real(const char* attribute, double otherwise) const {
  const OnnxAttribute* found = Find(attribute);
  return found == nullptr ? otherwise : double{found->f};
}

std::string OnnxNode::Text(const char* attribute, const char* otherwise) const {
  const OnnxAttribute* found = Find(attribute);
  return found == nullptr ? otherwise : found->s.text();
}

Result<OnnxFile> ParseOnnxFile(ByteSpan bytes) {
  OnnxFile file;
  Parser parser(&file);
  ProtoReader reader(bytes);
  bool has_graph = false, ok = true;
  while (ok && reader.Next()) {
    if (reader.field() != 7) continue;
    has_graph = true;
    ok = parser.Graph(reader.bytes());
  }
  if (!ok || !reader.ok()) {
    return Status::Error("is damaged or cut off, expected an ONNX model (a protocol buffer)");
  }
  if (!has_graph) return Status::Error("has no graph, expected an ONNX model");
  return file;
}

bool OnnxNumbers(const OnnxTensor& tensor, int64_t count, std::vector<double>* values,
                 std::string* why) {
  const int bytes = BytesOf(tensor.type);
  if (bytes == 0 || tensor.external) {
    *why = tensor.external
               ? "has its values in another file"
               : engine::Format("is of ONNX type %d, which no network computes in", tensor.type);
    return false;
  }
  const bool real = tensor.type == kOnnxFloat || tensor.type == kOnnxDouble;
  std::vector<int64_t> integers;  // int32_data (halves too), int64_data, uint64_data
  ProtoReader reader(tensor.message);
  while (reader.Next()) {
    const int field = reader.field();
    const ByteSpan data = reader.bytes();
    const bool packed = data.data != nullptr;
    if (field == 9 || (real && packed && (field == 4 || field == 10))) {
      values->reserve(data.size / static_cast<size_t>(bytes));
      uint64_t bits = 0;
      int filled = 0;
      for (size_t i = 0; i < data.size; ++i) {
        bits |= uint64_t{data.data[i]} << (8 * filled);
        if (++filled < bytes) continue;
        values->push_back(NumberOf(tensor.type, bits));
        bits = 0;
        filled = 0;
      }
    } else if (real && (field == 4 || field == 10)) {
      values->push_back(NumberOf(tensor.type, reader.number()));
    } else if (field == 5 || field == 7 || field == 11) {
      reader.AppendIntegers(&integers);
    }
  }
  for (int64_t bits : integers) {
    values->push_back(NumberOf(tensor.type, static_cast<uint64_t>(bits)));
  }
  if (static_cast<int64_t>(values->size()) == count) return true;
  *why = engine::Format("has %lld values, its dimensions tell %lld",
                        static_cast<long long>(values->size()), static_cast<long long>(count));
  return false;
}

}  // namespace rhnas::nn
