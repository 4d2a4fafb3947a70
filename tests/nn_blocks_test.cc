// What the modules start from and hold: counted parameters, initial values, unique names.
#include "nn/blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/threads.h"
#include "nn/supernet.h"

namespace rhnas::nn {
namespace {

using engine::Parameter;
using engine::Rng;
using engine::Shape;
using engine::Tape;
using engine::ThreadPool;
using engine::Var;

// What is trained is what is counted, in every block kind; and every network runs.
TEST(NnBlocks, ModulesHoldTheCountedParameters) {
  ThreadPool pool(2);
  Tape tape(pool);
  for (const char* text :
       {"resnet20", "lenet5", "lenet5@33x33x3", "resnet18@64x64x3", "resnet50@32x32x3",
        "mobilenet_v1@64x64x3", "mobilenet_v2@33x33x1", "fbnet-a@cifar,w0.25",
        "fbnet-b@cifar,w0.25,nopw", "tiny:k3_e1_g2,k3_e3,k3_e6,skip,k5_e1,skip",
        "tiny@28x28x1,n7:skip,skip,skip,skip,skip,skip"}) {
    engine::Result<Network> network = ParseNetwork(text);
    ASSERT_TRUE(network.ok()) << network.status().message();
    const Space& space = network->space;
    Supernet net(space, Rng(1));
    int64_t count = 0;
    for (const Parameter* weight : net.weights(network->genotype)) count += weight->value.size();
    EXPECT_EQ(count, Params(space, network->genotype)) << text;
    const Shape shape(2, space.h, space.w, space.c);
    std::vector<float> images(static_cast<size_t>(shape.size()));
    Rng rng(3);
    for (float& x : images) x = rng.Normal();
    for (bool training : {true, false}) {
      tape.Reset();
      const Var y =
          net.Forward(tape, tape.Alias(shape, images.data()), network->genotype, training);
      ASSERT_EQ(tape.shape(y), Shape(2, space.classes)) << text;
      for (int i = 0; i < 2 * space.classes; ++i) {
        ASSERT_TRUE(std::isfinite(tape.value(y)[i])) << text;
      }
    }
  }
}

// Batch norm scales start at 1, at the end of a residual branch at 0; the rule is Goyal et al.'s.
TEST(NnBlocks, ResidualBranchesStartFromZero) {
  const Space space = *FindSpace("tiny");
  Supernet net(space, Rng(1));
  std::set<std::string> zero;
  for (size_t i = 0; i < space.slots.size(); ++i) {
    const Slot& slot = space.slots[i];
    for (const Block& block : slot.candidates) {
      const std::string prefix = SlotPrefix(space, static_cast<int>(i));
      std::string last;
      for (const LayerShape& layer :
           LayersOf(slot, block, slot.searchable() ? prefix + "/" + block.name : prefix)) {
        if (layer.kind == LayerKind::kConv) last = layer.name;
        if (layer.kind == LayerKind::kAdd) zero.insert(last + "/gamma");
      }
    }
  }
  EXPECT_GT(zero.size(), 5u);
  int ones = 0;
  for (const Parameter* weight : net.weights()) {
    if (weight->name.find("/gamma") == std::string::npos) continue;
    const bool is_zero = zero.count(weight->name) > 0;
    ones += is_zero ? 0 : 1;
    for (int64_t i = 0; i < weight->value.size(); ++i) {
      ASSERT_EQ(weight->value[i], is_zero ? 0 : 1) << weight->name;
    }
  }
  EXPECT_GT(ones, 20);
}

// Kaiming normal over the fan-out: deviation sqrt(2 / (r s k / groups)).
TEST(NnBlocks, FiltersStartKaimingNormal) {
  int checked = 0, grouped = 0;
  for (const char* text : {"resnet20", "mobilenet_v2"}) {
    const Network network = *ParseNetwork(text);
    Supernet net(network.space, Rng(1));
    for (const LayerShape& layer : LayersOf(network.space, network.genotype)) {
      for (const Parameter* weight : net.weights()) {
        const int64_t n = weight->value.size();
        if (weight->name != layer.name + "/filter" || n < 8000) continue;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; ++i) {
          sum += double{weight->value[i]};
          squares += double{weight->value[i]} * double{weight->value[i]};
        }
        const double want = std::sqrt(2.0 * layer.groups / (double(layer.r) * layer.s * layer.k));
        EXPECT_NEAR(std::sqrt(squares / double(n)) / want, 1, 0.05) << weight->name;
        EXPECT_NEAR(sum / double(n) / want, 0, 0.06) << weight->name;
        ++checked;
        grouped += layer.groups > 1 ? 1 : 0;
      }
    }
  }
  EXPECT_GT(checked, 20);
  EXPECT_GT(grouped, 0);
}

TEST(NnBlocks, MobileNetV2UsesRelu6) {
  const Space space = *FindSpace("mobilenet_v2");
  for (const Slot& slot : space.slots) {
    for (const Block& block : slot.candidates) {
      if (block.kind == BlockKind::kPoolLinear) continue;
      EXPECT_EQ(block.activation, engine::Activation::kRelu6) << block.name;
    }
  }
}

TEST(NnBlocks, NamesAreUniqueAndOnlyFiltersDecay) {
  Supernet net(*FindSpace("tiny"), Rng(1));
  std::vector<std::string> names;
  for (const Parameter* weight : net.weights()) {
    names.push_back(weight->name);
    const bool filter = weight->name.find("/filter") != std::string::npos ||
                        weight->name.find("/weight") != std::string::npos;
    EXPECT_EQ(weight->decay, filter) << weight->name;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace rhnas::nn
