// Spaces, layer shapes and published networks against their published counts.
#include "nn/space.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>

namespace rhnas::nn {
namespace {

Space MustFind(const std::string& name, const SpaceOptions& options = {}) {
  engine::Result<Space> space = FindSpace(name, options);
  EXPECT_TRUE(space.ok()) << space.status().message();
  return std::move(*space);
}

Network MustParse(const std::string& text, const SpaceOptions& options = {}) {
  engine::Result<Network> network = ParseNetwork(text, options);
  EXPECT_TRUE(network.ok()) << network.status().message();
  return std::move(*network);
}

int64_t MacsOf(const std::string& text, bool always_pw) {
  SpaceOptions options;
  options.always_pw = always_pw;
  const Network network = MustParse(text, options);
  return Macs(network.space, network.genotype);
}

Genotype Uniform(const Space& space, const std::string& block) {
  Genotype genotype;
  for (int slot : space.searchable()) {
    const std::vector<Block>& candidates = space.slots[static_cast<size_t>(slot)].candidates;
    int choice = -1;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].name == block) choice = static_cast<int>(i);
    }
    EXPECT_GE(choice, 0) << block;
    genotype.choice.push_back(choice);
  }
  return genotype;
}

// facebookresearch/mobile-vision README: 244.5 / 291.1 / 378.2 M without the leading 1x1 at
// expansion 1; the exact numbers, and those with it, from the table built independently.
TEST(NnSpace, PublishedFbnetMacsInBothDialects) {
  EXPECT_EQ(MacsOf("fbnet-a", false), 244452664);
  EXPECT_EQ(MacsOf("fbnet-b@imagenet", false), 291004424);
  EXPECT_EQ(MacsOf("fbnet-c@imagenet", false), 378136224);
  EXPECT_EQ(MacsOf("fbnet-a@imagenet", true), 249921848);
  EXPECT_EQ(MacsOf("fbnet-b", true), 306210888);
  EXPECT_EQ(MacsOf("fbnet-c", true), 384960160);
  EXPECT_EQ(MacsOf("fbnet-c@imagenet,nopw", true), 378136224);
}

double MillionMacs(const Space& space, const Genotype& genotype) {
  return static_cast<double>(Macs(space, genotype)) / 1e6;
}
double MillionParams(const Space& space, const Genotype& genotype) {
  return static_cast<double>(Params(space, genotype)) / 1e6;
}

TEST(NnSpace, PublishedFbnetOnCifar) {
  for (const auto& [name, expected] : {std::pair<const char*, double>{"fbnet-a@cifar", 77.44},
                                       {"fbnet-b@cifar", 88.59},
                                       {"fbnet-c@cifar", 114.30}}) {
    const Network network = MustParse(name);
    EXPECT_NEAR(MillionMacs(network.space, network.genotype), expected, 0.005) << name;
  }
}

TEST(NnSpace, FbnetSizeAndUniqueSlots) {
  for (const char* name : {"fbnet-cifar", "fbnet-imagenet"}) {
    const Space space = MustFind(name);
    EXPECT_EQ(space.searchable().size(), 22u);
    EXPECT_DOUBLE_EQ(space.size(), std::pow(9.0, 22));
    EXPECT_NEAR(space.size(), 9.8477e20, 1e16);
    std::set<std::tuple<int, int, int, int>> unique;
    for (int i : space.searchable()) {
      const Slot& slot = space.slots[static_cast<size_t>(i)];
      unique.insert({slot.cin, slot.cout, slot.h, slot.stride});
    }
    EXPECT_EQ(unique.size(), 12u) << name;
  }
}

// Sum over all candidates; the smallest and largest network by each measure, slot by slot (both
// measures are sums over slots).
struct Extremes {
  int64_t all = 0, least = 0, most = 0;
};

Extremes ExtremesOf(const Space& space, int64_t (LayerShape::*measure)() const) {
  Extremes extremes;
  for (const Slot& slot : space.slots) {
    int64_t least = INT64_MAX, most = 0;
    for (const Block& block : slot.candidates) {
      int64_t value = 0;
      for (const LayerShape& layer : LayersOf(slot, block, "x")) value += (layer.*measure)();
      extremes.all += value;
      least = std::min(least, value);
      most = std::max(most, value);
    }
    extremes.least += least;
    extremes.most += most;
  }
  return extremes;
}

