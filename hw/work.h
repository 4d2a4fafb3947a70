// A layer, or a chain of up to three, as work for VTA: what the array and the ALU must do to
// channel units, whatever the kinds.
//
// Feature maps lie in DRAM as [channels / unit][row][column][unit] where a unit is the wider of
// BLOCK_IN and BLOCK_OUT, so that stores of one layer are loads of the next without rearranging.
// Everything that is no dense convolution is written as one, because only the input scratchpad
// takes 8-bit data (accumulator loads are 32-bit, and STORE writes 8-bit):
//   residual add   identity weights over two input units       concat   identity, one unit
//   average pool   constant diagonal weights, all taps         shuffle  permutation weights
//   depthwise      block-diagonal weights, streamed
// A work has up to three parts. The array part fills a tile of accumulators; the window part, on
// the ALU, reduces that tile to output pixels (padding is never there: a tile holds pixels of the
// map only, and a tap covers the outputs that have it inside); a residual is added to those by
// identity weights from the input scratchpad. Max pooling alone, and depthwise the other way, have
// identity weights for their array part; in a chain (hw/chain.h) it is the layer before, with its
// own epilogue, and its output never goes to DRAM.
#pragma once

#include <string>

#include "hw/config.h"
#include "hw/layer.h"

namespace rhnas::hw {

struct Work {
  enum class Engine { kArray, kAluMaxPool, kAluDepthwise, kAluAvgPool };  // of the window part
  struct Window {
    int r = 1, s = 1, stride = 1, pad = 0;
    int taps() const { return r * s; }
  };
  Engine engine = Engine::kArray;  // kArray: no window part
  int64_t batches = 1;             // groups of BATCH images
  int64_t copies = 1;              // independent groups of channels that align with units
  int rows = 1, cols = 1;          // output
  int in_rows = 1, in_cols = 1;
  // The array part, from input pixels to those that it fills: the output's without a window part,
  // else the map that `alu` goes over (the input's where the array part is a copy).
  int r = 1, s = 1, stride = 1, pad = 0, col_pad = 0;
  int filled_rows = 1, filled_cols = 1;
  Window alu;
  int out_units = 1;
  int in_units = 1;                 // of one output unit where inputs are private, of all otherwise
  bool private_inputs = false;      // every output unit has input units of its own
  bool one_load = false;            // the input units of a step are contiguous in DRAM
  int out_split = 1, in_split = 1;  // scratchpad elements of an output and an input unit
  int out_blocks = 1, in_blocks = 1;  // of these, the ones computed with
  int pair_uops = 1;  // micro-ops, and weight tensors, of (output unit, input unit, tap)
  bool constant_weights = false;  // loaded once, `pair_uops` tensors
  bool bias = false;
  int immediate_ops = 0;  // of the epilogue: shift, clip
  int64_t useful_macs = 0;

  // Chains. The array part is a layer: its bias and immediates run over all that it fills.
  bool fused = false, filled_bias = false;
  int filled_ops = 0;
  int pool_scale = 0;      // of these immediates, a MUL by this; 0: none (hw/chain.h, average pool)
  int shuffle_groups = 1;  // the outputs are the convolution's, shuffled: the order of its weights
  // An addition of a map like the output: `residual_uops` identity weights (constant, beside any
  // others), then `residual_ops` immediates.
  bool residual = false;
  int residual_ops = 0, residual_uops = 0;

  int split_taps = 1;  // kernel rows that are input units of their own (SplitRows)
  int unit_bytes = 1;  // of an image row vector of BATCH x unit
  int taps() const { return r * s; }
};

// False: not a shape (zero or negative sizes, groups that do not divide); `why` tells.
bool MakeWork(const Layer& layer, const Config& config, Work* work, std::string* why);
// The depthwise convolution once more, on the ALU. REQUIRES: the work is of a depthwise layer.
Work OnAlu(const Work& depthwise);
// A convolution with each kernel row as input units of its own, for weight scratchpads that do not
// hold one filter of one pair of units. REQUIRES: Splits(work).
Work SplitRows(const Work& convolution);
bool Splits(const Work& work);

}  // namespace rhnas::hw
