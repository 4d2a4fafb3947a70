// Philox against the published vectors; distributions; saved and split streams.
#include "engine/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "engine/math.h"

namespace rhnas::engine {
namespace {

// Random123 distribution, kat_vectors, "philox4x32 10".
TEST(Random, KnownAnswers) {
  struct Case {
    uint32_t counter[4], key[2], want[4];
  };
  const Case cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Case& c : cases) {
    uint32_t out[4];
    Philox4x32(c.key, c.counter, out);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(out[i], c.want[i]) << i;
  }
  // The generator hands out the block of counter 0 first.
  Rng rng(0);
  for (uint32_t want : cases[0].want) EXPECT_EQ(rng.NextU32(), want);
}

TEST(Random, StateContinuesAtEveryPosition) {
  for (int drawn = 0; drawn < 9; ++drawn) {
    Rng a(7, 3);
    for (int i = 0; i < drawn; ++i) a.NextU32();
    const Rng::State saved = a.state();
    Rng b(0);
    b.set_state(saved);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(a.NextU32(), b.NextU32()) << drawn << " " << i;
  }
  // Across the carry of the block counter.
  Rng a(1);
  Rng::State state = a.state();
  state.counter[0] = 0xffffffff;
  a.set_state(state);
  a.NextU32();
  Rng b(2);
  b.set_state(a.state());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(a.NextU32(), b.NextU32());
}

TEST(Random, SplitDoesNotDependOnDraws) {
  Rng a(5);
  const Rng before = a.Split(9);
  for (int i = 0; i < 7; ++i) a.NextU32();
  Rng first = before, second = a.Split(9), other = a.Split(10), nested = a.Split(10).Split(9);
  std::vector<uint32_t> v1, v2, v3, v4, own;
  Rng fresh(5);
  for (int i = 0; i < 100; ++i) {
    v1.push_back(first.NextU32());
    v2.push_back(second.NextU32());
    v3.push_back(other.NextU32());
    v4.push_back(nested.NextU32());
    own.push_back(fresh.NextU32());
  }
  EXPECT_EQ(v1, v2);
  EXPECT_NE(v1, v3);
  EXPECT_NE(v3, v4);
  EXPECT_NE(v1, v4);
  EXPECT_NE(v1, own);
}

TEST(Random, UniformFillsTheIntervalEvenly) {
  Rng rng(1);
  constexpr int kDraws = 200000, kCells = 20;
  int count[kCells] = {};
  for (int i = 0; i < kDraws; ++i) {
    const float u = rng.Uniform();
    ASSERT_TRUE(u >= 0 && u < 1) << u;
    ++count[static_cast<int>(u * kCells)];
  }
  double chi2 = 0;
  for (int c : count) chi2 += std::pow(c - kDraws / kCells, 2) / (kDraws / kCells);
  EXPECT_LT(chi2, 43.8);  // 19 degrees of freedom, p = 0.001
}

TEST(Random, BelowIsEvenAndInRange) {
  Rng rng(2);
  int count[7] = {};
  for (int i = 0; i < 70000; ++i) {
    const uint32_t x = rng.Below(7);
    ASSERT_LT(x, 7u);
    ++count[x];
  }
  for (int c : count) EXPECT_NEAR(c, 10000, 400);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rng.Below(1), 0u);
  // 3 * 2^30 of 2^32 numbers: without rejection a third of the results comes twice as often, the
  // lowest with a remainder, the multiples of three with a product.
  int low = 0, multiples = 0;
  for (int i = 0; i < 30000; ++i) {
    const uint32_t x = rng.Below(3u << 30);
    low += x < (1u << 30);
    multiples += x % 3 == 0;
  }
  EXPECT_NEAR(low, 10000, 400);
  EXPECT_NEAR(multiples, 10000, 400);
}

TEST(Random, NormalHasItsMoments) {
  Rng rng(3);
  constexpr int kDraws = 200000;
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = double{rng.Normal()};
    ASSERT_TRUE(std::isfinite(x));
    m1 += x / kDraws;
    m2 += x * x / kDraws;
    m3 += x * x * x / kDraws;
    m4 += x * x * x * x / kDraws;
  }
  EXPECT_NEAR(m1, 0, 0.01);
  EXPECT_NEAR(m2, 1, 0.015);
  EXPECT_NEAR(m3, 0, 0.04);
  EXPECT_NEAR(m4, 3, 0.12);
}

