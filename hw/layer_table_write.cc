// Files beyond 2 GiB on 32-bit machines too; before any header.
#define _FILE_OFFSET_BITS 64
#include "hw/layer_table_write.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/layer_table_format.h"

namespace rhnas::hw {

using namespace table_format;

namespace {

// The record of a row with its checksum, and its entries.
void MakeRow(const std::string& head_bytes, size_t row, const TableEntry* entries, size_t items,
             unsigned char record[kRowBytes], std::vector<unsigned char>* bytes) {
  bytes->resize(items * kEntryBytes);
  for (size_t item = 0; item < items; ++item) {
    StoreEntry(entries[item], bytes->data() + item * kEntryBytes);
  }
  std::memcpy(record, head_bytes.data() + RowAt(head_bytes, row), kRowBytes);
  Store64(record + kRowSumAt, RowSum(record, bytes->data(), items));
}

std::string Refusal(const std::string& path, const char* what) {
  return path + ": " + what + ": " + std::strerror(errno);
}

// False: the end of the file or an error.
bool ReadAt(int file, void* bytes, size_t count, uint64_t offset) {
  char* to = static_cast<char*>(bytes);
  for (size_t at = 0; at < count;) {
    const ssize_t got = pread(file, to + at, count - at, static_cast<off_t>(offset + at));
    if (got > 0) {
      at += static_cast<size_t>(got);
    } else if (got == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

LayerTableWriter::~LayerTableWriter() {
  if (file_ >= 0) close(file_);
}

LayerTableWriter::LayerTableWriter(LayerTableWriter&& other) noexcept { *this = std::move(other); }

LayerTableWriter& LayerTableWriter::operator=(LayerTableWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(head_bytes_, other.head_bytes_);
  std::swap(items_, other.items_);
  std::swap(file_, other.file_);
  std::swap(done_, other.done_);
  return *this;
}

bool LayerTableWriter::Put(uint64_t offset, const void* bytes, size_t count,
                           std::string* why) const {
  const char* from = static_cast<const char*>(bytes);
  for (size_t at = 0; at < count;) {
    const ssize_t put = pwrite(file_, from + at, count - at, static_cast<off_t>(offset + at));
    if (put > 0) {
      at += static_cast<size_t>(put);
    } else if (put == 0 || errno != EINTR) {
      *why = Refusal(PartialPath(path_), "cannot be written");
      return false;
    }
  }
  return true;
}

Result<LayerTableWriter> LayerTableWriter::Create(const std::string& path, const TableHead& head,
                                                  bool resume) {
  LayerTableWriter writer;
  writer.path_ = path;
  writer.head_bytes_ = HeadBytes(head);
  writer.items_ = head.items.size();
  writer.done_.assign(head.configurations.size(), 0);
  const std::string partial = PartialPath(path);
  writer.file_ = open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (writer.file_ < 0) return Error{Refusal(partial, "cannot be opened")};
  // Some network file systems cannot lock; only a lock that another process holds is an error.
  if (flock(writer.file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Error{partial + ": another build is writing it; give another --out"};
  }
  struct stat status = {};
  if (fstat(writer.file_, &status) != 0) return Error{Refusal(partial, "cannot be read")};
  const std::string& ours = writer.head_bytes_;
  const uint64_t bytes = FileBytes(head, ours.size());
  if (status.st_size != 0) {
    if (!resume) {
      return Error{partial +
                   ": holds an interrupted build; go on with it by --resume, or delete it"};
    }
    const uint64_t rows_at = RowAt(ours, 0);
    std::string theirs(ours.size(), '\0');
    // Its head without the checksums of rows, which are what a build adds.
    bool same = static_cast<uint64_t>(status.st_size) == bytes &&
                ReadAt(writer.file_, &theirs[0], theirs.size(), 0) &&
                theirs.compare(0, rows_at, ours, 0, rows_at) == 0;
    std::vector<unsigned char> entries(writer.items_ * kEntryBytes);
    for (size_t row = 0; same && row < writer.done_.size(); ++row) {
      const unsigned char* record =
          reinterpret_cast<const unsigned char*>(theirs.data()) + RowAt(ours, row);
      const uint64_t sum = Load64(record + kRowSumAt);
      Store64(reinterpret_cast<unsigned char*>(&theirs[RowAt(ours, row) + kRowSumAt]), 0);
      same = theirs.compare(RowAt(ours, row), kRowBytes, ours, RowAt(ours, row), kRowBytes) == 0;
      if (sum == 0) continue;
      writer.done_[row] = ReadAt(writer.file_, entries.data(), entries.size(),
                                 ours.size() + uint64_t{row} * entries.size()) &&
                          RowSum(record, entries.data(), writer.items_) == sum;
    }
    if (!same) {
      return Error{partial +
                   ": is an interrupted build of another table (another space, other layers, "
                   "energies or cost model); delete it, or give another --out"};
    }
    return writer;
  }
  std::string why;
  // The head first: a file that is killed before it is whole has another size, see above.
  if (!writer.Put(0, ours.data(), ours.size(), &why) ||
      ftruncate(writer.file_, static_cast<off_t>(bytes)) != 0) {
    if (why.empty()) why = Refusal(partial, "cannot be written");
    unlink(partial.c_str());
    return Error{why};
  }
  return writer;
}

size_t LayerTableWriter::rows_done() const {
  return static_cast<size_t>(std::count_if(done_.begin(), done_.end(), [](char d) { return d; }));
}

bool LayerTableWriter::Write(size_t row, const TableEntry* entries, std::string* why) {
  unsigned char record[kRowBytes];
  std::vector<unsigned char> bytes;
  MakeRow(head_bytes_, row, entries, items_, record, &bytes);
  if (!Put(head_bytes_.size() + uint64_t{row} * bytes.size(), bytes.data(), bytes.size(), why) ||
      !Put(RowAt(head_bytes_, row), record, kRowBytes, why)) {
    return false;
  }
  done_[row] = 1;
  return true;
}

bool LayerTableWriter::Finish(std::string* why) {
  const std::string partial = PartialPath(path_);
  if (fsync(file_) != 0) {
    *why = Refusal(partial, "cannot be written");
    return false;
  }
  if (std::rename(partial.c_str(), path_.c_str()) != 0) {
    *why = Refusal(path_, ("cannot be put in place of " + partial).c_str());
    return false;
  }
  return true;
}

MappedFile LayerTableBytes(const TableHead& head, const std::vector<TableEntry>& entries) {
  const std::string head_bytes = HeadBytes(head);
  const size_t size = static_cast<size_t>(FileBytes(head, head_bytes.size()));
  const size_t items = head.items.size();
  unsigned char* bytes = new unsigned char[size];
  std::memcpy(bytes, head_bytes.data(), head_bytes.size());
  std::vector<unsigned char> row_bytes;
  for (size_t row = 0; row < head.configurations.size(); ++row) {
    unsigned char* record = bytes + RowAt(head_bytes, row);
    unsigned char made[kRowBytes];
    MakeRow(head_bytes, row, entries.data() + row * items, items, made, &row_bytes);
    std::memcpy(record, made, kRowBytes);
    std::memcpy(bytes + head_bytes.size() + row * row_bytes.size(), row_bytes.data(),
                row_bytes.size());
  }
  return MappedFile::Own(bytes, size);
}

}  // namespace rhnas::hw
