// Opening data sets by name, their normalisation, and splits. See data.h.
#include "nn/data.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/check.h"
#include "engine/random.h"
#include "nn/data_files.h"
#include "nn/data_synth.h"
#include "nn/text.h"

namespace rhnas::nn {

namespace {

using engine::Result;
using engine::Status;

// Enough to train a small network well past a linear model in a minute; the test part gives an
// accuracy to half a percent.
constexpr int kSynthTrain = 8000, kSynthTest = 2000;
// Without train/ and test/ folders every fifth image of a class is for the test.
constexpr int kFolds = 5;

// The folder that holds `file`: `dir` itself or its child `usual`.
std::string Locate(const std::string& dir, const char* usual, const std::string& file) {
  for (const char* suffix : {"", ".gz", ".xz", ".bz2"}) {
    if (FileExists(dir + "/" + file + suffix)) return dir;
  }
  return FolderExists(dir + "/" + usual) ? dir + "/" + usual : dir;
}

// Adds what to do to the message of a missing file.
Status WithHint(const Status& status, const std::string& hint) {
  return Status::Error("%s; %s", status.message().c_str(), hint.c_str());
}

Result<DataPair> Pair(MemoryResult train, MemoryResult test, const std::string& hint) {
  if (!train.ok()) return hint.empty() ? train.status() : WithHint(train.status(), hint);
  if (!test.ok()) return hint.empty() ? test.status() : WithHint(test.status(), hint);
  const DataSet &a = **train, &b = **test;
  if (a.height() != b.height() || a.width() != b.width() || a.channels() != b.channels()) {
    return Status::Error(
        "%s: training images of %d x %d x %d, test images of %d x %d x %d: expected the same size "
        "(height x width x channels)",
        a.name().c_str(), a.height(), a.width(), a.channels(), b.height(), b.width(), b.channels());
  }
  DataPair pair;
  pair.train = std::move(*train);
  pair.test = std::move(*test);
  return pair;
}

Status Archived(const std::string& dir, const char* archive) {
  const std::string path = dir + "/" + archive;
  if (!FileExists(path)) return Status::Ok();
  return Status::Error("%s is compressed: unpack it with tar -xzf %s -C %s", path.c_str(),
                       path.c_str(), dir.c_str());
}

Result<DataPair> OpenCifar(const std::string& name, const std::string& dir) {
  const bool ten = name == "cifar10";
  std::vector<std::string> train = {"train.bin"};
  if (ten) {
    train.clear();
    for (int i = 1; i <= 5; ++i) train.push_back(engine::Format("data_batch_%d.bin", i));
  }
  const std::string test = ten ? "test_batch.bin" : "test.bin";
  const char* usual = ten ? "cifar-10-batches-bin" : "cifar-100-binary";
  const std::string place = Locate(dir, usual, train[0]);
  if (!FileExists(place + "/" + train[0])) {
    Status archived = Archived(dir, ten ? "cifar-10-binary.tar.gz" : "cifar-100-binary.tar.gz");
    if (!archived.ok()) return archived;
  }
  const int label_bytes = ten ? 1 : 2, classes = ten ? 10 : 100;
  return Pair(ReadCifar(name, place, train, label_bytes, classes),
              ReadCifar(name, place, {test}, label_bytes, classes),
              engine::Format("%s needs its binary version (%s) in %s or %s/%s", name.c_str(),
                             ten ? "data_batch_1.bin to data_batch_5.bin, test_batch.bin"
                                 : "train.bin, test.bin",
                             dir.c_str(), dir.c_str(), usual));
}

Result<DataPair> OpenMnist(const std::string& name, const std::string& dir) {
  std::string place = Locate(dir, name.c_str(), "train-images-idx3-ubyte");
  if (FileExists(dir + "/train-images.idx3-ubyte")) place = dir;
  return Pair(ReadMnist(name, place, "train"), ReadMnist(name, place, "t10k"),
              engine::Format("%s needs train- and t10k- images-idx3-ubyte and labels-idx1-ubyte in "
                             "%s or %s/%s",
                             name.c_str(), dir.c_str(), dir.c_str(), name.c_str()));
}

Result<DataPair> OpenFolder(const std::string& dir) {
  if (!FolderExists(dir)) return Status::Error("%s is not a folder", dir.c_str());
  const std::string train = dir + "/train";
  std::string test = dir + "/test";
  if (!FolderExists(test)) test = dir + "/val";
  if (!FolderExists(train) || !FolderExists(test)) {
    return Pair(ReadClassFolders("folder", dir, -1, kFolds),
                ReadClassFolders("folder", dir, 0, kFolds), "");
  }
  MemoryResult train_set = ReadClassFolders("folder", train, 0, 1);
  MemoryResult test_set = ReadClassFolders("folder", test, 0, 1);
  if (train_set.ok() && test_set.ok()) {
    if ((*train_set)->class_names != (*test_set)->class_names) {
      return Status::Error("%s and %s do not have the same class folders (%s; %s)", train.c_str(),
                           test.c_str(), JoinText((*train_set)->class_names, ", ").c_str(),
                           JoinText((*test_set)->class_names, ", ").c_str());
    }
  }
  return Pair(std::move(train_set), std::move(test_set), "");
}

// Mean and deviation of bytes / 255 per channel, over up to 2,000 images spread over the set.
void Measure(const DataSet& data, std::vector<float>* mean, std::vector<float>* stddev) {
  const int count = std::min(data.size(), 2000), channels = data.channels();
  const size_t pixels = static_cast<size_t>(data.height() * data.width());
  std::vector<uint8_t> image(pixels * static_cast<size_t>(channels));
  std::vector<uint64_t> sum(static_cast<size_t>(channels)), squares(sum.size());
  for (int i = 0; i < count; ++i) {
    data.Get(static_cast<int>(int64_t{i} * data.size() / count), image.data());
    for (size_t j = 0; j < image.size(); ++j) {
      const uint64_t value = image[j];
      sum[j % sum.size()] += value;
      squares[j % sum.size()] += value * value;
    }
  }
  const double n = static_cast<double>(pixels) * count;
  mean->clear();
  stddev->clear();
  for (size_t c = 0; c < sum.size(); ++c) {
    const double m = static_cast<double>(sum[c]) / n;
    const double variance = static_cast<double>(squares[c]) / n - m * m;
    mean->push_back(static_cast<float>(m / 255));
    // A channel that never varies is left as it is rather than divided by 0.
    stddev->push_back(variance > 1e-6 ? static_cast<float>(std::sqrt(variance) / 255) : 1);
  }
}

struct Statistics {
  const char* name;
  std::vector<float> mean, stddev;
};

// CIFAR-10: as in Auto-NBA and most published recipes (the deviation is the mean of the images'
// own). The others: over all training pixels.
const Statistics* KnownStatistics(const std::string& name) {
  static const Statistics kKnown[] = {
      {"cifar10", {0.4914f, 0.4822f, 0.4465f}, {0.2023f, 0.1994f, 0.2010f}},
      {"cifar100", {0.5071f, 0.4865f, 0.4409f}, {0.2673f, 0.2564f, 0.2762f}},
      {"mnist", {0.1307f}, {0.3081f}},
      {"fashion-mnist", {0.2860f}, {0.3530f}},
  };
  for (const Statistics& known : kKnown) {
    if (name == known.name) return &known;
  }
  return nullptr;
}

Result<DataPair> OpenNamed(const DataOptions& options) {
  const std::string& name = options.name;
  if (name == "cifar10" || name == "cifar100") return OpenCifar(name, options.dir);
  if (name == "mnist" || name == "fashion-mnist") return OpenMnist(name, options.dir);
  return OpenFolder(options.dir);
}

}  // namespace

std::vector<std::string> DataNames() {
  return {"synth", "cifar10", "cifar100", "mnist", "fashion-mnist", "folder"};
}

Result<DataPair> OpenData(const DataOptions& options) {
  const std::vector<std::string> names = DataNames();
  if (std::find(names.begin(), names.end(), options.name) == names.end()) {
    return Status::Error("unknown data set '%s': did you mean %s? Known: %s", options.name.c_str(),
                         Nearest(options.name, names).c_str(), JoinText(names, ", ").c_str());
  }
  if (options.train_size < 0 || options.test_size < 0) {
    return Status::Error("%s: %d training and %d test images: neither may be negative",
                         options.name.c_str(), options.train_size, options.test_size);
  }
  DataPair pair;
  if (options.name == "synth") {
    pair.train = std::make_unique<SynthDataSet>(
        options.seed, 0, options.train_size > 0 ? options.train_size : kSynthTrain);
    pair.test = std::make_unique<SynthDataSet>(
        options.seed, 1, options.test_size > 0 ? options.test_size : kSynthTest);
  } else {
    if (options.dir.empty()) {
      return Status::Error("%s is read from files: name the folder that holds them",
                           options.name.c_str());
    }
    if (!FolderExists(options.dir)) {
      return Status::Error("%s: the data folder %s does not exist", options.name.c_str(),
                           options.dir.c_str());
    }
    Result<DataPair> opened = OpenNamed(options);
    if (!opened.ok()) return opened;
    pair = std::move(*opened);
    // Networks are built, and accelerators costed, for square images.
    if (pair.train->height() != pair.train->width()) {
      return Status::Error(
          "%s: images of %d x %d pixels (height x width), expected square ones: crop or pad them",
          options.name.c_str(), pair.train->height(), pair.train->width());
    }
    static_cast<MemoryDataSet&>(*pair.train).Truncate(options.train_size);
    static_cast<MemoryDataSet&>(*pair.test).Truncate(options.test_size);
  }
  if (const Statistics* known = KnownStatistics(options.name)) {
    pair.mean = known->mean;
    pair.stddev = known->stddev;
  } else {
    Measure(*pair.train, &pair.mean, &pair.stddev);
  }
  return pair;
}

std::vector<std::vector<int>> SplitIndices(int size, const std::vector<double>& fractions,
                                           uint64_t seed) {
  RHNAS_CHECK(size >= 0, "a split of %d images", size);
  std::vector<int> order(static_cast<size_t>(size));
  engine::Rng(seed).Permutation(size, order.data());
  std::vector<std::vector<int>> parts;
  double sum = 0;
  size_t begin = 0;
  for (double fraction : fractions) {
    RHNAS_CHECK(fraction >= 0, "a fraction of %g", fraction);
    sum += fraction;
    RHNAS_CHECK(sum <= 1 + 1e-9, "fractions that sum to %g", sum);
    const size_t end = std::min(order.size(), static_cast<size_t>(std::floor(sum * size + 0.5)));
    parts.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(begin),
                       order.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
  }
  return parts;
}

Augmentation StandardAugmentation(const std::string& name, int height) {
  Augmentation augmentation;
  augmentation.pad_crop = height / 8;
  augmentation.flip = name != "mnist";
  return augmentation;
}

}  // namespace rhnas::nn
