// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv): checksums of files and keys. Not for
// anything that an adversary may choose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace rhnas::hw {

class Fnv {
 public:
  void AddBytes(const void* data, size_t bytes) {
    const unsigned char* p = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < bytes; ++i) value_ = (value_ ^ p[i]) * kPrime;
  }
  // Integers by value, least byte first: the same on every machine.
  void Add(int64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
      value_ = (value_ ^ (static_cast<uint64_t>(value) >> shift & 0xff)) * kPrime;
    }
  }
  void AddText(const std::string& text) {
    Add(static_cast<int64_t>(text.size()));
    AddBytes(text.data(), text.size());
  }
  uint64_t value() const { return value_; }

 private:
  static constexpr uint64_t kPrime = 1099511628211ull;
  uint64_t value_ = 14695981039346656037ull;
};

}  // namespace rhnas::hw
