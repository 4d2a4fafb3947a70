// A folder of class folders of PPM or PGM images. See data_files.h.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/archive.h"
#include "nn/data_files.h"

namespace rhnas::nn {

namespace {

using engine::Result;
using engine::Status;

constexpr int kMaxSide = 4096;

struct Image {
  ImageShape shape;
  size_t data = 0;  // where the pixels begin
  std::string bytes;
};

// The next number of a netpbm header: blanks and comments, then digits. -1: none there.
int NextNumber(const std::string& bytes, size_t* at) {
  for (; *at < bytes.size(); ++*at) {
    const char c = bytes[*at];
    if (c == '#') {
      while (*at < bytes.size() && bytes[*at] != '\n') ++*at;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      break;
    }
  }
  int value = -1;
  for (; *at < bytes.size() && bytes[*at] >= '0' && bytes[*at] <= '9'; ++*at) {
    value = std::min((value < 0 ? 0 : value) * 10 + (bytes[*at] - '0'), 1 << 20);
  }
  return value;
}

// netpbm.sourceforge.net/doc/ppm.html, with the limit of one image a file and one byte a sample.
Result<Image> ReadPnm(const std::string& path) {
  Result<std::string> bytes = ReadDataFile(path);
  if (!bytes.ok()) return bytes.status();
  Image image;
  const std::string magic = bytes->substr(0, 2);
  if (magic != "P6" && magic != "P5") {
    return Status::Error("%s: not a binary PPM or PGM image: it begins with neither P6 nor P5",
                         path.c_str());
  }
  image.shape.c = magic == "P6" ? 3 : 1;
  size_t at = 2;
  image.shape.w = NextNumber(*bytes, &at);
  image.shape.h = NextNumber(*bytes, &at);
  const int maximum = NextNumber(*bytes, &at);
  if (image.shape.w < 1 || image.shape.w > kMaxSide || image.shape.h < 1 ||
      image.shape.h > kMaxSide) {
    return Status::Error("%s: %d x %d pixels, expected 1 to %d a side", path.c_str(), image.shape.w,
                         image.shape.h, kMaxSide);
  }
  if (maximum != 255) {
    return Status::Error("%s: largest sample %d, expected 255", path.c_str(), maximum);
  }
  image.data = at + 1;  // one blank after the header
  const size_t expected = image.data + static_cast<size_t>(image.shape.w) *
                                           static_cast<size_t>(image.shape.h) *
                                           static_cast<size_t>(image.shape.c);
  if (bytes->size() < expected) {
    return Status::Error("%s: %zu bytes, its header says %zu: truncated", path.c_str(),
                         bytes->size(), expected);
  }
  bytes->resize(expected);
  image.bytes = std::move(*bytes);
  return image;
}

// Names in a folder, sorted, so that the order does not depend on the file system.
Result<std::vector<std::string>> List(const std::string& dir, bool folders) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name[0] == '.') continue;
    std::string suffix = it->path().extension().string();
    for (char& c : suffix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool is_image = suffix == ".ppm" || suffix == ".pgm";
    if (folders ? FolderExists(dir + "/" + name) : is_image) names.push_back(name);
  }
  if (error) return Status::Error("%s: cannot list: %s", dir.c_str(), error.message().c_str());
  std::sort(names.begin(), names.end());
  return names;
}

bool InFold(size_t index, int fold, int folds) {
  const int part = static_cast<int>(index % static_cast<size_t>(folds));
  return fold >= 0 ? part == fold : part != -fold - 1;
}

}  // namespace

MemoryResult ReadClassFolders(const std::string& name, const std::string& dir, int fold,
                              int folds) {
  Result<std::vector<std::string>> classes = List(dir, true);
  if (!classes.ok()) return classes.status();
  if (classes->size() < 2) {
    return Status::Error("%s: %zu class folders, expected at least 2, each with .ppm images",
                         dir.c_str(), classes->size());
  }
  std::vector<std::vector<std::string>> files;  // of each class
  size_t longest = 0;
  for (const std::string& label : *classes) {
    Result<std::vector<std::string>> all = List(dir + "/" + label, false);
    if (!all.ok()) return all.status();
    std::vector<std::string> kept;
    for (size_t i = 0; i < all->size(); ++i) {
      if (InFold(i, fold, folds)) kept.push_back(dir + "/" + label + "/" + (*all)[i]);
    }
    if (kept.empty()) {
      return Status::Error("%s/%s: %zu .ppm or .pgm images are too few", dir.c_str(), label.c_str(),
                           all->size());
    }
    longest = std::max(longest, kept.size());
    files.push_back(std::move(kept));
  }
  ImageShape shape;
  std::vector<uint8_t> pixels;
  std::vector<int> labels;
  for (size_t i = 0; i < longest; ++i) {
    for (size_t label = 0; label < files.size(); ++label) {
      if (i >= files[label].size()) continue;
      const std::string& path = files[label][i];
      const Result<Image> image = ReadPnm(path);
      if (!image.ok()) return image.status();
      const ImageShape& found = image->shape;
      if (labels.empty()) shape = found;
      if (found.h != shape.h || found.w != shape.w || found.c != shape.c) {
        return Status::Error("%s: %d x %d x %d, but %s is %d x %d x %d: all images need one size",
                             path.c_str(), found.h, found.w, found.c, files[0][0].c_str(), shape.h,
                             shape.w, shape.c);
      }
      pixels.insert(pixels.end(), image->bytes.begin() + static_cast<std::ptrdiff_t>(image->data),
                    image->bytes.end());
      labels.push_back(static_cast<int>(label));
    }
  }
  auto data = std::make_unique<MemoryDataSet>(name, shape, static_cast<int>(files.size()),
                                              std::move(pixels), std::move(labels));
  data->class_names = std::move(*classes);
  return data;
}

}  // namespace rhnas::nn
