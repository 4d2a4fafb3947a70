// The graph of a network against the network itself: logits and layers of every block that can be
// trained.
#include "nn/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "nn/inference.h"
#include "tests/nn_scramble.h"

namespace rhnas::nn {
namespace {

using engine::Activation;
using engine::Rng;

// Every input stands before its reader, has its shape, and names are unique.
void CheckShape(const Graph& graph, const std::string& what) {
  std::set<std::string> names;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    EXPECT_TRUE(names.insert(node.name).second) << what << ": " << node.name << " twice";
    EXPECT_EQ(node.inputs.empty(), node.kind == NodeKind::kInput) << what << ", " << node.name;
    int channels = 0;
    for (int input : node.inputs) {
      ASSERT_LT(input, static_cast<int>(i)) << what << ", " << node.name;
      const Node& from = graph.nodes[static_cast<size_t>(input)];
      EXPECT_EQ(from.oh, node.h) << what << ", " << node.name;
      EXPECT_EQ(from.ow, node.w) << what << ", " << node.name;
      channels += from.k;
    }
    if (node.kind == NodeKind::kAdd) channels /= 2;
    if (node.kind == NodeKind::kInput) channels = node.c;
    EXPECT_EQ(channels, node.c) << what << ", " << node.name;
  }
}

void CheckNetwork(const Space& space, const Genotype& path, const std::string& what) {
  Supernet net(space, Rng(1));
  Scramble(net, path);
  const Graph graph = MakeGraph(net, path);
  CheckShape(graph, what);
  ASSERT_EQ(graph.classes(), space.classes) << what;

  constexpr int kImages = 1;
  const std::vector<float> images = ScrambledImages(space, kImages);
  const std::vector<float> got = EvaluateGraph(graph, images.data(), kImages);
  std::vector<float> want(static_cast<size_t>(kImages * space.classes));
  engine::ThreadPool pool(1);
  InferencePlan(net, path).Run(images.data(), kImages, want.data(), pool);
  ASSERT_EQ(got.size(), want.size()) << what;
  float top = 0;
  for (float y : want) top = std::max(top, std::fabs(y));
  ASSERT_GT(top, 1e-3f) << what << ": logits too small to tell anything";
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(got[i], want[i], 2e-4f * top) << what << ", logit " << i;
  }

  const std::vector<LayerShape> mine = LayersOf(graph), layers = LayersOf(space, path);
  ASSERT_EQ(mine.size(), layers.size()) << what;
  for (size_t i = 0; i < mine.size(); ++i) {
    const LayerShape &a = mine[i], &b = layers[i];
    EXPECT_EQ(a.name, b.name) << what;
    EXPECT_TRUE(a.kind == b.kind && a.h == b.h && a.w == b.w && a.c == b.c && a.k == b.k &&
                a.r == b.r && a.s == b.s && a.stride == b.stride && a.pad == b.pad &&
                a.groups == b.groups && a.bias == b.bias && a.relu == b.relu)
        << what << ", layer " << a.name;
    // A search never chains across the border of a searched slot; a fixed network may.
    if (b.chained || space.searchable().empty()) {
      EXPECT_EQ(a.chained, b.chained) << what << ", layer " << a.name;
    }
  }
}

TEST(NnGraph, EqualsInferencePlan) {
  for (const char* text : {"resnet20@16x16x3", "resnet20@9x9x1", "resnet18@8x8x3",
                           "mobilenet_v1@8x8x3,n7", "mobilenet_v2@33x33x1,n7",
                           "fbnet-b@cifar,w0.25,nopw", "tiny:k3_e1_g2,k3_e3,k3_e6,skip,k5_e1,skip",
                           "tiny:k5_e3,k3_e1_g2,k3_e1_g2,k5_e3,k3_e1_g2,k3_e6",
                           "tiny@28x28x1,n7:skip,skip,skip,skip,skip,skip"}) {
    const engine::Result<Network> network = ParseNetwork(text);
    ASSERT_TRUE(network.ok()) << network.status().message();
    CheckNetwork(network->space, network->genotype, text);
    if (HasFatalFailure()) return;
  }
}

Slot MakeSlot(int cin, int cout, int side, int stride, const Block& block) {
  Slot slot;
  slot.cin = cin;
  slot.cout = cout;
  slot.h = side;
  slot.w = side + 3;
  slot.stride = stride;
  slot.candidates = {block};
  return slot;
}

