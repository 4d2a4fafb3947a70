// Convolution speed, shape by shape: forward (f), backward-data (d), backward-filter (w).
//
//   bench_conv --shapes shapes.csv [--only NAME|PREFIX*] [--pass fdw] [--threads N] [--samples N]
//              [--sample_ms MS]
//
// shapes.csv: name,N,C,H,W,K,R,S,stride,pad,groups; lines that start with # are comments. Output:
// CSV with one line per shape and pass. A sample is clean when the process's threads waited less
// than 3 % of it in the run queue; others are repeated, up to four times as many as asked.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/waited.h"
#include "engine/conv.h"
#include "engine/cpu.h"
#include "engine/tensor.h"
#include "engine/threads.h"

namespace {

using rhnas::bench::kCleanShare;
using rhnas::bench::WaitedSeconds;
using rhnas::engine::Buffer;
using rhnas::engine::ConvShape;
using rhnas::engine::ThreadPool;

struct Options {
  std::string shapes = "shapes.csv", only, passes = "fdw";
  int threads = 1, samples = 9;
  double sample_ms = 8;
};

struct Entry {
  std::string name;
  ConvShape shape;
};

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "bench_conv: %s\n", message.c_str());
  std::exit(2);
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc) Fail(flag + " needs a value");
    const std::string value = argv[i + 1];
    if (flag == "--shapes") {
      options.shapes = value;
    } else if (flag == "--only") {
      options.only = value;
    } else if (flag == "--pass") {
      options.passes = value;
    } else if (flag == "--threads") {
      options.threads = std::atoi(value.c_str());
    } else if (flag == "--samples") {
      options.samples = std::atoi(value.c_str());
    } else if (flag == "--sample_ms") {
      options.sample_ms = std::atof(value.c_str());
    } else {
      Fail("unknown option " + flag);
    }
  }
  return options;
}

bool Wanted(const std::string& name, const std::string& only) {
  if (only.empty() || name == only) return true;
  return only.back() == '*' && name.compare(0, only.size() - 1, only, 0, only.size() - 1) == 0;
}

std::vector<Entry> ReadShapes(const Options& options) {
  std::FILE* file = std::fopen(options.shapes.c_str(), "r");
  if (file == nullptr) Fail("cannot open " + options.shapes);
  std::vector<Entry> entries;
  char line[512];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    char name[128];
    ConvShape s;
    if (line[0] == '#' || line[0] == '\n') continue;
    if (std::sscanf(line, "%127[^,],%d,%d,%d,%d,%d,%d,%d,%d,%d,%d", name, &s.n, &s.c, &s.h, &s.w,
                    &s.k, &s.r, &s.s, &s.stride, &s.pad, &s.groups) != 11) {
      Fail(options.shapes + ": cannot read line: " + line);
    }
    if (Wanted(name, options.only)) entries.push_back({name, s});
  }
  std::fclose(file);
  return entries;
}

double Now() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

struct Timing {
  double median, best, worst;  // seconds of one call
  int clean, tries;
};

template <typename Call>
Timing Measure(const Options& options, const Call& call) {
  const auto run = [&](int count) {
    const double start = Now();
    for (int i = 0; i < count; i++) call();
    return (Now() - start) / count;
  };
  // Long enough for the scheduler to give each thread a core of its own.
  const double warm = Now();
  do {
    run(1);
  } while (options.threads > 1 && Now() - warm < 0.1);
  int count = 1;
  for (int round = 0; round < 2; round++) {
    const double once = std::max(1e-7, run(count));
    count = static_cast<int>(std::clamp(options.sample_ms * 1e-3 / once, 1.0, 1e6));
  }
  std::vector<double> clean, all;
  while (static_cast<int>(clean.size()) < options.samples &&
         static_cast<int>(all.size()) < 4 * options.samples) {
    const double waited = WaitedSeconds();
    const double once = run(count);
    all.push_back(once);
    if (WaitedSeconds() - waited < kCleanShare * once * count) clean.push_back(once);
  }
  std::vector<double>& use = clean.size() >= 3 ? clean : all;
  std::sort(use.begin(), use.end());
  return {use[use.size() / 2], use.front(), use.back(), static_cast<int>(clean.size()),
          static_cast<int>(all.size())};
}

Buffer RandomBuffer(int64_t size) {
  Buffer buffer(size);
  uint32_t state = 1;
  for (int64_t i = 0; i < size; i++) {
    state = state * 1664525u + 1013904223u;
    buffer[i] = static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
  }
  return buffer;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  const rhnas::engine::Status status = rhnas::engine::InitTargetFromEnvironment();
  if (!status.ok()) Fail(status.message());
  const std::string target = rhnas::engine::TargetName(rhnas::engine::ActiveTarget());
  ThreadPool pool(options.threads);
  std::puts(
      "engine,mode,shape,pass,threads,us_med,us_min,us_max,clean,tries,gflops_med,gflops_best,"
      "impl");
  for (const Entry& entry : ReadShapes(options)) {
    const ConvShape& s = entry.shape;
    Buffer x = RandomBuffer(s.input_size()), f = RandomBuffer(s.filter_size());
    Buffer y = RandomBuffer(s.output_size());
    for (const char pass : options.passes) {
      const Timing t = Measure(options, [&] {
        if (pass == 'f') {
          ConvForward(s, x.data(), f.data(), y.data(), false, pool);
        } else if (pass == 'd') {
          ConvBackwardData(s, y.data(), f.data(), x.data(), false, pool);
        } else {
          ConvBackwardFilter(s, x.data(), y.data(), f.data(), false, pool);
        }
      });
      const double gflop = 2e-9 * static_cast<double>(s.macs());
      std::printf("rhnas,nhwc,%s,%c,%d,%.2f,%.2f,%.2f,%d,%d,%.2f,%.2f,%s\n", entry.name.c_str(),
                  pass, options.threads, t.median * 1e6, t.best * 1e6, t.worst * 1e6, t.clean,
                  t.tries, gflop / t.median, gflop / t.best, target.c_str());
      std::fflush(stdout);
    }
  }
  return 0;
}
