// Hardware search spaces: a list of parameters with their values; a point is one index a parameter.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "hw/config.h"
#include "hw/validity.h"

namespace rhnas::hw {

struct SpaceParameter {
  std::string key;  // "LOG_BATCH", or "BUS" (sets bus and DPI width together)
  std::vector<int> values;
};

struct HwSpace {
  std::string name;
  Config base;  // what the parameters do not set
  std::vector<SpaceParameter> parameters;
  int64_t points() const;
  std::vector<int> sizes() const;                  // values per parameter
  Config At(const std::vector<int>& index) const;  // one index a parameter
  Config At(int64_t point) const;
  // Indices of a configuration, if it lies in the space.
  bool Find(const Config& config, std::vector<int>* index) const;
};

struct SpaceOptions {
  int bus_bits = 64;          // of spaces whose bus is given; 0: searched over 64, 128, 256, 512
  bool derived_tags = false;  // SHL_VME_CLT_TAG_BITS as wide as R7 needs, instead of 21
};
// vta, vta-wide (hw-spaces), vta-small (enumerable in milliseconds).
Result<HwSpace> FindHwSpace(const std::string& name, const SpaceOptions& options = {});
std::vector<std::string> HwSpaceNames();

struct SpaceCount {
  int64_t points = 0, valid = 0;
  std::array<int64_t, kRuleCount>
      by_rule{};  // points that break each rule (a point may break several)
};
SpaceCount Count(const HwSpace& space, const Limits& limits = {});

}  // namespace rhnas::hw
