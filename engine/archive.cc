// Checkpoint files. See archive.h for the format.
#include "engine/archive.h"

#include <cerrno>
#include <cstdio>

#if defined(_WIN32)
#include <io.h>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "engine/check.h"
#include "engine/hash.h"

namespace rhnas::engine {

namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "checkpoints hold values as the bytes of a little-endian machine");

constexpr char kMagic[] = "RHNASCKP";
constexpr size_t kMagicBytes = 8, kChecksumBytes = 8;
constexpr uint32_t kVersion = 1;

uint64_t Checksum(const char* data, size_t bytes) {
  Fnv1a hash;
  hash.Add(data, bytes);
  return hash.value();
}

template <typename T>
void AppendInteger(std::string* out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out->push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

template <typename T>
T IntegerAt(const char* data) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(data[i])) << (8 * i));
  }
  return value;
}

// A cursor over the file's text that never passes the end.
struct Cursor {
  const char* data;
  size_t left;

  bool Take(size_t bytes, const char** out) {
    if (bytes > left) return false;
    *out = data;
    data += bytes;
    left -= bytes;
    return true;
  }
  template <typename T>
  bool TakeInteger(T* out) {
    const char* at = nullptr;
    if (!Take(sizeof(T), &at)) return false;
    *out = IntegerAt<T>(at);
    return true;
  }
};

Status Parse(const std::string& path, const std::string& text,
             std::map<std::string, std::string>* entries) {
  if (text.size() < kMagicBytes + 8 + kChecksumBytes) {
    return Status::Error(
        "%s: %zu bytes, too short for a checkpoint: it was cut off, or is another "
        "kind of file",
        path.c_str(), text.size());
  }
  if (text.compare(0, kMagicBytes, kMagic) != 0) {
    return Status::Error("%s: does not begin with \"%s\": not a checkpoint", path.c_str(), kMagic);
  }
  Cursor cursor{text.data() + kMagicBytes, text.size() - kMagicBytes - kChecksumBytes};
  uint32_t version = 0, count = 0;
  cursor.TakeInteger(&version);
  cursor.TakeInteger(&count);
  if (version != kVersion) {
    return Status::Error("%s: checkpoint version %u, this program reads version %u", path.c_str(),
                         version, kVersion);
  }
  const size_t body = text.size() - kChecksumBytes;
  const uint64_t stored = IntegerAt<uint64_t>(text.data() + body);
  const uint64_t computed = Checksum(text.data(), body);
  if (stored != computed) {
    return Status::Error(
        "%s: checksum %016llx, the contents give %016llx: the file is damaged or cut off",
        path.c_str(), static_cast<unsigned long long>(stored),
        static_cast<unsigned long long>(computed));
  }
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t name_length = 0;
    uint64_t bytes = 0;
    const char *name = nullptr, *data = nullptr;
    if (!cursor.TakeInteger(&name_length) || !cursor.Take(name_length, &name) ||
        !cursor.TakeInteger(&bytes) || bytes > cursor.left ||
        !cursor.Take(static_cast<size_t>(bytes), &data)) {
      return Status::Error("%s: entry %u of %u passes the end of the file", path.c_str(), i + 1,
                           count);
    }
    (*entries)[std::string(name, name_length)] = std::string(data, static_cast<size_t>(bytes));
  }
  if (cursor.left != 0) {
    return Status::Error("%s: %zu bytes after the last of %u entries", path.c_str(), cursor.left,
                         count);
  }
  return Status::Ok();
}

// Contents and, where the system has directories that can be synced, the name reach the disk.
bool SyncFile(std::FILE* file) {
#if defined(_WIN32)
  return _commit(_fileno(file)) == 0;
#else
  return fsync(fileno(file)) == 0;
#endif
}

// Far beyond any data set's file or checkpoint; of a pipe or device nobody knows the size.
constexpr size_t kMostFileBytes = size_t{1} << 31, kMostStreamBytes = size_t{1} << 28;

void SyncFolderOf(const std::string& path) {
#if !defined(_WIN32)
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  const int fd = open(folder.c_str(), O_RDONLY);
  if (fd < 0) return;  // the rename itself stands; only its place on disk is less sure
  fsync(fd);
  close(fd);
#else
  (void)path;
#endif
}

bool Rename(const std::string& from, const std::string& to) {
#if defined(_WIN32)
  std::remove(to.c_str());  // there rename does not replace
#endif
  return std::rename(from.c_str(), to.c_str()) == 0;
}

// A damaged file must not take the place of the good one before it.
bool IsWholeArchive(const std::string& path) {
  const Result<std::string> text = ReadFile(path);
  std::map<std::string, std::string> entries;
  return text.ok() && Parse(path, *text, &entries).ok();
}

Status WriteAside(const std::string& path, const void* data, size_t bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) {
    return Status::Error("%s: cannot write: %s", path.c_str(), std::strerror(errno));
  }
  const bool written = (bytes == 0 || std::fwrite(data, 1, bytes, file) == bytes) &&
                       std::fflush(file) == 0 && SyncFile(file);
  const int write_error = errno;
  const bool closed = std::fclose(file) == 0;
  if (written && closed) return Status::Ok();
  const int error = written ? errno : write_error;
  std::remove(path.c_str());
  return Status::Error("%s: writing %zu bytes failed: %s", path.c_str(), bytes,
                       std::strerror(error));
}

}  // namespace

