// Walking every point of a space without looking keys up by name at each.
#pragma once

#include <string>
#include <vector>

#include "hw/config_keys.h"
#include "hw/space.h"

namespace rhnas::hw {

inline constexpr char kBusKey[] = "BUS";

// A parameter of a space: a key of the configuration, or the bus and the DPI width together.
class SpaceKey {
 public:
  explicit SpaceKey(const std::string& key)
      : found_(key == kBusKey ? nullptr : FindConfigKey(key)), bus_(key == kBusKey) {}
  void Set(int value, Config* config) const {
    if (bus_) {
      config->bus_bits = config->dpi_data_bits = value;
    } else if (found_ != nullptr && found_->number != nullptr) {
      config->*found_->number = value;
    } else if (found_ != nullptr) {
      config->*found_->flag = value != 0;
    }
  }
  int Get(const Config& config) const {
    if (bus_) return config.bus_bits;
    if (found_ == nullptr) return 0;
    return found_->number != nullptr ? config.*found_->number : (config.*found_->flag ? 1 : 0);
  }

 private:
  const ConfigKey* found_;
  bool bus_;
};

// for (SpaceWalk walk(space); !walk.done(); walk.Next()) ... walk.config() ...
// Points come in the order of HwSpace::At(int64_t): the last parameter runs fastest.
class SpaceWalk {
 public:
  explicit SpaceWalk(const HwSpace& space)
      : space_(space), index_(space.parameters.size(), 0), config_(space.base) {
    for (const SpaceParameter& parameter : space.parameters) {
      keys_.emplace_back(parameter.key);
      if (parameter.values.empty()) done_ = true;
    }
    if (!done_) {
      for (size_t i = 0; i < keys_.size(); ++i) Place(i);
      Derive();
    }
  }
  bool done() const { return done_; }
  const Config& config() const { return config_; }
  const std::vector<int>& index() const { return index_; }
  void Next() {
    for (size_t i = keys_.size(); i-- > 0;) {
      const bool carry = ++index_[i] == static_cast<int>(space_.parameters[i].values.size());
      if (carry) index_[i] = 0;
      Place(i);
      if (!carry) {
        Derive();
        return;
      }
    }
    done_ = true;
  }

 private:
  void Place(size_t i) {
    keys_[i].Set(space_.parameters[i].values[static_cast<size_t>(index_[i])], &config_);
  }
  void Derive() {
    if (space_.derived_tags) config_.vme_tag_bits = TagBitsNeeded(config_);
  }

  const HwSpace& space_;
  std::vector<SpaceKey> keys_;
  std::vector<int> index_;
  Config config_;
  bool done_ = false;
};

}  // namespace rhnas::hw
