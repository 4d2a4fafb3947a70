#include "nn/c_plan.h"

#include <algorithm>

#include "engine/random.h"

namespace rhnas::nn {

namespace {

int64_t BytesOf(const IntGraph& graph, int node) {
  const Node& shape = graph.nodes[static_cast<size_t>(node)].node;
  return int64_t{shape.oh} * shape.ow * shape.k;
}

// How many reads a node's output has, the caller's included.
std::vector<int> ReadersOf(const IntGraph& graph) {
  std::vector<int> readers(graph.nodes.size(), 0);
  readers[static_cast<size_t>(graph.output)] = 1;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    if (readers[i] == 0) continue;
    for (int input : graph.nodes[i].node.inputs) ++readers[static_cast<size_t>(input)];
  }
  return readers;
}

// Each convolution but the depthwise ones can add a residual as it stores.
bool CanTakeResidual(const Node& node) {
  return node.kind == NodeKind::kConv && !IsDepthwise(node);
}

std::vector<CStep> StepsOf(const IntGraph& graph) {
  const std::vector<int> readers = ReadersOf(graph);
  std::vector<CStep> steps;
  std::vector<char> merged(graph.nodes.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (readers[i] == 0) continue;
    const Node& node = graph.nodes[i].node;
    CStep step;
    step.node = static_cast<int>(i);
    step.inputs = node.inputs;
    if (node.kind == NodeKind::kAdd && node.inputs[0] != node.inputs[1]) {
      // The later of two: the earlier one's input need not wait.
      const int late = std::max(node.inputs[0], node.inputs[1]);
      const int early = std::min(node.inputs[0], node.inputs[1]);
      for (int conv : {late, early}) {
        const Node& candidate = graph.nodes[static_cast<size_t>(conv)].node;
        if (readers[static_cast<size_t>(conv)] != 1 || !CanTakeResidual(candidate)) continue;
        step.conv = conv;
        step.inputs = {candidate.inputs[0], conv == late ? early : late};
        merged[static_cast<size_t>(conv)] = 1;
        break;
      }
    }
    steps.push_back(step);
  }
  size_t kept = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!merged[static_cast<size_t>(steps[i].node)]) steps[kept++] = steps[i];
  }
  steps.resize(kept);
  return steps;
}

class Placement {
 public:
  Placement(const IntGraph& graph, const std::vector<CStep>& steps, std::vector<CMap>* maps)
      : maps_(*maps), count_(maps->size()), span_(count_ * count_) {
    for (size_t a = 0; a < count_; ++a) {
      for (size_t b = 0; b < count_; ++b) span_[a * count_ + b] = Forbidden(graph, steps, a, b);
    }
  }

  // Each map at the lowest place that those before it in the order leave; the bytes of all.
  int64_t Place(const std::vector<int>& order, std::vector<int64_t>* offsets) const {
    int64_t top = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      const size_t map = static_cast<size_t>(order[i]);
      int64_t offset = 0;
      for (bool moved = true; moved;) {
        moved = false;
        for (size_t j = 0; j < i; ++j) {
          const size_t other = static_cast<size_t>(order[j]);
          const Span& span = span_[map * count_ + other];
          const int64_t at = (*offsets)[other];
          if (span.low < span.high && offset > at + span.low && offset < at + span.high) {
            offset = at + span.high;
            moved = true;
          }
        }
      }
      (*offsets)[map] = offset;
      top = std::max(top, offset + maps_[map].bytes);
    }
    return top;
  }

 private:
  // Where a map may not begin, both ends excluded, as distances from another map's beginning.
  struct Span {
    int64_t low = 0, high = 0;
  };

  Span Forbidden(const IntGraph& graph, const std::vector<CStep>& steps, size_t a, size_t b) const {
    const CMap& map = maps_[a];
    const CMap& other = maps_[b];
    if (a == b || map.first > other.last || other.first > map.last) return {};
    Span span = {-map.bytes, other.bytes};
    if (map.first == other.last) {  // written while the other is read for the last time
      span.low = -OverlapGap(graph, steps[static_cast<size_t>(map.first)], other.node);
    } else if (other.first == map.last) {
      span.high = OverlapGap(graph, steps[static_cast<size_t>(other.first)], map.node);
    }
    return span;
  }

  const std::vector<CMap>& maps_;
  size_t count_;
  std::vector<Span> span_;
};

// Positions of `order` by falling key, equals as they stood.
void SortByKey(const std::vector<int64_t>& key, std::vector<int>* order) {
  for (size_t i = 1; i < order->size(); ++i) {
    const int map = (*order)[i];
    size_t j = i;
    for (; j > 0 && key[static_cast<size_t>((*order)[j - 1])] < key[static_cast<size_t>(map)];
         --j) {
      (*order)[j] = (*order)[j - 1];
    }
    (*order)[j] = map;
  }
}

