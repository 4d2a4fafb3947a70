// The inner kernels of filter gradients of dense convolutions, as one table per target. The loops
// around them are engine/conv_filter.cc and engine/conv_block.cc, the same for every target.
//
// Every element of the gradient is one chain of Fma steps in the order of the pixels, see
// engine/simd/conv_kernels.h.
#pragma once

#include <cstdint>

#include "engine/cpu.h"
#include "engine/simd/conv_kernels.h"

namespace rhnas::engine::simd {

// c[row][column] (+)= sum over images, outer, step of a[row] * b[column]: the filter gradient. Rows
// are contiguous in a, columns in b; only `last` floats of the last vector of b are read.
struct OuterArgs {
  const float* a;
  int64_t a_image, a_outer, a_step;
  const float* b;
  int64_t b_image, b_outer, b_step;
  int images, outer;
  int64_t steps;
  float* c;
  int64_t c_row;
  int64_t rows;
  int tile_rows;
  int last;
  bool accumulate;

  // Two runs of memory to be fetched into the second-level cache meanwhile: so many floats a step
  // of a register tile, of each run the line there and the one `next_more` floats further. Tiles
  // with few accumulators fetch nothing.
  const float* next[2] = {nullptr, nullptr};
  int64_t next_step[2] = {0, 0}, next_more[2] = {0, 0};

  // Fetches `floats` of a run over so many steps, of which `done` are behind.
  void FetchNext(int run, const float* from, int64_t floats, int64_t all_steps, int64_t done) {
    next_step[run] = (floats + all_steps - 1) / all_steps;
    next_more[run] = next_step[run] < 32 ? next_step[run] / 2 : 16;
    next[run] = from + done * next_step[run];
  }
};

struct OuterKernels {
  int lanes;
  int half_lanes;  // of a half vector that may end a panel; 0: there is none
  // [vectors][half]: rows a register tile may have; 0: no such panel. Here a half vector counts as
  // a last vector of `last` columns.
  int rows[kMaxVecs + 1][2];
  void (*outer[kMaxVecs + 1][2])(const OuterArgs& args);
};

// REQUIRES: target compiled in; running its functions needs a CPU that has it.
const OuterKernels& OuterKernelsFor(Target target);

}  // namespace rhnas::engine::simd