// argmax(log p + Gumbel) is a draw from p (Gumbel 1954; Maddison et al. 2014).
TEST(Random, GumbelMaxDrawsFromTheDistribution) {
  Rng rng(4);
  const double p[] = {0.5, 0.3, 0.15, 0.04, 0.01};
  constexpr int kDraws = 200000;
  int count[5] = {};
  double mean = 0;
  for (int i = 0; i < kDraws; ++i) {
    int best = 0;
    double best_score = -1e9;
    for (int j = 0; j < 5; ++j) {
      const double g = double{rng.Gumbel()};
      ASSERT_TRUE(std::isfinite(g));
      mean += g / (5.0 * kDraws);
      const double score = std::log(p[j]) + g;
      if (score > best_score) best = j, best_score = score;
    }
    ++count[best];
  }
  EXPECT_NEAR(mean, 0.5772156649, 0.005);  // Euler's constant
  double chi2 = 0;
  for (int j = 0; j < 5; ++j) chi2 += std::pow(count[j] - kDraws * p[j], 2) / (kDraws * p[j]);
  EXPECT_LT(chi2, 18.5);  // 4 degrees of freedom, p = 0.001
}

TEST(Random, PermutationsAreAllEquallyLikely) {
  Rng rng(6);
  int count[3][3] = {};
  for (int i = 0; i < 30000; ++i) {
    int order[3];
    rng.Permutation(3, order);
    EXPECT_EQ(order[0] + order[1] + order[2], 3);
    for (int j = 0; j < 3; ++j) ++count[j][order[j]];
  }
  for (const auto& row : count) {
    for (int c : row) EXPECT_NEAR(c, 10000, 400);
  }
  int one[1] = {5};
  rng.Permutation(1, one);
  EXPECT_EQ(one[0], 0);
}

// The functions under the draws, over their whole range, against the library's in double.
TEST(Math, WithinAFewUnitsOfTheLastPlace) {
  const auto units = [](float got, double want) {
    const double unit = std::max(std::ldexp(1.0, std::ilogb(want) - 23), 1e-38);
    return std::abs(double{got} - want) / unit;
  };
  for (float x = -87; x < 88.7f; x += 0.00731f) {
    ASSERT_LE(units(Exp(x), std::exp(double{x})), 2) << x;
    ASSERT_LE(units(Sigmoid(x), 1 / (1 + std::exp(-double{x}))), 4) << x;
  }
  for (float x = 1.2e-38f; x < 3e38f; x *= 1.00173f) {
    const double want = std::log(double{x});
    ASSERT_LE(std::abs(double{Log(x)} - want), 2e-7 * std::max(std::abs(want), 0.3)) << x;
  }
  for (float x = -12; x < 12; x += 0.000913f) {
    ASSERT_LE(units(Tanh(x), std::tanh(double{x})), 3) << x;
  }
  for (float turns = 0; turns <= 1; turns += 0.000137f) {
    ASSERT_NEAR(double{CosTurns(turns)}, std::cos(2 * 3.14159265358979323846 * double{turns}),
                2e-7);
  }
  EXPECT_EQ(CosTurns(0.5f), -1);
  const float inf = INFINITY;
  EXPECT_EQ(Exp(-1000.0f), 0);
  EXPECT_EQ(Exp(-inf), 0);
  EXPECT_EQ(Exp(89.0f), inf);
  EXPECT_EQ(Exp(inf), inf);
  EXPECT_EQ(Exp(0.0f), 1);
  EXPECT_EQ(Log(1.0f), 0);
  EXPECT_EQ(Log(0.0f), -inf);
  EXPECT_EQ(Log(inf), inf);
  EXPECT_TRUE(std::isnan(Log(-1.0f)));
  EXPECT_EQ(Tanh(inf), 1);
  EXPECT_EQ(Tanh(-inf), -1);
  EXPECT_EQ(Sigmoid(-inf), 0);
  EXPECT_EQ(Sigmoid(inf), 1);
  for (float (*f)(float) : {Exp, Log, Sigmoid, Tanh}) EXPECT_TRUE(std::isnan(f(NAN)));
}

}  // namespace
}  // namespace rhnas::engine
