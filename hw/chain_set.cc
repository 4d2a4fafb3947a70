// Which chains a network has, and the grouping of least latency.
#include <algorithm>

#include "hw/chain.h"

namespace rhnas::hw {

ChainSet::ChainSet(const std::vector<Layer>& layers, bool fuse) : layers_(layers) {
  const int n = static_cast<int>(layers_.size());
  item_at_.assign(layers_.size() * kMostChained, -1);
  for (int length = 1; length <= (fuse ? kMostChained : 1); ++length) {
    const size_t begin = items_.size();  // of this length
    for (int at = 0; at + length <= n; ++at) {
      const Layer* first = &layers_[static_cast<size_t>(at)];
      if (length > 1 && !MayChain(first, length)) continue;
      size_t item = begin;
      for (; item < items_.size(); ++item) {
        const Layer* other = layers_of(items_[item]);
        int same = 0;
        while (same < length && SameShape(first[same], other[same])) ++same;
        if (same == length) break;
      }
      if (item == items_.size()) items_.push_back({at, length, 0});
      ++items_[item].count;
      item_at_[static_cast<size_t>(at * kMostChained + length - 1)] = static_cast<int>(item);
    }
    if (length == 1) singles_ = static_cast<int>(items_.size());
  }
}

bool ChainSet::Group(const std::vector<int64_t>& latency_cycles, std::vector<int>* chosen,
                     std::vector<int>* lengths, int* missing) const {
  const int n = static_cast<int>(layers_.size());
  // Least latency of the layers before a point (negative: none), and the length of its last item.
  // Only the last few points matter for the sums; the lengths stay for the way back.
  std::vector<int64_t> least(layers_.size() + 1, -1);
  std::vector<int8_t> last(layers_.size() + 1, 0);
  least[0] = 0;
  int reached = 0;
  for (int end = 1; end <= n; ++end) {
    const auto e = static_cast<size_t>(end);
    for (int length = 1; length <= std::min(kMostChained, end); ++length) {
      const int item = ItemAt(end - length, length);
      if (item < 0 || least[static_cast<size_t>(end - length)] < 0) continue;
      const int64_t cycles = latency_cycles[static_cast<size_t>(item)];
      if (cycles < 0) continue;
      const int64_t sum = least[static_cast<size_t>(end - length)] + cycles;
      if (least[e] >= 0 && sum >= least[e]) continue;
      least[e] = sum;
      last[e] = static_cast<int8_t>(length);
      reached = end;
    }
  }
  if (n > 0 && least[static_cast<size_t>(n)] < 0) {
    if (missing != nullptr) *missing = reached;
    return false;
  }
  chosen->assign(items_.size(), 0);
  if (lengths != nullptr) lengths->assign(layers_.size(), 0);
  for (int end = n; end > 0; end -= last[static_cast<size_t>(end)]) {
    const int length = last[static_cast<size_t>(end)];
    ++(*chosen)[static_cast<size_t>(ItemAt(end - length, length))];
    if (lengths != nullptr) (*lengths)[static_cast<size_t>(end - length)] = length;
  }
  return true;
}

}  // namespace rhnas::hw
