// Layers and tilings as they are typed: every form, every error, and back from what is printed.
#include "hw/parse_layer.h"

#include <gtest/gtest.h>

#include <random>

#include "hw/chain.h"

namespace rhnas::hw {
namespace {

std::string Error(const std::string& text) {
  std::vector<Layer> chain;
  std::string why;
  EXPECT_FALSE(ParseLayers(text, &chain, &why)) << text;
  EXPECT_EQ(why.find('\n'), std::string::npos);
  return why;
}

Layer Parsed(const std::string& text) {
  Layer layer;
  std::string why;
  EXPECT_TRUE(ParseLayer(text, &layer, &why)) << text << ": " << why;
  return layer;
}

TEST(ParseLayer, BothFormsSayTheSame) {
  for (const char* text :
       {"conv 64x14x15 -> 32 k3x5 s2 p1 g4 n2 no-relu",
        "kind=conv c=64 h=14 w=15 k=32 r=3 s=5 stride=2 pad=1 groups=4 n=2 relu=0",
        "->32 64x14x15, conv, no-relu bias=1 k3x5 stride=2 p1 groups=4 n=2"}) {
    const Layer layer = Parsed(text);
    EXPECT_EQ(layer.kind, LayerKind::kConv);
    EXPECT_EQ(layer.c, 64);
    EXPECT_EQ(layer.h, 14);
    EXPECT_EQ(layer.w, 15);
    EXPECT_EQ(layer.k, 32);
    EXPECT_EQ(layer.r, 3);
    EXPECT_EQ(layer.s, 5);
    EXPECT_EQ(layer.stride, 2);
    EXPECT_EQ(layer.pad, 1);
    EXPECT_EQ(layer.groups, 4);
    EXPECT_EQ(layer.n, 2);
    EXPECT_FALSE(layer.relu);
    EXPECT_TRUE(layer.bias);
    EXPECT_FALSE(layer.name.empty());
  }
}

TEST(ParseLayer, WhatIsLeftOut) {
  const Layer depthwise = Parsed("depthwise 96x28x28 k5 s2 p2");
  EXPECT_TRUE(depthwise.depthwise());
  EXPECT_EQ(depthwise.k, 96);
  EXPECT_EQ(depthwise.s, 5);
  const Layer dense = Parsed("dense 512 -> 10");
  EXPECT_EQ(dense.kind, LayerKind::kDense);
  EXPECT_EQ(dense.h * dense.w, 1);
  EXPECT_EQ(dense.k, 10);
  EXPECT_EQ(Parsed("conv c=8 h=6 k=4").w, 6);
  EXPECT_EQ(Parsed("add 24x13x13").k, 24);
  EXPECT_EQ(Parsed("shuffle 116x8x8 g2").groups, 2);
}

TEST(ParseLayer, Errors) {
  EXPECT_EQ(Error(""), "the kind of layer is missing: begin with conv, dense, ..");
  EXPECT_EQ(Error("conv k3"), "the input is missing: CHANNELSxHEIGHTxWIDTH, such as 64x14x14");
  EXPECT_EQ(
      Error("kind=conf c=3"),
      "\"conf\" is no kind of layer, did you mean \"conv\"? (conv, depthwise, dense, max-pool, "
      "avg-pool, global-pool, add, concat, shuffle)");
  EXPECT_EQ(Error("conv 64x14 -> 3"), "\"64x14\": found 2 sizes, expected CHANNELSxHEIGHTxWIDTH");
  EXPECT_EQ(Error("conv 64x14x14 ->"),
            "after \"->\": found \"\", expected the number of output channels");
  EXPECT_EQ(Error("conv 64x14x14 -> many"),
            "after \"->\": found \"many\", expected the number of output channels");
  EXPECT_EQ(Error("conv 64x14x14 s1 s2"),
            "\"s2\" says a second time what was said before, once is enough");
  EXPECT_EQ(Error("conv 64x14x14 relu=2"), "\"relu=2\": found \"2\", expected 0 or 1");
  EXPECT_EQ(Error("conv 64x14x14 c=9999999999").substr(0, 13), "\"c=9999999999");
  EXPECT_EQ(Error("conv 64x14x14 colour=3").substr(0, 29), "\"colour\" is no property of a ");
  EXPECT_NE(Error("conv 64x14x14 q7").find("\"q7\" says nothing of a layer"), std::string::npos);
  EXPECT_NE(Error("add 24x13x13 -> 12").find("keeps its channels"), std::string::npos);
  EXPECT_NE(Error("depthwise 24x13x13 -> 12").find("depthwise has as many"), std::string::npos);
  EXPECT_EQ(Error("dense 512 k3"), "dense has no filter, stride or padding");
  EXPECT_NE(Error("conv 24x13x13 + ").find("kind of layer is missing"), std::string::npos);
}

// Whatever is typed: a layer or one line, and no shape that later code cannot refuse.
TEST(ParseLayer, AnyTextIsAnswered) {
  const std::string good = "conv 64x14x15 -> 32 k3x5 s2 p1 g4 n2 no-relu + add c=32 h=7 w=6 bias=1";
  const std::string edits = "0123456789xkspgn=+-> ,\t\nz";
  int accepted = 0;
  for (uint32_t seed = 0; seed < 20000; ++seed) {
    std::mt19937 random(seed);
    std::string text = good.substr(0, random() % 2 == 0 ? 33 : good.size());
    for (auto count = 1 + random() % 3; count > 0; --count) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, 1 + random() % 4);
      } else {
        text[at] = edits[random() % edits.size()];
      }
      if (text.empty()) text = "c";
    }
    std::vector<Layer> chain;
    std::string why;
    if (!ParseLayers(text, &chain, &why)) {
      EXPECT_FALSE(why.empty()) << "seed " << seed;
      EXPECT_LT(why.size(), 400u) << "seed " << seed;
      continue;
    }
    ++accepted;
    const Result<Config> config = FindConfig("default");
    Work work;
    (void)MakeChainWork(chain.data(), static_cast<int>(chain.size()), *config, &work, &why);
  }
  EXPECT_GT(accepted, 1000);
}

TEST(ParseTiling, ReadsWhatIsPrinted) {
  for (int i = 0; i < 96; ++i) {
    Tiling tiling;
    tiling.th = 1 + i % 14;
    tiling.tw = 1 + i % 5;
    tiling.tco = 1 + i % 3;
    tiling.tci = 1 + i % 7;
    tiling.vthreads = 1 + i % 2;
    tiling.stationary = static_cast<Stationary>(i % 3);
    tiling.on_alu = i % 4 == 1;
    tiling.split_rows = i % 8 == 2;
    Tiling back;
    std::string why;
    ASSERT_TRUE(ParseTiling(tiling.ToString(), &back, &why)) << tiling.ToString() << ": " << why;
    EXPECT_EQ(back.ToString(), tiling.ToString());
  }
}

TEST(ParseTiling, Errors) {
  Tiling tiling;
  std::string why;
  for (const char* text : {"", "7x14 co0", "7x14 vt3", "7 co1", "7x14x2", "7x14 co2 co2", "co2",
                           "0x3", "7x14 fast", "7x14 co", "7x14 coco"}) {
    EXPECT_FALSE(ParseTiling(text, &tiling, &why)) << text;
    EXPECT_EQ(why.compare(0, 8, "tiling: "), 0) << why;
  }
}

}  // namespace
}  // namespace rhnas::hw
