// ValidSet against the rules asked point by point.
#include "hw/valid_set.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "hw/systolic.h"
#include "hw/vta_accelerator.h"

namespace rhnas::hw {
namespace {

struct Case {
  const char* name;
  std::unique_ptr<DesignSpace> space;
  Limits limits;
};

std::unique_ptr<DesignSpace> Named(const Accelerator& family, const char* name) {
  Result<std::unique_ptr<DesignSpace>> space = family.FindSpace(name, {});
  EXPECT_TRUE(space.ok()) << space.error();
  return std::move(*space);
}

std::unique_ptr<DesignSpace> FromText(const char* text) {
  Result<HwSpace> space = ParseHwSpace(text, "own.txt");
  EXPECT_TRUE(space.ok()) << space.error();
  return MakeVtaSpace(std::move(*space), 64);
}

Limits Cap(const DesignSpace& space, double times) {
  Limits limits;
  limits.area_max_um2 = times * space.Reference()->AreaUm2(limits.table());
  return limits;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  cases.push_back({"vta-small", Named(Vta(), "vta-small"), {}});
  cases.push_back({"vta", Named(Vta(), "vta"), {}});
  cases.push_back({"vta capped", Named(Vta(), "vta"), {}});
  cases.back().limits = Cap(*cases.back().space, 1.0);
  cases.push_back({"systolic", Named(Systolic(), "systolic"), {}});
  cases.back().limits = Cap(*cases.back().space, 2.0);
  // Values with gaps, a parameter of one value.
  cases.push_back({"own",
                   FromText("LOG_BATCH: 0, 2\nLOG_BLOCK_IN: 3, 4, 6\nLOG_BLOCK_OUT: 4, 5\n"
                            "LOG_UOP_BUFF_SIZE: 15\nLOG_WGT_BUFF_SIZE: 13, 18, 21\n"),
                   {}});
  return cases;
}

// Whether the point belongs, from the rules alone.
bool Belongs(const DesignSpace& space, const Limits& limits, bool networks, int64_t point) {
  const DesignPtr design = space.AtPoint(point);
  if (!design->CheckAll(limits).empty()) return false;
  return !networks || design->Model(limits.table())->RunsNetworks(nullptr);
}

int64_t Steps(const std::vector<int>& a, const std::vector<int>& b) {
  int64_t steps = 0;
  for (size_t i = 0; i < a.size(); ++i) steps += std::abs(a[i] - b[i]);
  return steps;
}

TEST(ValidSet, IsWhatTheRulesSay) {
  for (const Case& c : Cases()) {
    for (const bool networks : {false, true}) {
      const ValidSet set(*c.space, c.limits, networks);
      std::vector<int64_t> expected;
      for (int64_t point = 0; point < c.space->points(); ++point) {
        if (Belongs(*c.space, c.limits, networks, point)) expected.push_back(point);
      }
      ASSERT_FALSE(expected.empty()) << c.name;
      EXPECT_LT(static_cast<int64_t>(expected.size()), c.space->points()) << c.name;
      EXPECT_EQ(set.points(), expected) << c.name << " networks " << networks;
      EXPECT_EQ(set.box(), c.space->points());
      EXPECT_EQ(set.sizes(), c.space->sizes());
    }
  }
}

TEST(ValidSet, MasksEqualBruteForce) {
  for (const Case& c : Cases()) {
    const ValidSet set(*c.space, c.limits, true);
    const std::vector<int>& sizes = set.sizes();
    // Every prefix that some valid point has, by length; and every choice.
    std::vector<std::set<std::vector<int>>> prefixes(sizes.size() + 1);
    std::vector<std::set<int>> choices(sizes.size());
    for (const int64_t point : set.points()) {
      std::vector<int> index(sizes.size());
      set.IndexOf(point, index.data());
      EXPECT_EQ(set.PointOf(index.data()), point);
      for (size_t i = 0; i < sizes.size(); ++i) choices[i].insert(index[i]);
      for (size_t i = 0; i <= sizes.size(); ++i) {
        prefixes[i].insert(std::vector<int>(index.begin(), index.begin() + static_cast<int>(i)));
      }
    }
    const uint8_t* fixed = set.static_mask().data();
    for (size_t head = 0; head < sizes.size(); ++head) {
      std::vector<uint8_t> mask(static_cast<size_t>(sizes[head]));
      for (int choice = 0; choice < sizes[head]; ++choice) {
        EXPECT_EQ(fixed[choice] != 0, choices[head].count(choice) > 0)
            << c.name << " head " << head;
      }
      fixed += sizes[head];
      for (const std::vector<int>& prefix : prefixes[head]) {
        const int allowed = set.MaskAfter(static_cast<int>(head), prefix.data(), mask.data());
        int expected = 0;
        for (int choice = 0; choice < sizes[head]; ++choice) {
          std::vector<int> longer = prefix;
          longer.push_back(choice);
          const bool possible = prefixes[head + 1].count(longer) > 0;
          expected += possible;
          ASSERT_EQ(mask[static_cast<size_t>(choice)], possible)
              << c.name << " head " << head << " choice " << choice;
        }
        ASSERT_EQ(allowed, expected);
      }
    }
  }
}

TEST(ValidSet, NoChoiceFollowsWhatCannotBegin) {
  const ValidSet set({2, 3}, {3, 5});
  const int nowhere[] = {0}, somewhere[] = {1};
  uint8_t mask[3] = {1, 1, 1};
  EXPECT_EQ(set.MaskAfter(1, nowhere, mask), 0);
  EXPECT_EQ(mask[0] + mask[1] + mask[2], 0);
  EXPECT_EQ(set.MaskAfter(1, somewhere, mask), 2);
  EXPECT_EQ(mask[1], 0);
  EXPECT_FALSE(set.Contains(4));
  EXPECT_EQ(set.Rank(5), 1);
  const ValidSet none({2, 3}, {});
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.Nearest(somewhere), -1);
}

TEST(ValidSet, NearestIsOfFewestStepsAndLowest) {
  for (const Case& c : Cases()) {
    const ValidSet set(*c.space, c.limits, true);
    std::vector<int> index(set.sizes().size()), other = index;
    // Points spread over the box by a stride that shares no factor with its sizes.
    for (int64_t k = 0; k < 40; ++k) {
      const int64_t from = k * 7919 % set.box();
      set.IndexOf(from, index.data());
      int64_t best = -1, best_steps = 0;
      for (const int64_t point : set.points()) {
        set.IndexOf(point, other.data());
        const int64_t steps = Steps(index, other);
        if (best >= 0 && steps >= best_steps) continue;
        best = point;
        best_steps = steps;
      }
      ASSERT_EQ(set.Nearest(index.data()), best) << c.name << " from point " << from;
    }
  }
}

TEST(ValidSet, EveryMemberIsDrawn) {
  const ValidSet set({3, 3}, {0, 4, 8});
  std::set<int64_t> drawn;
  for (uint32_t i = 0; i < 16; ++i) drawn.insert(set.Member(i << 28));
  EXPECT_EQ(drawn, std::set<int64_t>({0, 4, 8}));
  EXPECT_EQ(set.Member(0xffffffffu), 8);
}

// docs/SPACES.md: of the 15,680 points at a 64-bit bus.
TEST(ValidSet, CountsOfTheDefaultSpace) {
  const std::unique_ptr<DesignSpace> space = Named(Vta(), "vta");
  EXPECT_EQ(ValidSet(*space, {}, false).size(), 6472);
  EXPECT_EQ(ValidSet(*space, {}, true).size(), 1630);
}

}  // namespace
}  // namespace rhnas::hw