// One block between a stem and the classifier, images not square.
void CheckBlock(BlockKind kind, Activation activation, int stride, int expansion, int groups,
                Shortcut shortcut, int cin, int cout) {
  Block block, stem, out;
  block.name = "block";
  block.kind = kind;
  block.activation = stem.activation = activation;
  block.expansion = expansion;
  block.groups = groups;
  block.shortcut = shortcut;
  stem.name = "stem";
  out.name = "classifier";
  out.kind = BlockKind::kPoolLinear;
  Space space;
  space.name = "one";
  space.h = 9;
  space.w = 12;
  space.classes = 5;
  const Slot middle = MakeSlot(cin, cout, space.h, stride, block);
  Slot last = MakeSlot(cout, space.classes, 1, 1, out);
  const std::vector<LayerShape> layers = LayersOf(middle, block, "");
  last.h = layers.empty() ? middle.h : layers.back().oh();
  last.w = layers.empty() ? middle.w : layers.back().ow();
  space.slots = {MakeSlot(3, cin, space.h, 1, stem), middle, last};
  CheckNetwork(space, Genotype(),
               engine::Format("block %d, activation %d, stride %d, expansion %d, groups %d",
                              static_cast<int>(kind), static_cast<int>(activation), stride,
                              expansion, groups));
}

TEST(NnGraph, EveryBlockAndActivation) {
  const Shortcut pad = Shortcut::kPadded, project = Shortcut::kProjection;
  for (Activation activation : {Activation::kRelu, Activation::kRelu6, Activation::kHSwish}) {
    for (int stride : {1, 2, 3}) {
      CheckBlock(BlockKind::kConvBn, activation, stride, 1, 4, pad, 8, 24);
      CheckBlock(BlockKind::kConvBn, activation, stride, 1, 1, pad, 7, 9);
      CheckBlock(BlockKind::kMbConv, activation, stride, 3, 1, pad, 13, 13);
      CheckBlock(BlockKind::kMbConv, activation, stride, 3, 2, pad, 8, 12);
      CheckBlock(BlockKind::kMbConv, activation, stride, 1, 2, pad, 8, 8);
      CheckBlock(BlockKind::kSeparable, activation, stride, 1, 1, pad, 6, 10);
      CheckBlock(BlockKind::kSeparable, activation, stride, 1, 1, pad, 1, 5);
      CheckBlock(BlockKind::kMaxPool, activation, stride, 1, 1, pad, 6, 6);
      CheckBlock(BlockKind::kSkip, activation, stride, 1, 1, pad, 6, 8);
      for (int expansion : {1, 4}) {
        CheckBlock(BlockKind::kResidual, activation, stride, expansion, 1, pad, 8, 16);
        CheckBlock(BlockKind::kResidual, activation, stride, expansion, 1, project, 8, 16);
        CheckBlock(BlockKind::kResidual, activation, stride, expansion, 1, pad, 8, 8);
      }
      if (HasFatalFailure()) return;
    }
  }
}

// What no block has: average pooling, concatenation, a dense layer over a map; values by hand.
TEST(NnGraph, OtherNodes) {
  Graph graph;
  Node image;
  image.name = "image";
  image.kind = NodeKind::kInput;
  image.h = image.oh = 2;
  image.w = image.ow = 2;
  image.c = image.k = 1;
  Node pool = image;
  pool.name = "average";
  pool.kind = NodeKind::kAvgPool;
  pool.inputs = {0};
  pool.r = pool.s = 2;
  pool.pad = 1;
  pool.oh = pool.ow = 3;
  Node concat;
  concat.name = "concat";
  concat.kind = NodeKind::kConcat;
  concat.inputs = {0, 0};
  concat.h = concat.oh = concat.w = concat.ow = 2;
  concat.c = concat.k = 2;
  Node dense = concat;
  dense.name = "dense";
  dense.kind = NodeKind::kDense;
  dense.inputs = {2};
  dense.oh = dense.ow = dense.k = 1;
  dense.filter = {1, 10, 100, 1000, 1, 10, 100, 1000};
  dense.bias = {0.5f};
  graph.nodes = {image, pool, concat, dense};
  graph.output = 1;
  const std::vector<float> x = {1, 2, 3, 4};
  // Padding counts among the four taps.
  EXPECT_EQ(EvaluateGraph(graph, x.data(), 1),
            (std::vector<float>{0.25f, 0.75f, 0.5f, 1, 2.5f, 1.5f, 0.75f, 1.75f, 1}));
  graph.output = 3;
  // The map is read pixel by pixel, channels last: 1 1 2 2 3 3 4 4.
  EXPECT_EQ(EvaluateGraph(graph, x.data(), 1), (std::vector<float>{6644.5f}));
  const std::vector<LayerShape> layers = LayersOf(graph);
  ASSERT_EQ(layers.size(), 3u);
  EXPECT_EQ(layers[2].c, 8);
  EXPECT_EQ(layers[2].h, 1);
}

}  // namespace
}  // namespace rhnas::nn