// The best of orders by time and size, then of those that swaps of two maps lead to.
int64_t PlaceMaps(const Placement& placement, std::vector<CMap>* maps) {
  const size_t count = maps->size();
  if (count == 0) return 0;
  std::vector<int> order(count), best_order;
  std::vector<int64_t> offsets(count), best_offsets, size, size_time;
  for (const CMap& map : *maps) {
    size.push_back(map.bytes);
    size_time.push_back(map.bytes * (map.last - map.first + 1));
  }
  int64_t best = -1;
  const auto try_order = [&](const std::vector<int>& candidate) {
    const int64_t bytes = placement.Place(candidate, &offsets);
    if (best >= 0 && bytes > best) return;
    best = bytes;
    best_order = candidate;
    best_offsets = offsets;
  };
  for (size_t i = 0; i < count; ++i) order[i] = static_cast<int>(i);
  try_order(order);
  std::reverse(order.begin(), order.end());
  try_order(order);
  for (const std::vector<int64_t>* key : {&size, &size_time}) {
    SortByKey(*key, &order);
    try_order(order);
  }
  constexpr int kSwaps = 400;
  engine::Rng rng(1);
  for (int i = 0; i < kSwaps; ++i) {
    order = best_order;
    const size_t a = rng.Below(static_cast<uint32_t>(count));
    const size_t b = rng.Below(static_cast<uint32_t>(count));
    std::swap(order[a], order[b]);
    try_order(order);
  }
  for (size_t i = 0; i < count; ++i) (*maps)[i].offset = best_offsets[i];
  return best;
}

}  // namespace

bool IsDepthwise(const Node& node) {
  return node.kind == NodeKind::kConv && node.groups == node.c && node.k == node.c;
}

int64_t CPlan::OffsetOf(int node) const {
  for (const CMap& map : maps) {
    if (map.node == node) return map.offset;
  }
  return -1;
}

int64_t OverlapGap(const IntGraph& graph, const CStep& step, int source) {
  const Node& node = graph.nodes[static_cast<size_t>(step.conv >= 0 ? step.conv : step.node)].node;
  const bool residual = step.conv >= 0 && step.inputs[1] == source;
  if (residual && step.inputs[0] != source) return 0;
  int pad = 0, stride = 1;
  switch (node.kind) {
    case NodeKind::kAdd:
      return 0;
    case NodeKind::kConv:
    case NodeKind::kMaxPool:
    case NodeKind::kAvgPool:
      pad = node.pad;
      stride = node.stride;
      break;
    case NodeKind::kSubsample:
      stride = node.stride;
      break;
    case NodeKind::kShuffle:
      break;
    default:  // the whole input is read for each output, or out of order
      return BytesOf(graph, step.node);
  }
  const int64_t in_row = int64_t{node.w} * node.c, out_row = int64_t{node.ow} * node.k;
  int64_t gap = 0;
  for (int64_t row = 0; row < node.oh; ++row) {
    const int64_t first = std::clamp<int64_t>(row * stride - pad, 0, node.h);
    gap = std::max(gap, (row + 1) * out_row - first * in_row);
  }
  return gap;
}

CPlan PlanC(const IntGraph& graph) {
  CPlan plan;
  plan.steps = StepsOf(graph);
  std::vector<int> map_of(graph.nodes.size(), -1);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const CStep& step = plan.steps[i];
    for (int input : step.inputs) {
      const int map = map_of[static_cast<size_t>(input)];
      if (map >= 0) plan.maps[static_cast<size_t>(map)].last = static_cast<int>(i);
    }
    if (step.node == graph.output) continue;
    map_of[static_cast<size_t>(step.node)] = static_cast<int>(plan.maps.size());
    CMap map;
    map.node = step.node;
    map.bytes = BytesOf(graph, step.node);
    map.first = map.last = static_cast<int>(i);
    plan.unshared_bytes += map.bytes;
    plan.maps.push_back(map);
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    int64_t live = 0;
    for (const CMap& map : plan.maps) {
      if (map.first <= static_cast<int>(i) && map.last >= static_cast<int>(i)) live += map.bytes;
    }
    if (live > plan.peak_bytes) {
      plan.peak_bytes = live;
      plan.peak = static_cast<int>(i);
    }
  }
  plan.arena_bytes = PlaceMaps(Placement(graph, plan.steps, &plan.maps), &plan.maps);
  return plan;
}

}  // namespace rhnas::nn
