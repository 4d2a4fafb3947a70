// The loader: what a batch holds is a pure function of seed, epoch and position.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "nn/data.h"

namespace rhnas::nn {
namespace {

// Image i is 4 x 5 x 1; the pixel at (y, x) is 10 y + x + 1, the label i.
class Numbered : public DataSet {
 public:
  explicit Numbered(int size) : size_(size) {
    h_ = 4;
    w_ = 5;
    c_ = 1;
    classes_ = size;
  }
  int size() const override { return size_; }
  int Get(int index, uint8_t* pixels) const override {
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 5; ++x) pixels[y * 5 + x] = static_cast<uint8_t>(10 * y + x + 1);
    }
    return index;
  }

 private:
  int size_;
};

Loader::Options Take(int first, int count, int batch) {
  Loader::Options options;
  options.indices.resize(static_cast<size_t>(count));
  std::iota(options.indices.begin(), options.indices.end(), first);
  options.batch = batch;
  return options;
}

// mean 0 and deviation 1/255 keep the bytes as they are.
const std::vector<float> kMean = {0}, kByte = {1.0f / 255};

std::vector<int> LabelsOf(const Batch& batch) {
  return std::vector<int>(batch.labels, batch.labels + batch.shape.dim[0]);
}
std::vector<float> ImagesOf(const Batch& batch) {
  return std::vector<float>(batch.images, batch.images + batch.shape.size());
}

TEST(NnLoader, EachEpochIsAPermutationOfTheIndices) {
  const Numbered data(50);
  Loader loader(data, kMean, kByte, Take(10, 24, 8));
  EXPECT_EQ(loader.batches_per_epoch(), 3);
  std::vector<std::vector<int>> epochs;
  for (int e = 0; e < 3; ++e) {
    std::vector<int> seen;
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(loader.position(), e * 3 + i);
      const std::vector<int> labels = LabelsOf(loader.Next());
      seen.insert(seen.end(), labels.begin(), labels.end());
    }
    epochs.push_back(seen);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, Take(10, 24, 8).indices);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
}

