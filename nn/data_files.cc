// Files of image data: CIFAR's binary records, IDX. See data_files.h.
#include "nn/data_files.h"

#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/archive.h"
#include "engine/check.h"

namespace rhnas::nn {

namespace {

using engine::Format;
using engine::Result;
using engine::Status;

constexpr int kCifarSide = 32, kCifarPlane = kCifarSide * kCifarSide;

struct Packing {
  const char* suffix;
  const char* magic;
  const char* command;
};
// First bytes: RFC 1952 (gzip); the .xz format, section 2.1.1.1; bzip2's "BZh".
constexpr Packing kPackings[] = {
    {".gz", "\x1f\x8b", "gzip -dk"},
    {".xz",
     "\xfd"
     "7zXZ",
     "xz -dk"},
    {".bz2", "BZh", "bzip2 -dk"},
};

uint32_t BigEndian32(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// An IDX file of unsigned bytes in `rank` dimensions.
struct Idx {
  std::vector<int> dim;
  std::string bytes;
  size_t data = 0;  // where the values begin
};

Result<Idx> ReadIdx(const std::string& path, int rank) {
  Result<std::string> bytes = ReadDataFile(path);
  if (!bytes.ok()) return bytes.status();
  const size_t header = 4 + 4 * static_cast<size_t>(rank);
  if (bytes->size() < header) {
    return Status::Error("%s: %zu bytes, too short for an IDX header of %zu", path.c_str(),
                         bytes->size(), header);
  }
  // Two zero bytes, the type (8: unsigned byte), the number of dimensions.
  const uint32_t magic = BigEndian32(*bytes, 0);
  const uint32_t expected = 0x0800u + static_cast<uint32_t>(rank);
  if (magic != expected) {
    return Status::Error("%s: magic number 0x%08x, expected 0x%08x (IDX, bytes, %d dimensions)",
                         path.c_str(), magic, expected, rank);
  }
  Idx idx;
  uint64_t size = header, values = 1;
  for (int i = 0; i < rank; ++i) {
    const uint32_t dim = BigEndian32(*bytes, 4 + 4 * static_cast<size_t>(i));
    // Bounds first, so that the product below cannot overflow.
    if (dim == 0 || dim > 100000000u || (i > 0 && dim > 4096u)) {
      return Status::Error("%s: dimension %d is %u", path.c_str(), i, dim);
    }
    idx.dim.push_back(static_cast<int>(dim));
    values *= dim;
  }
  size += values;
  if (bytes->size() != size) {
    return Status::Error("%s: %zu bytes, its header says %llu: %s", path.c_str(), bytes->size(),
                         static_cast<unsigned long long>(size),
                         bytes->size() < size ? "truncated" : "something follows the data");
  }
  idx.bytes = std::move(*bytes);
  idx.data = header;
  return idx;
}

// "train-images-idx3-ubyte"; some copies have a dot before idx.
std::string IdxPath(const std::string& dir, const std::string& stem, const char* kind) {
  const std::string usual = dir + "/" + stem + "-" + kind, dotted = dir + "/" + stem + "." + kind;
  return !FileExists(usual) && FileExists(dotted) ? dotted : usual;
}

}  // namespace

MemoryDataSet::MemoryDataSet(std::string name, const ImageShape& shape, int classes,
                             std::vector<uint8_t> pixels, std::vector<int> labels)
    : pixels_(std::move(pixels)), labels_(std::move(labels)) {
  name_ = std::move(name);
  h_ = shape.h;
  w_ = shape.w;
  c_ = shape.c;
  classes_ = classes;
  RHNAS_CHECK(pixels_.size() == labels_.size() * static_cast<size_t>(h_ * w_ * c_),
              "%zu bytes for %zu images", pixels_.size(), labels_.size());
}

int MemoryDataSet::Get(int index, uint8_t* pixels) const {
  RHNAS_CHECK(index >= 0 && index < size(), "image %d of %d", index, size());
  const size_t bytes = static_cast<size_t>(h_ * w_ * c_);
  std::memcpy(pixels, pixels_.data() + static_cast<size_t>(index) * bytes, bytes);
  return labels_[static_cast<size_t>(index)];
}

void MemoryDataSet::Truncate(int count) {
  if (count <= 0 || count >= size()) return;
  labels_.resize(static_cast<size_t>(count));
  pixels_.resize(static_cast<size_t>(count) * static_cast<size_t>(h_ * w_ * c_));
  pixels_.shrink_to_fit();
}

bool FileExists(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

bool FolderExists(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

Result<std::string> ReadDataFile(const std::string& path) {
  if (!FileExists(path)) {
    for (const Packing& packing : kPackings) {
      const std::string packed = path + packing.suffix;
      if (!FileExists(packed)) continue;
      return Status::Error("%s is missing, but stands compressed beside it: unpack it with %s %s",
                           path.c_str(), packing.command, packed.c_str());
    }
    return Status::Error("%s is missing", path.c_str());
  }
  Result<std::string> bytes = engine::ReadFile(path);
  if (!bytes.ok()) return bytes;
  for (const Packing& packing : kPackings) {
    if (bytes->compare(0, std::strlen(packing.magic), packing.magic) != 0) continue;
    return Status::Error("%s is compressed: unpack it with mv %s %s%s && %s %s%s", path.c_str(),
                         path.c_str(), path.c_str(), packing.suffix, packing.command, path.c_str(),
                         packing.suffix);
  }
  return bytes;
}

MemoryResult ReadCifar(const std::string& name, const std::string& dir,
                       const std::vector<std::string>& files, int label_bytes, int classes) {
  const size_t record = static_cast<size_t>(label_bytes) + 3 * kCifarPlane;
  std::vector<uint8_t> pixels;
  std::vector<int> labels;
  for (const std::string& file : files) {
    const std::string path = dir + "/" + file;
    const Result<std::string> bytes = ReadDataFile(path);
    if (!bytes.ok()) return bytes.status();
    if (bytes->empty() || bytes->size() % record != 0) {
      return Status::Error(
          "%s: %zu bytes are not a whole number of %zu-byte records (%zu left over): truncated, or "
          "not the binary version",
          path.c_str(), bytes->size(), record, bytes->size() % record);
    }
    const size_t count = bytes->size() / record, before = labels.size();
    pixels.resize(pixels.size() + count * 3 * kCifarPlane);
    for (size_t i = 0; i < count; ++i) {
      const char* in = bytes->data() + i * record;
      const int label = static_cast<uint8_t>(in[label_bytes - 1]);
      if (label >= classes) {
        return Status::Error("%s: record %zu has label %d, expected 0 to %d: not %s's binary form",
                             path.c_str(), i, label, classes - 1, name.c_str());
      }
      labels.push_back(label);
      uint8_t* out = pixels.data() + (before + i) * 3 * kCifarPlane;
      for (int p = 0; p < kCifarPlane; ++p) {
        for (int c = 0; c < 3; ++c) {
          out[p * 3 + c] = static_cast<uint8_t>(in[label_bytes + c * kCifarPlane + p]);
        }
      }
    }
  }
  return std::make_unique<MemoryDataSet>(name, ImageShape{kCifarSide, kCifarSide, 3}, classes,
                                         std::move(pixels), std::move(labels));
}

MemoryResult ReadMnist(const std::string& name, const std::string& dir, const std::string& part) {
  constexpr int kClasses = 10;
  const std::string image_path = IdxPath(dir, part + "-images", "idx3-ubyte");
  const std::string label_path = IdxPath(dir, part + "-labels", "idx1-ubyte");
  const Result<Idx> images = ReadIdx(image_path, 3);
  if (!images.ok()) return images.status();
  const Result<Idx> labels = ReadIdx(label_path, 1);
  if (!labels.ok()) return labels.status();
  if (images->dim[0] != labels->dim[0]) {
    return Status::Error("%s holds %d images, %s %d labels", image_path.c_str(), images->dim[0],
                         label_path.c_str(), labels->dim[0]);
  }
  std::vector<int> label_values;
  for (size_t i = labels->data; i < labels->bytes.size(); ++i) {
    const int label = static_cast<uint8_t>(labels->bytes[i]);
    if (label >= kClasses) {
      return Status::Error("%s: label %zu is %d, expected 0 to %d", label_path.c_str(),
                           i - labels->data, label, kClasses - 1);
    }
    label_values.push_back(label);
  }
  std::vector<uint8_t> pixels(images->bytes.begin() + static_cast<std::ptrdiff_t>(images->data),
                              images->bytes.end());
  return std::make_unique<MemoryDataSet>(name, ImageShape{images->dim[1], images->dim[2], 1},
                                         kClasses, std::move(pixels), std::move(label_values));
}

}  // namespace rhnas::nn
