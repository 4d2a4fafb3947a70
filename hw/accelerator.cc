// The list of families, and what every family's spaces have in common.
#include "hw/accelerator.h"

#include <algorithm>

#include "hw/number.h"
#include "hw/systolic.h"
#include "hw/vta_accelerator.h"

namespace rhnas::hw {

std::string BrokenRule::ToString() const {
  return std::string(name) + ": " + what + ": need " + FormatShort(need) + ", have " +
         FormatShort(have);
}

int64_t DesignSpace::points() const {
  int64_t count = 1;
  for (const SpaceParameter& parameter : parameters()) {
    count *= static_cast<int64_t>(parameter.values.size());
  }
  return count;
}

std::vector<int> DesignSpace::sizes() const {
  std::vector<int> result;
  for (const SpaceParameter& parameter : parameters()) {
    result.push_back(static_cast<int>(parameter.values.size()));
  }
  return result;
}

DesignPtr DesignSpace::AtPoint(int64_t point) const {
  std::vector<int> index = sizes();
  for (size_t i = index.size(); i-- > 0;) {
    const int64_t size = index[i];
    index[i] = static_cast<int>(point % size);
    point /= size;
  }
  return At(index);
}

std::vector<int64_t> DesignSpace::WalkValidPoints(const Limits& limits) const {
  std::vector<int64_t> valid;
  for (int64_t point = 0; point < points(); ++point) {
    if (AtPoint(point)->Valid(limits)) valid.push_back(point);
  }
  return valid;
}

std::vector<int64_t> DesignSpace::RunningPoints(std::vector<int64_t> points) const {
  size_t kept = 0;
  for (const int64_t point : points) {
    if (AtPoint(point)->RunsNetworks()) points[kept++] = point;
  }
  points.resize(kept);
  return points;
}

std::vector<const Accelerator*> Accelerators() { return {&Vta(), &Systolic()}; }

const Accelerator* FindAccelerator(const std::string& name) {
  for (const Accelerator* accelerator : Accelerators()) {
    if (name == accelerator->name()) return accelerator;
  }
  return nullptr;
}

const Accelerator* FindAcceleratorOfSpace(const std::string& space) {
  for (const Accelerator* accelerator : Accelerators()) {
    for (const std::string& name : accelerator->SpaceNames()) {
      if (name == space) return accelerator;
    }
  }
  return nullptr;
}

DesignCount CountDesigns(const DesignSpace& space, const Accelerator& accelerator,
                         const Limits& limits) {
  DesignCount count;
  count.points = space.points();
  count.by_rule.assign(accelerator.rules().size(), 0);
  for (int64_t point = 0; point < count.points; ++point) {
    const DesignPtr design = space.AtPoint(point);
    const std::vector<BrokenRule> broken = design->CheckAll(limits);
    for (const BrokenRule& rule : broken) ++count.by_rule[static_cast<size_t>(rule.rule)];
    const int64_t macs = design->macs_per_cycle();
    auto at = std::lower_bound(
        count.by_macs.begin(), count.by_macs.end(), macs,
        [](const std::pair<int64_t, MacBucket>& bucket, int64_t m) { return bucket.first < m; });
    if (at == count.by_macs.end() || at->first != macs) {
      at = count.by_macs.insert(at, {macs, MacBucket{}});
    }
    ++at->second.points;
    if (broken.empty()) {
      ++count.valid;
      ++at->second.valid;
    }
  }
  return count;
}

}  // namespace rhnas::hw
