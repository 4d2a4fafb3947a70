// The keys of vta_config.json as one table: reading, writing and comparing walk it.
#pragma once

#include "hw/config.h"

namespace rhnas::hw {

// A number (or a switch written as 0 or 1) of the configuration. Exactly one member is set.
struct ConfigKey {
  const char* name;
  int Config::*number;
  bool Config::*flag;
  int lowest, highest;  // what can be a size at all; whether it can be built is validity's business
  bool required;        // stands in all 17 published files
};

// All keys but VTHREAD_NAME (the only text), in the order of the published files.
const std::vector<ConfigKey>& ConfigKeys();
// Null when unknown.
const ConfigKey* FindConfigKey(const std::string& name);
inline constexpr char kVthreadNameKey[] = "VTHREAD_NAME";

}  // namespace rhnas::hw
