// Image data sets and the loader that feeds training.
//
// A DataSet is read-only and thread-safe; images are bytes H W C. A Loader turns indices into
// normalised, augmented float batches one batch ahead on its own thread. What a batch holds is a
// pure function of (seed, epoch, position), so a resumed run sees what the uninterrupted one would
// have.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/tensor.h"

namespace rhnas::nn {

class DataSet {
 public:
  virtual ~DataSet() = default;
  virtual int size() const = 0;
  // Writes h*w*c bytes; returns the label.
  virtual int Get(int index, uint8_t* pixels) const = 0;
  int height() const { return h_; }
  int width() const { return w_; }
  int channels() const { return c_; }
  int classes() const { return classes_; }
  const std::string& name() const { return name_; }

 protected:
  int h_ = 0, w_ = 0, c_ = 0, classes_ = 0;
  std::string name_;
};

struct DataPair {
  std::unique_ptr<DataSet> train, test;
  std::vector<float> mean, stddev;  // per channel, of bytes / 255
};

struct DataOptions {
  std::string name = "synth";  // synth, cifar10, cifar100, mnist, fashion-mnist, folder
  std::string dir;             // where the files stand; unused by synth
  uint64_t seed = 1;           // synth
  int train_size = 0;          // synth: images made; others: use only the first N; 0: all / default
  int test_size = 0;
};
// One clear line for a missing, truncated, wrong-magic, wrong-size or still compressed file.
engine::Result<DataPair> OpenData(const DataOptions& options);
std::vector<std::string> DataNames();

struct Augmentation {
  int pad_crop = 0;   // zero padding around before a random crop of the original size
  bool flip = false;  // left-right, probability one half
  int cutout = 0;     // side of a square set to the mean; 0: none
  // Mixup (Zhang et al., ICLR 2018): the share of each image in its batch is drawn from
  // Beta(mixup, mixup), the rest is the image at the mirrored place of the batch; 0: none, at
  // most 1.
  float mixup = 0;
};

// What suits a data set of this name with images of this height: random crops after padding by an
// eighth (four pixels of 32, He et al., CVPR 2016, section 4.2), mirrored unless it is digits.
Augmentation StandardAugmentation(const std::string& name, int height);

struct Batch {
  engine::Shape shape;            // [N,H,W,C]
  const float* images = nullptr;  // normalised; valid until the next call of Next
  const int32_t* labels = nullptr;
  // Mixup: image i is `mix` of one with labels[i] and 1 - mix of one with mixed_labels[i]; null: no
  // mixup.
  const int32_t* mixed_labels = nullptr;
  float mix = 1;
};

class Loader {
 public:
  // `indices`: the part of the data set to use (a train/validation split). shuffle: a new order
  // each epoch. drop_last: only full batches.
  struct Options {
    std::vector<int> indices;
    int batch = 64;
    bool shuffle = true, drop_last = true;
    Augmentation augmentation;
    uint64_t seed = 1;
  };
  Loader(const DataSet& data, const std::vector<float>& mean, const std::vector<float>& stddev,
         Options options);
  ~Loader();
  int batches_per_epoch() const;
  // The next batch; epochs follow one another without end.
  Batch Next();
  // Position as the count of batches handed out since the start; Seek continues from there.
  int64_t position() const;
  void Seek(int64_t position);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Deterministic split of 0..size-1 into parts with the given fractions.
std::vector<std::vector<int>> SplitIndices(int size, const std::vector<double>& fractions,
                                           uint64_t seed);

}  // namespace rhnas::nn
