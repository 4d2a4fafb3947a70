#include "hw/valid_set.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace rhnas::hw {

ValidSet::ValidSet(const DesignSpace& space, const Limits& limits, bool networks)
    : ValidSet(space.sizes(), networks ? space.NetworkPoints(limits) : space.ValidPoints(limits)) {}

ValidSet::ValidSet(std::vector<int> sizes, std::vector<int64_t> points)
    : sizes_(std::move(sizes)), strides_(sizes_.size()), points_(std::move(points)) {
  size_t choices = 0;
  for (size_t i = sizes_.size(); i-- > 0;) {
    strides_[i] = box_;
    box_ *= sizes_[i];
    choices += static_cast<size_t>(sizes_[i]);
  }
  static_mask_.assign(choices, 0);
  points_.shrink_to_fit();
  for (const int64_t point : points_) {
    uint8_t* mask = static_mask_.data();
    int64_t rest = point;
    for (size_t i = 0; i < sizes_.size(); ++i) {
      mask[rest / strides_[i]] = 1;
      rest %= strides_[i];
      mask += sizes_[i];
    }
  }
}

int64_t ValidSet::PointOf(const int* index) const {
  int64_t point = 0;
  for (size_t i = 0; i < sizes_.size(); ++i) point += strides_[i] * index[i];
  return point;
}

void ValidSet::IndexOf(int64_t point, int* index) const {
  for (size_t i = 0; i < sizes_.size(); ++i) {
    index[i] = static_cast<int>(point / strides_[i]);
    point %= strides_[i];
  }
}

int64_t ValidSet::Rank(int64_t point) const {
  const auto at = std::lower_bound(points_.begin(), points_.end(), point);
  return at != points_.end() && *at == point ? at - points_.begin() : -1;
}

int ValidSet::MaskAfter(int parameter, const int* index, uint8_t* mask) const {
  const size_t p = static_cast<size_t>(parameter);
  int64_t base = 0;
  for (size_t i = 0; i < p; ++i) base += strides_[i] * index[i];
  auto at = std::lower_bound(points_.begin(), points_.end(), base);
  const auto end = std::lower_bound(at, points_.end(), base + strides_[p] * sizes_[p]);
  int allowed = 0;
  for (int choice = 0; choice < sizes_[p]; ++choice) {
    // Runs of one choice are short beside the whole: look at the next point before searching.
    base += strides_[p];
    mask[choice] = at != end && *at < base;
    if (mask[choice] == 0) continue;
    ++allowed;
    at = strides_[p] == 1 ? at + 1 : std::lower_bound(at, end, base);
  }
  return allowed;
}

int64_t ValidSet::Member(uint32_t draw) const {
  return points_[static_cast<size_t>(static_cast<uint64_t>(draw) * points_.size() >> 32)];
}

// The points [begin, end) begin with choices that make `base`, `steps` away from the index's own.
void ValidSet::Nearer(size_t parameter, size_t begin, size_t end, int64_t base, int64_t steps,
                      const int* index, int64_t* best, int64_t* best_steps) const {
  if (begin == end || steps > *best_steps) return;
  if (parameter == sizes_.size()) {
    if (steps < *best_steps || base < *best) {
      *best = base;
      *best_steps = steps;
    }
    return;
  }
  // From the index's own choice outwards, the lower choice first.
  const int from = index[parameter], size = sizes_[parameter];
  const auto first = points_.begin();
  for (int away = 0; away < size; ++away) {
    if (steps + away > *best_steps) return;
    for (const int choice : {from - away, from + away}) {
      if (choice < 0 || choice >= size || (away == 0 && choice != from)) continue;
      const int64_t low = base + strides_[parameter] * choice;
      const auto here = std::lower_bound(first + static_cast<ptrdiff_t>(begin),
                                         first + static_cast<ptrdiff_t>(end), low);
      const auto after =
          std::lower_bound(here, first + static_cast<ptrdiff_t>(end), low + strides_[parameter]);
      Nearer(parameter + 1, static_cast<size_t>(here - first), static_cast<size_t>(after - first),
             low, steps + away, index, best, best_steps);
      if (away == 0) break;
    }
  }
}

int64_t ValidSet::Nearest(const int* index) const {
  int64_t best = -1, best_steps = box_;  // no two points are that far apart
  Nearer(0, 0, points_.size(), 0, 0, index, &best, &best_steps);
  return best;
}

}  // namespace rhnas::hw
