// The spaces and their exact counts. `vta` is the box of the extended VTA's own explorer
// (apps/params/dsexplorer.py); `vta-wide` opens every buffer and the bus; `vta-small` is for tests
// and first looks.
#include "hw/space.h"

#include "hw/number.h"
#include "hw/space_walk.h"

namespace rhnas::hw {
namespace {

// As many as the widest point of `vta` at a 64-bit bus and the default's depths ask for.
constexpr int kSpaceTagBits = 21;

SpaceParameter Range(const char* key, int first, int last) {
  SpaceParameter parameter{key, {}};
  for (int value = first; value <= last; ++value) parameter.values.push_back(value);
  return parameter;
}

uint32_t Bit(Rule rule) { return 1u << static_cast<unsigned>(rule); }

uint32_t EncodingRules() {
  return Bit(Rule::kR1) | Bit(Rule::kR2) | Bit(Rule::kR3) | Bit(Rule::kR4) | Bit(Rule::kR5) |
         Bit(Rule::kR6) | Bit(Rule::kAddress);
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
  const SpaceParameter searched_bus{kBusKey, {64, 128, 256, 512}};
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
        Range("LOG_ACC_BUFF_SIZE", 13, 20), searched_bus,
    };
    return space;  // the bus is always one of its parameters
  } else if (name == "vta-small") {
    space.parameters = {
        Range("LOG_BLOCK_IN", 3, 5),        Range("LOG_BLOCK_OUT", 3, 5),
        Range("LOG_INP_BUFF_SIZE", 14, 16), Range("LOG_WGT_BUFF_SIZE", 16, 18),
        Range("LOG_ACC_BUFF_SIZE", 16, 17),
    };
  } else {
    const std::vector<std::string> names = HwSpaceNames();
    const std::string near = Nearest(name, names.data(), static_cast<int>(names.size()));
    std::string message = "unknown hardware space \"" + name + "\"";
    if (!near.empty()) message += ", did you mean \"" + near + "\"?";
    message += "; spaces:";
    for (const std::string& known : names) message += " " + known;
    return Error{message};
  }
  if (options.bus_bits == 0) {
    space.parameters.push_back(searched_bus);
  } else {
    space.base.bus_bits = space.base.dpi_data_bits = options.bus_bits;
  }
  return space;
}

SpaceCount Count(const HwSpace& space, const Limits& limits) {
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
    if ((broken & EncodingRules()) == 0) {
      ++count.encoding_valid;
      ++bucket.encoding_valid;
    }
    for (size_t rule = 0; rule < kRuleCount; ++rule) count.by_rule[rule] += broken >> rule & 1u;
    if ((broken & Bit(Rule::kR7)) != 0) count.tag_memories += TagViolations(config);
  }
  return count;
}

}  // namespace rhnas::hw
