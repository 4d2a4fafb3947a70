// Named blobs in one file with a checksum: checkpoints.
//
// Format (little-endian; values too, as the bytes of the machine): magic "RHNASCKP", version u32,
// count u32; for each entry: name length u32, name, byte count u64, bytes; last 8 bytes: FNV-1a 64
// of all before. Written aside, synced, renamed; the file that stood there before is kept as
// FILE.prev.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/status.h"
#include "engine/tensor.h"

namespace rhnas::engine {

// Writes text or bytes so that the path holds either the old contents or all of the new.
Status WriteFileAtomically(const std::string& path, const void* data, size_t bytes);
inline Status WriteFileAtomically(const std::string& path, const std::string& text) {
  return WriteFileAtomically(path, text.data(), text.size());
}
// Can `path` be written so? Not a folder, device or pipe, nor (where given) the file `input`.
Status CheckOutput(const std::string& path, const std::string& input = "");
// Whole; files of at most 2 GiB, pipes of at most 256 MiB.
Result<std::string> ReadFile(const std::string& path);

class ArchiveWriter {
 public:
  void PutBytes(const std::string& name, const void* data, size_t bytes);
  template <typename T>
  void Put(const std::string& name, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    PutBytes(name, &value, sizeof value);
  }
  template <typename T>
  void PutVector(const std::string& name, const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    PutBytes(name, values.data(), values.size() * sizeof(T));
  }
  void PutString(const std::string& name, const std::string& text) {
    PutBytes(name, text.data(), text.size());
  }
  void PutBuffer(const std::string& name, const Buffer& buffer) {
    PutBytes(name, buffer.data(), static_cast<size_t>(buffer.size()) * sizeof(float));
  }
  // Keeps the previous file as path + ".prev".
  Status Save(const std::string& path) const;

 private:
  std::map<std::string, std::string> entries_;
};

// Errors are sticky: after the first missing or ill-sized entry the getters do nothing and status()
// says which one, so that a loader reads everything and checks once.
class ArchiveReader {
 public:
  // Falls back to path + ".prev" when the file is damaged; used_previous() then says so.
  static Result<ArchiveReader> Open(const std::string& path);

  bool Has(const std::string& name) const { return entries_.count(name) != 0; }
  void GetBytes(const std::string& name, void* data, size_t bytes);
  template <typename T>
  void Get(const std::string& name, T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    GetBytes(name, value, sizeof *value);
  }
  template <typename T>
  void GetVector(const std::string& name, std::vector<T>* values) {
    const std::string* blob = Find(name, sizeof(T));
    if (blob == nullptr) return;
    values->resize(blob->size() / sizeof(T));
    if (!blob->empty()) std::memcpy(values->data(), blob->data(), blob->size());
  }
  void GetString(const std::string& name, std::string* text);
  void GetBuffer(const std::string& name, Buffer* buffer) {
    GetBytes(name, buffer->data(), static_cast<size_t>(buffer->size()) * sizeof(float));
  }
  const Status& status() const { return status_; }
  bool used_previous() const { return used_previous_; }

 private:
  const std::string* Find(const std::string& name, size_t multiple_of);
  std::map<std::string, std::string> entries_;
  Status status_;
  std::string path_;
  bool used_previous_ = false;
};

}  // namespace rhnas::engine
