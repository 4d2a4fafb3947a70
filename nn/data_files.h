// Data sets read from files, each whole into memory at opening so that a fault shows before work
// starts. nn/data.cc puts them behind OpenData.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/data.h"

namespace rhnas::nn {

struct ImageShape {
  int h = 0, w = 0, c = 0;
};

// Images of one shape, H W C bytes one after the other.
class MemoryDataSet : public DataSet {
 public:
  MemoryDataSet(std::string name, const ImageShape& shape, int classes, std::vector<uint8_t> pixels,
                std::vector<int> labels);
  int size() const override { return static_cast<int>(labels_.size()); }
  int Get(int index, uint8_t* pixels) const override;
  // Forgets all but the first `count`; 0 or more than there are: keeps all.
  void Truncate(int count);

  std::vector<std::string> class_names;  // of a folder's classes; empty elsewhere

 private:
  std::vector<uint8_t> pixels_;
  std::vector<int> labels_;
};

using MemoryResult = engine::Result<std::unique_ptr<MemoryDataSet>>;

// Krizhevsky's binary version (cs.toronto.edu/~kriz/cifar.html): records of label_bytes labels, the
// last of which counts, then 3 planes of 32 x 32 bytes. `files` are joined.
MemoryResult ReadCifar(const std::string& name, const std::string& dir,
                       const std::vector<std::string>& files, int label_bytes, int classes);

// IDX files of images and labels (yann.lecun.com/exdb/mnist), 10 classes.
// part: "train" or "t10k".
MemoryResult ReadMnist(const std::string& name, const std::string& dir, const std::string& part);

// One folder a class, in it binary PPM (P6) or PGM (P5) images, 8 bits, all of one size and depth.
// The images come class by class in turn, so that the first N hold every class. fold: which images
// of a class count, by their number modulo `folds`: those equal to fold, or all others (fold < 0:
// all but those equal to -fold - 1).
MemoryResult ReadClassFolders(const std::string& name, const std::string& dir, int fold, int folds);

// A file's bytes, or one line: missing (with what to do if a compressed one stands beside it),
// unreadable, or compressed itself.
engine::Result<std::string> ReadDataFile(const std::string& path);
bool FileExists(const std::string& path);
bool FolderExists(const std::string& path);

}  // namespace rhnas::nn
