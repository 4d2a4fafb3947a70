// Files beyond 2 GiB on 32-bit machines too; before any header.
#define _FILE_OFFSET_BITS 64
#include "hw/mapped_file.h"

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rhnas::hw {

MappedFile::~MappedFile() {
  if (mapped_) {
    munmap(data_, size_);
  } else {
    delete[] data_;
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

MappedFile MappedFile::Own(unsigned char* bytes, size_t size) {
  MappedFile file;
  file.data_ = bytes;
  file.size_ = size;
  return file;
}

Result<MappedFile> MappedFile::Open(const std::string& path, size_t most_read) {
  const int handle = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (handle < 0) return Error{path + ": cannot be opened: " + std::strerror(errno)};
  struct stat status = {};
  if (fstat(handle, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(handle);
    return Error{path + ": is not a regular file"};
  }
  MappedFile file;
  const uint64_t bytes = static_cast<uint64_t>(status.st_size);
  std::string failed;
  if (bytes > SIZE_MAX / 2) {
    failed = "beyond this machine's address space";
  } else if (bytes > 0) {
    file.size_ = static_cast<size_t>(bytes);
    void* address = mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, handle, 0);
    if (address != MAP_FAILED) {
      file.data_ = static_cast<unsigned char*>(address);
      file.mapped_ = true;
    } else if (file.size_ > most_read) {
      failed = std::strerror(errno);
    } else {
      file.data_ = new (std::nothrow) unsigned char[file.size_];
      if (file.data_ == nullptr) failed = "out of memory";
      for (size_t at = 0; at < file.size_ && failed.empty();) {
        const ssize_t count = read(handle, file.data_ + at, file.size_ - at);
        if (count > 0) {
          at += static_cast<size_t>(count);
        } else if (count == 0 || errno != EINTR) {
          failed = count == 0 ? "it became shorter" : std::strerror(errno);
        }
      }
    }
  }
  close(handle);
  if (!failed.empty()) {
    return Error{path + ": its " + std::to_string(bytes) + " bytes cannot be mapped: " + failed};
  }
  return file;
}

}  // namespace rhnas::hw
