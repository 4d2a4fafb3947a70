#include "search/doctor.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <thread>

#include "engine/archive.h"
#include "engine/ops.h"
#include "engine/random.h"
#include "nn/data.h"
#include "search/progress.h"

namespace rhnas::search {

namespace {

namespace fs = std::filesystem;

// The text behind "key" up to the end of its line, without blanks; empty: not there.
std::string LineAfter(const std::string& text, const std::string& key) {
  const size_t at = text.find(key);
  if (at == std::string::npos) return "";
  size_t begin = text.find_first_not_of(" \t:", at + key.size());
  const size_t end = text.find('\n', at);
  if (begin == std::string::npos || begin >= end) return "";
  return text.substr(begin, end - begin);
}

std::string TextOf(const char* path) {
  engine::Result<std::string> text = engine::ReadFile(path);
  return text.ok() ? *text : std::string();
}

const char* Architecture() {
#if defined(__x86_64__)
  return "x86-64";
#elif defined(__i386__)
  return "x86";
#elif defined(__aarch64__)
  return "aarch64";
#elif defined(__arm__)
  return "arm";
#elif defined(__riscv)
  return "riscv";
#else
  return "other";
#endif
}

constexpr int kSide = 32, kChannels = 64, kTaps = 3, kImages = 2;

// Sum of products, and of their absolute values, of one output of the convolution below.
void PlainOutput(const std::vector<float>& x, const std::vector<float>& w, int image, int row,
                 int column, int k, double* sum, double* scale) {
  *sum = *scale = 0;
  for (int r = 0; r < kTaps; ++r) {
    for (int s = 0; s < kTaps; ++s) {
      const int i = row + r - 1, j = column + s - 1;
      if (i < 0 || j < 0 || i >= kSide || j >= kSide) continue;
      const size_t at = static_cast<size_t>(((image * kSide + i) * kSide + j) * kChannels);
      const size_t filter = static_cast<size_t>((r * kTaps + s) * kChannels * kChannels + k);
      for (size_t c = 0; c < kChannels; ++c) {
        const double product = double{x[at + c]} * double{w[filter + c * kChannels]};
        *sum += product;
        *scale += std::fabs(product);
      }
    }
  }
}

}  // namespace

Machine LookAtMachine() {
  Machine machine;
  machine.architecture = Architecture();
  // Linux; elsewhere these files do not exist and what they tell stays unknown.
  machine.cpu = LineAfter(TextOf("/proc/cpuinfo"), "model name");
  machine.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const std::string memory = TextOf("/proc/meminfo");
  machine.memory_bytes = 1024 * std::atoll(LineAfter(memory, "MemTotal").c_str());
  machine.available_bytes = 1024 * std::atoll(LineAfter(memory, "MemAvailable").c_str());
  // "QUOTA PERIOD" or "max PERIOD" in microseconds; bytes or "max" (Linux, cgroup-v2.rst).
  const std::string quota = TextOf("/sys/fs/cgroup/cpu.max");
  char* rest = nullptr;
  const double share = std::strtod(quota.c_str(), &rest);
  const double period = rest == nullptr ? 0 : std::strtod(rest, nullptr);
  if (share > 0 && period > 0) machine.cpu_quota = share / period;
  const int64_t limit = std::atoll(TextOf("/sys/fs/cgroup/memory.max").c_str());
  if (limit > 0 && limit < machine.memory_bytes) {
    machine.memory_bytes = limit;
    const int64_t used = std::atoll(TextOf("/sys/fs/cgroup/memory.current").c_str());
    machine.available_bytes = std::min(machine.available_bytes, std::max<int64_t>(limit - used, 0));
  }
  return machine;
}

std::vector<KernelCheck> CheckKernels() {
  const engine::Target active = engine::ActiveTarget();
  engine::Rng rng(1);
  std::vector<float> x(kImages * kSide * kSide * kChannels),
      w(kTaps * kTaps * kChannels * kChannels);
  for (float& value : x) value = rng.Normal();
  for (float& value : w) value = rng.Normal();
  engine::ThreadPool pool(1);
  std::vector<KernelCheck> checks;
  for (engine::Target target : engine::SupportedTargets()) {
    KernelCheck check;
    check.target = target;
    if (!engine::SetTarget(engine::TargetName(target)).ok()) continue;
    engine::Tape tape(pool);
    engine::Conv2dOptions options;
    options.pad = 1;
    double best_seconds = 1e30;
    for (int repeat = 0; repeat < 5; ++repeat) {
      tape.Reset();
      const engine::Var images =
          tape.Alias(engine::Shape(kImages, kSide, kSide, kChannels), x.data());
      const engine::Var filter =
          tape.Alias(engine::Shape(kTaps, kTaps, kChannels, kChannels), w.data());
      const double start = MonotonicSeconds();
      const engine::Var y = engine::Conv2d(tape, images, filter, options);
      best_seconds = std::min(best_seconds, MonotonicSeconds() - start);
      if (repeat > 0) continue;
      // Corners, edges and insides, all channels in turn.
      for (int at = 0; at < kImages * kSide * kSide; ++at) {
        const int k = at % kChannels;
        double sum = 0, scale = 0;
        PlainOutput(x, w, at / (kSide * kSide), at / kSide % kSide, at % kSide, k, &sum, &scale);
        const double got = double{tape.value(y)[at * kChannels + k]};
        const double error = std::fabs(got - sum) / scale;
        // A NaN is no number below the bound either.
        if (!(error <= check.worst_error)) check.worst_error = std::isfinite(error) ? error : 1;
      }
    }
    const double macs = double{kImages} * kSide * kSide * kChannels * kChannels * kTaps * kTaps;
    check.gflops = 2e-9 * macs / std::max(best_seconds, 1e-9);
    // Rounding of sums of 576 products, and of Winograd's transforms, stays far below.
    check.ok = check.worst_error < 1e-5;
    checks.push_back(check);
  }
  // It was active before, so it is supported.
  if (!engine::SetTarget(engine::TargetName(active)).ok()) checks.clear();
  return checks;
}

std::vector<DataFound> FindData(const std::string& folder) {
  struct Place {
    const char *name, *child, *file;
  };
  // MNIST's and Fashion-MNIST's files have the same names: only the folder tells them apart.
  constexpr Place kPlaces[] = {
      {"cifar10", "cifar-10-batches-bin", "data_batch_1.bin"},
      {"cifar100", "cifar-100-binary", "train.bin"},
      {"mnist", "mnist", "train-images-idx3-ubyte"},
      {"fashion-mnist", "fashion-mnist", "train-images-idx3-ubyte"},
  };
  std::vector<DataFound> found;
  std::error_code error;
  const std::string own_name = fs::path(folder).lexically_normal().filename().string();
  for (const Place& place : kPlaces) {
    std::string at = folder + "/" + place.child;
    bool there = fs::exists(at + "/" + place.file, error);
    if (!there && fs::exists(folder + "/" + place.file, error)) {
      const std::string name = place.name;
      const bool fashion = own_name.find("fashion") != std::string::npos;
      there = name.find("mnist") == std::string::npos || (name == "fashion-mnist") == fashion;
      at = folder;
    }
    if (!there) continue;
    DataFound data;
    data.name = place.name;
    data.folder = at;
    const engine::Result<nn::DataPair> pair = nn::OpenData({place.name, at, 1, 0, 0});
    if (pair.ok()) {
      data.train_images = pair->train->size();
      data.test_images = pair->test->size();
    } else {
      data.problem = pair.status().message();
    }
    found.push_back(data);
  }
  return found;
}

}  // namespace rhnas::search