Status CheckOutput(const std::string& path, const std::string& input) {
#if !defined(_WIN32)
  struct stat to;
  if (stat(path.c_str(), &to) != 0)
    return Status::Ok();  // a new file, or writing says what is wrong
  if (!S_ISREG(to.st_mode)) {
    return Status::Error("%s: is %s, expected the name of a file: it is written aside and renamed",
                         path.c_str(), S_ISDIR(to.st_mode) ? "a folder" : "a device or pipe");
  }
  struct stat from;
  if (!input.empty() && stat(input.c_str(), &from) == 0 && from.st_dev == to.st_dev &&
      from.st_ino == to.st_ino) {
    return Status::Error("%s: is the input as well, and would be lost; write to another file",
                         path.c_str());
  }
#endif
  return Status::Ok();
}

Status WriteFileAtomically(const std::string& path, const void* data, size_t bytes) {
  const Status output = CheckOutput(path);
  if (!output.ok()) return output;
  const std::string aside = path + ".tmp";
  Status status = WriteAside(aside, data, bytes);
  if (!status.ok()) return status;
  if (!Rename(aside, path)) {
    const int error = errno;
    std::remove(aside.c_str());
    return Status::Error("%s: cannot replace: %s", path.c_str(), std::strerror(error));
  }
  SyncFolderOf(path);
  return Status::Ok();
}

Result<std::string> ReadFile(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return Status::Error("%s: cannot open: %s", path.c_str(), std::strerror(errno));
  }
  std::string text;
  size_t most = kMostStreamBytes;
#if !defined(_WIN32)
  struct stat from;
  if (fstat(fileno(file), &from) == 0 && S_ISREG(from.st_mode)) {
    most = kMostFileBytes;
    const auto size = static_cast<uint64_t>(from.st_size);
    if (size <= most) text.reserve(static_cast<size_t>(size));
  }
#else
  most = kMostFileBytes;
#endif
  char chunk[1 << 16];
  size_t got = 0;
  while (text.size() <= most && (got = std::fread(chunk, 1, sizeof chunk, file)) > 0) {
    text.append(chunk, got);
  }
  const bool failed = std::ferror(file) != 0;
  const int error = errno;
  std::fclose(file);
  if (text.size() > most) {
    return Status::Error("%s: has more than %zu MiB, which no file of ours has", path.c_str(),
                         most >> 20);
  }
  if (failed) return Status::Error("%s: cannot read: %s", path.c_str(), std::strerror(error));
  return text;
}

void ArchiveWriter::PutBytes(const std::string& name, const void* data, size_t bytes) {
  const bool is_new =
      entries_.emplace(name, std::string(static_cast<const char*>(data), bytes)).second;
  RHNAS_CHECK(is_new, "entry %s is there already: names must be unique", name.c_str());
}

Status ArchiveWriter::Save(const std::string& path) const {
  std::string text(kMagic, kMagicBytes);
  AppendInteger(&text, kVersion);
  AppendInteger(&text, static_cast<uint32_t>(entries_.size()));
  for (const auto& [name, blob] : entries_) {
    AppendInteger(&text, static_cast<uint32_t>(name.size()));
    text += name;
    AppendInteger(&text, static_cast<uint64_t>(blob.size()));
    text += blob;
  }
  AppendInteger(&text, Checksum(text.data(), text.size()));

  // The new file is whole on disk before the old one moves, and Open looks at .prev when the
  // machine stops between the two renames.
  const std::string aside = path + ".tmp";
  Status status = WriteAside(aside, text.data(), text.size());
  if (!status.ok()) return status;
  if (IsWholeArchive(path) && !Rename(path, path + ".prev")) {
    const int error = errno;
    std::remove(aside.c_str());
    return Status::Error("%s: cannot keep the previous file: %s", path.c_str(),
                         std::strerror(error));
  }
  if (!Rename(aside, path)) {
    const int error = errno;
    std::remove(aside.c_str());
    return Status::Error("%s: cannot replace: %s", path.c_str(), std::strerror(error));
  }
  SyncFolderOf(path);
  return Status::Ok();
}

Result<ArchiveReader> ArchiveReader::Open(const std::string& path) {
  ArchiveReader reader;
  reader.path_ = path;
  const auto read = [&reader](const std::string& from) {
    const Result<std::string> text = ReadFile(from);
    if (!text.ok()) return text.status();
    reader.entries_.clear();
    return Parse(from, *text, &reader.entries_);
  };
  const Status first = read(path);
  if (first.ok()) return reader;
  const std::string previous = path + ".prev";
  if (!read(previous).ok()) return first;  // what the user asked for says what is wrong
  reader.path_ = previous;
  reader.used_previous_ = true;
  return reader;
}

const std::string* ArchiveReader::Find(const std::string& name, size_t multiple_of) {
  if (!status_.ok()) return nullptr;
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    status_ =
        Status::Error("%s: no entry \"%s\": written by another version or for another setting",
                      path_.c_str(), name.c_str());
    return nullptr;
  }
  if (found->second.size() % multiple_of != 0) {
    status_ = Status::Error("%s: entry \"%s\" has %zu bytes, not a multiple of %zu", path_.c_str(),
                            name.c_str(), found->second.size(), multiple_of);
    return nullptr;
  }
  return &found->second;
}

void ArchiveReader::GetBytes(const std::string& name, void* data, size_t bytes) {
  const std::string* blob = Find(name, 1);
  if (blob == nullptr) return;
  if (blob->size() != bytes) {
    status_ = Status::Error("%s: entry \"%s\" has %zu bytes, expected %zu", path_.c_str(),
                            name.c_str(), blob->size(), bytes);
    return;
  }
  if (bytes > 0) std::memcpy(data, blob->data(), bytes);
}

void ArchiveReader::GetString(const std::string& name, std::string* text) {
  const std::string* blob = Find(name, 1);
  if (blob != nullptr) *text = *blob;
}

}  // namespace rhnas::engine
