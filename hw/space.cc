// The spaces and their exact counts. `vta` is the box of the extended VTA's own explorer
// (apps/params/dsexplorer.py); `vta-wide` opens every buffer and the bus; `vta-small` is for tests
// and first looks.
#include "hw/space.h"

#include <cstdio>

#include "hw/number.h"
#include "hw/space_walk.h"

namespace rhnas::hw {
namespace {

SpaceParameter Range(const char* key, int first, int last) {
  SpaceParameter parameter{key, {}};
  for (int value = first; value <= last; ++value) parameter.values.push_back(value);
  return parameter;
}

SpaceParameter SearchedBus() { return {kBusKey, {64, 128, 256, 512}}; }

// Far beyond any space file.
constexpr size_t kMaxFileBytes = 1 << 20;

// False: there is no such file, or it cannot be read.
bool ReadFile(const std::string& path, std::string* text) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  char buffer[4096];
  size_t count = 0;
  while (text->size() <= kMaxFileBytes &&
         (count = std::fread(buffer, 1, sizeof buffer, file)) > 0) {
    text->append(buffer, count);
  }
  const bool good = std::ferror(file) == 0 && text->size() <= kMaxFileBytes;
  std::fclose(file);
  return good;
}

}  // namespace

int64_t HwSpace::points() const {
  int64_t count = 1;
  for (const SpaceParameter& parameter : parameters) {
    count *= static_cast<int64_t>(parameter.values.size());
  }
  return count;
}

std::vector<int> HwSpace::sizes() const {
  std::vector<int> result;
  for (const SpaceParameter& parameter : parameters) {
    result.push_back(static_cast<int>(parameter.values.size()));
  }
  return result;
}

Config HwSpace::At(const std::vector<int>& index) const {
  Config config = base;
  for (size_t i = 0; i < parameters.size(); ++i) {
    SpaceKey(parameters[i].key).Set(parameters[i].values[static_cast<size_t>(index[i])], &config);
  }
  if (derived_tags) config.vme_tag_bits = TagBitsNeeded(config);
  return config;
}

Config HwSpace::At(int64_t point) const {
  std::vector<int> index(parameters.size());
  for (size_t i = parameters.size(); i-- > 0;) {
    const int64_t size = static_cast<int64_t>(parameters[i].values.size());
    index[i] = static_cast<int>(point % size);
    point /= size;
  }
  return At(index);
}

bool HwSpace::Find(const Config& config, std::vector<int>* index) const {
  std::vector<int> found;
  for (const SpaceParameter& parameter : parameters) {
    const int value = SpaceKey(parameter.key).Get(config);
    for (size_t i = 0; i < parameter.values.size(); ++i) {
      if (parameter.values[i] == value) found.push_back(static_cast<int>(i));
    }
  }
  if (found.size() != parameters.size()) return false;
  Config here = At(found);
  here.vme_tag_bits = config.vme_tag_bits;
  if (!(here == config)) return false;
  if (index != nullptr) *index = found;
  return true;
}

std::vector<std::string> HwSpaceNames() { return {"vta", "vta-wide", "vta-small"}; }

Result<HwSpace> FindHwSpace(const std::string& name, const SpaceOptions& options) {
  HwSpace space;
  space.name = name;
  space.base.vme_tag_bits = kSpaceTagBits;
  space.derived_tags = options.derived_tags;
  if (name == "vta") {
    space.parameters = {
        Range("LOG_BATCH", 0, 4),           Range("LOG_BLOCK_IN", 0, 6),
        Range("LOG_BLOCK_OUT", 0, 6),       Range("LOG_INP_BUFF_SIZE", 15, 18),
        Range("LOG_WGT_BUFF_SIZE", 15, 18), Range("LOG_ACC_BUFF_SIZE", 15, 18),
    };
  } else if (name == "vta-wide") {
    space.parameters = {
        Range("LOG_BATCH", 0, 2),           Range("LOG_BLOCK_IN", 3, 6),
        Range("LOG_BLOCK_OUT", 3, 6),       Range("LOG_UOP_BUFF_SIZE", 11, 16),
        Range("LOG_INP_BUFF_SIZE", 12, 19), Range("LOG_WGT_BUFF_SIZE", 13, 21),
        Range("LOG_ACC_BUFF_SIZE", 13, 20), SearchedBus(),
    };
    return space;  // the bus is always one of its parameters
  } else if (name == "vta-small") {
    space.parameters = {
        Range("LOG_BLOCK_IN", 3, 5),        Range("LOG_BLOCK_OUT", 3, 5),
        Range("LOG_INP_BUFF_SIZE", 14, 16), Range("LOG_WGT_BUFF_SIZE", 16, 18),
        Range("LOG_ACC_BUFF_SIZE", 16, 17),
    };
  } else {
    std::string text;
    if (ReadFile(name, &text)) return ParseHwSpace(text, name, options);
    const std::vector<std::string> names = HwSpaceNames();
    const std::string near = Nearest(name, names.data(), static_cast<int>(names.size()));
    std::string message = "no accelerator space or readable file named \"" + name + "\"";
    if (!near.empty()) message += ", did you mean \"" + near + "\"?";
    message += "; spaces:";
    for (const std::string& known : names) message += " " + known;
    return Error{message};
  }
  PlaceBus(options, &space);
  return space;
}

void PlaceBus(const SpaceOptions& options, HwSpace* space) {
  if (options.bus_bits == 0) {
    space->parameters.push_back(SearchedBus());
  } else {
    space->base.bus_bits = space->base.dpi_data_bits = options.bus_bits;
  }
}

SpaceCount Count(const HwSpace& space, const Limits& limits, uint32_t chosen) {
  SpaceCount count;
  count.points = space.points();
  for (SpaceWalk walk(space); !walk.done(); walk.Next()) {
    const Config& config = walk.config();
    const uint32_t broken = BrokenRules(config, limits);
    const size_t log_macs =
        static_cast<size_t>(config.log_batch + config.log_block_in + config.log_block_out);
    MacBucket& bucket = count.by_log_macs[log_macs];
    ++bucket.points;
    if (broken == 0) {
      ++count.valid;
      ++bucket.valid;
    }
    if ((broken & kEncodingRules) == 0) {
      ++count.encoding_valid;
      ++bucket.encoding_valid;
    }
    if ((broken & chosen) == 0) {
      ++count.chosen_valid;
      ++bucket.chosen_valid;
    }
    for (size_t rule = 0; rule < kRuleCount; ++rule) count.by_rule[rule] += broken >> rule & 1u;
    if ((broken & RuleBit(Rule::kR7)) != 0) count.tag_memories += TagViolations(config);
  }
  return count;
}

}  // namespace rhnas::hw
