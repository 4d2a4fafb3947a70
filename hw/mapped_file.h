// A file as bytes to read: mapped where the system can, else read into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "hw/result.h"

namespace rhnas::hw {

class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  // Mapped read-only. Where it cannot be mapped (no such call, no address space left), a file of at
  // most `most_read` bytes is read. `path` opens for reading and is a regular file, or an error.
  static Result<MappedFile> Open(const std::string& path, size_t most_read = size_t{64} << 20);
  // Takes bytes that are in memory already; they must begin at a multiple of 8.
  static MappedFile Own(unsigned char* bytes, size_t size);  // from new[]

  const unsigned char* data() const { return data_; }
  size_t size() const { return size_; }
  bool mapped() const { return mapped_; }

 private:
  unsigned char* data_ = nullptr;
  size_t size_ = 0;
  bool mapped_ = false;
};

}  // namespace rhnas::hw
