// A hardware space in the user's own words:
//
//   # small arrays on a wide bus
//   base: default              what no parameter sets: a preset or a vta_config.json
//   LOG_BLOCK_IN: 3..5         a range of whole numbers, both ends included
//   LOG_BLOCK_OUT: 3, 4, 6     or a list; both may be mixed; values grow
//   BUS: 64, 128               memory bus and DPI width together
//
// Keys are those of vta_config.json, each once. Tag bits are 21 as in all spaces unless
// SHL_VME_CLT_TAG_BITS is a parameter; the bus is the given one unless BUS is.
#include <algorithm>
#include <cstdio>

#include "hw/config_keys.h"
#include "hw/number.h"
#include "hw/space.h"
#include "hw/space_walk.h"

namespace rhnas::hw {
namespace {

constexpr char kBaseKey[] = "base", kTagKey[] = "SHL_VME_CLT_TAG_BITS";
// More would take hours to count and could not be listed.
constexpr int64_t kMostPoints = 1000000000;

std::string Trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

bool ParseWhole(const std::string& text, int* value) {
  if (text.empty() || text.size() > 9) return false;
  *value = 0;
  for (const char letter : text) {
    if (letter < '0' || letter > '9') return false;
    *value = *value * 10 + (letter - '0');
  }
  return true;
}

std::string UnknownKey(const std::string& key) {
  if (key == "LOG_BLOCK") {
    return "unknown parameter \"LOG_BLOCK\", write LOG_BLOCK_IN and LOG_BLOCK_OUT instead";
  }
  std::vector<std::string> names = {kBaseKey, kBusKey};
  for (const ConfigKey& known : ConfigKeys()) names.emplace_back(known.name);
  const std::string near = Nearest(key, names.data(), static_cast<int>(names.size()));
  return "unknown parameter \"" + key + "\"" +
         (near.empty() ? ", expected base, BUS or a key of vta_config.json"
                       : ", did you mean \"" + near + "\"?");
}

// "3..5, 7" into growing values of low..high. Empty: *error says what is wrong.
std::vector<int> ParseValues(const std::string& text, int low, int high, std::string* error) {
  std::vector<int> values;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = Trim(text.substr(begin, end - begin));
    begin = end + 1;
    const size_t dots = part.find("..");
    int first = 0, last = 0;
    const bool range = dots != std::string::npos;
    if (!ParseWhole(range ? Trim(part.substr(0, dots)) : part, &first) ||
        !ParseWhole(range ? Trim(part.substr(dots + 2)) : part, &last)) {
      *error = "found \"" + part + "\", expected whole numbers such as 15..18 or 15, 17";
      return {};
    }
    if (first > last) {
      *error = "found " + part + ", expected the smaller end first";
      return {};
    }
    if (first < low || last > high) {
      *error = "found " + part + ", expected values from " + std::to_string(low) + " to " +
               std::to_string(high);
      return {};
    }
    if (!values.empty() && first <= values.back()) {
      *error = "found " + std::to_string(first) + " after " + std::to_string(values.back()) +
               ", expected growing values";
      return {};
    }
    for (int value = first; value <= last; ++value) values.push_back(value);
  }
  return values;
}

}  // namespace

Result<HwSpace> ParseHwSpace(const std::string& text, const std::string& path,
                             const SpaceOptions& options) {
  HwSpace space;
  space.name = path;
  space.derived_tags = options.derived_tags;
  int base_line = 0;
  std::vector<int> lines;  // of each parameter
  int line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string raw = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    const std::string line = Trim(raw.substr(0, raw.find('#')));
    if (line.empty()) continue;
    const std::string at = path + ":" + std::to_string(line_number) + ": ";
    const size_t colon = line.find(':');
    if (colon == std::string::npos) {
      return Error{at + "found \"" + line +
                   "\", expected \"PARAMETER: values\" such as LOG_BATCH: 0..2"};
    }
    const std::string key = Trim(line.substr(0, colon));
    const std::string value = Trim(line.substr(colon + 1));
    const auto twice = [&](int first_line) {
      return Error{at + key + " appears twice (first in line " + std::to_string(first_line) + ")"};
    };
    if (key == kBaseKey) {
      if (base_line != 0) return twice(base_line);
      base_line = line_number;
      Result<Config> base = FindConfig(value);
      if (!base.ok()) return Error{at + "base: " + base.error()};
      space.base = std::move(*base);
      continue;
    }
    for (size_t i = 0; i < lines.size(); ++i) {
      if (space.parameters[i].key == key) return twice(lines[i]);
    }
    const ConfigKey* known = FindConfigKey(key);
    if (known == nullptr && key != kBusKey) return Error{at + UnknownKey(key)};
    if (known != nullptr &&
        (known->number == &Config::bus_bits || known->number == &Config::dpi_data_bits)) {
      return Error{at + "found " + key +
                   ", write BUS instead: it sets SHL_MEM_AXI_DATA_BITS and DPI_DATA_BITS together"};
    }
    const ConfigKey& limits = known != nullptr ? *known : *FindConfigKey("SHL_MEM_AXI_DATA_BITS");
    std::string error;
    std::vector<int> values = ParseValues(value, limits.lowest, limits.highest, &error);
    if (values.empty()) return Error{at + key + ": " + error};
    const int64_t points = space.points();
    if (points > kMostPoints / static_cast<int64_t>(values.size())) {
      return Error{at + key + ": the space has more than " + std::to_string(kMostPoints) +
                   " points, expected fewer values"};
    }
    space.parameters.push_back({key, std::move(values)});
    lines.push_back(line_number);
  }
  if (space.parameters.empty()) {
    return Error{path + ": no parameters, expected lines such as LOG_BATCH: 0..2"};
  }
  bool has_bus = false, has_tags = false;
  for (const SpaceParameter& parameter : space.parameters) {
    has_bus = has_bus || parameter.key == kBusKey;
    has_tags = has_tags || parameter.key == kTagKey;
  }
  if (has_tags) {
    space.derived_tags = false;
  } else {
    space.base.vme_tag_bits = kSpaceTagBits;
  }
  if (!has_bus) PlaceBus(options, &space);
  return space;
}

std::string HwSpaceText(const HwSpace& space) {
  std::string text;
  for (const SpaceParameter& parameter : space.parameters) {
    text += parameter.key + ": ";
    const std::vector<int>& values = parameter.values;
    for (size_t first = 0; first < values.size();) {
      size_t last = first;
      while (last + 1 < values.size() && values[last + 1] == values[last] + 1) ++last;
      if (first > 0) text += ", ";
      text += std::to_string(values[first]);
      if (last > first) text += (last > first + 1 ? ".." : ", ") + std::to_string(values[last]);
      first = last + 1;
    }
    text += "\n";
  }
  return text;
}

}  // namespace rhnas::hw
