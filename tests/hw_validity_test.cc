// Validity: the rules written out once more, plainly; the published configurations pass; verdicts
// say need and have.
#include "hw/validity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "hw/cost.h"
#include "hw/number.h"
#include "hw/space.h"

namespace rhnas::hw {
namespace {

const Verdict* Find(const std::vector<Verdict>& verdicts, Rule rule) {
  for (const Verdict& verdict : verdicts) {
    if (verdict.rule == rule) return &verdict;
  }
  return nullptr;
}

TEST(Validity, PublishedConfigurationsPass) {
  for (const std::string& name : PresetNames()) {
    const Verdict verdict = Check(*FindConfig(name));
    EXPECT_TRUE(verdict.ok) << name << ": " << verdict.ToString();
  }
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds vta-presets/";
  const std::filesystem::path folder = std::filesystem::path(shared) / "vta-presets";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    const Result<Config> config = FindConfig(entry.path().string());
    ASSERT_TRUE(config.ok()) << config.error();
    EXPECT_TRUE(Check(*config).ok) << entry.path() << ": " << Check(*config).ToString();
  }
}

// The default stands on three limits at once: one step more of any buffer, or less of any block,
// is invalid.
TEST(Validity, DefaultStandsOnItsLimits) {
  EXPECT_TRUE(CheckAll(Config()).empty());
  for (int Config::*field : {&Config::log_inp_buff, &Config::log_wgt_buff, &Config::log_acc_buff,
                             &Config::log_uop_buff}) {
    Config config;
    ++(config.*field);
    EXPECT_FALSE(Check(config).ok) << ShortName(config);
  }
  for (int Config::*field : {&Config::log_block_in, &Config::log_block_out}) {
    Config config;
    --(config.*field);
    EXPECT_FALSE(Check(config).ok) << ShortName(config);
  }
}

// Against the rules in the papers' words over the whole of `vta` and a slice of `vta-wide`.
TEST(Validity, EqualsTheRulesWrittenOut) {
  for (const char* name : {"vta", "vta-wide"}) {
    const Result<HwSpace> space = FindHwSpace(name);
    for (int64_t point = 0; point < space->points(); point += name[3] == 0 ? 1 : 37) {
      const Config c = space->At(point);
      const int i = c.log_inp_depth(), w = c.log_wgt_depth(), a = c.log_acc_depth();
      bool ok = i + w + a <= 32 && c.log_uop_depth() <= 13 && i + a <= 22 && i + a <= 32;
      ok = ok && i > 0 && w > 0 && a > 0 && i <= 16 && w <= 16 && a <= 16;
      ok = ok && c.block_in() >= 2;
      const int row = c.block_out() * 8;
      ok = ok && !(c.bus_bits < row * c.batch() && row < c.bus_bits);
      const double elements[4] = {8.0 * c.batch() * c.block_in(),
                                  8.0 * c.block_in() * c.block_out(),
                                  32.0 * c.batch() * c.block_out(), 32};
      const int depths[4] = {i, w, a, c.log_uop_depth()};
      for (int m = 0; m < 4; ++m) {
        const double ratio = std::log2(elements[m] / c.bus_bits);
        const double tag = ratio > 0 ? ratio + depths[m] : depths[m] + 2 * (1 - ratio);
        ok = ok && c.vme_tag_bits >= tag;
      }
      ASSERT_EQ(Check(c).ok, ok) << name << " " << ShortName(c) << " " << Check(c).ToString();
      ASSERT_EQ(CheckAll(c).empty(), ok);
      ASSERT_EQ(BrokenRules(c) == 0, ok);
    }
  }
}

TEST(Validity, VerdictSaysNeedAndHave) {
  Config config;
  config.log_inp_buff = 16;
  const std::vector<Verdict> verdicts = CheckAll(config);
  const Verdict* r3 = Find(verdicts, Rule::kR3);
  ASSERT_NE(r3, nullptr);
  EXPECT_EQ(r3->ToString(), "R3: ALU factor bits i+a: need 23, have 22");
  EXPECT_EQ(r3->severity(), 1);
  config.log_inp_buff = 18;
  EXPECT_EQ(Find(CheckAll(config), Rule::kR3)->severity(), 3);
  EXPECT_EQ(Check(config).rule, Rule::kR1);
}

TEST(Validity, VerdictPrintsFractionsShort) {
  EXPECT_EQ((Verdict{false, Rule::kArea, 1937816.3200000008, 968908.16000000038, "area, um^2"})
                .ToString(),
            "area: area, um^2: need 1937816, have 968908.2");
  EXPECT_EQ((Verdict{false, Rule::kBoard, 123456789, 115.5, "LUT"}).ToString(),
            "board: LUT: need 123456789, have 115.5");
  EXPECT_EQ(FormatShort(12345678.9), "12345680");
}

// A graded penalty needs the true miss.
TEST(Validity, MicroOpIndexMissGrowsBitByBit) {
  Config config;
  double before = 0;
  for (int miss = 1; miss <= 3; ++miss) {
    ++config.log_wgt_buff;
    const std::vector<Verdict> verdicts = CheckAll(config);
    const Verdict* r5 = Find(verdicts, Rule::kR5);
    ASSERT_NE(r5, nullptr) << miss;
    EXPECT_EQ(r5->need, 32 + miss);
    EXPECT_EQ(r5->have, 32);
    EXPECT_GT(r5->severity(), before) << miss;
    before = r5->severity();
    if (miss == 1) {
      EXPECT_EQ(r5->ToString(), "R5: micro-op index bits w+i+a: need 33, have 32");
    }
  }
}

TEST(Validity, MicroOpsOf64BitsFreeTheIndexLimit) {
  Config config;
  config.log_wgt_buff = 19;  // i + w + a = 33
  EXPECT_NE(Find(CheckAll(config), Rule::kR5), nullptr);
  config.log_uop_width = 6;
  config.log_wgt_factor_restrict = 1;  // R1 counts factors
  config.vme_tag_bits = 21;
  EXPECT_TRUE(CheckAll(config).empty()) << Check(config).ToString();
}

TEST(Validity, EachRemainingRuleFires) {
  const auto only = [](Rule rule, const Config& config) {
    const std::vector<Verdict> verdicts = CheckAll(config);
    EXPECT_NE(Find(verdicts, rule), nullptr) << RuleName(rule);
    for (const Verdict& verdict : verdicts) EXPECT_GT(verdict.severity(), 0) << verdict.ToString();
  };
  Config config;
  config.log_wgt_factor_restrict = 10;
  only(Rule::kR6, config);
  config = Config();
  config.vme_tag_bits = 14;
  only(Rule::kR7, config);
  config = Config();
  config.bus_bits = config.dpi_data_bits = 96;
  only(Rule::kR8, config);
  config.bus_bits = config.dpi_data_bits = 32;
  only(Rule::kR8, config);
  config = Config();
  config.log_block_in = 0;
  only(Rule::kR9, config);
  config = Config();
  config.block_out_split = 3;
  only(Rule::kR10, config);
  config.block_out_split = 32;
  only(Rule::kR10, config);
  config = Config();
  config.log_batch = 2;
  config.log_block_out = 2;
  only(Rule::kR11, config);
  config = Config();
  config.dpi_data_bits = 128;
  only(Rule::kR12, config);
  config = Config();
  config.bus_bits = config.dpi_data_bits = 96;
  config.log_uop_width = 6;
  only(Rule::kR13, config);
  config = Config();
  config.max_burst_length = 257;
  only(Rule::kR14, config);
  config = Config();
  config.bus_bits = config.dpi_data_bits = 1024;
  config.dpi_len_bits = 2;
  only(Rule::kR15, config);
  config = Config();
  config.log_wgt_buff = 25;
  only(Rule::kAddress, config);
}

TEST(Validity, AreaCapAndBoards) {
  Limits limits;
  limits.area_max_um2 = AreaUm2(Config(), DefaultCostTable());
  EXPECT_TRUE(Check(Config(), limits).ok);
  limits.area_max_um2 = *limits.area_max_um2 * 0.5;
  const Verdict verdict = Check(Config(), limits);
  EXPECT_EQ(verdict.rule, Rule::kArea);
  EXPECT_NEAR(verdict.severity(), 1, 1e-9);

  Limits board;
  board.board = *FindBoard("xc7z020");
  EXPECT_TRUE(Check(Config(), board).ok) << Check(Config(), board).ToString();
  const BoardUse use = EstimateBoardUse(Config(), *board.board);
  EXPECT_DOUBLE_EQ(use.lut, 19058);
  EXPECT_DOUBLE_EQ(use.ff, 22258);
  EXPECT_DOUBLE_EQ(use.bram36, 115.5);
  EXPECT_DOUBLE_EQ(use.dsp, 220);
  const Config huge = *FindConfig("vta_config_be_huge");
  EXPECT_EQ(Check(huge, board).rule, Rule::kBoard);
  board.board = *FindBoard("xczu7ev");
  EXPECT_TRUE(Check(*FindConfig("block32"), board).ok)
      << Check(*FindConfig("block32"), board).ToString();
  EXPECT_FALSE(FindBoard("xczu7eg").ok());
}

// The built-in table with every area as many times larger.
CostTable TableOfLargerAreas(double times) {
  std::string csv = "name,value,unit,node_nm,voltage_v,source\n";
  for (const TableRow& row : DefaultCostTable().rows()) {
    const bool area = row.name.find("_um2") != std::string::npos &&
                      row.name.find("_per_um2") == std::string::npos;
    csv += row.name + "," + FormatDouble(area ? row.value * times : row.value) + "," + row.unit +
           "," + row.node_nm + "," + row.voltage_v + ",test\n";
  }
  const Result<CostTable> table = ParseCostTable(csv, "larger.csv");
  EXPECT_TRUE(table.ok()) << table.error();
  return *table;
}

TEST(Validity, AreaCapIsOfTheTableGiven) {
  const CostTable larger = TableOfLargerAreas(2);
  const double area = AreaUm2(Config(), DefaultCostTable());
  EXPECT_NEAR(AreaUm2(Config(), larger), 2 * area, 1e-9 * area);
  Limits limits;
  limits.area_max_um2 = 1.5 * area;
  EXPECT_TRUE(Check(Config(), limits).ok);
  limits.area_table = &larger;
  EXPECT_EQ(Check(Config(), limits).rule, Rule::kArea);
  EXPECT_NEAR(Check(Config(), limits).need, 2 * area, 1e-9 * area);
  EXPECT_NE(BrokenRules(Config(), limits), 0u);
  EXPECT_EQ(CheckAll(Config(), limits).size(), 1u);
  // And so where the nearest point is looked for.
  const Result<HwSpace> space = FindHwSpace("vta-small");
  const std::optional<Config> nearest = NearestValid(*space, Config(), limits);
  ASSERT_TRUE(nearest.has_value());
  EXPECT_LE(AreaUm2(*nearest, larger), *limits.area_max_um2);
  const double smallest = AreaUm2(*SmallestValid(*space), DefaultCostTable());
  limits.area_max_um2 = 1.9 * smallest;
  EXPECT_FALSE(SmallestValid(*space, limits).has_value());
  limits.area_table = nullptr;
  EXPECT_TRUE(SmallestValid(*space, limits).has_value());
}

TEST(Validity, EveryRuleHasANameAndADescription) {
  for (int rule = 0; rule < kRuleCount; ++rule) {
    EXPECT_NE(std::string(RuleName(static_cast<Rule>(rule))), "");
    EXPECT_NE(std::string(RuleDescription(static_cast<Rule>(rule))), "");
  }
}

}  // namespace
}  // namespace rhnas::hw
