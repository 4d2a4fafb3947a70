// What a node of a graph computes before its bias, shift and activation, on batches of images, in
// floats: real numbers or integers. Integers whose sums of absolute products stay below 2^24 come
// out exact, on every target and for any number of threads, so the same loops serve float
// calibration (nn/calibrate.h) and the integer network (nn/int_program.h).
//
//   kConv, kDense                sum over taps and channels, by engine/conv.h, never by Winograd
//   kAvgPool, kGlobalAvgPool     sum over the window; what stands outside the image adds nothing
//   kMaxPool                     the largest value inside the image
//   kAdd                         a + b
//   kConcat, kShuffle, kSubsample  copies
#pragma once

#include <vector>

#include "engine/threads.h"
#include "nn/graph.h"

namespace rhnas::nn {

// Maps are [n, h, w, c]; `inputs` and `channels` of each input of the node, `out` of its oh x ow x
// k values an image. `filter` for kConv and kDense. Not for kInput.
void NodeSums(const Node& node, const float* filter, const std::vector<const float*>& inputs,
              const std::vector<int>& channels, int n, float* out, engine::ThreadPool& pool);

// Values of a node's map of one image.
inline int64_t MapSize(const Node& node) { return int64_t{node.oh} * node.ow * node.k; }

// Maps of a batch while a graph runs over it node by node; memory of maps that nobody reads any
// more is used again.
class MapStore {
 public:
  // REQUIRES: the nodes outlive it.
  MapStore(std::vector<const Node*> nodes, int output);
  // Memory for the map of a node, n images; undefined contents.
  float* Begin(int node, int n);
  const float* map(int node) const { return maps_[static_cast<size_t>(node)].data(); }
  // What a node reads, as NodeSums takes it; valid until the next call.
  const std::vector<const float*>& Inputs(int node);
  const std::vector<int>& channels() const { return channels_; }
  // The node is made: gives back what only it still read.
  void Done(int node);

 private:
  std::vector<const Node*> nodes_;
  std::vector<int> last_reader_;
  std::vector<std::vector<float>> maps_, spare_;
  std::vector<const float*> inputs_;
  std::vector<int> channels_;
};

}  // namespace rhnas::nn
