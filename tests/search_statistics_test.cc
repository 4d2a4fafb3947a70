// Statistics against values computed by hand and against laws that they must obey.

#include "search/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/random.h"

namespace rhnas::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Statistics, QuantilesOfType7) {
  EXPECT_EQ(Median({5}), 5);
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 3, 2}), 2.5);
  // R: quantile(c(1, 2, 4, 8), c(0, .25, .5, .75, 1)) is 1, 1.75, 3, 5, 8.
  const std::vector<double> four = {8, 1, 4, 2};
  EXPECT_EQ(Quantile(four, 0), 1);
  EXPECT_EQ(Quantile(four, 0.25), 1.75);
  EXPECT_EQ(Quantile(four, 0.5), 3);
  EXPECT_EQ(Quantile(four, 0.75), 5);
  EXPECT_EQ(Quantile(four, 1), 8);
  // numpy.percentile([15, 20, 35, 40, 50], 40) is 29.
  EXPECT_DOUBLE_EQ(Quantile({15, 20, 35, 40, 50}, 0.4), 29);
}

TEST(Statistics, QuantilesWithInfinity) {
  EXPECT_EQ(Median({1, kInfinity, 2}), 2);
  EXPECT_EQ(Median({1, kInfinity}), kInfinity);
  EXPECT_EQ(Median({kInfinity, kInfinity, kInfinity, 1}), kInfinity);
}

TEST(Statistics, BootstrapOfEqualOrShiftedPairs) {
  const std::vector<double> a = {0.1, 0.5, 0.2, 0.9, 0.3, 0.3};
  const Interval same = PairedBootstrap(a, a);
  EXPECT_EQ(same.low, 0);
  EXPECT_EQ(same.high, 0);
  // A constant shift is known exactly, however much the pairs scatter: that is what pairing is for.
  std::vector<double> b;
  for (const double value : a) b.push_back(value - 0.25);
  const Interval shifted = PairedBootstrap(a, b);
  EXPECT_NEAR(shifted.low, 0.25, 1e-12);
  EXPECT_NEAR(shifted.high, 0.25, 1e-12);
}

// Two pairs: a resample holds both (1/2), the first twice (1/4) or the second twice (1/4), so the
// difference of medians is 1 (1/4), 2 (1/2) or 3 (1/4): a 90 % interval is [1, 3], one of 40 %
// is [2, 2].
TEST(Statistics, BootstrapOfTwoPairsByHand) {
  const std::vector<double> a = {1, 3}, b = {0, 0};
  const Interval wide = PairedBootstrap(a, b, 1, kResamples, 0.9);
  EXPECT_EQ(wide.low, 1);
  EXPECT_EQ(wide.high, 3);
  const Interval narrow = PairedBootstrap(a, b, 1, kResamples, 0.4);
  EXPECT_EQ(narrow.low, 2);
  EXPECT_EQ(narrow.high, 2);
}

TEST(Statistics, BootstrapIsItsSeeds) {
  const std::vector<double> a = {1, 5, 2, 8, 3, 9, 4}, b = {2, 2, 3, 3, 1, 5, 0};
  const Interval one = PairedBootstrap(a, b, 7), again = PairedBootstrap(a, b, 7);
  EXPECT_EQ(one.low, again.low);
  EXPECT_EQ(one.high, again.high);
}

// 95 % intervals of 300 samples of 25 pairs whose true difference of medians is 0.5 hold it in
// 90 to 99 % of the cases.
TEST(Statistics, BootstrapCovers) {
  engine::Rng rng(20);
  int covered = 0;
  for (int sample = 0; sample < 300; ++sample) {
    std::vector<double> a, b;
    for (int i = 0; i < 25; ++i) {
      const double common = static_cast<double>(rng.Normal());
      a.push_back(common + 0.5 + 0.3 * static_cast<double>(rng.Normal()));
      b.push_back(common + 0.3 * static_cast<double>(rng.Normal()));
    }
    const Interval interval = PairedBootstrap(a, b, static_cast<uint64_t>(sample), 500);
    covered += interval.low <= 0.5 && 0.5 <= interval.high;
  }
  EXPECT_GE(covered, 270);
  EXPECT_LE(covered, 299);
}

TEST(Statistics, HypervolumeByHand) {
  EXPECT_EQ(Hypervolume({}, 0, 10), 0);
  EXPECT_EQ(Hypervolume({{1, 4}}, 0, 10), 6);
  // 3 x (10 - 8), then 2 x (8 - 5), then 1 x (5 - 1).
  EXPECT_EQ(Hypervolume({{1, 1}, {3, 8}, {2, 5}}, 0, 10), 6 + 6 + 4);
  // What others dominate, what lies outside, and twins add nothing.
  EXPECT_EQ(Hypervolume({{1, 1}, {3, 8}, {2, 5}, {1, 5}, {2, 9}, {-1, 0}, {4, 11}, {2, 5}}, 0, 10),
            16);
  EXPECT_EQ(Hypervolume({{3, 8}, {2, 5}}, 2, 10), 2);
}

}  // namespace
}  // namespace rhnas::search
