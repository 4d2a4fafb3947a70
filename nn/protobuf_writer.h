// Messages in protobuf's wire format (protobuf.dev, "Encoding"): a key of field number and wire
// type, then a varint, four bytes, or a length and bytes. Nothing is read here
// (nn/protobuf_reader.h).
#pragma once

#include <cstdint>
#include <string>

namespace rhnas::nn {

class ProtoWriter {
 public:
  ProtoWriter& Int(int field, int64_t value);  // int32, int64, enum: negative ones take ten bytes
  ProtoWriter& Float(int field, float value);
  ProtoWriter& String(int field, const std::string& value);  // string, bytes
  ProtoWriter& Message(int field, const ProtoWriter& value) { return String(field, value.bytes_); }
  // Fields that are encoded already.
  ProtoWriter& Raw(const std::string& fields);
  const std::string& bytes() const { return bytes_; }

 private:
  void Varint(uint64_t value);
  std::string bytes_;
};

}  // namespace rhnas::nn
