// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv): checksums of checkpoints, golden values
// of tests, keys. Not for anything that an adversary may choose.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rhnas::engine {

class Fnv1a {
 public:
  void Add(const void* data, size_t bytes) {
    const unsigned char* p = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < bytes; ++i) value_ = (value_ ^ p[i]) * 1099511628211ull;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 14695981039346656037ull;
};

}  // namespace rhnas::engine
