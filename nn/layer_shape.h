// What a network asks of an accelerator: plain shapes, without any knowledge of one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rhnas::nn {

enum class LayerKind { kConv, kDense, kMaxPool, kAvgPool, kGlobalAvgPool, kAdd, kConcat, kShuffle };

// One layer at inference, batch norm folded, for a batch of one image.
// h, w, c: input rows, columns, channels; k: output channels (= c where the kind keeps them).
// kDense: h = w = 1. kAdd: two inputs h x w x c. kConcat: c is the sum. kShuffle moves data only.
struct LayerShape {
  std::string name;  // "slot03/expand", unique in a network
  LayerKind kind = LayerKind::kConv;
  int h = 1, w = 1, c = 1, k = 1;
  int r = 1, s = 1, stride = 1, pad = 0, groups = 1;
  bool bias = true;   // after folding every convolution has one
  bool relu = false;  // clipped from below at 0 (and above at 6 for ReLU6; h-swish counts as relu)
  // The (first) input is the output of the layer just before it in the network, and nothing else
  // reads that output.
  bool chained = false;

  int oh() const;
  int ow() const;
  int64_t macs() const;  // multiply-accumulates of kConv and kDense, 0 for the others
  int64_t params()
      const;  // weights as trained: filter, plus batch norm's or the bias where present
};

int64_t TotalMacs(const std::vector<LayerShape>& layers);

}  // namespace rhnas::nn
