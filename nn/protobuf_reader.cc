#include "nn/protobuf_reader.h"

#include <cstring>

namespace rhnas::nn {

namespace {

enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

}  // namespace

float FloatOfBits(uint32_t bits) {
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

bool ProtoReader::Varint(uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 70 && at_ < end_; shift += 7) {
    const uint64_t byte = *at_++;
    if (shift < 64) *value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool ProtoReader::Fixed(int bytes, uint64_t* value) {
  if (end_ - at_ < bytes) return false;
  *value = 0;
  for (int i = 0; i < bytes; ++i) *value |= uint64_t{*at_++} << (8 * i);
  return true;
}

bool ProtoReader::Next() {
  if (!ok_ || at_ == end_) return false;
  uint64_t key = 0;
  number_ = 0;
  bytes_ = ByteSpan();
  ok_ = Varint(&key) && key >> 3 != 0 && key >> 3 < (1u << 29);
  if (!ok_) return false;
  field_ = static_cast<int>(key >> 3);
  wire_type_ = static_cast<int>(key & 7);
  switch (wire_type_) {
    case kVarint:
      ok_ = Varint(&number_);
      break;
    case kFixed64:
      ok_ = Fixed(8, &number_);
      break;
    case kFixed32:
      ok_ = Fixed(4, &number_);
      break;
    case kBytes: {
      uint64_t length = 0;
      ok_ = Varint(&length) && length <= static_cast<uint64_t>(end_ - at_);
      if (!ok_) break;
      bytes_.data = at_;
      bytes_.size = static_cast<size_t>(length);
      at_ += bytes_.size;
      break;
    }
    default:
      ok_ = false;
  }
  return ok_;
}

float ProtoReader::real() const { return FloatOfBits(static_cast<uint32_t>(number_)); }

void ProtoReader::AppendIntegers(std::vector<int64_t>* to) {
  if (wire_type_ != kBytes) {
    to->push_back(integer());
    return;
  }
  ProtoReader packed(bytes_);
  uint64_t value = 0;
  while (packed.at_ < packed.end_) {
    if (!packed.Varint(&value)) {
      ok_ = false;
      return;
    }
    to->push_back(static_cast<int64_t>(value));
  }
}

}  // namespace rhnas::nn
