// Order and memory of the C code that nn/c_export.h writes: which nodes run, which two become one
// step, and where in one arena of bytes each map stands.
//
// A map lives from the step that writes it to the last one that reads it. Maps that live at the
// same time have places of their own, with one exception: kernels go through rows from the top,
// so a step's output may stand on its dying input as long as each row is written below the first
// row that is still to be read ("diagonal memory optimisation", Blacker et al., arXiv 2010.01668).
// A 3x3 convolution of equal shapes so needs two rows more than one map, an addition nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/quantize.h"

namespace rhnas::nn {

struct CStep {
  int node = 0;             // whose output it writes
  int conv = -1;            // the convolution that runs in it: out = clip(clip(conv) + residual)
  std::vector<int> inputs;  // nodes whose maps it reads; with `conv` its input, then the residual
};

struct CMap {
  int node = 0;
  int64_t bytes = 0, offset = 0;
  int first = 0, last = 0;  // steps that write it first and read it last
};

struct CPlan {
  std::vector<CStep> steps;
  std::vector<CMap> maps;  // in the arena; the output's map is the caller's
  int64_t arena_bytes = 0;
  int peak = 0;                // the step at which the maps that live are largest together
  int64_t peak_bytes = 0;      // their sum: what no place is shared would need at least
  int64_t unshared_bytes = 0;  // of all maps

  // Place of a node's map; -1: none in the arena.
  int64_t OffsetOf(int node) const;
};

// A convolution with a filter for each channel: its kernel goes along channels.
bool IsDepthwise(const Node& node);

// Nodes that the output does not depend on are left out. The same plan on any machine.
CPlan PlanC(const IntGraph& graph);

// By how many bytes the output of a step must begin below its dying input `source` when it stands
// on it; the output's size where it may not.
int64_t OverlapGap(const IntGraph& graph, const CStep& step, int source);

}  // namespace rhnas::nn
