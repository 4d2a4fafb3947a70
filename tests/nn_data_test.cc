// Data sets: what is read, and one clear line for each fault.
#include "nn/data.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "nn/data_files.h"

namespace rhnas::nn {
namespace {

// A fresh folder for each test, gone afterwards.
class NnData : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = (std::filesystem::temp_directory_path() /
            (std::string("rhnas_nn_data_") +
             ::testing::UnitTest::GetInstance()->current_test_info()->name()))
               .string();
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void Write(const std::string& name, const std::string& bytes) {
    const std::filesystem::path path = std::filesystem::path(dir_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
  }
  void Remove(const std::string& name) { std::filesystem::remove(dir_ + "/" + name); }

  // Opens and returns the message, which must be one line without a full stop at its end.
  std::string Message(const std::string& name, const std::string& dir) {
    DataOptions options;
    options.name = name;
    options.dir = dir;
    engine::Result<DataPair> pair = OpenData(options);
    if (pair.ok()) return "";
    const std::string& message = pair.status().message();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_NE(message.back(), '.') << message;
    return message;
  }
  std::string Message(const std::string& name) { return Message(name, dir_); }
  DataPair Open(const std::string& name, const std::string& dir, int train_size = 0) {
    DataOptions options;
    options.name = name;
    options.dir = dir;
    options.train_size = train_size;
    engine::Result<DataPair> pair = OpenData(options);
    EXPECT_TRUE(pair.ok()) << pair.status().message();
    return std::move(*pair);
  }

  std::string dir_;
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

std::string Big(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

std::string CifarRecord(int label, int seed) {
  std::string record(1, static_cast<char>(label));
  for (int i = 0; i < 3072; ++i) record += static_cast<char>((i * 7 + seed) & 255);
  return record;
}

TEST_F(NnData, CifarPlanesBecomePixels) {
  for (int i = 1; i <= 5; ++i) {
    Write("data_batch_" + std::to_string(i) + ".bin", CifarRecord(i, i) + CifarRecord(0, 9));
  }
  Write("test_batch.bin", CifarRecord(9, 1));
  const DataPair pair = Open("cifar10", dir_);
  EXPECT_EQ(pair.train->size(), 10);
  EXPECT_EQ(pair.test->size(), 1);
  EXPECT_EQ(pair.train->classes(), 10);
  std::vector<uint8_t> pixels(3072);
  EXPECT_EQ(pair.train->Get(4, pixels.data()), 3);
  for (int p : {0, 5, 1023}) {
    for (int c = 0; c < 3; ++c) {
      EXPECT_EQ(pixels[static_cast<size_t>(p * 3 + c)], ((c * 1024 + p) * 7 + 3) & 255);
    }
  }
  EXPECT_EQ(Open("cifar10", dir_, 3).train->size(), 3);
  EXPECT_EQ(pair.mean, (std::vector<float>{0.4914f, 0.4822f, 0.4465f}));
  EXPECT_EQ(pair.stddev, (std::vector<float>{0.2023f, 0.1994f, 0.2010f}));
}

TEST_F(NnData, CifarInUsualFolderAndCoarseLabels) {
  Write("cifar-100-binary/train.bin", "\x05" + CifarRecord(77, 1) + "\x06" + CifarRecord(99, 1));
  Write("cifar-100-binary/test.bin", "\x07" + CifarRecord(0, 1));
  const DataPair pair = Open("cifar100", dir_);
  std::vector<uint8_t> pixels(3072);
  EXPECT_EQ(pair.train->Get(1, pixels.data()), 99);
  EXPECT_EQ(pair.train->classes(), 100);
}

TEST_F(NnData, CifarFaults) {
  EXPECT_HAS(Message("cifar10"), "data_batch_1.bin is missing");
  Write("cifar-10-binary.tar.gz", "x");
  EXPECT_HAS(Message("cifar10"), "tar -xzf");
  for (int i = 1; i <= 5; ++i) {
    Write("data_batch_" + std::to_string(i) + ".bin", CifarRecord(1, 1));
  }
  EXPECT_HAS(Message("cifar10"), "test_batch.bin is missing");
  Write("test_batch.bin", CifarRecord(1, 1).substr(0, 3000));
  EXPECT_HAS(Message("cifar10"), "test_batch.bin: 3000 bytes are not a whole number");
  Write("test_batch.bin", "");
  EXPECT_HAS(Message("cifar10"), "0 bytes");
  Write("test_batch.bin", CifarRecord(1, 1) + CifarRecord(10, 1));
  EXPECT_HAS(Message("cifar10"), "record 1 has label 10, expected 0 to 9");
  Write("data_batch_3.bin", "\x1f\x8b\x08 something");
  EXPECT_HAS(Message("cifar10"), "data_batch_3.bin is compressed: unpack it");
  Remove("data_batch_3.bin");
  Write("data_batch_3.bin.xz", "x");
  EXPECT_HAS(Message("cifar10"), "xz -dk ");
}

std::string Images(int n, int h, int w) {
  std::string bytes = Big(0x803) + Big(static_cast<uint32_t>(n)) + Big(static_cast<uint32_t>(h)) +
                      Big(static_cast<uint32_t>(w));
  for (int i = 0; i < n * h * w; ++i) bytes += static_cast<char>(i);
  return bytes;
}
std::string Labels(int n) {
  std::string bytes = Big(0x801) + Big(static_cast<uint32_t>(n));
  for (int i = 0; i < n; ++i) bytes += static_cast<char>(i % 10);
  return bytes;
}

TEST_F(NnData, Mnist) {
  Write("train-images-idx3-ubyte", Images(12, 4, 4));
  Write("train-labels-idx1-ubyte", Labels(12));
  Write("t10k-images.idx3-ubyte", Images(5, 4, 4));
  Write("t10k-labels.idx1-ubyte", Labels(5));
  const DataPair pair = Open("mnist", dir_);
  EXPECT_EQ(pair.train->size(), 12);
  EXPECT_EQ(pair.test->size(), 5);
  EXPECT_EQ(pair.train->height(), 4);
  EXPECT_EQ(pair.train->width(), 4);
  EXPECT_EQ(pair.train->channels(), 1);
  uint8_t pixels[16];
  EXPECT_EQ(pair.train->Get(11, pixels), 1);
  EXPECT_EQ(pixels[1], 11 * 16 + 1);
}

TEST_F(NnData, MnistOfTwoSizesOrNotSquare) {
  Write("train-images-idx3-ubyte", Images(12, 4, 4));
  Write("train-labels-idx1-ubyte", Labels(12));
  Write("t10k-images-idx3-ubyte", Images(5, 5, 5));
  Write("t10k-labels-idx1-ubyte", Labels(5));
  EXPECT_HAS(Message("mnist"),
             "mnist: training images of 4 x 4 x 1, test images of 5 x 5 x 1: expected the same");
  Write("train-images-idx3-ubyte", Images(12, 3, 4));
  Write("t10k-images-idx3-ubyte", Images(5, 3, 4));
  EXPECT_HAS(Message("mnist"), "images of 3 x 4 pixels (height x width), expected square ones");
}

TEST_F(NnData, MnistFaults) {
  Write("train-images-idx3-ubyte.gz", "x");
  EXPECT_HAS(Message("fashion-mnist"), "gzip -dk " + dir_ + "/train-images-idx3-ubyte.gz");
  Write("train-images-idx3-ubyte", Images(2, 3, 4));
  Write("train-labels-idx1-ubyte", Labels(3));
  EXPECT_HAS(Message("mnist"), "holds 2 images");
  Write("train-labels-idx1-ubyte", Labels(2).substr(0, 9));
  EXPECT_HAS(Message("mnist"), "9 bytes, its header says 10: truncated");
  Write("train-labels-idx1-ubyte", Images(2, 1, 1));
  EXPECT_HAS(Message("mnist"), "magic number 0x00000803, expected 0x00000801");
  Write("train-labels-idx1-ubyte", "abc");
  EXPECT_HAS(Message("mnist"), "too short for an IDX header");
  Write("train-labels-idx1-ubyte", Labels(2) + "x");
  EXPECT_HAS(Message("mnist"), "something follows");
  Write("train-labels-idx1-ubyte", Big(0x801) + Big(2) + "\x01\x0c");
  EXPECT_HAS(Message("mnist"), "label 1 is 12");
  Write("train-images-idx3-ubyte", Big(0x803) + Big(2) + Big(0xffffffffu) + Big(3));
  EXPECT_HAS(Message("mnist"), "dimension 1 is 4294967295");
  Write("train-images-idx3-ubyte", "\x1f\x8b\x08");
  EXPECT_HAS(Message("mnist"), "is compressed");
}

std::string Ppm(int h, int w, int value) {
  return "P6\n# made by hand\n" + std::to_string(w) + " " + std::to_string(h) + "\n255\n" +
         std::string(static_cast<size_t>(h * w * 3), static_cast<char>(value));
}

TEST_F(NnData, FolderWithTrainAndTest) {
  Write("train/cat/a.ppm", Ppm(5, 5, 10));
  Write("train/cat/b.PPM", Ppm(5, 5, 11));
  Write("train/cat/notes.txt", "not an image");
  Write("train/dog/a.ppm", Ppm(5, 5, 20));
  Write("test/cat/a.ppm", Ppm(5, 5, 30));
  Write("test/dog/a.ppm", Ppm(5, 5, 40));
  const DataPair pair = Open("folder", dir_);
  ASSERT_EQ(pair.train->size(), 3);
  EXPECT_EQ(pair.test->size(), 2);
  EXPECT_EQ(pair.train->classes(), 2);
  EXPECT_EQ(pair.train->height(), 5);
  EXPECT_EQ(pair.train->width(), 5);
  std::vector<uint8_t> pixels(75);
  // The classes take turns.
  EXPECT_EQ(pair.train->Get(0, pixels.data()), 0);
  EXPECT_EQ(pair.train->Get(1, pixels.data()), 1);
  EXPECT_EQ(pixels[74], 20);
  EXPECT_EQ(pair.train->Get(2, pixels.data()), 0);
  EXPECT_EQ(pixels[0], 11);
  Write("test/eel/a.ppm", Ppm(5, 5, 1));
  EXPECT_HAS(Message("folder"), "same class folders");
}

TEST_F(NnData, FolderWithoutPartsKeepsEveryFifth) {
  for (int i = 0; i < 10; ++i) {
    Write("x/" + std::to_string(i) + ".ppm", Ppm(2, 2, i));
    Write("y/" + std::to_string(i) + ".ppm", Ppm(2, 2, 100 + i));
  }
  const DataPair pair = Open("folder", dir_);
  EXPECT_EQ(pair.train->size(), 16);
  EXPECT_EQ(pair.test->size(), 4);
  std::set<int> seen;
  uint8_t pixels[12];
  for (int i = 0; i < 16; ++i) seen.insert((pair.train->Get(i, pixels), pixels[0]));
  for (int i = 0; i < 4; ++i) seen.insert((pair.test->Get(i, pixels), pixels[0]));
  EXPECT_EQ(seen.size(), 20u);
}

TEST_F(NnData, FolderOfTwoSizesOrNotSquare) {
  for (int i = 0; i < 10; ++i) {  // every fifth, which the test part takes, is larger
    const int side = i % 5 == 0 ? 3 : 2;
    Write("x/" + std::to_string(i) + ".ppm", Ppm(side, side, i));
    Write("y/" + std::to_string(i) + ".ppm", Ppm(side, side, i));
  }
  EXPECT_HAS(Message("folder"), "training images of 2 x 2 x 3, test images of 3 x 3 x 3");
  for (const char* part : {"train", "test"}) {
    const int h = part == std::string("train") ? 4 : 6;
    Write("parts/" + std::string(part) + "/x/a.ppm", Ppm(h, 6, 1));
    Write("parts/" + std::string(part) + "/y/a.ppm", Ppm(h, 6, 2));
  }
  EXPECT_HAS(Message("folder", dir_ + "/parts"), "training images of 4 x 6 x 3, test images of 6");
  Write("parts/test/x/a.ppm", Ppm(4, 6, 1));
  Write("parts/test/y/a.ppm", Ppm(4, 6, 1));
  EXPECT_HAS(Message("folder", dir_ + "/parts"), "crop or pad");
}

TEST_F(NnData, FolderFaults) {
  EXPECT_HAS(Message("folder"), "0 class folders");
  EXPECT_HAS(Message("folder", dir_ + "/nowhere"), "does not exist");
  EXPECT_HAS(Message("folder", ""), "name the folder");
  for (int i = 0; i < 5; ++i) {
    Write("x/" + std::to_string(i) + ".ppm", Ppm(2, 2, i));
    Write("y/" + std::to_string(i) + ".ppm", Ppm(2, 2, i));
  }
  EXPECT_EQ(Message("folder"), "");
  Write("y/3.ppm", Ppm(2, 3, 1));
  EXPECT_HAS(Message("folder"), "3.ppm: 2 x 3 x 3, but");
  Write("y/3.ppm", Ppm(2, 2, 1).substr(0, 30));
  EXPECT_HAS(Message("folder"), "truncated");
  Write("y/3.ppm", "P3\n2 2\n255\n");
  EXPECT_HAS(Message("folder"), "neither P6 nor P5");
  Write("y/3.ppm", "P6\n2 2\n65535\n");
  EXPECT_HAS(Message("folder"), "largest sample 65535");
  Write("y/3.ppm", "P6\n99999999999999999999 2\n255\n");
  EXPECT_HAS(Message("folder"), "pixels, expected 1 to");
  Write("y/3.ppm", "P6");
  EXPECT_HAS(Message("folder"), "3.ppm");
}

TEST_F(NnData, UnknownNameAndSizes) {
  EXPECT_HAS(Message("cifar"), "did you mean cifar10?");
  DataOptions options;
  options.train_size = -1;
  EXPECT_HAS(OpenData(options).status().message(), "negative");
}

// The images of a seed are the same for ever: published results name seeds.
TEST_F(NnData, SynthIsAPureFunctionOfSeedPartAndIndex) {
  DataOptions options;
  options.train_size = 100;
  options.test_size = 50;
  engine::Result<DataPair> pair = OpenData(options);
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(pair->train->size(), 100);
  EXPECT_EQ(pair->test->size(), 50);
  std::vector<uint8_t> a(3072), b(3072);
  int labels[10] = {};
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (int i = 0; i < 100; ++i) {
    ++labels[pair->train->Get(i, a.data())];
    for (uint8_t byte : a) hash = (hash ^ byte) * 1099511628211u;
  }
  for (int count : labels) EXPECT_EQ(count, 10);
  EXPECT_EQ(hash, 11128294913557859265u) << "the images of seed 1 are not what they were";
  options.train_size = 1000;
  engine::Result<DataPair> longer = OpenData(options);
  pair->train->Get(57, a.data());
  longer->train->Get(57, b.data());
  EXPECT_EQ(a, b);
  pair->test->Get(7, b.data());
  pair->train->Get(7, a.data());
  EXPECT_NE(a, b);
  options.seed = 2;
  OpenData(options)->train->Get(7, b.data());
  EXPECT_NE(a, b);
  for (float s : pair->stddev) EXPECT_GT(s, 0.1f);
}

TEST_F(NnData, StandardAugmentation) {
  const Augmentation digits = StandardAugmentation("mnist", 28);
  EXPECT_EQ(digits.pad_crop, 3);
  EXPECT_FALSE(digits.flip);
  EXPECT_EQ(digits.cutout, 0);
  for (const char* name : {"cifar10", "cifar100", "fashion-mnist", "folder", "synth"}) {
    const Augmentation photos = StandardAugmentation(name, 32);
    EXPECT_EQ(photos.pad_crop, 4);
    EXPECT_TRUE(photos.flip) << name;
  }
}

TEST_F(NnData, SplitIsAPartition) {
  const std::vector<std::vector<int>> parts = SplitIndices(1001, {0.5, 0.25, 0.2}, 3);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].size(), 501u);
  EXPECT_EQ(parts[0].size() + parts[1].size() + parts[2].size(), 951u);
  std::set<int> all;
  for (const std::vector<int>& part : parts) all.insert(part.begin(), part.end());
  EXPECT_EQ(all.size(), 951u);
  EXPECT_EQ(parts, SplitIndices(1001, {0.5, 0.25, 0.2}, 3));
  EXPECT_NE(parts, SplitIndices(1001, {0.5, 0.25, 0.2}, 4));
}

TEST_F(NnData, RealSets) {
  const char* root = std::getenv("RHNAS_DATA");
  if (root == nullptr) GTEST_SKIP() << "RHNAS_DATA is not set";
  if (FolderExists(std::string(root) + "/cifar-10-batches-bin")) {
    for (const char* below : {"", "/cifar-10-batches-bin"}) {
      const DataPair pair = Open("cifar10", root + std::string(below));
      EXPECT_EQ(pair.train->size(), 50000);
      EXPECT_EQ(pair.test->size(), 10000);
      int labels[10] = {};
      std::vector<uint8_t> pixels(3072);
      for (int i = 0; i < 10000; ++i) ++labels[pair.test->Get(i, pixels.data())];
      for (int count : labels) EXPECT_EQ(count, 1000);
    }
  }
  if (FolderExists(std::string(root) + "/fashion-mnist")) {
    const DataPair pair = Open("fashion-mnist", root);
    EXPECT_EQ(pair.train->size(), 60000);
    EXPECT_EQ(pair.test->size(), 10000);
    EXPECT_EQ(pair.train->height(), 28);
    EXPECT_EQ(pair.train->channels(), 1);
    // The published mean, over all pixels.
    std::vector<uint8_t> pixels(784);
    double sum = 0;
    for (int i = 0; i < 60000; ++i) {
      pair.train->Get(i, pixels.data());
      for (uint8_t p : pixels) sum += p;
    }
    EXPECT_NEAR(sum / (60000.0 * 784 * 255), double{pair.mean[0]}, 5e-4);
  }
}

}  // namespace
}  // namespace rhnas::nn
