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