TEST(NnSpace, FbnetExtremes) {
  const Space cifar = MustFind("fbnet-cifar");
  const Extremes macs = ExtremesOf(cifar, &LayerShape::macs);
  EXPECT_NEAR(static_cast<double>(macs.all) / 1e6, 514.2, 0.05);
  EXPECT_NEAR(static_cast<double>(macs.least) / 1e6, 11.19, 0.005);
  EXPECT_NEAR(static_cast<double>(macs.most) / 1e6, 160.79, 0.005);
  const Extremes params = ExtremesOf(cifar, &LayerShape::params);
  EXPECT_NEAR(static_cast<double>(params.all) / 1e6, 11.146, 0.0005);
  // The published lower end, 0.631 M, is the network with the fewest MACs; a grouped k3_e1 in two
  // slots that change shape has fewer parameters still.
  Genotype leanest = Uniform(cifar, "skip");
  leanest.choice[13] = leanest.choice[21] = 1;
  EXPECT_EQ(Macs(cifar, leanest), macs.least);
  EXPECT_NEAR(MillionParams(cifar, leanest), 0.631, 0.0005);
  leanest.choice[9] = leanest.choice[17] = 1;
  EXPECT_EQ(Params(cifar, leanest), params.least);
  EXPECT_EQ(params.least, 628770);
  EXPECT_NEAR(static_cast<double>(params.most) / 1e6, 3.614, 0.0005);

  EXPECT_NEAR(MillionMacs(cifar, Uniform(cifar, "k3_e1")), 31.187, 0.0005);
  EXPECT_NEAR(MillionParams(cifar, Uniform(cifar, "k3_e1")), 1.0352, 0.00005);
  EXPECT_NEAR(MillionMacs(cifar, Uniform(cifar, "k3_e6")), 142.482, 0.0005);
  EXPECT_NEAR(MillionParams(cifar, Uniform(cifar, "k3_e6")), 3.4514, 0.00005);
  EXPECT_NEAR(MillionMacs(cifar, Uniform(cifar, "k5_e6")), 160.791, 0.0005);
  EXPECT_NEAR(MillionParams(cifar, Uniform(cifar, "k5_e6")), 3.6142, 0.00005);
  EXPECT_NEAR(MillionMacs(cifar, Uniform(cifar, "skip")), 11.474, 0.0005);
  EXPECT_NEAR(MillionParams(cifar, Uniform(cifar, "skip")), 0.6452, 0.00005);

  const Space imagenet = MustFind("fbnet-imagenet");
  const Extremes large = ExtremesOf(imagenet, &LayerShape::macs);
  EXPECT_NEAR(static_cast<double>(large.all) / 1e6, 1797.0, 0.05);
  EXPECT_NEAR(static_cast<double>(large.least) / 1e6, 48.55, 0.005);
  EXPECT_NEAR(static_cast<double>(large.most) / 1e6, 572.63, 0.005);
  EXPECT_NEAR(static_cast<double>(ExtremesOf(imagenet, &LayerShape::params).all) / 1e6, 13.286,
              0.0005);
  EXPECT_NEAR(MillionMacs(imagenet, Uniform(imagenet, "k3_e1")), 118.371, 0.0005);
  EXPECT_NEAR(MillionMacs(imagenet, Uniform(imagenet, "k3_e6")), 502.112, 0.0005);
  EXPECT_NEAR(MillionMacs(imagenet, Uniform(imagenet, "k5_e6")), 572.634, 0.0005);
}

// Multiply-accumulates of convolutions and the classifier; parameters as trained (filters, batch
// norm's gamma and beta, classifier with bias). Exact values are those of torchvision's modules.
TEST(NnSpace, FixedNetworks) {
  const Network resnet18 = MustParse("resnet18");
  EXPECT_EQ(Params(resnet18.space, resnet18.genotype), 11689512);
  EXPECT_NEAR(MillionMacs(resnet18.space, resnet18.genotype), 1814.1, 0.1);
  const Network resnet50 = MustParse("resnet50");
  EXPECT_EQ(Params(resnet50.space, resnet50.genotype), 25557032);
  EXPECT_EQ(Macs(resnet50.space, resnet50.genotype), 4089184256);  // 4.09 G in torchvision's table
  const Network v1 = MustParse("mobilenet_v1");
  EXPECT_NEAR(MillionMacs(v1.space, v1.genotype), 568.7, 0.05);
  EXPECT_NEAR(MillionParams(v1.space, v1.genotype), 4.232, 0.0005);
  const Network v2 = MustParse("mobilenet_v2");
  EXPECT_EQ(Params(v2.space, v2.genotype), 3504872);
  EXPECT_NEAR(MillionMacs(v2.space, v2.genotype), 300.8, 0.05);
  const Network resnet20 = MustParse("resnet20");
  EXPECT_NEAR(MillionParams(resnet20.space, resnet20.genotype), 0.27, 0.003);
  EXPECT_NEAR(MillionMacs(resnet20.space, resnet20.genotype), 40.6, 0.1);
}

