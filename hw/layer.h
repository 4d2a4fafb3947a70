// One layer of work for the accelerator.
#pragma once

#include <cstdint>
#include <string>

namespace rhnas::hw {

enum class LayerKind { kConv, kDense, kMaxPool, kAvgPool, kGlobalAvgPool, kAdd, kConcat, kShuffle };

// n images; h, w, c: input; k: output channels; r, s: filter; depthwise is groups == c.
struct Layer {
  std::string name;
  LayerKind kind = LayerKind::kConv;
  int n = 1, h = 1, w = 1, c = 1, k = 1, r = 1, s = 1, stride = 1, pad = 0, groups = 1;
  bool bias = true, relu = true;
  // The (first) input is the output of the layer just before it in the network's list, and nobody
  // else reads that output: the two may run as one program (hw/chain.h).
  bool chained = false;

  int oh() const { return (h + 2 * pad - r) / stride + 1; }
  int ow() const { return (w + 2 * pad - s) / stride + 1; }
  int64_t macs() const;
  bool depthwise() const {
    return kind == LayerKind::kConv && groups == c && groups == k && groups > 1;
  }
};

}  // namespace rhnas::hw
