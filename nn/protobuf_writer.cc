#include "nn/protobuf_writer.h"

#include <cstring>

namespace rhnas::nn {

namespace {

enum WireType : uint64_t { kVarint = 0, kLength = 2, kFourBytes = 5 };

uint64_t KeyOf(int field, WireType type) { return static_cast<uint64_t>(field) << 3 | type; }

}  // namespace

void ProtoWriter::Varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
  bytes_ += static_cast<char>(value);
}

ProtoWriter& ProtoWriter::Int(int field, int64_t value) {
  Varint(KeyOf(field, kVarint));
  Varint(static_cast<uint64_t>(value));
  return *this;
}

ProtoWriter& ProtoWriter::Float(int field, float value) {
  Varint(KeyOf(field, kFourBytes));
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  for (int i = 0; i < 4; ++i) bytes_ += static_cast<char>(bits >> (8 * i) & 0xff);
  return *this;
}

ProtoWriter& ProtoWriter::String(int field, const std::string& value) {
  Varint(KeyOf(field, kLength));
  Varint(value.size());
  bytes_ += value;
  return *this;
}

ProtoWriter& ProtoWriter::Raw(const std::string& fields) {
  bytes_ += fields;
  return *this;
}

}  // namespace rhnas::nn