TEST(NnLoader, LastBatchDroppedOrShort) {
  const Numbered data(10);
  Loader::Options options = Take(0, 10, 4);
  options.shuffle = false;
  options.drop_last = false;
  Loader loader(data, kMean, kByte, options);
  EXPECT_EQ(loader.batches_per_epoch(), 3);
  EXPECT_EQ(LabelsOf(loader.Next()), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(LabelsOf(loader.Next()), (std::vector<int>{4, 5, 6, 7}));
  EXPECT_EQ(LabelsOf(loader.Next()), (std::vector<int>{8, 9}));
  EXPECT_EQ(LabelsOf(loader.Next()), (std::vector<int>{0, 1, 2, 3}));
  options.drop_last = true;
  Loader dropping(data, kMean, kByte, options);
  EXPECT_EQ(dropping.batches_per_epoch(), 2);
}

TEST(NnLoader, SeekContinuesAsIfUninterrupted) {
  const Numbered data(40);
  Loader::Options options = Take(0, 40, 8);
  options.augmentation = {2, true, 2};
  options.seed = 5;
  Loader straight(data, kMean, kByte, options);
  std::vector<std::vector<int>> labels;
  std::vector<std::vector<float>> images;
  for (int i = 0; i < 12; ++i) {
    const Batch batch = straight.Next();
    labels.push_back(LabelsOf(batch));
    images.push_back(ImagesOf(batch));
  }
  Loader resumed(data, kMean, kByte, options);
  for (int from : {7, 3, 4, 4, 11, 0}) {
    resumed.Seek(from);
    EXPECT_EQ(resumed.position(), from);
    for (int i = from; i < std::min(from + 3, 12); ++i) {
      const Batch batch = resumed.Next();
      EXPECT_EQ(LabelsOf(batch), labels[static_cast<size_t>(i)]) << "from " << from;
      EXPECT_EQ(ImagesOf(batch), images[static_cast<size_t>(i)]) << "from " << from;
    }
  }
}

// Counts the images asked for.
class Counted : public Numbered {
 public:
  explicit Counted(int size) : Numbered(size) {}
  int Get(int index, uint8_t* pixels) const override {
    ++count_;
    return Numbered::Get(index, pixels);
  }
  // Waits up to 5 s.
  bool Reaches(int count) const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (count_ < count) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

 private:
  mutable std::atomic<int> count_{0};
};

TEST(NnLoader, FillsTheNextBatchWhileTheCallerWorks) {
  const Counted data(64);
  Loader loader(data, kMean, kByte, Take(0, 64, 8));
  loader.Next();
  EXPECT_TRUE(data.Reaches(16));
}

TEST(NnLoader, BatchStaysUntilTheNextCall) {
  const Counted data(64);
  Loader loader(data, kMean, kByte, Take(0, 64, 8));
  for (int i = 0; i < 20; ++i) {
    const Batch batch = loader.Next();
    const std::vector<int> before = LabelsOf(batch);
    ASSERT_TRUE(data.Reaches(8 * (i + 2)));  // the next batch has been filled
    ASSERT_EQ(before, LabelsOf(batch));
  }
}

TEST(NnLoader, Normalises) {
  const Numbered data(4);
  Loader loader(data, {0.25f}, {0.5f}, Take(0, 4, 4));
  EXPECT_FLOAT_EQ(loader.Next().images[7], (13.0f / 255 - 0.25f) / 0.5f);
}

TEST(NnLoader, CropShiftsAndFlipMirrors) {
  const Numbered data(1);
  Loader::Options options = Take(0, 1, 1);
  options.augmentation.pad_crop = 1;
  options.augmentation.flip = true;
  Loader loader(data, kMean, kByte, options);
  std::map<std::vector<int>, int> seen;
  for (int i = 0; i < 2000; ++i) {
    const Batch batch = loader.Next();
    std::vector<int> image;
    for (int j = 0; j < 20; ++j) image.push_back(static_cast<int>(batch.images[j] + 0.5f));
    ++seen[image];
  }
  std::map<std::vector<int>, int> expected;
  for (int dy = -1; dy <= 1; ++dy) {
    for (int dx = -1; dx <= 1; ++dx) {
      for (bool mirrored : {false, true}) {
        std::vector<int> image;
        for (int y = 0; y < 4; ++y) {
          for (int x = 0; x < 5; ++x) {
            const int from_y = y + dy, from_x = (mirrored ? 4 - x : x) + dx;
            const bool inside = from_y >= 0 && from_y < 4 && from_x >= 0 && from_x < 5;
            image.push_back(inside ? 10 * from_y + from_x + 1 : 0);
          }
        }
        expected[image] = 1;
      }
    }
  }
  EXPECT_EQ(expected.size(), 18u);
  EXPECT_EQ(seen.size(), 18u);
  for (const auto& [image, count] : seen) {
    EXPECT_EQ(expected.count(image), 1u);
    EXPECT_NEAR(count, 2000 / 18.0, 5 * 10.5);  // five standard deviations
  }
}

TEST(NnLoader, CutoutLeavesASquareOfTheMean) {
  const Numbered data(1);
  Loader::Options options = Take(0, 1, 1);
  options.augmentation.cutout = 2;
  Loader loader(data, {1}, kByte, options);  // no pixel is at the mean, 1
  std::set<int> sizes;
  for (int i = 0; i < 200; ++i) {
    const Batch batch = loader.Next();
    sizes.insert(static_cast<int>(std::count(batch.images, batch.images + 20, 0.0f)));
  }
  EXPECT_EQ(sizes, (std::set<int>{1, 2, 4}));  // at a corner, at an edge, inside
}

// Constant images of the value of their label, so that shares can be read off.
class Flat : public DataSet {
 public:
  explicit Flat(int size) : size_(size) {
    h_ = w_ = 2;
    c_ = 1;
    classes_ = size;
  }
  int size() const override { return size_; }
  int Get(int index, uint8_t* pixels) const override {
    std::fill(pixels, pixels + 4, static_cast<uint8_t>(index));
    return index;
  }

 private:
  int size_;
};

TEST(NnLoader, MixupMixesPairsAndTheirLabels) {
  const Flat data(200);
  for (const float alpha : {0.2f, 1.0f}) {
    Loader::Options options = Take(0, 200, 5);
    options.augmentation.mixup = alpha;
    Loader loader(data, kMean, kByte, options);
    std::vector<double> shares;
    for (int i = 0; i < 2000; ++i) {
      const Batch batch = loader.Next();
      ASSERT_NE(batch.mixed_labels, nullptr);
      ASSERT_GE(batch.mix, 0);
      ASSERT_LE(batch.mix, 1);
      shares.push_back(double{batch.mix});
      for (int j = 0; j < 5; ++j) {
        EXPECT_EQ(batch.mixed_labels[j], batch.labels[4 - j]);
        const float expected = batch.mix * static_cast<float>(batch.labels[j]) +
                               (1 - batch.mix) * static_cast<float>(batch.labels[4 - j]);
        ASSERT_NEAR(batch.images[4 * j + 3], expected, 1e-3) << "alpha " << alpha << ", step " << i;
      }
    }
    // Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2a + 1)).
    double mean = 0, variance = 0;
    for (double share : shares) mean += share / 2000;
    for (double share : shares) variance += (share - mean) * (share - mean) / 2000;
    EXPECT_NEAR(mean, 0.5, 0.04) << "alpha " << alpha;
    EXPECT_NEAR(variance, 1 / (4 * (2 * double{alpha} + 1)), 0.012) << "alpha " << alpha;
    // A pure function of seed and position.
    loader.Seek(1234);
    EXPECT_EQ(double{loader.Next().mix}, shares[1234]);
  }
}

TEST(NnLoader, WithoutMixupNothingIsMixed) {
  const Flat data(20);
  Loader loader(data, kMean, kByte, Take(0, 20, 5));
  const Batch batch = loader.Next();
  EXPECT_EQ(batch.mixed_labels, nullptr);
  EXPECT_EQ(batch.mix, 1);
}

}  // namespace
}  // namespace rhnas::nn
