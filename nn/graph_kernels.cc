// Sums of nodes on batches of images. See graph_kernels.h.
#include "nn/graph_kernels.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"
#include "engine/conv.h"

namespace rhnas::nn {

namespace {

void Convolve(const Node& node, const float* filter, const float* x, int n, float* out,
              engine::ThreadPool& pool) {
  engine::ConvShape shape;
  shape.k = node.k;
  if (node.kind == NodeKind::kDense) {  // images are the pixels of one row
    shape.w = n;
    shape.c = node.h * node.w * node.c;
  } else {
    shape.n = n;
    shape.h = node.h;
    shape.w = node.w;
    shape.c = node.c;
    shape.r = node.r;
    shape.s = node.s;
    shape.stride = node.stride;
    shape.pad = node.pad;
    shape.groups = node.groups;
  }
  engine::ConvForwardDirect(shape, x, filter, out, false, pool);
}

// One pixel of a pooling: the taps inside the image, channel by channel.
void PoolPixel(const Node& node, const float* image, int row, int col, float* out) {
  const bool global = node.kind == NodeKind::kGlobalAvgPool;
  const bool largest = node.kind == NodeKind::kMaxPool;
  const int top = global ? 0 : row * node.stride - node.pad;
  const int left = global ? 0 : col * node.stride - node.pad;
  const int bottom = std::min(node.h, top + (global ? node.h : node.r));
  const int right = std::min(node.w, left + (global ? node.w : node.s));
  bool first = true;
  std::fill(out, out + node.k, 0.0f);
  for (int y = std::max(0, top); y < bottom; ++y) {
    for (int x = std::max(0, left); x < right; ++x) {
      const float* pixel = image + (int64_t{y} * node.w + x) * node.c;
      if (largest) {
        for (int k = 0; k < node.k; ++k) out[k] = first ? pixel[k] : std::max(out[k], pixel[k]);
      } else {
        for (int k = 0; k < node.k; ++k) out[k] += pixel[k];
      }
      first = false;
    }
  }
}

// One pixel that is copied from others.
void CopyPixel(const Node& node, const std::vector<const float*>& inputs,
               const std::vector<int>& channels, int image, int row, int col, float* out) {
  const int64_t at = (int64_t{image} * node.oh + row) * node.ow + col;
  if (node.kind == NodeKind::kConcat) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const float* from = inputs[i] + at * channels[i];
      out = std::copy(from, from + channels[i], out);
    }
  } else if (node.kind == NodeKind::kShuffle) {
    const float* from = inputs[0] + at * node.c;
    const int share = node.c / node.groups;
    for (int k = 0; k < node.k; ++k) out[k] = from[k % node.groups * share + k / node.groups];
  } else {
    const int64_t pixel = (int64_t{image} * node.h + int64_t{row} * node.stride) * node.w +
                          int64_t{col} * node.stride;
    const float* from = inputs[0] + pixel * node.c;
    std::fill(std::copy(from, from + node.c, out), out + node.k, 0.0f);
  }
}

}  // namespace

void NodeSums(const Node& node, const float* filter, const std::vector<const float*>& inputs,
              const std::vector<int>& channels, int n, float* out, engine::ThreadPool& pool) {
  if (node.kind == NodeKind::kConv || node.kind == NodeKind::kDense) {
    return Convolve(node, filter, inputs[0], n, out, pool);
  }
  const int64_t rows = int64_t{n} * node.oh, row_size = int64_t{node.ow} * node.k;
  constexpr int64_t kGrain = 16384;  // values a block
  pool.ParallelFor(rows, std::max<int64_t>(1, kGrain / row_size),
                   [&](int64_t begin, int64_t end, int) {
                     if (node.kind == NodeKind::kAdd) {
                       const float *a = inputs[0], *b = inputs[1];
                       for (int64_t i = begin * row_size; i < end * row_size; ++i) {
                         out[i] = a[i] + b[i];
                       }
                       return;
                     }
                     for (int64_t i = begin; i < end; ++i) {
                       const int image = static_cast<int>(i / node.oh);
                       const int row = static_cast<int>(i % node.oh);
                       const float* from = inputs[0] + int64_t{image} * node.h * node.w * node.c;
                       for (int col = 0; col < node.ow; ++col) {
                         float* to = out + i * row_size + int64_t{col} * node.k;
                         switch (node.kind) {
                           case NodeKind::kMaxPool:
                           case NodeKind::kAvgPool:
                           case NodeKind::kGlobalAvgPool:
                             PoolPixel(node, from, row, col, to);
                             break;
                           case NodeKind::kConcat:
                           case NodeKind::kShuffle:
                           case NodeKind::kSubsample:
                             CopyPixel(node, inputs, channels, image, row, col, to);
                             break;
                           default:
                             RHNAS_CHECK(false, "%s: no sums of kind %d", node.name.c_str(),
                                         static_cast<int>(node.kind));
                         }
                       }
                     }
                   });
}

MapStore::MapStore(std::vector<const Node*> nodes, int output)
    : nodes_(std::move(nodes)), last_reader_(nodes_.size(), -1), maps_(nodes_.size()) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (int input : nodes_[i]->inputs) {
      last_reader_[static_cast<size_t>(input)] = static_cast<int>(i);
    }
  }
  last_reader_[static_cast<size_t>(output)] = static_cast<int>(nodes_.size());
}

float* MapStore::Begin(int node, int n) {
  std::vector<float>& map = maps_[static_cast<size_t>(node)];
  if (map.capacity() == 0 && !spare_.empty()) {
    map = std::move(spare_.back());
    spare_.pop_back();
  }
  map.resize(static_cast<size_t>(MapSize(*nodes_[static_cast<size_t>(node)]) * n));
  return map.data();
}

const std::vector<const float*>& MapStore::Inputs(int node) {
  inputs_.clear();
  channels_.clear();
  for (int input : nodes_[static_cast<size_t>(node)]->inputs) {
    inputs_.push_back(map(input));
    channels_.push_back(nodes_[static_cast<size_t>(input)]->k);
  }
  return inputs_;
}

void MapStore::Done(int node) {
  for (int input : nodes_[static_cast<size_t>(node)]->inputs) {
    std::vector<float>& map = maps_[static_cast<size_t>(input)];
    if (last_reader_[static_cast<size_t>(input)] != node || map.capacity() == 0) continue;
    spare_.push_back(std::move(map));
    map = std::vector<float>();
  }
}

}  // namespace rhnas::nn
