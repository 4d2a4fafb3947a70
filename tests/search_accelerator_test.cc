// Searches see families of accelerators through an interface only: the systolic array, and one that
// is made up here, are searched as VTA is.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>

#include "hw/systolic.h"
#include "search/joint_search.h"

namespace rhnas::search {
namespace {

SearchOptions ShortSearch() {
  SearchOptions o;
  o.train_size = 120;
  o.test_size = 30;
  o.batch = 8;
  o.warmup_epochs = 0;
  o.search_epochs = 1;
  o.final_epochs = 1;
  o.hw_evaluations = 24;
  o.hw_final_evaluations = 48;
  o.seed = 5;
  o.threads = 2;
  return o;
}

SearchOptions OnSystolic(const char* space) {
  SearchOptions o = ShortSearch();
  o.accelerator = "systolic";
  o.hw_space = space;
  return o;
}

struct StopAfter : ProgressSink {
  void Report(const Progress& progress) override {
    last = progress;
    if (++reports == limit) stop.store(true);
  }
  int reports = 0, limit = -1;
  std::atomic<bool> stop{false};
  Progress last;
};

std::unique_ptr<JointSearch> Make(const SearchOptions& options) {
  engine::Result<std::unique_ptr<JointSearch>> made = JointSearch::Create(options);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return made.ok() ? std::move(*made) : nullptr;
}

std::string RefusalOf(const SearchOptions& options) {
  const engine::Result<std::unique_ptr<JointSearch>> made = JointSearch::Create(options);
  return made.ok() ? "accepted" : made.status().message();
}

uint64_t RunWhole(const SearchOptions& options, SearchResult* result = nullptr) {
  const std::unique_ptr<JointSearch> search = Make(options);
  if (!search) return 0;
  StopAfter sink;
  const engine::Status status = search->Run(sink, sink.stop, "");
  EXPECT_TRUE(status.ok()) << status.message();
  if (!search->finished()) return 0;
  if (result != nullptr) *result = search->result();
  return search->Hash();
}

TEST(AcceleratorSearch, SystolicHasTheSameBitsForAnyThreadCount) {
  SearchOptions options = OnSystolic("systolic-bus");
  options.threads = 1;
  const uint64_t one = RunWhole(options);
  EXPECT_NE(one, 0u);
  for (int threads : {3}) {
    options.threads = threads;
    EXPECT_EQ(RunWhole(options), one) << "with " << threads << " threads";
  }
  options.hw_space = "systolic";
  EXPECT_NE(RunWhole(options), one) << "an array that never waits is another search";
}

TEST(AcceleratorSearch, SystolicResumesToTheSameBits) {
  const SearchOptions options = OnSystolic("systolic-bus");
  const uint64_t whole = RunWhole(options);
  const std::string path =
      testing::TempDir() + "rhnas_" + std::to_string(getpid()) + "_systolic_checkpoint";
  for (int limit : {1, 9}) {
    std::unique_ptr<JointSearch> search = Make(options);
    ASSERT_NE(search, nullptr);
    StopAfter first;
    first.limit = limit;
    ASSERT_TRUE(search->Run(first, first.stop, path).ok());
    ASSERT_FALSE(search->finished()) << "stopped too late: " << limit;
    search = Make(options);
    const engine::Status loaded = search->Load(path);
    ASSERT_TRUE(loaded.ok()) << loaded.message();
    StopAfter second;
    ASSERT_TRUE(search->Run(second, second.stop, path).ok());
    EXPECT_EQ(search->Hash(), whole) << "stopped after " << limit;
  }
  // A checkpoint belongs to its family.
  const std::unique_ptr<JointSearch> other = Make(ShortSearch());
  ASSERT_NE(other, nullptr);
  const engine::Status refused = other->Load(path);
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("accelerator=systolic"), std::string::npos) << refused.message();
  std::remove(path.c_str());
  std::remove((path + ".prev").c_str());
}

TEST(AcceleratorSearch, SystolicResultIsValidAndNoWorseThanTheDefault) {
  SearchResult result;
  RunWhole(OnSystolic("systolic-bus"), &result);
  ASSERT_NE(result.hw, nullptr);
  EXPECT_STREQ(result.accelerator->name(), "systolic");
  EXPECT_TRUE(result.verdicts.empty());
  EXPECT_TRUE(result.hw->Valid({}));
  EXPECT_EQ(result.hw->bus_bits(), 64);
  EXPECT_LE(result.cost.area_um2, result.default_cost.area_um2) << "area cap of 1.0";
  EXPECT_LE(result.cost.edp_pj_cycles, result.default_cost.edp_pj_cycles);
  EXPECT_EQ(result.proposals.by_rule.size(), hw::SystolicRules().size());
  EXPECT_GT(result.proposals.by_rule[static_cast<size_t>(hw::SystolicRule::kSquare)], 0);
  for (size_t rule = 0; rule < result.proposals.by_rule.size(); ++rule) {
    EXPECT_EQ(result.proposals.by_rule[rule] > 0, !result.proposals.sample[rule].empty()) << rule;
  }
}

TEST(AcceleratorSearch, SystolicConstraintsAreRefusedWithReasons) {
  SearchOptions o = OnSystolic("systolic");
  o.area_max = 0.1;
  EXPECT_NE(RefusalOf(o).find("the smallest accelerator that can be built in systolic is ws8x8"),
            std::string::npos)
      << RefusalOf(o);
  o = OnSystolic("systolic");
  o.latency_max = 5;
  EXPECT_NE(RefusalOf(o).find("--latency-max 5 is infeasible"), std::string::npos) << RefusalOf(o);
  o = OnSystolic("systolic");
  o.board = "xc7z020";
  EXPECT_NE(RefusalOf(o).find("accelerator systolic"), std::string::npos) << RefusalOf(o);
  o = OnSystolic("vta");
  EXPECT_NE(RefusalOf(o).find("unknown hardware space \"vta\" of accelerator systolic"),
            std::string::npos)
      << RefusalOf(o);
  o.accelerator = "tpu";
  EXPECT_NE(RefusalOf(o).find("unknown accelerator \"tpu\""), std::string::npos) << RefusalOf(o);
  o = OnSystolic("systolic");
  o.fixed_hw = "scalesim-32x32";
  EXPECT_NE(RefusalOf(o).find("scalesim-32x32 cannot be built: area: "), std::string::npos)
      << RefusalOf(o);
}

TEST(AcceleratorSearch, AFixedSystolicDesignStays) {
  SearchOptions o = OnSystolic("systolic");
  o.fixed_hw = "scalesim-32x32";
  o.area_max = 0;
  SearchResult result;
  RunWhole(o, &result);
  ASSERT_NE(result.hw, nullptr);
  EXPECT_EQ(result.hw->ShortName(), "ws32x32_t1x1_sp4x128_acc2x64_b128");
  EXPECT_EQ(result.proposals.total, 0);
}

// A family of one's own, in as few lines as the interface asks for: `lanes` multipliers that wait
// for nothing; an odd number of them cannot be built.
struct LanesModel : hw::DesignModel {
  explicit LanesModel(int count) : lanes(count) {}
  double area_um2() const override { return 1000.0 * lanes; }
  std::string design_name() const override { return "lanes" + std::to_string(lanes); }
  const hw::EnergyPrices& prices() const override { return no_prices; }
  std::optional<hw::LayerCost> Evaluate(const hw::Layer& layer, std::string*) const override {
    hw::LayerCost cost;
    cost.macs = layer.macs();
    cost.activity.macs = layer.macs();
    cost.latency_cycles = 1 + layer.macs() / lanes;
    cost.energy = hw::EnergyOf(cost.activity, cost.latency_cycles, no_prices);
    cost.energy_pj = cost.energy.total_pj();
    return cost;
  }
  std::optional<hw::NetworkCost> Evaluate(const std::vector<hw::Layer>& layers,
                                          std::string* why) const override {
    return hw::SumOfLayers(*this, layers, why);
  }
  int lanes;
  hw::EnergyPrices no_prices;
};

struct LanesDesign : hw::Design {
  explicit LanesDesign(int count) : lanes(count) {}
  std::string ShortName() const override { return "lanes" + std::to_string(lanes); }
  std::string ToJson() const override { return std::to_string(lanes); }
  std::vector<hw::BrokenRule> CheckAll(const hw::Limits& limits) const override {
    std::vector<hw::BrokenRule> broken;
    if (lanes % 2 == 1) broken.push_back({0, "even", "lanes", 1.0 * lanes, lanes + 1.0, 0.5});
    const double area = AreaUm2(limits.table());
    if (limits.area_max_um2 && area > *limits.area_max_um2) {
      broken.push_back({1, "area", "area, um^2", area, *limits.area_max_um2, 1});
    }
    return broken;
  }
  double AreaUm2(const hw::CostTable&) const override { return 1000.0 * lanes; }
  int64_t macs_per_cycle() const override { return lanes; }
  int bus_bits() const override { return 64; }
  std::unique_ptr<hw::DesignModel> Model(const hw::CostTable&) const override {
    return std::make_unique<LanesModel>(lanes);
  }
  int lanes;
};

struct LanesSpace : hw::DesignSpace {
  const std::string& name() const override { return label; }
  const std::vector<hw::SpaceParameter>& parameters() const override { return list; }
  hw::DesignPtr At(const std::vector<int>& index) const override {
    return std::make_shared<LanesDesign>(list[0].values[static_cast<size_t>(index[0])]);
  }
  hw::DesignPtr Reference() const override { return std::make_shared<LanesDesign>(16); }
  std::string label = "lanes";
  std::vector<hw::SpaceParameter> list = {{"lanes", {3, 4, 5, 8, 16, 24, 25, 32}}};
};

struct LanesFamily : hw::Accelerator {
  const char* name() const override { return "lanes"; }
  const char* summary() const override { return "multipliers that wait for nothing"; }
  const std::vector<hw::RuleInfo>& rules() const override { return list; }
  std::vector<std::string> SpaceNames() const override { return {"lanes"}; }
  hw::Result<std::unique_ptr<hw::DesignSpace>> FindSpace(const std::string&,
                                                         const hw::SpaceOptions&) const override {
    return std::unique_ptr<hw::DesignSpace>(std::make_unique<LanesSpace>());
  }
  std::vector<std::string> PresetNames() const override { return {"default"}; }
  hw::Result<hw::DesignPtr> Find(const std::string&) const override {
    return hw::DesignPtr(std::make_shared<LanesDesign>(16));
  }
  hw::Result<hw::DesignPtr> Parse(const std::string& text, const std::string&) const override {
    return hw::DesignPtr(std::make_shared<LanesDesign>(std::atoi(text.c_str())));
  }
  const char* file_name() const override { return "lanes.json"; }
  bool OwnsKey(const std::string& key) const override { return key == "lanes"; }
  hw::DesignPtr OnBus(const hw::Design& design, int) const override {
    return std::make_shared<LanesDesign>(static_cast<const LanesDesign&>(design).lanes);
  }
  hw::DesignPtr DefaultBeside(const hw::Design&) const override {
    return std::make_shared<LanesDesign>(16);
  }
  std::vector<hw::RuleInfo> list = {{"even", "lanes come in pairs"}, {"area", "area cap"}};
};

TEST(AcceleratorSearch, AFamilyOfOnesOwnIsSearched) {
  const LanesFamily family;
  SearchOptions o = ShortSearch();
  o.own_accelerator = &family;
  o.hw_space = "lanes";
  o.objective = Objective::kLatency;
  o.area_max = 1.5;  // 24 of 16 lanes
  SearchResult result;
  const uint64_t hash = RunWhole(o, &result);
  ASSERT_NE(result.hw, nullptr);
  EXPECT_EQ(result.hw->ShortName(), "lanes24") << "the most that the cap allows";
  EXPECT_EQ(result.accelerator, &family);
  ASSERT_EQ(result.proposals.by_rule.size(), 2u);
  EXPECT_GT(result.proposals.by_rule[0], 0);
  EXPECT_GT(result.proposals.by_rule[1], 0);
  EXPECT_EQ(RunWhole(o), hash);
  o.area_max = 0.1;
  EXPECT_NE(RefusalOf(o).find("the smallest accelerator that can be built in lanes is lanes4"),
            std::string::npos)
      << RefusalOf(o);
}

}  // namespace
}  // namespace rhnas::search
