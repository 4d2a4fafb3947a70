// What the machine can do at most: multiply-add rate of each target, and bandwidth of reading and
// copying in each cache and in memory. bench/compare divides by these.
//
//   bench_peak [--threads 1] [--samples 15] [--memory_mib 256]
//
// Prints CSV: what,target,threads,best,median,unit. Fused multiply-adds count two operations, and
// so do the baseline's multiplication and addition. Bandwidth counts what is read and what is
// written, in buffers of half a level's size, one pair for each thread.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/cpu.h"
#include "engine/tensor.h"
#include "engine/threads.h"

namespace rhnas::engine::simd {

struct PeakKernels {
  int round_flops;
  float (*multiply_adds)(int64_t rounds);
  float (*read)(const float* x, int64_t n);
  void (*copy)(const float* x, float* y, int64_t n);
};

constexpr int64_t kPeakFloats = 128;  // buffers are multiples of this

}  // namespace rhnas::engine::simd

#define RHNAS_SIMD_SOURCE "bench/bench_peak.inl"
#define RHNAS_SIMD_TABLE PeakKernels
#include "engine/simd/foreach_target.h"

namespace {

using namespace rhnas::engine;

volatile float g_sink;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Rate {
  double best, median;  // units of work a second, all threads together
};

// run(thread, times) does `times` pieces of `work` units; all threads start together.
template <typename Run>
Rate Measure(ThreadPool& pool, int samples, double work, const Run& run) {
  constexpr double kSampleSeconds = 4e-3;
  const auto sample = [&](int64_t times) {
    std::atomic<int> here{0};
    double slowest = 0;
    std::vector<double> seconds(static_cast<size_t>(pool.size()));
    pool.ParallelFor(pool.size(), 1, [&](int64_t begin, int64_t, int) {
      const int all = pool.size();
      for (here.fetch_add(1); here.load() < all;) {
      }
      const double start = Now();
      run(static_cast<int>(begin), times);
      seconds[static_cast<size_t>(begin)] = Now() - start;
    });
    for (const double s : seconds) slowest = std::max(slowest, s);
    return slowest;
  };
  int64_t times = 1;
  double once = sample(1);
  while (once * static_cast<double>(times) < kSampleSeconds) {
    times *= 2;
    once = sample(times) / static_cast<double>(times);
  }
  std::vector<double> rates;
  for (int i = 0; i < samples; ++i) {
    rates.push_back(static_cast<double>(times * pool.size()) * work / sample(times));
  }
  std::sort(rates.begin(), rates.end());
  return {rates.back(), rates[rates.size() / 2]};
}

int64_t CacheBytes(int name, int64_t otherwise) {
  const int64_t bytes = name >= 0 ? sysconf(name) : 0;
  return bytes > 0 ? bytes : otherwise;
}

#if defined(_SC_LEVEL1_DCACHE_SIZE)
constexpr int kL1 = _SC_LEVEL1_DCACHE_SIZE, kL2 = _SC_LEVEL2_CACHE_SIZE,
              kL3 = _SC_LEVEL3_CACHE_SIZE;
#else
constexpr int kL1 = -1, kL2 = -1, kL3 = -1;
#endif

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "bench_peak: %s\n", message.c_str());
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 1, samples = 15, memory_mib = 256;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    const int value = i + 1 < argc ? std::atoi(argv[i + 1]) : 0;
    if (value < 1) Fail(flag + " needs a number of at least 1");
    if (flag == "--threads") {
      threads = value;
    } else if (flag == "--samples") {
      samples = value;
    } else if (flag == "--memory_mib") {
      memory_mib = value;
    } else {
      Fail("unknown option " + flag);
    }
  }
  const Status status = InitTargetFromEnvironment();
  if (!status.ok()) Fail(status.message());
  ThreadPool pool(threads);
  std::puts("what,target,threads,best,median,unit");
  const auto print = [&](const char* what, Target target, const Rate& rate, const char* unit) {
    std::printf("%s,%s,%d,%.1f,%.1f,%s\n", what, TargetName(target), threads, rate.best * 1e-9,
                rate.median * 1e-9, unit);
    std::fflush(stdout);
  };
  for (const Target target : SupportedTargets()) {
    const simd::PeakKernels& kernels = simd::PeakKernelsFor(target);
    constexpr int64_t kRounds = 10000;
    print("multiply_add", target,
          Measure(pool, samples, static_cast<double>(kRounds * kernels.round_flops),
                  [&](int, int64_t times) { g_sink = kernels.multiply_adds(kRounds * times); }),
          "GFLOP/s");
  }
  const int64_t l1 = CacheBytes(kL1, 32 << 10), l2 = CacheBytes(kL2, 1 << 20);
  // A third-level cache may be shared with others who run beside us.
  const int64_t l3 = std::min<int64_t>(CacheBytes(kL3, 8 << 20) / threads, 16 << 20);
  struct Level {
    const char *read, *copy;
    int64_t bytes;
  };
  const Level levels[] = {{"read_l1", "copy_l1", l1 / 2},
                          {"read_l2", "copy_l2", l2 / 2},
                          {"read_l3", "copy_l3", l3 / 2},
                          {"read_memory", "copy_memory", int64_t{memory_mib} << 20}};
  const Target target = ActiveTarget();
  const simd::PeakKernels& kernels = simd::PeakKernelsFor(target);
  for (const Level& level : levels) {
    const int64_t floats = level.bytes / 4 / (2 * simd::kPeakFloats) * (2 * simd::kPeakFloats);
    std::vector<Buffer> buffers;
    for (int i = 0; i < threads; ++i) {
      buffers.emplace_back(floats);
      buffers.back().Fill(1);  // pages of its own, not all the one zero page
    }
    const double bytes = static_cast<double>(floats) * 4;
    print(level.read, target,
          Measure(pool, samples, bytes,
                  [&](int i, int64_t times) {
                    const float* x = buffers[static_cast<size_t>(i)].data();
                    while (times-- > 0) g_sink = kernels.read(x, floats);
                  }),
          "GB/s");
    print(level.copy, target,
          Measure(pool, samples, bytes,
                  [&](int i, int64_t times) {
                    float* x = buffers[static_cast<size_t>(i)].data();
                    while (times-- > 0) kernels.copy(x, x + floats / 2, floats / 2);
                  }),
          "GB/s");
  }
  return 0;
}
