#include "hw/vta_accelerator.h"

#include <algorithm>

#include "hw/space_walk.h"

namespace rhnas::hw {
namespace {

class VtaDesign final : public Design {
 public:
  explicit VtaDesign(const Config& config) : config_(config) {}
  const Config& config() const { return config_; }

  std::string ShortName() const override { return hw::ShortName(config_); }
  std::string ToJson() const override { return hw::ToJson(config_); }
  uint64_t Key() const override { return ConfigurationKey(config_); }
  std::vector<BrokenRule> CheckAll(const Limits& limits) const override {
    return ToBrokenRules(hw::CheckAll(config_, limits));
  }
  bool Valid(const Limits& limits) const override { return BrokenRules(config_, limits) == 0; }
  bool RunsNetworks() const override { return hw::RunsNetworks(config_); }
  double AreaUm2(const CostTable& table) const override { return hw::AreaUm2(config_, table); }
  int64_t macs_per_cycle() const override { return config_.macs_per_cycle(); }
  int bus_bits() const override { return config_.bus_bits; }
  std::unique_ptr<DesignModel> Model(const CostTable& table) const override {
    return std::make_unique<CostModel>(config_, table);
  }

 private:
  Config config_;
};

class VtaSpace final : public DesignSpace {
 public:
  VtaSpace(HwSpace space, int bus_bits) : space_(std::move(space)), bus_bits_(bus_bits) {}
  const std::string& name() const override { return space_.name; }
  const std::vector<SpaceParameter>& parameters() const override { return space_.parameters; }
  DesignPtr At(const std::vector<int>& index) const override {
    return MakeVtaDesign(space_.At(index));
  }
  DesignPtr Reference() const override {
    return MakeVtaDesign(ConfigOnBus(FindConfig("default").value(), bus_bits_));
  }
  std::vector<int64_t> ValidPoints(const Limits& limits) const override {
    return Walk(limits, false);
  }
  std::vector<int64_t> NetworkPoints(const Limits& limits) const override {
    return Walk(limits, true);
  }

 private:
  std::vector<int64_t> Walk(const Limits& limits, bool networks) const {
    // The area takes longer than all other rules: asked last.
    Limits others = limits;
    others.area_max_um2.reset();
    std::vector<int64_t> valid;
    int64_t point = 0;
    for (SpaceWalk walk(space_); !walk.done(); walk.Next(), ++point) {
      const Config& config = walk.config();
      if ((networks && !hw::RunsNetworks(config)) || BrokenRules(config, others) != 0) continue;
      if (!limits.area_max_um2 || hw::AreaUm2(config, limits.table()) <= *limits.area_max_um2) {
        valid.push_back(point);
      }
    }
    return valid;
  }
  HwSpace space_;
  int bus_bits_;
};

class VtaAccelerator final : public Accelerator {
 public:
  VtaAccelerator() {
    for (int i = 0; i < kRuleCount; ++i) {
      const Rule rule = static_cast<Rule>(i);
      rules_.push_back({RuleName(rule), RuleDescription(rule)});
    }
  }
  const char* name() const override { return "vta"; }
  const char* summary() const override {
    return "VTA (apache/tvm-vta, extended): GEMM array, ALU, explicit scratchpads";
  }
  const std::vector<RuleInfo>& rules() const override { return rules_; }
  std::vector<std::string> SpaceNames() const override { return HwSpaceNames(); }
  Result<std::unique_ptr<DesignSpace>> FindSpace(const std::string& name,
                                                 const SpaceOptions& options) const override {
    Result<HwSpace> space = FindHwSpace(name, options);
    if (!space.ok()) return Error{space.error()};
    return MakeVtaSpace(std::move(*space), options.bus_bits);
  }
  std::vector<std::string> PresetNames() const override { return hw::PresetNames(); }
  Result<DesignPtr> Find(const std::string& name_or_path) const override {
    return Wrap(FindConfig(name_or_path));
  }
  Result<DesignPtr> Parse(const std::string& text, const std::string& path) const override {
    return Wrap(ParseConfig(text, path));
  }
  const char* file_name() const override { return "vta_config.json"; }
  bool OwnsKey(const std::string& key) const override {
    return FindConfigKey(key) != nullptr || key == kVthreadNameKey;
  }
  DesignPtr OnBus(const Design& design, int bus_bits) const override {
    return MakeVtaDesign(ConfigOnBus(VtaConfig(design), bus_bits));
  }
  DesignPtr DefaultBeside(const Design& other) const override {
    return MakeVtaDesign(ConfigOnBus(FindConfig("default").value(), other.bus_bits()));
  }
  bool fits_boards() const override { return true; }

 private:
  static Result<DesignPtr> Wrap(const Result<Config>& config) {
    if (!config.ok()) return Error{config.error()};
    return MakeVtaDesign(*config);
  }
  std::vector<RuleInfo> rules_;
};

}  // namespace

const Accelerator& Vta() {
  static const VtaAccelerator family;
  return family;
}

DesignPtr MakeVtaDesign(const Config& config) { return std::make_shared<VtaDesign>(config); }

const Config& VtaConfig(const Design& design) {
  return static_cast<const VtaDesign&>(design).config();
}

std::unique_ptr<DesignSpace> MakeVtaSpace(HwSpace space, int bus_bits) {
  return std::make_unique<VtaSpace>(std::move(space), bus_bits);
}

Config ConfigOnBus(const Config& config, int bus_bits) {
  if (bus_bits == 0 || bus_bits == config.bus_bits) return config;
  Config moved = config;
  moved.bus_bits = moved.dpi_data_bits = bus_bits;
  // Beyond any that a published depth and bus ask for.
  constexpr int kWidestTag = 32;
  const int tag_bits = std::max(moved.vme_tag_bits, TagBitsNeeded(moved));
  if (tag_bits <= kWidestTag) moved.vme_tag_bits = tag_bits;
  return moved;
}

std::vector<BrokenRule> ToBrokenRules(const std::vector<Verdict>& verdicts) {
  std::vector<BrokenRule> broken;
  broken.reserve(verdicts.size());
  for (const Verdict& verdict : verdicts) {
    broken.push_back({static_cast<int>(verdict.rule), RuleName(verdict.rule), verdict.what,
                      verdict.need, verdict.have, verdict.severity()});
  }
  return broken;
}

}  // namespace rhnas::hw
