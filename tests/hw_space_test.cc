// The spaces have exactly the published numbers of points, valid points and points per rule.
#include "hw/space.h"

#include <gtest/gtest.h>

#include "hw/cost.h"

namespace rhnas::hw {
namespace {

SpaceCount CountOf(const std::string& name, int bus_bits = 64, bool derived_tags = false) {
  SpaceOptions options;
  options.bus_bits = bus_bits;
  options.derived_tags = derived_tags;
  const Result<HwSpace> space = FindHwSpace(name, options);
  EXPECT_TRUE(space.ok()) << space.error();
  return Count(*space);
}

int64_t Broken(const SpaceCount& count, Rule rule) {
  return count.by_rule[static_cast<size_t>(rule)];
}

TEST(HwSpace, VtaCounts) {
  const int buses[] = {64, 128, 256, 512};
  const int64_t valid[] = {6472, 6101, 5770, 0};
  const int64_t valid_derived[] = {6472, 6116, 5828, 5652};
  const int64_t broken_r7[] = {1376, 2525, 3511, 15680};
  for (int i = 0; i < 4; ++i) {
    const SpaceCount count = CountOf("vta", buses[i]);
    EXPECT_EQ(count.points, 15680) << buses[i];
    EXPECT_EQ(count.valid, valid[i]) << buses[i];
    EXPECT_EQ(count.encoding_valid, 8280) << buses[i];
    EXPECT_EQ(Broken(count, Rule::kR1), 6944) << buses[i];
    EXPECT_EQ(Broken(count, Rule::kR5), 6944) << buses[i];
    EXPECT_EQ(Broken(count, Rule::kR3), 5804) << buses[i];
    EXPECT_EQ(Broken(count, Rule::kR4), 20) << buses[i];
    EXPECT_EQ(Broken(count, Rule::kR9), 2240) << buses[i];
    EXPECT_EQ(Broken(count, Rule::kR11), 2688) << buses[i];
    EXPECT_EQ(Broken(count, Rule::kR7), broken_r7[i]) << buses[i];
    EXPECT_EQ(CountOf("vta", buses[i], true).valid, valid_derived[i]) << buses[i];
  }
}

TEST(HwSpace, VtaWideCounts) {
  // 352,047 of 663,552; the default lies in it, on three limits at once.
  EXPECT_TRUE(FindHwSpace("vta-wide")->Find(Config(), nullptr));
  const Config standard;
  EXPECT_EQ(standard.log_inp_depth() + standard.log_wgt_depth() + standard.log_acc_depth(), 32);
  EXPECT_EQ(standard.log_inp_depth() + standard.log_acc_depth(), 22);
  EXPECT_EQ(standard.log_uop_depth(), 13);
  const SpaceCount count = CountOf("vta-wide");
  EXPECT_EQ(count.points, 663552);
  EXPECT_EQ(count.valid, 352047);
  EXPECT_EQ(Broken(count, Rule::kR1), 107160);
  EXPECT_EQ(Broken(count, Rule::kR5), 107160);
  EXPECT_EQ(Broken(count, Rule::kR2), 110592);
  EXPECT_EQ(Broken(count, Rule::kR3), 130032);
  EXPECT_EQ(Broken(count, Rule::kR7), 114624);
  EXPECT_EQ(count.tag_memories, 117504);
  EXPECT_EQ(Broken(count, Rule::kR11), 41472);
}

// The extended VTA's explorer box by array size: encoding rules alone.
TEST(HwSpace, ValidSharesByArraySize) {
  const SpaceCount count = CountOf("vta");
  const int64_t points[] = {960, 1280, 1600, 1792, 1856, 1792, 1600, 1280, 960};
  const double share[] = {0, 0, 5.4, 26.3, 60.0, 86.4, 96.8, 99.4, 100};
  for (size_t i = 0; i < 9; ++i) {  // 16 to 4096 multiply-accumulates
    const MacBucket& bucket = count.by_log_macs[4 + i];
    EXPECT_EQ(bucket.points, points[i]) << (16 << i);
    const double found =
        100.0 * static_cast<double>(bucket.encoding_valid) / static_cast<double>(bucket.points);
    EXPECT_NEAR(found, share[i], 0.05 + 1e-9) << (16 << i);
  }
}

// The explorer's own rule: every scratchpad deeper than one element, micro-op indices within 32
// bits; nothing of ALU instructions or addresses (literature: 8,736 points).
TEST(HwSpace, TheExplorersOwnRule) {
  const SpaceCount count = Count(*FindHwSpace("vta"), {}, RuleBit(Rule::kR5) | RuleBit(Rule::kR6));
  EXPECT_EQ(count.chosen_valid, 8736);
  EXPECT_EQ(count.encoding_valid, 8280);
  const int64_t valid[] = {0, 0, 100, 560, 1276, 1680, 1600, 1280, 960};
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(count.by_log_macs[4 + i].chosen_valid, valid[i]) << (16 << i);
  }
  int64_t points = 0, encoding = 0, all = 0;
  for (const MacBucket& bucket : count.by_log_macs) {
    points += bucket.points;
    encoding += bucket.encoding_valid;
    all += bucket.valid;
  }
  EXPECT_EQ(points, count.points);
  EXPECT_EQ(encoding, count.encoding_valid);
  EXPECT_EQ(all, count.valid);
}

// The literature's wide box, in the text form: 510,300 points, 69.5 % valid.
TEST(HwSpace, TheWideBoxAsText) {
  const Result<HwSpace> space = ParseHwSpace(
      "# the box of the published extension\n"
      "LOG_BATCH: 0..3\n"
      "LOG_BLOCK_IN: 3..7\n"
      "LOG_BLOCK_OUT: 3..7\n"
      "LOG_UOP_BUFF_SIZE: 10..16\n"
      "LOG_INP_BUFF_SIZE: 12..20\n"
      "LOG_WGT_BUFF_SIZE: 12..20\n"
      "LOG_ACC_BUFF_SIZE: 12..20\n",
      "box.txt");
  ASSERT_TRUE(space.ok()) << space.error();
  const SpaceCount count = Count(*space);
  EXPECT_EQ(count.points, 510300);
  EXPECT_EQ(count.encoding_valid, 354852);
  EXPECT_NEAR(100.0 * static_cast<double>(count.encoding_valid) / 510300, 69.5, 0.05);
}

TEST(HwSpace, TextFormRoundTrips) {
  for (const std::string& name : HwSpaceNames()) {
    const HwSpace known = *FindHwSpace(name);
    const Result<HwSpace> read = ParseHwSpace(HwSpaceText(known), name);
    ASSERT_TRUE(read.ok()) << read.error();
    ASSERT_EQ(read->points(), known.points());
    for (int64_t point = 0; point < known.points(); point += 1 + known.points() / 50) {
      EXPECT_TRUE(read->At(point) == known.At(point)) << name << " " << point;
    }
  }
  HwSpace odd;
  odd.parameters = {{"LOG_BATCH", {0, 1, 2, 4, 6, 7}}, {"BUS", {64, 512}}};
  EXPECT_EQ(HwSpaceText(odd), "LOG_BATCH: 0..2, 4, 6, 7\nBUS: 64, 512\n");
}

TEST(HwSpace, TextFormOptions) {
  const Result<HwSpace> space = ParseHwSpace(
      "base: block32  # everything else\r\n\n"
      "  LOG_INP_BUFF_SIZE :  13..15 , 17 \n"
      "BUS: 128\n"
      "ENABLE_INSTRUCTION_CLP: 0, 1",
      "my.space");
  ASSERT_TRUE(space.ok()) << space.error();
  EXPECT_EQ(space->name, "my.space");
  EXPECT_EQ(space->points(), 8);
  const Config first = space->At(0), last = space->At(7);
  EXPECT_EQ(first.log_block_in, 5);
  EXPECT_EQ(first.bus_bits, 128);
  EXPECT_EQ(first.dpi_data_bits, 128);
  EXPECT_EQ(first.vme_tag_bits, 21);
  EXPECT_FALSE(first.clp);
  EXPECT_TRUE(last.clp);
  EXPECT_EQ(last.log_inp_buff, 17);
  SpaceOptions options;
  options.bus_bits = 0;
  EXPECT_EQ(ParseHwSpace("LOG_BATCH: 0", "a", options)->points(), 4);  // the bus is searched
  options.bus_bits = 256;
  EXPECT_EQ(ParseHwSpace("LOG_BATCH: 0", "a", options)->At(0).bus_bits, 256);
  options.derived_tags = true;
  options.bus_bits = 64;
  EXPECT_EQ(ParseHwSpace("LOG_BATCH: 0", "a", options)->At(0).vme_tag_bits, 17);
  EXPECT_EQ(ParseHwSpace("SHL_VME_CLT_TAG_BITS: 20", "a", options)->At(0).vme_tag_bits, 20);
}

TEST(HwSpace, TextFormErrors) {
  const auto error = [](const std::string& text) {
    const Result<HwSpace> space = ParseHwSpace(text, "s");
    return space.ok() ? "no error" : space.error();
  };
  EXPECT_EQ(error(""), "s: no parameters, expected lines such as LOG_BATCH: 0..2");
  EXPECT_EQ(error("# nothing\nbase: default\n"),
            "s: no parameters, expected lines such as LOG_BATCH: 0..2");
  EXPECT_EQ(
      error("\nLOG_BATCH 0..2"),
      "s:2: found \"LOG_BATCH 0..2\", expected \"PARAMETER: values\" such as LOG_BATCH: 0..2");
  EXPECT_EQ(error("LOG_BACH: 0"),
            "s:1: unknown parameter \"LOG_BACH\", did you mean \"LOG_BATCH\"?");
  EXPECT_EQ(error("LOG_BLOCK: 3"),
            "s:1: unknown parameter \"LOG_BLOCK\", write LOG_BLOCK_IN and LOG_BLOCK_OUT instead");
  EXPECT_EQ(error("qqqqqq: 3"),
            "s:1: unknown parameter \"qqqqqq\", expected base, BUS or a key of "
            "vta_config.json");
  EXPECT_EQ(
      error("SHL_MEM_AXI_DATA_BITS: 64"),
      "s:1: found SHL_MEM_AXI_DATA_BITS, write BUS instead: it sets SHL_MEM_AXI_DATA_BITS and "
      "DPI_DATA_BITS together");
  EXPECT_EQ(error("LOG_BATCH: 0\nBUS: 64\nLOG_BATCH: 1"),
            "s:3: LOG_BATCH appears twice (first in line 1)");
  EXPECT_EQ(error("base: default\nbase: default"), "s:2: base appears twice (first in line 1)");
  EXPECT_EQ(error("base: defaul").find("s:1: base: no configuration or file named \"defaul\""), 0u);
  for (const char* bad :
       {"LOG_BATCH:", "LOG_BATCH: x", "LOG_BATCH: 1,", "LOG_BATCH: 1..", "LOG_BATCH: -1",
        "LOG_BATCH: 1 2", "LOG_BATCH: 0x1", "LOG_BATCH: 99999999999"}) {
    EXPECT_NE(error(bad).find("expected whole numbers such as 15..18 or 15, 17"), std::string::npos)
        << bad << ": " << error(bad);
  }
  EXPECT_EQ(error("LOG_BATCH: 2..1"), "s:1: LOG_BATCH: found 2..1, expected the smaller end first");
  EXPECT_EQ(error("LOG_BATCH: 0..11"), "s:1: LOG_BATCH: found 0..11, expected values from 0 to 10");
  EXPECT_EQ(error("LOG_BATCH: 2, 2"), "s:1: LOG_BATCH: found 2 after 2, expected growing values");
  EXPECT_EQ(
      error("DPI_DELAY: 1..1000000\nMAX_BURST_LENGTH: 1..60000"),
      "s:2: MAX_BURST_LENGTH: the space has more than 1000000000 points, expected fewer values");
}

TEST(HwSpace, PointsWalkInOrderAndAreFoundAgain) {
  for (const std::string& name : HwSpaceNames()) {
    const Result<HwSpace> space = FindHwSpace(name);
    ASSERT_TRUE(space.ok()) << space.error();
    for (int64_t point = 0; point < space->points(); point += 1 + space->points() / 100) {
      const Config config = space->At(point);
      std::vector<int> index;
      ASSERT_TRUE(space->Find(config, &index)) << name << " " << point;
      EXPECT_TRUE(space->At(index) == config) << name << " " << point;
    }
    EXPECT_TRUE(space->Find(Config(), nullptr)) << name << " lacks the default";
  }
  const Result<HwSpace> vta = FindHwSpace("vta");
  Config outside;
  outside.log_uop_buff = 14;
  EXPECT_FALSE(vta->Find(outside, nullptr));
}

TEST(HwSpace, FreeBusIsAParameter) {
  const SpaceCount count = CountOf("vta", 0);
  EXPECT_EQ(count.points, 4 * 15680);
  EXPECT_EQ(count.valid, 6472 + 6101 + 5770 + 0);
}

TEST(HwSpace, SmallSpace) {
  const SpaceCount count = CountOf("vta-small");
  EXPECT_EQ(count.points, 162);
  EXPECT_EQ(count.valid, 114);
}

TEST(HwSpace, UnknownNameSuggestsTheNearest) {
  const Result<HwSpace> space = FindHwSpace("vta-wied");
  ASSERT_FALSE(space.ok());
  EXPECT_NE(space.error().find("did you mean \"vta-wide\"?"), std::string::npos) << space.error();
}

TEST(HwSpace, NearestAndSmallestValidPointsMeetTheLimits) {
  const Result<HwSpace> space = FindHwSpace("vta");
  const std::optional<Config> smallest = SmallestValid(*space);
  ASSERT_TRUE(smallest.has_value());
  const double smallest_area = AreaUm2(*smallest, DefaultCostTable());
  for (int64_t point = 0; point < space->points(); ++point) {
    const Config config = space->At(point);
    if (!Check(config).ok) continue;
    ASSERT_GE(AreaUm2(config, DefaultCostTable()), smallest_area) << ShortName(config);
  }
  Limits none;
  none.area_max_um2 = smallest_area * 0.99;
  EXPECT_FALSE(SmallestValid(*space, none).has_value());
  EXPECT_FALSE(NearestValid(*space, Config(), none).has_value());
  EXPECT_EQ(ShortName(*NearestValid(*space, Config())), ShortName(Config()));
  Config broken;
  broken.log_inp_buff = 16;  // i + a = 23
  EXPECT_FALSE(Check(broken).ok);
  EXPECT_TRUE(Check(*NearestValid(*space, broken)).ok);
}

}  // namespace
}  // namespace rhnas::hw
