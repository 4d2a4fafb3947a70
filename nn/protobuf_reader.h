// Reading protocol buffers' wire format: fields one after the other, in place, nothing copied.
//
// Source: "Encoding", protobuf.dev. A message inside a message is a span of bytes that another
// reader takes; nobody descends who does not ask to, so depth is the caller's. Groups (wire types 3
// and 4, deprecated) are damage. Every length is checked against the bytes there are: what a reader
// makes others allocate is at most proportional to the file.
//
//   ProtoReader reader(bytes);
//   while (reader.Next()) {
//     if (reader.field() == 1) Use(reader.bytes());
//   }
//   if (!reader.ok()) return Damaged();
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rhnas::nn {

// Bytes that somebody else owns.
struct ByteSpan {
  const uint8_t* data = nullptr;
  size_t size = 0;
  std::string text() const { return std::string(reinterpret_cast<const char*>(data), size); }
};

class ProtoReader {
 public:
  explicit ProtoReader(ByteSpan bytes) : at_(bytes.data), end_(bytes.data + bytes.size) {}

  // Goes to the next field; false at the end, or where the bytes are damaged.
  bool Next();
  bool ok() const { return ok_; }

  int field() const { return field_; }
  // The value of a field of one number, whatever its width; 0 of one that has bytes.
  uint64_t number() const { return number_; }
  int64_t integer() const { return static_cast<int64_t>(number_); }
  float real() const;  // of a 32-bit field
  // The value of a field of bytes: text, a message, packed numbers. Empty of one that has none.
  ByteSpan bytes() const { return bytes_; }

  // Appends the numbers of a repeated field, packed or not, and fails where they are damaged.
  void AppendIntegers(std::vector<int64_t>* to);

 private:
  bool Varint(uint64_t* value);
  bool Fixed(int bytes, uint64_t* value);

  const uint8_t* at_;
  const uint8_t* end_;
  bool ok_ = true;
  int field_ = 0;
  int wire_type_ = 0;
  uint64_t number_ = 0;
  ByteSpan bytes_;
};

// A float of these bits.
float FloatOfBits(uint32_t bits);

}  // namespace rhnas::nn
