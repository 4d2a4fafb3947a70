#include "hw/layout.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

// fn(unit) for the units that channels [first, last] of a shuffle's output come from, ascending.
template <typename Fn>
void ForShuffleUnits(int channels, int groups, int unit, int first, int last, const Fn& fn) {
  int seen = -1;
  for (int m = 0; m < groups; ++m) {
    // Output channel j is input channel (j mod g) * (c / g) + j / g.
    const int low = first + (m - first % groups + groups) % groups;
    if (low > last) continue;
    const int high = low + (last - low) / groups * groups;
    const int from = (m * (channels / groups) + low / groups) / unit;
    const int to = (m * (channels / groups) + high / groups) / unit;
    for (int u = std::max(from, seen + 1); u <= to; ++u) fn(u);
    seen = std::max(seen, to);
  }
}

}  // namespace

int ShuffleUnits(int channels, int groups, int unit) {
  int most = 1;
  for (int first = 0; first < channels; first += unit) {
    int count = 0;
    ForShuffleUnits(channels, groups, unit, first, std::min(first + unit, channels) - 1,
                    [&count](int) { ++count; });
    most = std::max(most, count);
  }
  return most;
}

std::vector<int> SourceUnits(const Layer& layer, int in_units, int unit, int out) {
  std::vector<int> units;
  const int total = (layer.c + unit - 1) / unit;
  if (layer.kind == LayerKind::kShuffle) {
    const int first = out * unit;
    ForShuffleUnits(layer.c, std::max(1, layer.groups), unit, first,
                    std::min(first + unit, layer.c) - 1, [&units](int u) { units.push_back(u); });
  } else {
    const int per_in = layer.c / layer.groups;
    const int per_out = layer.k / layer.groups;
    const int first = out * unit / per_out * per_in / unit;
    for (int i = 0; i < in_units; ++i) {
      units.push_back(std::min(first, total - in_units) + i);
    }
  }
  for (int u = 0; static_cast<int>(units.size()) < in_units; ++u) {
    if (std::find(units.begin(), units.end(), u) == units.end()) units.push_back(u);
  }
  return units;
}

int64_t AverageTaps(const Layer& layer) {
  return layer.kind == LayerKind::kGlobalAvgPool ? int64_t{layer.h} * layer.w
                                                 : int64_t{layer.r} * layer.s;
}

}  // namespace rhnas::hw
