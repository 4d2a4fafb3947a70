// The integer reference against numbers worked out by hand.
#include "hw/reference.h"

#include <gtest/gtest.h>

#include "hw/parse_layer.h"

namespace rhnas::hw {
namespace {

using Bytes = std::vector<int8_t>;

std::vector<Layer> Chain(const std::string& text) {
  std::vector<Layer> chain;
  std::string why;
  EXPECT_TRUE(ParseLayers(text, &chain, &why)) << why;
  return chain;
}

Bytes Output(const std::string& text, const Operands& operands, int shift) {
  Bytes output;
  std::string why;
  EXPECT_TRUE(Reference(Chain(text), operands, shift, &output, &why)) << why;
  return output;
}

TEST(Reference, ByHand) {
  // 3x3 image 1..9, filter of ones and padding: sums of neighbourhoods, shifted by one.
  Operands conv{{1, 2, 3, 4, 5, 6, 7, 8, 9}, {}, {{Bytes(9, 1), {0}}}};
  EXPECT_EQ(Output("conv 1x3x3 k3 p1", conv, 0), (Bytes{12, 21, 16, 27, 45, 33, 24, 39, 28}));
  EXPECT_EQ(Output("conv 1x3x3 k3 p1 s2", conv, 1), (Bytes{6, 8, 12, 14}));
  conv.layer[0].bias = {-300};
  EXPECT_EQ(Output("conv 1x3x3 k3", conv, 1), Bytes{0});
  EXPECT_EQ(Output("conv 1x3x3 k3 no-relu", conv, 1), Bytes{-127});
  conv.layer[0].bias = {-48};
  EXPECT_EQ(Output("conv 1x3x3 k3 no-relu", conv, 1), Bytes{-2});  // -3 >> 1
  conv.layer[0].bias = {INT32_MAX};
  EXPECT_EQ(Output("conv 1x3x3 k3 no-relu", conv, 1), Bytes{-127});  // wraps

  // Two groups of one input channel: [k][1][1][1].
  const Operands grouped{{3, 5}, {}, {{{1, 2, 10, -1}, {}}}};
  EXPECT_EQ(Output("conv 2x1x1 -> 4 g2 no-bias no-relu", grouped, 0), (Bytes{3, 6, 50, -5}));
  const Operands dense{{3, 5}, {}, {{{1, 2, 10, -1}, {1, 0}}}};
  EXPECT_EQ(Output("dense 2 -> 2 no-relu", dense, 0), (Bytes{14, 25}));

  const Operands add{{100, -100, 3}, {100, -100, -5}, {{}}};
  EXPECT_EQ(Output("add 3x1x1", add, 4), (Bytes{127, 0, 0}));
  EXPECT_EQ(Output("add 3x1x1 no-relu", add, 4), (Bytes{127, -127, -2}));

  const Operands four{{-4, -3, -2, -1}, {}, {{}}};
  EXPECT_EQ(Output("max-pool 1x2x2 k3 s2 p1", four, 0), Bytes{-1});
  EXPECT_EQ(Output("avg-pool 1x2x2 k2", four, 0), Bytes{-3});  // -10 / 4, down
  EXPECT_EQ(Output("global-pool 1x2x2", four, 0), Bytes{-3});
  EXPECT_EQ(Output("concat 1x2x2", four, 0), four.input);
  const Operands six{{0, 1, 2, 3, 4, 5}, {}, {{}}};
  EXPECT_EQ(Output("shuffle 6x1x1 g2", six, 0), (Bytes{0, 3, 1, 4, 2, 5}));
}

TEST(Reference, Reciprocals) {
  EXPECT_EQ(ReciprocalOf(1).multiplier, 64);
  EXPECT_EQ(ReciprocalOf(1).shift, 6);
  EXPECT_EQ(ReciprocalOf(9).multiplier, 114);  // 1024 / 9 = 113.8
  EXPECT_EQ(ReciprocalOf(9).shift, 10);
  EXPECT_EQ(ReciprocalOf(49).multiplier, 84);
  EXPECT_EQ(ReciprocalOf(49).shift, 12);
  for (int taps = 1; taps <= 1024; ++taps) {
    const Reciprocal r = ReciprocalOf(taps);
    EXPECT_GE(r.multiplier, 1) << taps;
    EXPECT_LE(r.multiplier, 127) << taps;
    EXPECT_LE(r.shift, 14) << taps;
    EXPECT_TRUE(r.shift == 14 || r.multiplier >= 64) << taps;
  }
}

TEST(Reference, ChainsAndSizes) {
  // conv then max pool then add: as one after the other.
  const std::vector<Layer> chain =
      Chain("conv 2x6x6 -> 3 k3 p1 + max-pool 3x6x6 k2 s2 + add 3x3x3");
  const Operands operands = RandomOperands(chain, 4, 11);
  Bytes whole;
  std::string why;
  ASSERT_TRUE(Reference(chain, operands, 4, &whole, &why)) << why;
  Operands step{operands.input, {}, {operands.layer[0]}};
  ASSERT_TRUE(Reference({chain[0]}, step, 4, &step.input, &why)) << why;
  step.layer[0] = {};
  ASSERT_TRUE(Reference({chain[1]}, step, 4, &step.input, &why)) << why;
  step.residual = operands.residual;
  ASSERT_TRUE(Reference({chain[2]}, step, 4, &step.input, &why)) << why;
  EXPECT_EQ(whole, step.input);
  EXPECT_EQ(static_cast<int64_t>(whole.size()), SizesOf(chain).output);

  Operands wrong = operands;
  wrong.input.pop_back();
  EXPECT_FALSE(Reference(chain, wrong, 4, &whole, &why));
  EXPECT_EQ(why, "input: need 72 values, have 71");
  EXPECT_FALSE(
      Reference(Chain("conv 2x6x6 -> 3 k3 p1 + max-pool 3x5x5 k2 s2"),
                RandomOperands(Chain("conv 2x6x6 -> 3 k3 p1 + max-pool 3x5x5 k2 s2"), 4, 1), 4,
                &whole, &why));
  EXPECT_EQ(why, "layer 2 of the chain reads 3x5x5, the one before it writes 3x6x6");
}

}  // namespace
}  // namespace rhnas::hw
