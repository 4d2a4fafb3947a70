// The nearest thing that can be built, for messages about constraints that cannot be met.
#include <cstdlib>
#include <limits>

#include "hw/cost.h"
#include "hw/space.h"
#include "hw/space_walk.h"

namespace rhnas::hw {
namespace {

// The valid point with the smallest (steps from `from`, area); from empty: area alone.
std::optional<Config> Best(const HwSpace& space, const Limits& limits,
                           const std::vector<int>& from) {
  std::optional<Config> best;
  int best_steps = std::numeric_limits<int>::max();
  double best_area = 0;
  for (SpaceWalk walk(space); !walk.done(); walk.Next()) {
    int steps = 0;
    for (size_t i = 0; i < from.size(); ++i) steps += std::abs(walk.index()[i] - from[i]);
    if (steps > best_steps || BrokenRules(walk.config(), limits) != 0) continue;
    const double area = AreaUm2(walk.config(), limits.table());
    if (steps < best_steps || area < best_area) {
      best = walk.config();
      best_steps = steps;
      best_area = area;
    }
  }
  return best;
}

}  // namespace

std::optional<Config> SmallestValid(const HwSpace& space, const Limits& limits) {
  return Best(space, limits, {});
}

std::optional<Config> NearestValid(const HwSpace& space, const Config& config,
                                   const Limits& limits) {
  // Steps are counted from the value the space has closest to the configuration's own.
  std::vector<int> from;
  for (const SpaceParameter& parameter : space.parameters) {
    const int value = SpaceKey(parameter.key).Get(config);
    size_t nearest = 0;
    for (size_t i = 1; i < parameter.values.size(); ++i) {
      if (std::abs(parameter.values[i] - value) < std::abs(parameter.values[nearest] - value)) {
        nearest = i;
      }
    }
    from.push_back(static_cast<int>(nearest));
  }
  return Best(space, limits, from);
}

}  // namespace rhnas::hw
