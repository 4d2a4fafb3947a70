// A network as an ONNX model: float, or int8 with QuantizeLinear and DequantizeLinear around each
// layer (QDQ). Input "image" float [N, channels, height, width], (byte / 255 - mean) / stddev;
// output "logits" float [N, classes].
//
// The int8 model computes what the accelerator does, bit for bit, in a runtime that multiplies and
// adds in float32 with every sum below 2^24 units: all scales are powers of two, so such sums are
// exact. VTA's shift rounds halves up, QuantizeLinear to even: half a unit of the sum, added behind
// each layer, lifts ties above the middle and nothing else across it. (In the bias it would be
// lost: ONNX Runtime makes int32 of a float bias.)
#pragma once

#include <string>
#include <vector>

#include "engine/status.h"
#include "nn/graph.h"
#include "nn/quantize.h"

namespace rhnas::nn {

struct OnnxInfo {
  std::string version;              // of the program that writes
  std::vector<float> mean, stddev;  // of the images; empty where not known
};

// REQUIRES: weights.
engine::Result<std::string> ToOnnx(const Graph& graph, const OnnxInfo& info);
engine::Result<std::string> ToOnnx(const IntGraph& graph, const OnnxInfo& info);

}  // namespace rhnas::nn
