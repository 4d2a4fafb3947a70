// ONNX files: what onnx.checker says of them, and what ONNX Runtime computes from them.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/inference.h"
#include "nn/onnx_export.h"
#include "nn/protobuf_writer.h"
#include "tests/nn_export_graphs.h"
#include "tests/nn_scramble.h"
#include "tests/outside_tools.h"

namespace rhnas::nn {
namespace {

using engine::Rng;

OnnxInfo Info(const Graph& graph) { return {"test", graph.mean, graph.stddev}; }

std::string Model(const engine::Result<std::string>& model) {
  EXPECT_TRUE(model.ok()) << model.status().message();
  return *model;
}

// protobuf.dev, "Encoding": the examples of the page.
TEST(ProtobufWriter, Wire) {
  EXPECT_EQ(ProtoWriter().Int(1, 150).bytes(), "\x08\x96\x01");
  EXPECT_EQ(ProtoWriter().String(2, "testing").bytes(), "\x12\x07testing");
  EXPECT_EQ(ProtoWriter().Message(3, ProtoWriter().Int(1, 150)).bytes(), "\x1a\x03\x08\x96\x01");
  EXPECT_EQ(ProtoWriter().Int(1, -2).bytes(), "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_EQ(ProtoWriter().Float(2, 1.0f).bytes(), std::string("\x15\x00\x00\x80\x3f", 5));
  EXPECT_EQ(ProtoWriter().Int(20, 1).bytes(), "\xa0\x01\x01");
}

TEST(OnnxExport, PassesTheChecker) {
  RHNAS_NEED_PYTHON("onnx");
  const ToolFolder folder;
  EveryKind plain(1, false), swish(2, true);
  const std::vector<std::string> models = {
      folder.Write("plain.onnx", Model(ToOnnx(plain.graph(), Info(plain.graph())))),
      folder.Write("swish.onnx", Model(ToOnnx(swish.graph(), {}))),
      folder.Write("int8.onnx", Model(ToOnnx(plain.Integers(), Info(plain.graph()))))};
  const ToolRun run =
      RunTool({Python(), "tests/tools/onnx_check.py", models[0], models[1], models[2]});
  EXPECT_EQ(run.code, 0) << run.text;
}

TEST(OnnxExport, FloatLogitsInOnnxRuntime) {
  RHNAS_NEED_ONNXRUNTIME();
  const ToolFolder folder;
  EveryKind every(3, true);
  const Graph& graph = every.graph();
  constexpr int kImages = 100;
  std::vector<float> images(kImages * 9 * 7 * 6);
  Rng rng(4);
  for (float& x : images) x = rng.Normal();
  const std::vector<float> want = EvaluateGraph(graph, images.data(), kImages);
  const std::vector<float> got = RunOnnx(folder, Model(ToOnnx(graph, {})), 9, 7, 6, images, 30);
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-4f) << "logit " << i;
}

// Integers of ONNX Runtime on images that are bytes; with `optimize` as ONNX Runtime rewrites
// graphs.
void ExpectSameIntegers(const IntGraph& graph, const std::vector<float>& mean,
                        const std::vector<float>& stddev, int count, uint64_t seed) {
  const ToolFolder folder;
  const Node& input = graph.nodes[0].node;
  const size_t channels = mean.size();
  const size_t size = static_cast<size_t>(input.h * input.w) * channels;
  Rng rng(seed);
  std::vector<float> images;
  std::vector<int> want;
  std::vector<int> integers(size);
  for (int image = 0; image < count; ++image) {
    for (size_t i = 0; i < size; ++i) {
      const auto byte = static_cast<int>(rng.Uniform() * 256);
      const size_t c = i % channels;
      images.push_back((static_cast<float>(byte) / 255.0f - mean[c]) / stddev[c]);
      integers[i] = graph.input_table[c][static_cast<size_t>(byte)];
    }
    const std::vector<int> map =
        EvaluateIntegers(graph, integers)[static_cast<size_t>(graph.output)];
    // ONNX has channels before pixels.
    const auto k = static_cast<size_t>(graph.classes()), pixels = map.size() / k;
    for (size_t i = 0; i < map.size(); ++i) want.push_back(map[i % pixels * k + i / pixels]);
  }
  const std::vector<float> got = RunOnnx(folder, Model(ToOnnx(graph, {"test", mean, stddev})),
                                         input.h, input.w, input.c, images, 64);
  ASSERT_EQ(got.size(), want.size());
  int different[3] = {};  // values, that are not zero, that are at an end
  const int exponent = graph.nodes[static_cast<size_t>(graph.output)].exponent;
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(std::ldexp(got[i], -exponent), static_cast<float>(want[i]))
        << "output " << i << ", seed " << seed;
    different[1] += want[i] != 0 ? 1 : 0;
    different[2] += std::abs(want[i]) == 127 ? 1 : 0;
  }
  EXPECT_GT(different[1] * 2, static_cast<int>(want.size())) << "mostly zeros tell little";
}

TEST(OnnxExport, IntegersInOnnxRuntime) {
  RHNAS_NEED_ONNXRUNTIME();
  EveryKind every(5, false);
  ExpectSameIntegers(every.Integers(), every.graph().mean, every.graph().stddev, 200, 6);
}

// One layer whose sums lie in the middle between two results every other time, and that saturates
// at both ends.
TEST(OnnxExport, TiesAndEndsInOnnxRuntime) {
  RHNAS_NEED_ONNXRUNTIME();
  for (const int shift : {0, 1, 2}) {
    IntGraph graph;
    graph.name = "ties";
    IntNode image, conv;
    image.node.name = "image";
    image.node.kind = Kind::kInput;
    image.node.h = image.node.w = image.node.oh = image.node.ow = 4;
    image.exponent = -7;
    conv.node = image.node;
    conv.node.name = "conv";
    conv.node.kind = Kind::kConv;
    conv.node.inputs = {0};
    conv.node.k = 3;
    conv.filter = {1, -1, 2};
    conv.bias = {shift > 0 ? 1 << (shift - 1) : 0, -3, 40};
    conv.shift = shift;
    conv.exponent = -5;
    graph.nodes = {image, conv};
    graph.output = 1;
    graph.input_table.resize(1);
    for (int byte = 0; byte < 256; ++byte) {
      graph.input_table[0][static_cast<size_t>(byte)] =
          static_cast<int8_t>(std::max(byte - 128, -127));
    }
    // byte / 255 - 128 / 255 over 128 / 255 is (byte - 128) / 2^7.
    ExpectSameIntegers(graph, {128.0f / 255}, {128.0f / 255}, 40, static_cast<uint64_t>(shift));
  }
}

// Whole networks against the inference plan: 100 images, within 1e-4 of the logits' scale.
TEST(SlowOnnxExport, NetworksInOnnxRuntime) {
  RHNAS_NEED_ONNXRUNTIME();
  for (const char* text : {"resnet20", "mobilenet_v2_cifar", "fbnet-a@cifar", "resnet18@28x28x1"}) {
    SCOPED_TRACE(text);
    const engine::Result<Network> network = ParseNetwork(text);
    ASSERT_TRUE(network.ok()) << network.status().message();
    Supernet net(network->space, Rng(1));
    Scramble(net, network->genotype);
    constexpr int kImages = 100;
    const std::vector<float> images = ScrambledImages(network->space, kImages);
    const auto classes = static_cast<size_t>(network->space.classes);
    std::vector<float> want(kImages * classes);
    engine::ThreadPool pool(1);
    InferencePlan(net, network->genotype).Run(images.data(), kImages, want.data(), pool);
    const ToolFolder folder;
    const Graph graph = MakeGraph(net, network->genotype);
    const std::vector<float> got = RunOnnx(folder, Model(ToOnnx(graph, {})), network->space.h,
                                           network->space.w, network->space.c, images, 20);
    ASSERT_EQ(got.size(), want.size());
    float top = 0, worst = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      top = std::max(top, std::fabs(want[i]));
      worst = std::max(worst, std::fabs(got[i] - want[i]));
    }
    RecordProperty(text, std::to_string(worst) + " of " + std::to_string(top));
    EXPECT_GT(top, 1e-2f);
    EXPECT_LE(worst, 1e-4f * std::max(1.0f, top));
  }
}

}  // namespace
}  // namespace rhnas::nn
