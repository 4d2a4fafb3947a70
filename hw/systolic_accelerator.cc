// The systolic array as a family: its presets, its spaces.
#include <algorithm>
#include <cstdio>

#include "hw/number.h"
#include "hw/systolic.h"

namespace rhnas::hw {
namespace {

constexpr char kSpace[] = "systolic", kBusSpace[] = "systolic-bus";
// As many bytes as any design's file has, with room.
constexpr size_t kMaxFileBytes = 1 << 20;

SystolicConfig ScaleSim(int side) {
  // scalesim's shipped configurations: three memories of 64 KB for inputs, filters and outputs.
  SystolicConfig config;
  config.mesh_rows = config.mesh_columns = side;
  config.sp_capacity_kb = 128;
  config.acc_capacity_kb = 64;
  return config;
}

bool FindPreset(const std::string& name, SystolicConfig* config) {
  *config = SystolicConfig();
  if (name == "scalesim-32x32") *config = ScaleSim(32);
  if (name == "scalesim-16x16") *config = ScaleSim(16);
  const std::vector<std::string> names = SystolicPresetNames();
  return std::find(names.begin(), names.end(), name) != names.end();
}

class SystolicDesign final : public Design {
 public:
  explicit SystolicDesign(const SystolicConfig& config) : config_(config) {}
  const SystolicConfig& config() const { return config_; }

  std::string ShortName() const override { return hw::ShortName(config_); }
  std::string ToJson() const override { return hw::ToJson(config_); }
  std::vector<BrokenRule> CheckAll(const Limits& limits) const override {
    return CheckSystolic(config_, limits);
  }
  double AreaUm2(const CostTable& table) const override { return hw::AreaUm2(config_, table); }
  int64_t macs_per_cycle() const override { return int64_t{config_.rows()} * config_.cols(); }
  int bus_bits() const override { return config_.dma_buswidth; }
  std::unique_ptr<DesignModel> Model(const CostTable& table) const override {
    return MakeSystolicModel(config_, table);
  }

 private:
  SystolicConfig config_;
};

// The parameters of both spaces, in order.
constexpr int SystolicConfig::*kMembers[] = {
    &SystolicConfig::mesh_rows,    &SystolicConfig::mesh_columns,
    &SystolicConfig::tile_rows,    &SystolicConfig::tile_columns,
    &SystolicConfig::sp_banks,     &SystolicConfig::sp_capacity_kb,
    &SystolicConfig::acc_banks,    &SystolicConfig::acc_capacity_kb,
    &SystolicConfig::dma_buswidth,
};

class SystolicSpace final : public DesignSpace {
 public:
  SystolicSpace(const std::string& name, int bus_bits) : name_(name) {
    base_.bound_by_bus = name == kBusSpace;
    parameters_ = {
        {"meshRows", {8, 16, 32, 64}}, {"meshColumns", {8, 16, 32, 64}},
        {"tileRows", {1, 2}},          {"tileColumns", {1, 2}},
        {"sp_banks", {2, 4, 8}},       {"sp_capacity", {64, 128, 192, 256, 512}},
        {"acc_banks", {1, 2, 4}},      {"acc_capacity", {32, 64, 128, 256}},
    };
    if (bus_bits == 0) {
      parameters_.push_back({"dma_buswidth", {64, 128, 256, 512}});
    } else {
      base_.dma_buswidth = bus_bits;
    }
  }
  const std::string& name() const override { return name_; }
  const std::vector<SpaceParameter>& parameters() const override { return parameters_; }
  DesignPtr At(const std::vector<int>& index) const override {
    SystolicConfig config = base_;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      config.*kMembers[i] = parameters_[i].values[static_cast<size_t>(index[i])];
    }
    return MakeSystolicDesign(config);
  }
  DesignPtr Reference() const override { return MakeSystolicDesign(base_); }

 private:
  std::string name_;
  SystolicConfig base_;  // the default on the space's platform
  std::vector<SpaceParameter> parameters_;
};

Result<std::string> ReadText(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return Error{path + ": cannot be opened"};
  std::string text;
  char buffer[4096];
  size_t count = 0;
  while (text.size() <= kMaxFileBytes && (count = std::fread(buffer, 1, sizeof buffer, file)) > 0) {
    text.append(buffer, count);
  }
  const bool bad = std::ferror(file) != 0 || text.size() > kMaxFileBytes;
  std::fclose(file);
  if (bad) return Error{path + ": cannot be read, expected a JSON file of at most 1 MiB"};
  return text;
}

class SystolicAccelerator final : public Accelerator {
 public:
  const char* name() const override { return "systolic"; }
  const char* summary() const override {
    return "weight-stationary systolic array: SCALE-Sim's cycles, Gemmini's parameters";
  }
  const std::vector<RuleInfo>& rules() const override { return SystolicRules(); }
  std::vector<std::string> SpaceNames() const override { return {kSpace, kBusSpace}; }
  Result<std::unique_ptr<DesignSpace>> FindSpace(const std::string& name,
                                                 const SpaceOptions& options) const override {
    if (name != kSpace && name != kBusSpace) {
      return Error{"unknown hardware space \"" + name +
                   "\" of accelerator systolic; spaces: " + kSpace + " " + kBusSpace};
    }
    std::unique_ptr<DesignSpace> space = std::make_unique<SystolicSpace>(name, options.bus_bits);
    return space;
  }
  std::vector<std::string> PresetNames() const override { return SystolicPresetNames(); }
  Result<DesignPtr> Find(const std::string& name_or_path) const override {
    SystolicConfig config;
    if (FindPreset(name_or_path, &config)) return MakeSystolicDesign(config);
    Result<std::string> text = ReadText(name_or_path);
    if (text.ok()) return Parse(*text, name_or_path);
    const std::vector<std::string> names = SystolicPresetNames();
    std::string message = text.error() + ", and no preset of accelerator systolic has that name";
    const std::string near = Nearest(name_or_path, names.data(), static_cast<int>(names.size()));
    if (!near.empty()) message += ", did you mean \"" + near + "\"?";
    message += "; presets:";
    for (const std::string& preset : names) message += " " + preset;
    return Error{message};
  }
  Result<DesignPtr> Parse(const std::string& text, const std::string& path) const override {
    const Result<SystolicConfig> config = ParseSystolic(text, path);
    if (!config.ok()) return Error{config.error()};
    return MakeSystolicDesign(*config);
  }
  const char* file_name() const override { return "systolic_config.json"; }
  bool OwnsKey(const std::string& key) const override { return IsSystolicKey(key); }
  DesignPtr OnBus(const Design& design, int bus_bits) const override {
    SystolicConfig config = SystolicConfigOf(design);
    if (bus_bits != 0) config.dma_buswidth = bus_bits;
    return MakeSystolicDesign(config);
  }
  DesignPtr DefaultBeside(const Design& other) const override {
    SystolicConfig config;
    config.dma_buswidth = other.bus_bits();
    config.bound_by_bus = SystolicConfigOf(other).bound_by_bus;
    return MakeSystolicDesign(config);
  }
};

}  // namespace

std::vector<std::string> SystolicPresetNames() {
  return {"default", "gemmini", "scalesim-16x16", "scalesim-32x32"};
}

const Accelerator& Systolic() {
  static const SystolicAccelerator family;
  return family;
}

DesignPtr MakeSystolicDesign(const SystolicConfig& config) {
  return std::make_shared<SystolicDesign>(config);
}

const SystolicConfig& SystolicConfigOf(const Design& design) {
  return static_cast<const SystolicDesign&>(design).config();
}

}  // namespace rhnas::hw