// The maps of figure 2 in LeCun et al. 1998, on 28x28 with padding at C1; all maps of S2 feed C3.
TEST(NnSpace, LeNet5HasTheMapsOfTheFigure) {
  const Network lenet = MustParse("lenet5");
  const int sides[] = {28, 14, 10, 5, 1, 1};
  const std::vector<LayerShape> layers = LayersOf(lenet.space, lenet.genotype);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(layers[i].oh(), sides[i]) << layers[i].name;
  EXPECT_EQ(Macs(lenet.space, lenet.genotype), 117600 + 240000 + 48000 + 10080 + 840);
  // Weights, then scale and shift of batch norm, then the classifier's weights and biases.
  EXPECT_EQ(Params(lenet.space, lenet.genotype),
            150 + 2400 + 48000 + 10080 + 2 * (6 + 16 + 120 + 84) + 840 + 10);
  const auto small = ParseNetwork("lenet5@20x20x1");
  ASSERT_FALSE(small.ok());
  EXPECT_NE(small.status().message().find("between 28 and"), std::string::npos)
      << small.status().message();
}

// What other tools get wrong: 184 channels, expansion at the input resolution, skip as a
// convolution, the ends of the network, additions and shuffles.
TEST(NnSpace, TrueShapes) {
  const Space space = MustFind("fbnet-cifar");
  Genotype genotype = Uniform(space, "k3_e6");
  genotype.choice[9] = 8;  // slot 9 changes shape: skip is a convolution
  genotype.choice[2] = 1;  // k3_e1_g2
  std::map<std::string, LayerShape> by_name;
  for (const LayerShape& layer : LayersOf(space, genotype)) {
    EXPECT_TRUE(by_name.emplace(layer.name, layer).second) << "twice: " << layer.name;
  }
  EXPECT_EQ(by_name.at("slot18/expand").c, 184);
  const LayerShape& expand = by_name.at("slot05/expand");
  EXPECT_EQ(expand.oh(), 32);
  EXPECT_EQ(expand.stride, 1);
  EXPECT_EQ(by_name.at("slot05/depthwise").oh(), 16);
  EXPECT_EQ(by_name.at("slot05/depthwise").groups, 144);
  EXPECT_EQ(by_name.count("slot05/add"), 0u);
  const LayerShape& skip = by_name.at("slot09/skip");
  EXPECT_EQ(skip.stride, 2);
  EXPECT_EQ(skip.macs(), 8 * 8 * 32 * 64);
  EXPECT_EQ(by_name.at("slot02/shuffle").kind, LayerKind::kShuffle);
  EXPECT_EQ(by_name.at("slot02/expand").groups, 2);
  EXPECT_EQ(by_name.at("slot02/add").kind, LayerKind::kAdd);
  EXPECT_EQ(by_name.at("stem").macs(), 32 * 32 * 27 * 16);
  EXPECT_EQ(by_name.at("head").k, 1504);
  EXPECT_EQ(by_name.at("classifier/pool").kind, LayerKind::kGlobalAvgPool);
  EXPECT_EQ(by_name.at("classifier/linear").macs(), 15040);
}

// Every candidate of a slot ends where the next slot begins, whatever the input size.
TEST(NnSpace, SlotsFitTogether) {
  for (const std::string& name : SpaceNames()) {
    for (int resolution : {0, 28, 33, 64}) {
      SpaceOptions options;
      options.resolution = resolution;
      options.channels = 1;
      const Space space = MustFind(name, options);
      for (size_t i = 0; i < space.slots.size(); ++i) {
        const Slot& slot = space.slots[i];
        const int size = i + 1 < space.slots.size() ? space.slots[i + 1].h : 1;
        for (const Block& block : slot.candidates) {
          const std::vector<LayerShape> layers = LayersOf(slot, block, "x");
          if (layers.empty()) {
            EXPECT_TRUE(slot.same_shape());
            continue;
          }
          EXPECT_EQ(layers.back().oh(), size) << name << " slot " << i << " " << block.name;
          EXPECT_EQ(layers.back().k, slot.cout) << name << " slot " << i << " " << block.name;
        }
      }
    }
  }
}

