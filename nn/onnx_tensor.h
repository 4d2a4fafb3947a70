// Constants of an ONNX graph and what can be computed from them before any image comes: the shapes
// that Reshape asks for (Shape, Gather, Concat, ..), transposed or scaled weights, int8 weights
// read through DequantizeLinear.
//
// Source: the operators' pages of the ONNX project (docs/Operators.md), opset 7 to 21.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/onnx_file.h"

namespace rhnas::nn {

using Dims = std::vector<int64_t>;

struct ConstTensor {
  Dims dims;
  bool real = false;           // or integers
  bool known = false;          // the values are there; otherwise the shape alone
  int type = 0;                // OnnxType of one that stands in the file
  std::vector<double> values;  // integers beyond 2^53, as the ends of slices, are rounded
  bool single() const { return known && values.size() == 1; }
};

// Number of elements; -1 where a size is negative or the product is beyond 2^40.
int64_t CountOf(const Dims& dims);
std::string DimsText(const Dims& dims);  // "[1, 3, 32, 32]", "?" for sizes below 0
// What NumPy's rules make of two shapes. False: they do not go together.
bool BroadcastDims(const Dims& a, const Dims& b, Dims* out);
// Negative axes count from the end. False: outside.
bool NormaliseAxis(int64_t axis, size_t rank, size_t* out);

// The inputs of a node that are constants; null: others, and what is left out.
using Constants = std::vector<const ConstTensor*>;
// The n-th input if it is a known constant, else the attribute, as older opsets have it. False:
// neither.
bool IntsOf(const OnnxNode& node, const Constants& inputs, size_t input, const char* attribute,
            Dims* out);
// The shape that Reshape, Flatten, Squeeze or Unsqueeze makes of a tensor of these dimensions, or
// an Identity, Dropout or Cast. False: not constant, or it does not fit.
bool RenamedDims(const OnnxNode& node, const Constants& inputs, const Dims& from, Dims* out);
// The axes of a Transpose.
bool PermOf(const OnnxNode& node, size_t rank, std::vector<size_t>* perm);

// One axis of a Slice: every `step`-th index from `start`, `count` of them.
struct SliceAxis {
  int64_t start = 0, step = 1, count = 0;
};
bool SliceAxes(const OnnxNode& node, const Constants& inputs, const Dims& dims,
               std::vector<SliceAxis>* axes);

// Computes a node all of whose inputs are constants. `budget` is how many elements may be made yet.
// False, with the reason: an operator that is not known here, inputs that do not fit, more elements
// than the budget.
bool FoldOnnx(const OnnxNode& node, const Constants& inputs, int64_t* budget, ConstTensor* out,
              std::string* why);

}  // namespace rhnas::nn
