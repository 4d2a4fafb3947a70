// The integer network against the accelerator: every layer's map is what hw::Reference computes
// from its input maps, and what hw::Execute gives when the layer's program runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "engine/random.h"
#include "hw/execute.h"
#include "hw/lower.h"
#include "hw/reference.h"
#include "nn/int_program.h"
#include "search/layers.h"
#include "tests/nn_scramble.h"

namespace rhnas::search {
namespace {

using nn::IntGraph;
using nn::IntNode;
using nn::Node;
using nn::NodeKind;

// From H W C to C H W.
std::vector<int8_t> ToPlanes(const std::vector<int8_t>& map, int channels) {
  std::vector<int8_t> planes(map.size());
  const size_t c = static_cast<size_t>(channels), pixels = map.size() / c;
  for (size_t i = 0; i < map.size(); ++i) planes[i % c * pixels + i / c] = map[i];
  return planes;
}

// [r, s, c, k] to [k][c][r][s]; a dense filter over h x w x c is a convolution of h x w.
std::vector<int8_t> ToPlainFilter(const Node& node, const std::vector<int8_t>& filter) {
  const bool dense = node.kind == NodeKind::kDense;
  const auto taps = static_cast<size_t>(dense ? node.h * node.w : node.r * node.s);
  const auto c = static_cast<size_t>(node.c / node.groups), k = static_cast<size_t>(node.k);
  std::vector<int8_t> plain(filter.size());
  for (size_t i = 0; i < filter.size(); ++i) {
    plain[(i % k * c + i / k % c) * taps + i / k / c] = filter[i];
  }
  return plain;
}

// The layer of a node that computes (all but the input and a subsample), and its operands.
hw::Layer LayerOf(const IntNode& node) {
  nn::Graph one;
  Node input;
  one.nodes = {input, node.node};
  for (int& from : one.nodes[1].inputs) from = 0;
  one.output = 1;
  hw::Layer layer = ToHardwareLayers(nn::LayersOf(one)).back();
  layer.chained = false;
  return layer;
}

hw::Operands OperandsOf(const IntGraph& graph, const IntNode& node,
                        const std::vector<std::vector<int8_t>>& maps) {
  hw::Operands operands;
  operands.layer.resize(1);
  for (size_t i = 0; i < node.node.inputs.size(); ++i) {
    const auto from = static_cast<size_t>(node.node.inputs[i]);
    const std::vector<int8_t> planes = ToPlanes(maps[from], graph.nodes[from].node.k);
    std::vector<int8_t>& to =
        i == 1 && node.node.kind == NodeKind::kAdd ? operands.residual : operands.input;
    to.insert(to.end(), planes.begin(), planes.end());
  }
  // A dense layer reads its map flat, channels last.
  if (node.node.kind == NodeKind::kDense) {
    operands.input = maps[static_cast<size_t>(node.node.inputs[0])];
    Node flat = node.node;
    flat.c = flat.h * flat.w * flat.c;
    flat.h = flat.w = 1;
    operands.layer[0].filter = ToPlainFilter(flat, node.filter);
  } else if (node.node.kind == NodeKind::kConv) {
    operands.layer[0].filter = ToPlainFilter(node.node, node.filter);
  }
  operands.layer[0].bias = node.bias;
  return operands;
}

// On the accelerator, under the tiling that its cost model picks.
std::vector<int8_t> RunProgram(const hw::Layer& layer, const hw::Operands& operands, int shift,
                               const std::string& what) {
  const hw::Config config;
  const hw::CostModel model(config, hw::DefaultCostTable());
  hw::LowerOptions options;
  options.shift = shift;
  hw::LoweredProgram lowered;
  std::string why;
  const std::optional<hw::LayerCost> cost = model.Evaluate(layer, &why);
  if (!cost.has_value() || !hw::Lower(layer, config, cost->tiling, options, &lowered, &why)) {
    ADD_FAILURE() << what << ": " << why;
    return {};
  }
  hw::DramImage image = hw::EmptyImage(lowered.program);
  EXPECT_TRUE(hw::PackOperands(lowered, operands, &image, &why)) << what << ": " << why;
  const hw::Result<hw::ExecuteReport> report = hw::Execute(lowered.program, &image);
  EXPECT_TRUE(report.ok()) << what;
  return hw::UnpackOutput(lowered, image);
}

void CheckNetwork(const char* text, bool execute) {
  const engine::Result<nn::Network> network = nn::ParseNetwork(text);
  ASSERT_TRUE(network.ok()) << network.status().message();
  const nn::Space& space = network->space;
  nn::Supernet net(space, engine::Rng(1));
  nn::Scramble(net, network->genotype);
  nn::Graph graph = nn::MakeGraph(net, network->genotype);
  graph.mean.assign(static_cast<size_t>(space.c), 0.45f);
  graph.stddev.assign(static_cast<size_t>(space.c), 0.22f);
  constexpr int kImages = 3;
  engine::Rng rng(11);
  std::vector<uint8_t> images(static_cast<size_t>(kImages * space.h * space.w * space.c));
  for (uint8_t& byte : images) byte = static_cast<uint8_t>(rng.NextU32() & 255);
  engine::ThreadPool pool(2);
  const engine::Result<IntGraph> integers =
      nn::Quantize(graph, images.data(), kImages, nn::QuantizeOptions(), pool);
  ASSERT_TRUE(integers.ok()) << integers.status().message();
  nn::IntProgram program(*integers);
  const std::vector<std::vector<int8_t>> maps = program.Maps(images.data(), pool);

  int compared = 0, nonzero = 0;
  for (size_t i = 1; i < integers->nodes.size(); ++i) {
    const IntNode& node = integers->nodes[i];
    const std::string what = std::string(text) + ", " + node.node.name;
    if (node.node.kind == NodeKind::kSubsample) continue;
    const hw::Layer layer = LayerOf(node);
    const hw::Operands operands = OperandsOf(*integers, node, maps);
    std::vector<int8_t> want;
    std::string why;
    ASSERT_TRUE(hw::Reference({layer}, operands, node.shift, &want, &why)) << what << ": " << why;
    const std::vector<int8_t> got = ToPlanes(maps[i], node.node.k);
    ASSERT_EQ(got, want) << what;
    if (execute) {
      ASSERT_EQ(got, RunProgram(layer, operands, node.shift, what)) << what;
    }
    for (int8_t value : got) nonzero += value != 0 ? 1 : 0;
    compared += static_cast<int>(got.size());
  }
  EXPECT_GT(nonzero, compared / 8) << text << ": maps of zeros compare nothing";

  // Batches give what single images give, whatever the threads.
  const auto classes = static_cast<size_t>(integers->classes());
  std::vector<int8_t> all(kImages * classes), again(kImages * classes);
  program.Run(images.data(), kImages, all.data(), pool);
  engine::ThreadPool one(1);
  nn::IntProgram(*integers).Run(images.data(), kImages, again.data(), one);
  EXPECT_EQ(all, again) << text;
  EXPECT_TRUE(std::equal(maps[static_cast<size_t>(integers->output)].begin(),
                         maps[static_cast<size_t>(integers->output)].end(), all.begin()))
      << text;
}

TEST(SearchQuantize, EveryLayerIsTheReferences) {
  for (const char* text : {"resnet20@8x8x3", "fbnet-b@cifar,w0.1", "mobilenet_v2_cifar@4x4x1,n7",
                           "tiny@20x20x3:k5_e3,k3_e1_g2,k3_e1_g2,k5_e3,k3_e1_g2,k3_e6"}) {
    CheckNetwork(text, false);
    if (HasFatalFailure()) return;
  }
}

TEST(SearchQuantize, EveryLayerIsTheAccelerators) {
  CheckNetwork("tiny@16x16x3:k5_e3,k3_e1_g2,k3_e1_g2,k5_e3,k5_e1,k3_e6", true);
}

TEST(SearchQuantize, AveragesAreTheAccelerators) {
  for (int taps = 1; taps <= 4096; ++taps) {
    const nn::Average mine = nn::AverageOf(taps);
    const hw::Reciprocal hardware = hw::ReciprocalOf(taps);
    ASSERT_EQ(mine.multiplier, hardware.multiplier) << taps << " taps";
    ASSERT_EQ(mine.shift, hardware.shift) << taps << " taps";
  }
}

}  // namespace
}  // namespace rhnas::search