TEST(NnSpace, TinyIsSmallAndReal) {
  const Space space = MustFind("tiny");
  EXPECT_EQ(space.size(), 46656);
  EXPECT_LT(ExtremesOf(space, &LayerShape::macs).most, 6000000);
}

TEST(NnSpace, OptionsAndNames) {
  SpaceOptions options;
  options.width = 0.5;
  options.always_pw = false;
  options.classes = 47;
  options.resolution = 28;
  options.channels = 1;
  options.head = 1000;
  const Space space = MustFind("fbnet-cifar", options);
  EXPECT_EQ(space.name, "fbnet-cifar@w0.5,nopw,h1000,28x28x1,n47");
  const std::vector<int> searchable = space.searchable();
  EXPECT_EQ(space.slots[0].cout, 16);  // the stem keeps its width
  // MobileNetV2's rounding of 16 24 32 64 112 184 352 halved.
  std::vector<int> widths;
  for (int i : searchable) {
    const int cout = space.slots[static_cast<size_t>(i)].cout;
    if (widths.empty() || widths.back() != cout) widths.push_back(cout);
  }
  EXPECT_EQ(widths, (std::vector<int>{8, 16, 32, 56, 96, 176}));
  EXPECT_EQ(space.slots[space.slots.size() - 2].cout, 504);
  const Space again = MustFind(space.name);
  EXPECT_EQ(again.name, space.name);
  EXPECT_EQ(again.slots.back().cout, 47);
}

TEST(NnSpace, BadOptionsSaySo) {
  const auto message = [](const std::string& name, const SpaceOptions& options = {}) {
    return FindSpace(name, options).status().message();
  };
  EXPECT_NE(message("fbnet-cifa").find("did you mean fbnet-cifar?"), std::string::npos);
  EXPECT_NE(message("tiny@q3").find("'q3'"), std::string::npos);
  EXPECT_NE(message("tiny@").find("''"), std::string::npos);
  EXPECT_NE(message("tiny@28x27x1").find("'28x27x1'"), std::string::npos);
  EXPECT_NE(message("tiny@w9").find("width 9 is not between"), std::string::npos);
  EXPECT_NE(message("resnet18@w0.5").find("takes no width"), std::string::npos);
  EXPECT_NE(message("resnet18@h5").find("no head"), std::string::npos);
  EXPECT_NE(message("tiny@2x2x3").find("resolution 2"), std::string::npos);
  SpaceOptions options;
  options.width = std::nan("");
  EXPECT_NE(message("tiny", options).find("width"), std::string::npos);
}

// The block table of HELP / HW-NAS-Bench names the shape of each slot of the CIFAR space.
TEST(NnSpace, AgreesWithPublishedBlockTable) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "RHNAS_SHARED is not set";
  std::ifstream file(std::string(shared) + "/fbnet/fbnet_block_delta_ms.csv");
  if (!file) GTEST_SKIP() << "no fbnet/fbnet_block_delta_ms.csv in " << shared;
  const Space space = MustFind("fbnet-cifar");
  const std::vector<int> searchable = space.searchable();
  std::string line;
  std::getline(file, line);
  int rows = 0;
  while (std::getline(file, line)) {
    std::stringstream fields(line);
    std::string layer, op, field;
    std::getline(fields, layer, ',');
    std::getline(fields, op, ',');
    if (layer.empty() || layer[0] < '0' || layer[0] > '9') continue;  // the all-skip row
    std::vector<int> numbers;
    while (numbers.size() < 7 && std::getline(fields, field, ',')) {
      numbers.push_back(std::atoi(field.c_str()));
    }
    ASSERT_EQ(numbers.size(), 7u) << line;
    const Slot& slot =
        space.slots[static_cast<size_t>(searchable[static_cast<size_t>(std::atoi(layer.c_str()))])];
    EXPECT_EQ(slot.h, numbers[0]) << line;
    EXPECT_EQ(slot.cin, numbers[1]) << line;
    EXPECT_EQ(slot.cout, numbers[2]) << line;
    EXPECT_EQ(slot.stride, numbers[3]) << line;
    bool found = false;
    for (const Block& block : slot.candidates) {
      if (block.name != op) continue;
      found = true;
      EXPECT_EQ(block.expansion, numbers[4]) << line;
      EXPECT_EQ(block.kernel, numbers[5]) << line;
      EXPECT_EQ(block.groups, numbers[6]) << line;
    }
    EXPECT_TRUE(found) << line;
    ++rows;
  }
  EXPECT_EQ(rows, 22 * 8);
}

}  // namespace
}  // namespace rhnas::nn
