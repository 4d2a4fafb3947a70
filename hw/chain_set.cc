// Which chains a network has, and the grouping of least latency.
#include <algorithm>
#include <limits>

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

int64_t ChainSet::Limit(int item, const std::vector<int64_t>& latency_cycles) const {
  const Item& whole = items_[static_cast<size_t>(item)];
  constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  if (whole.length == 1) return kNone;
  int64_t least[kMostChained + 1] = {0};
  for (int end = 1; end <= whole.length; ++end) {
    least[end] = kNone;
    for (int begin = 0; begin < end; ++begin) {
      if (end - begin == whole.length || least[begin] == kNone) continue;
      const int64_t cycles = LatencyAt(whole.first + begin, end - begin, latency_cycles);
      if (cycles >= 0) least[end] = std::min(least[end], least[begin] + cycles);
    }
  }
  return least[whole.length];
}

bool ChainSet::Group(int begin, int end, const std::vector<int64_t>& latency_cycles,
                     std::vector<int>* lengths, int* missing) const {
  // Least latency of the layers before a point, negative: none; only the last few are needed. The
  // lengths, written where their item ends, lead the way back.
  constexpr int kWindow = kMostChained + 1;
  int64_t least[kWindow] = {0};
  lengths->assign(static_cast<size_t>(end - begin), 0);
  for (int at = begin + 1; at <= end; ++at) {
    int64_t& here = least[(at - begin) % kWindow];
    here = -1;
    for (int length = 1; length <= std::min(kMostChained, at - begin); ++length) {
      const int64_t before = least[(at - begin - length) % kWindow];
      const int64_t cycles = LatencyAt(at - length, length, latency_cycles);
      if (before < 0 || cycles < 0) continue;
      if (here >= 0 && before + cycles >= here) continue;
      here = before + cycles;
      (*lengths)[static_cast<size_t>(at - 1 - begin)] = length;
    }
  }
  if (least[(end - begin) % kWindow] < 0) {
    // The first layer that no way covers.
    int at = begin;
    while (at < end && LatencyAt(at, 1, latency_cycles) >= 0) ++at;
    if (missing != nullptr) *missing = std::min(at, end - 1);
    return false;
  }
  for (int at = end; at > begin;) {
    const auto last = static_cast<size_t>(at - 1 - begin);
    const int length = (*lengths)[last];
    for (int i = 0; i < length; ++i) (*lengths)[last - static_cast<size_t>(i)] = 0;
    at -= length;
    (*lengths)[static_cast<size_t>(at - begin)] = length;
  }
  return true;
}

}  // namespace rhnas::hw
