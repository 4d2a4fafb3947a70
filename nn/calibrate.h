// What values a graph's maps take on some images: ranges and moments of each channel.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/threads.h"
#include "nn/graph.h"

namespace rhnas::nn {

// Of one node; a value a channel of its map.
struct NodeRanges {
  std::vector<float> largest;       // |value|, after the activation
  std::vector<double> mean_square;  // after the activation
  std::vector<double> mean_sum;     // of kConv and kDense before the bias, else empty
};

// For each node, over n >= 1 images [n,h,w,c] bytes. REQUIRES: weights, mean and stddev.
std::vector<NodeRanges> Calibrate(const Graph& graph, const uint8_t* images, int n,
                                  engine::ThreadPool& pool);

}  // namespace rhnas::nn
