// What `rhnas doctor` looks at: this machine and what of it the program will use. Nothing here
// changes anything; each look stands alone, so that one that fails says so and the rest goes on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/cpu.h"

namespace rhnas::search {

struct Machine {
  std::string cpu;              // model, empty: the system does not say
  std::string architecture;     // "x86-64", "aarch64", ..
  int threads = 0;              // what --threads 0 takes
  double cpu_quota = 0;         // processors that the container may use, 0: no limit is known
  int64_t memory_bytes = 0;     // of the machine or the container's limit, 0: not known
  int64_t available_bytes = 0;  // without swapping, 0: not known
};
Machine LookAtMachine();

// A convolution of 64 channels on one instruction set: does it equal plain loops, and how fast on
// one thread.
struct KernelCheck {
  engine::Target target = engine::Target::kBaseline;
  double worst_error = 0;  // relative to the sum of the absolute products
  bool ok = false;
  double gflops = 0;  // 2 operations a multiply-accumulate
};
// Every target that this CPU runs; the active one is as before afterwards.
std::vector<KernelCheck> CheckKernels();

struct DataFound {
  std::string name, folder;
  int train_images = 0, test_images = 0;
  std::string problem;  // why it cannot be read, empty: it can
};
// Data sets that stand in a folder, or in its usual child for them (nn/data.h).
std::vector<DataFound> FindData(const std::string& folder);

}  // namespace rhnas::search
