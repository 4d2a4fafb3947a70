// Which layers read nothing but what the layer before them wrote, of every kind of block: what the
// accelerator may run as one program rests on it.
#include <gtest/gtest.h>

#include "nn/space.h"

namespace rhnas::nn {
namespace {

// Roles of a block's layers, a chained one after ">", any other after "|".
std::string Chained(const std::vector<LayerShape>& layers) {
  std::string text;
  for (const LayerShape& layer : layers) {
    const size_t slash = layer.name.find('/');
    text += (layer.chained ? ">" : "|") +
            (slash == std::string::npos ? "" : layer.name.substr(slash + 1));
  }
  return text;
}

Slot MakeSlot(int cin, int cout, int stride) {
  Slot slot;
  slot.cin = cin;
  slot.cout = cout;
  slot.h = slot.w = 16;
  slot.stride = stride;
  return slot;
}

TEST(Chained, InEveryKindOfBlock) {
  const Slot same = MakeSlot(16, 16, 1), strided = MakeSlot(16, 32, 2);
  Block block;
  block.kind = BlockKind::kConvBn;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|");
  block.kind = BlockKind::kSkip;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "");
  EXPECT_EQ(Chained(LayersOf(strided, block, "b")), "|skip");
  block.kind = BlockKind::kMbConv;
  block.expansion = 3;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|expand>depthwise>project>add");
  EXPECT_EQ(Chained(LayersOf(strided, block, "b")), "|expand>depthwise>project");
  block.groups = 2;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|expand>shuffle>depthwise>project>add");
  block.groups = 1;
  block.expansion = 1;
  block.always_pointwise = false;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|depthwise>project>add");
  block.kind = BlockKind::kSeparable;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|depthwise>pointwise");
  block.kind = BlockKind::kMaxPool;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|");
  block.kind = BlockKind::kPoolLinear;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|pool>linear");
  // An addition follows the shortcut where that is a convolution; a subsampled shortcut has fewer
  // channels than the sum.
  block.kind = BlockKind::kResidual;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|conv1>conv2>add");
  EXPECT_EQ(Chained(LayersOf(strided, block, "b")), "|conv1>conv2|shortcut>add");
  block.shortcut = Shortcut::kPadded;
  EXPECT_EQ(Chained(LayersOf(strided, block, "b")), "|conv1>conv2|shortcut|add");
  EXPECT_EQ(Chained(LayersOf(MakeSlot(16, 32, 1), block, "b")), "|conv1>conv2>add");
  block.shortcut = Shortcut::kProjection;
  block.expansion = 4;
  EXPECT_EQ(Chained(LayersOf(same, block, "b")), "|conv1>conv2>conv3>add");
  EXPECT_EQ(Chained(LayersOf(strided, block, "b")), "|conv1>conv2>conv3|shortcut>add");
}

TEST(Chained, BetweenSlotsOnlyWhereNoneIsSearched) {
  for (const std::string& name : NetworkNames()) {
    const engine::Result<Network> network = ParseNetwork(name);
    ASSERT_TRUE(network.ok()) << name;
    const Space& space = network->space;
    const std::vector<LayerShape> layers = LayersOf(space, network->genotype);
    const std::vector<const Block*> blocks = BlocksOf(space, network->genotype);
    size_t at = 0;
    for (size_t i = 0; i < space.slots.size(); ++i) {
      const Slot& slot = space.slots[i];
      const std::vector<LayerShape> own =
          LayersOf(slot, *blocks[i], SlotPrefix(space, static_cast<int>(i)));
      for (size_t k = 0; k < own.size(); ++k, ++at) {
        if (k > 0) {
          EXPECT_EQ(layers[at].chained, own[k].chained) << layers[at].name;
          continue;
        }
        EXPECT_FALSE(own[0].chained) << layers[at].name;
        const bool free = at > 0 && !slot.searchable() && !space.slots[i - 1].searchable();
        const bool twice = blocks[i]->kind == BlockKind::kResidual ||
                           (blocks[i]->kind == BlockKind::kMbConv && slot.same_shape());
        EXPECT_EQ(layers[at].chained, free && !twice) << name << " " << layers[at].name;
      }
    }
    EXPECT_EQ(at, layers.size());
    // A chained layer's input is the output before it.
    for (size_t i = 1; i < layers.size(); ++i) {
      if (!layers[i].chained) continue;
      EXPECT_EQ(layers[i].c, layers[i - 1].k) << name << " " << layers[i].name;
      if (layers[i].kind == LayerKind::kDense) continue;
      EXPECT_EQ(layers[i].h, layers[i - 1].oh()) << name << " " << layers[i].name;
      EXPECT_EQ(layers[i].w, layers[i - 1].ow()) << name << " " << layers[i].name;
    }
  }
}

}  // namespace
}  // namespace rhnas::nn
