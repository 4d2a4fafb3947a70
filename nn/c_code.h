// The C code of a network's step by step: its constants and its calls of the kernels. Parts of
// nn/c_export.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/c_plan.h"
#include "nn/quantize.h"

namespace rhnas::nn {

// Bytes of the constants as they stand in memory, and multiply-accumulates.
struct CConstants {
  int64_t filter_bytes = 0, bias_bytes = 0, table_bytes = 0, layer_bytes = 0, macs = 0;
};

// Arrays of all steps: filters, biases, the table of image bytes, shapes.
std::string CArrays(const IntGraph& graph, const CPlan& plan, CConstants* constants);

// The kernels that the steps need; the body of NAME_run, which calls them.
struct CCalls {
  std::string kernels, body;
};
CCalls CodeOf(const IntGraph& graph, const CPlan& plan);

// --- Parts of texts ---

// "conv, add" of a step, for comments.
std::string NameOf(const IntGraph& graph, const CStep& step);
// Safe in a comment on one line, whatever an imported name holds.
std::string InComment(const std::string& text);
// "1,-2,3" in lines.
std::string Numbers(const int8_t* values, size_t count);

}  // namespace rhnas::nn
