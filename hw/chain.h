// Chains: one to three consecutive layers that run as one program, the maps between them staying on
// chip, and the choice of chains in a network.
//
// A chain is a convolution or a dense layer, then any of, in this order:
//   shuffle           after a convolution: the filter's output channels in shuffled order (a
//   grouped
//                     convolution becomes a dense one with zeros)
//   window            a depthwise convolution by MUL (extended VTA), max pool, average pool, global
//                     average pool: the ALU on the accumulators that the convolution has filled
//   residual add      identity weights from the input scratchpad onto the accumulators
// with `Layer::chained` set on all but the first. Not offered, as the ISA cannot compute them in
// place: what multiplies a map that is still in the accumulators on the array (depthwise by
// block-diagonal weights, any second convolution: the array reads the input scratchpad, which only
// DRAM fills); average pools on stock VTA unless their taps are a power of two (the others need
// MUL). Average pool: clip((m * sum) >> shift), m = round(2^shift / taps), shift the largest of at
// most 14 with m <= 127; m multiplies each tap before the sum, as MUL takes 8-bit operands.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/layer.h"
#include "hw/work.h"

namespace rhnas::hw {

inline constexpr int kMostChained = 3;

// The scale of an average over `taps` pixels.
struct PoolScale {
  int multiplier = 1, shift = 0;
  bool power_of_two() const { return (multiplier & (multiplier - 1)) == 0; }
};
PoolScale PoolScaleOf(int64_t taps);

// As MakeWork, of `count` layers. False: no chain, or not one on this configuration; `why` tells.
// The depthwise window takes MUL; a chain's work never needs OnAlu. REQUIRES: 1 <= count.
bool MakeChainWork(const Layer* layers, int count, const Config& config, Work* work,
                   std::string* why);
// Whether some configuration runs these layers as one program.
bool MayChain(const Layer* layers, int count);
bool SameShape(const Layer& a, const Layer& b);  // all but name and chained

// A network's items: each layer alone and each run of layers that may be a chain, equal ones once.
// Built once per network, then priced on many configurations.
class ChainSet {
 public:
  struct Item {
    int first = 0, length = 1;  // layers()[first, first + length)
    int count = 0;              // how often it comes
  };
  // fuse: false leaves only single layers.
  explicit ChainSet(const std::vector<Layer>& layers, bool fuse = true);

  const std::vector<Layer>& layers() const { return layers_; }
  const Layer* layers_of(const Item& item) const {
    return &layers_[static_cast<size_t>(item.first)];
  }
  // Single layers first, then chains by length, so that an item's parts precede it.
  const std::vector<Item>& items() const { return items_; }
  int singles() const { return singles_; }  // items of one layer
  // The item of layers [at, at + length), -1: none.
  int ItemAt(int at, int length) const {
    return item_at_[static_cast<size_t>(at * kMostChained + length - 1)];
  }
  int64_t LatencyAt(int at, int length, const std::vector<int64_t>& latency_cycles) const {
    const int item = ItemAt(at, length);
    return item < 0 ? -1 : latency_cycles[static_cast<size_t>(item)];
  }
  // What an item must take less than to be worth it: its parts' least sum without it, by the items
  // before it (negative: cannot run); no limit where these cannot run.
  int64_t Limit(int item, const std::vector<int64_t>& latency_cycles) const;
  // The least sum of latencies of items that cover layers [begin, end) in order (exact, by dynamic
  // programming; a chain only where it is faster). latency_cycles: by item, negative: cannot run.
  // lengths: by layer from begin on, of the item that begins there, 0: inside one. False: some
  // layer cannot run; `missing` (optional) is it.
  bool Group(int begin, int end, const std::vector<int64_t>& latency_cycles,
             std::vector<int>* lengths, int* missing = nullptr) const;

 private:
  std::vector<Layer> layers_;
  std::vector<Item> items_;
  std::vector<int> item_at_;
  int singles_ = 0;
};

}  // namespace rhnas::hw
