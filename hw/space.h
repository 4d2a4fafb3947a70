// Hardware search spaces: a list of parameters with their values; a point is one index a parameter.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
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
  Config base;                // what the parameters do not set
  bool derived_tags = false;  // SHL_VME_CLT_TAG_BITS of a point: as many as R7 needs
  std::vector<SpaceParameter> parameters;
  int64_t points() const;
  std::vector<int> sizes() const;                  // values per parameter
  Config At(const std::vector<int>& index) const;  // one index a parameter
  Config At(int64_t point) const;
  // Indices of a configuration, if it lies in the space. The tag width is not compared: it is an
  // internal wire that neither time nor area sees, and the published default has fewer bits.
  bool Find(const Config& config, std::vector<int>* index) const;
};

struct SpaceOptions {
  int bus_bits = 64;          // of spaces whose bus is given; 0: searched over 64, 128, 256, 512
  bool derived_tags = false;  // SHL_VME_CLT_TAG_BITS as wide as R7 needs, instead of 21
};
// vta: the box of the extended VTA's own explorer (apps/params/dsexplorer.py of
// pasqoc/incubator-tvm-vta, branch il_contrib_0421); vta-wide: every buffer and the bus too;
// vta-small: enumerable in milliseconds.
// Any other name is the path of a file (ParseHwSpace). Neither: the names and the nearest.
Result<HwSpace> FindHwSpace(const std::string& name, const SpaceOptions& options = {});
std::vector<std::string> HwSpaceNames();
// A space of the user's own: lines of "PARAMETER: values", its form in hw/space_text.cc and
// docs/SPACES.md. The path is its name. Strict: errors start with path and line, an unknown
// parameter comes with the nearest known one.
Result<HwSpace> ParseHwSpace(const std::string& text, const std::string& path,
                             const SpaceOptions& options = {});
// The parameters in that form.
std::string HwSpaceText(const HwSpace& space);
// SHL_VME_CLT_TAG_BITS where it is no parameter: as many as the widest point of `vta` at a 64-bit
// bus and the default's depths ask for.
inline constexpr int kSpaceTagBits = 21;
// The bus of a space that does not say: given, or one more parameter.
void PlaceBus(const SpaceOptions& options, HwSpace* space);

// Points of one array size; index: log2 of multiply-accumulates per cycle.
struct MacBucket {
  int64_t points = 0, valid = 0;
  int64_t encoding_valid = 0;  // under R1 to R6 and the scratchpad address alone
  int64_t chosen_valid = 0;    // under the rules chosen alone
};
// A set of rules: bit i is rule i.
inline constexpr uint32_t RuleBit(Rule rule) { return 1u << static_cast<unsigned>(rule); }
inline constexpr uint32_t kEncodingRules =
    RuleBit(Rule::kR1) | RuleBit(Rule::kR2) | RuleBit(Rule::kR3) | RuleBit(Rule::kR4) |
    RuleBit(Rule::kR5) | RuleBit(Rule::kR6) | RuleBit(Rule::kAddress);
struct SpaceCount {
  int64_t points = 0, valid = 0;
  int64_t encoding_valid = 0, chosen_valid = 0;
  std::array<int64_t, kRuleCount>
      by_rule{};             // points that break each rule (a point may break several)
  int64_t tag_memories = 0;  // memories that break R7, up to four a point
  std::array<MacBucket, 32> by_log_macs{};
};
// `chosen`: rules whose share is asked for besides all and the encoding's.
SpaceCount Count(const HwSpace& space, const Limits& limits = {}, uint32_t chosen = kEncodingRules);

// For messages about constraints that cannot be met. Both walk the whole space.
// The valid point of the smallest area (of the limits' table); empty when no point is valid.
std::optional<Config> SmallestValid(const HwSpace& space, const Limits& limits = {});
// The valid point that differs from `config` by the fewest steps over all parameters, the smaller
// area first among equals; empty when no point is valid.
std::optional<Config> NearestValid(const HwSpace& space, const Config& config,
                                   const Limits& limits = {});

}  // namespace rhnas::hw
