// Integer networks: quantisation, exact sums whatever the filters, files, checks, fine-tuning. That
// a layer is the accelerator's is search_quantize_test.cc's part.
#include "nn/quantize.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "engine/archive.h"
#include "nn/fine_tune.h"
#include "nn/int_archive.h"
#include "nn/int_program.h"
#include "tests/nn_scramble.h"

namespace rhnas::nn {
namespace {

using engine::Rng;
using engine::ThreadPool;

constexpr float kMean = 0.45f, kDeviation = 0.22f;

std::vector<uint8_t> Bytes(const Graph& graph, int n, uint64_t seed) {
  const Node& input = graph.input();
  std::vector<uint8_t> images(static_cast<size_t>(n * input.h * input.w * input.c));
  Rng rng(seed);
  for (uint8_t& byte : images) byte = static_cast<uint8_t>(rng.NextU32() & 255);
  return images;
}

std::vector<float> Normalised(const std::vector<uint8_t>& bytes) {
  std::vector<float> images;
  for (uint8_t byte : bytes)
    images.push_back((static_cast<float>(byte) / 255 - kMean) / kDeviation);
  return images;
}

// A network and its graph.
struct Made {
  explicit Made(const char* text) : network(*ParseNetwork(text)), net(network.space, Rng(1)) {
    Scramble(net, network.genotype);
    graph = MakeGraph(net, network.genotype);
    graph.mean.assign(static_cast<size_t>(network.space.c), kMean);
    graph.stddev.assign(static_cast<size_t>(network.space.c), kDeviation);
  }
  Network network;
  Supernet net;
  Graph graph;
};

constexpr char kTiny[] = "tiny@12x12x3:k5_e3,k3_e1_g2,k3_e1_g2,k5_e3,k5_e1,k3_e6";

IntGraph MustQuantize(const Graph& graph, int n = 24, const QuantizeOptions& options = {}) {
  ThreadPool pool(1);
  const std::vector<uint8_t> images = Bytes(graph, n, 21);
  const engine::Result<IntGraph> integers = Quantize(graph, images.data(), n, options, pool);
  EXPECT_TRUE(integers.ok()) << integers.status().message();
  return *integers;
}

// Power of the float logits over that of the integers' error, in decibels.
double SignalToError(const Graph& graph, const IntGraph& integers) {
  constexpr int kImages = 6;
  const std::vector<uint8_t> images = Bytes(graph, kImages, 99);
  const std::vector<float> want = EvaluateGraph(graph, Normalised(images).data(), kImages);
  ThreadPool pool(1);
  std::vector<int8_t> got(want.size());
  IntProgram(integers).Run(images.data(), kImages, got.data(), pool);
  const int exponent = integers.nodes[static_cast<size_t>(integers.output)].exponent;
  double signal = 0, error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double difference = double{want[i]} - std::ldexp(double{1} * got[i], exponent);
    signal += double{want[i]} * double{want[i]};
    error += difference * difference;
  }
  return 10 * std::log10(signal / error);
}

TEST(NnQuantize, StaysCloseToTheFloatNetwork) {
  for (const char* text : {"resnet20@8x8x3", "mobilenet_v2_cifar@8x8x3", kTiny}) {
    const Made made(text);
    EXPECT_GT(SignalToError(made.graph, MustQuantize(made.graph)), 18) << text << ", decibels";
  }
}

// Channels whose ranges differ by four orders of magnitude, which float does not mind.
TEST(NnQuantize, EqualisationCopesWithUnevenChannels) {
  Made made(kTiny);
  const auto find = [&](const std::string& end) {
    for (size_t i = 0; i < made.graph.nodes.size(); ++i) {
      const std::string& name = made.graph.nodes[i].name;
      if (name.size() >= end.size() &&
          name.compare(name.size() - end.size(), end.size(), end) == 0) {
        return i;
      }
    }
    ADD_FAILURE() << "no layer " << end;
    return size_t{0};
  };
  const double even = SignalToError(made.graph, MustQuantize(made.graph));
  Rng rng(5);
  Node& depthwise = made.graph.nodes[find("slot05/depthwise")];
  Node& project = made.graph.nodes[find("slot05/project")];
  for (int c = 0; c < depthwise.k; ++c) {
    const float factor = std::pow(10.0f, 4 * rng.Uniform() - 2);
    for (size_t i = static_cast<size_t>(c); i < depthwise.filter.size();
         i += static_cast<size_t>(depthwise.k)) {
      depthwise.filter[i] *= factor;
    }
    depthwise.bias[static_cast<size_t>(c)] *= factor;
    for (int k = 0; k < project.k; ++k) {
      project.filter[static_cast<size_t>(c * project.k + k)] /= factor;
    }
  }
  QuantizeOptions plain;
  plain.equalize = false;
  const double without = SignalToError(made.graph, MustQuantize(made.graph, 24, plain));
  const double with = SignalToError(made.graph, MustQuantize(made.graph));
  EXPECT_GT(with, without + 3);
  EXPECT_GT(with, even - 1.5) << "decibels; " << without << " without equalisation";
}

// What ReLU6 cuts off is what the clip at 127 cuts off.
TEST(NnQuantize, Relu6EndsAt127) {
  Graph graph;
  Node image;
  image.name = "image";
  image.kind = NodeKind::kInput;
  image.h = image.oh = image.w = image.ow = 4;
  image.c = image.k = 1;
  Node conv = image;
  conv.name = "conv";
  conv.kind = NodeKind::kConv;
  conv.inputs = {0};
  conv.activation = engine::Activation::kRelu6;
  conv.filter = {5.0f};
  conv.bias = {0.0f};
  Node out = conv;
  out.name = "out";
  out.kind = NodeKind::kDense;
  out.inputs = {1};
  out.activation = engine::Activation::kNone;
  out.oh = out.ow = 1;
  out.k = 2;
  out.filter.assign(32, 0.5f);
  out.bias = {0.0f, 1.0f};
  graph.nodes = {image, conv, out};
  graph.output = 2;
  graph.mean = {kMean};
  graph.stddev = {kDeviation};
  const IntGraph integers = MustQuantize(graph, 50);
  ThreadPool pool(1);
  IntProgram program(integers);
  const std::vector<uint8_t> images = Bytes(graph, 1, 77);
  const std::vector<float> x = Normalised(images);
  const std::vector<int8_t> map = program.Maps(images.data(), pool)[1];
  int cut = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const float real = std::min(6.0f, std::max(0.0f, 5 * x[i]));
    EXPECT_NEAR(map[i] * 6 / 127.0f, real, 0.15f) << "pixel " << i;
    cut += real == 6 ? 1 : 0;
  }
  EXPECT_GT(cut, 0);
}

TEST(NnQuantize, Refuses) {
  const auto refusal = [](const Graph& graph) {
    ThreadPool pool(1);
    const std::vector<uint8_t> images = Bytes(graph, 1, 1);
    return Quantize(graph, images.data(), 1, QuantizeOptions(), pool).status().message();
  };
  const Made made(kTiny);
  Graph graph = made.graph;
  graph.mean.clear();
  EXPECT_NE(refusal(graph).find("mean"), std::string::npos) << refusal(graph);
  graph = made.graph;
  graph.nodes[2].activation = engine::Activation::kHSwish;
  EXPECT_NE(refusal(graph).find(graph.nodes[2].name), std::string::npos) << refusal(graph);
  graph = made.graph;
  graph.nodes[1].filter[0] = INFINITY;
  EXPECT_NE(refusal(graph).find("finite"), std::string::npos) << refusal(graph);
  graph = made.graph;
  graph.nodes[1].filter.clear();
  EXPECT_NE(refusal(graph).find("no weights"), std::string::npos) << refusal(graph);
}

// Channels that are always zero, weights that are all zero, images all alike.
TEST(NnQuantize, DegenerateValues) {
  Made made(kTiny);
  for (float& weight : made.graph.nodes[1].filter) weight = 0;
  for (float& bias : made.graph.nodes[2].bias) bias = -1e30f;
  for (float& weight : made.graph.nodes[3].filter) weight = 1e-30f;
  ThreadPool pool(1);
  const std::vector<uint8_t> black(Bytes(made.graph, 1, 1).size(), 0);
  const engine::Result<IntGraph> integers =
      Quantize(made.graph, black.data(), 1, QuantizeOptions(), pool);
  ASSERT_TRUE(integers.ok()) << integers.status().message();
}

// Sums too large for one float, against plain loops: filters of eight, four and two bits.
TEST(NnIntProgram, SumsAreExactForAnyFilter) {
  for (int taps : {900, 1300, 20000, 60000}) {
    IntNode node;
    node.node.name = "dense";
    node.node.kind = NodeKind::kDense;
    node.node.c = taps;
    node.node.k = 5;
    node.shift = 16;
    node.bias = {1, -70000, 5, 1 << 20, 0};
    Rng rng(static_cast<uint64_t>(taps));
    std::vector<float> x(static_cast<size_t>(2 * taps));
    node.filter.resize(static_cast<size_t>(taps * node.node.k));
    // The first output has all of one sign: the largest sum there is.
    for (float& value : x) value = static_cast<float>(127 - static_cast<int>(rng.NextU32() % 3));
    for (size_t i = 0; i < node.filter.size(); ++i) {
      const int sign = i % 5 == 0 || rng.NextU32() % 2 == 0 ? 1 : -1;
      node.filter[i] = static_cast<int8_t>(sign * (127 - static_cast<int>(rng.NextU32() % 3)));
    }
    ThreadPool pool(1);
    std::vector<float> out(10);
    IntKernel(node).Run(node, {x.data()}, {taps}, 2, out.data(), pool);
    for (int image = 0; image < 2; ++image) {
      for (int k = 0; k < 5; ++k) {
        int64_t sum = node.bias[static_cast<size_t>(k)];
        for (int c = 0; c < taps; ++c) {
          sum += int64_t{node.filter[static_cast<size_t>(c * 5 + k)]} *
                 static_cast<int64_t>(x[static_cast<size_t>(image * taps + c)]);
        }
        const int64_t want = std::min<int64_t>(127, std::max<int64_t>(-127, sum >> 16));
        EXPECT_EQ(static_cast<int64_t>(out[static_cast<size_t>(image * 5 + k)]), want)
            << taps << " taps, output " << k;
      }
    }
  }
}

std::string TempFile() {
  return testing::TempDir() + engine::Format("/rhnas_int_%d.weights", static_cast<int>(getpid()));
}

TEST(NnIntArchive, ReadsBackWhatItWrote) {
  const Made made(kTiny);
  const IntGraph graph = MustQuantize(made.graph);
  const std::string path = TempFile();
  ASSERT_TRUE(SaveIntGraph(path, graph, "from here").ok());
  std::string origin;
  const engine::Result<IntGraph> read = LoadIntGraph(path, &origin);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(origin, "from here");
  EXPECT_EQ(read->name, graph.name);
  EXPECT_EQ(read->input_table, graph.input_table);
  ASSERT_EQ(read->nodes.size(), graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    EXPECT_EQ(read->nodes[i].filter, graph.nodes[i].filter) << graph.nodes[i].node.name;
    EXPECT_EQ(read->nodes[i].bias, graph.nodes[i].bias) << graph.nodes[i].node.name;
    EXPECT_EQ(read->nodes[i].node.name, graph.nodes[i].node.name);
    EXPECT_EQ(read->nodes[i].node.inputs, graph.nodes[i].node.inputs);
  }
  ThreadPool pool(1);
  const std::vector<uint8_t> images = Bytes(made.graph, 2, 3);
  std::vector<int8_t> a(20), b(20);
  IntProgram(graph).Run(images.data(), 2, a.data(), pool);
  IntProgram(*read).Run(images.data(), 2, b.data(), pool);
  EXPECT_EQ(a, b);

  engine::ArchiveWriter other;
  other.PutString("kind", "trained network 1");
  ASSERT_TRUE(other.Save(path).ok());
  EXPECT_NE(LoadIntGraph(path).status().message().find("not an int8 network"), std::string::npos);
  std::remove(path.c_str());
  std::remove((path + ".prev").c_str());
}

// A network with a number changed is refused, or runs.
TEST(NnIntProgram, ChecksCatchWhatCannotRun) {
  const Made made(kTiny);
  const IntGraph graph = MustQuantize(made.graph, 4);
  ThreadPool pool(1);
  const std::vector<uint8_t> images = Bytes(made.graph, 1, 3);
  const int values[] = {-1000000, -1, 0, 1, 2, 3, 5, 17, 31, 32, 127, 128, 1 << 24, 0x7fffffff};
  int refused = 0;
  constexpr uint64_t kCases = 400;
  for (uint64_t seed = 0; seed < kCases; ++seed) {
    Rng rng(seed);
    IntGraph broken = graph;
    const size_t number = rng.NextU32() % broken.nodes.size();
    IntNode& node = broken.nodes[number];
    Node& n = node.node;
    int* fields[] = {&n.h,          &n.w,        &n.c,      &n.oh,      &n.ow,
                     &n.k,          &n.r,        &n.s,      &n.pad,     &n.stride,
                     &n.groups,     &node.shift, &node.low, &node.high, &node.multiplier,
                     &broken.output};
    constexpr uint32_t kFields = 16;
    const uint32_t which = rng.NextU32() % (kFields + 4);
    const int value = values[rng.NextU32() % 14];
    if (which < kFields) {
      *fields[which] = value;
    } else if (which == kFields && !n.inputs.empty()) {
      n.inputs[0] = value;
    } else if (which == kFields + 1) {
      node.filter.resize(node.filter.size() / 2);
    } else if (which == kFields + 2 && !node.bias.empty()) {
      node.bias[0] = value;
    } else {
      n.kind = static_cast<NodeKind>(rng.NextU32() % 10);
    }
    if (!CheckIntGraph(broken).ok()) {
      ++refused;
      continue;
    }
    const std::vector<std::vector<int8_t>> maps = IntProgram(broken).Maps(images.data(), pool);
    EXPECT_EQ(maps.size(), broken.nodes.size()) << "seed " << seed;
  }
  EXPECT_GT(refused, static_cast<int>(kCases / 3));
}

// The tape's forward pass is the integer network, and learning brings it nearer to the teacher.
TEST(NnFineTune, LearnsTheFloatNetwork) {
  Made made(kTiny);
  QuantizeOptions poor;
  poor.equalize = poor.correct_bias = false;
  poor.range = 0.5f;
  const IntGraph start = MustQuantize(made.graph, 8, poor);
  constexpr int kImages = 32;
  const std::vector<uint8_t> bytes = Bytes(made.graph, kImages, 8);
  const std::vector<float> images = Normalised(bytes);
  const Space& space = made.network.space;
  Batch batch;
  batch.shape = engine::Shape(kImages, space.h, space.w, space.c);
  batch.images = images.data();
  const InferencePlan teacher(made.net, made.network.genotype);
  const std::vector<float> mean(3, kMean), deviation(3, kDeviation);

  // Cross-entropy of the integer program's answers with the teacher's.
  ThreadPool pool(1);
  std::vector<float> answers(static_cast<size_t>(kImages * space.classes));
  teacher.Run(images.data(), kImages, answers.data(), pool);
  const auto loss_of = [&](const IntGraph& graph) {
    std::vector<int8_t> out(answers.size());
    IntProgram(graph).Run(bytes.data(), kImages, out.data(), pool);
    const double step = std::ldexp(1.0, graph.nodes[static_cast<size_t>(graph.output)].exponent);
    double loss = 0;
    for (size_t i = 0; i < answers.size(); i += static_cast<size_t>(space.classes)) {
      double mine = 0, his = 0;
      for (size_t k = i; k < i + static_cast<size_t>(space.classes); ++k) {
        mine += std::exp(step * out[k]);
        his += std::exp(double{answers[k]});
      }
      for (size_t k = i; k < i + static_cast<size_t>(space.classes); ++k) {
        loss -= std::exp(double{answers[k]}) / his * (step * out[k] - std::log(mine));
      }
    }
    return loss / kImages;
  };
  engine::Tape tape(pool);
  FineTuner still(start, teacher, mean, deviation);
  const double before = loss_of(start);
  EXPECT_NEAR(still.Step(batch, 0, tape), before, 0.002 * before);
  EXPECT_EQ(still.Result().nodes[1].filter, start.nodes[1].filter);
  EXPECT_EQ(still.Result().nodes[1].bias, start.nodes[1].bias);

  FineTuner tuner(start, teacher, mean, deviation);
  for (int step = 0; step < 40; ++step) {
    ASSERT_TRUE(std::isfinite(tuner.Step(batch, 0.1f, tape))) << "step " << step;
  }
  const double after = loss_of(tuner.Result());
  double floor = loss_of(MustQuantize(made.graph));
  EXPECT_LT(after, before - 0.3 * (before - floor))
      << "from " << before << ", int8 as it should be " << floor;
  ASSERT_TRUE(CheckIntGraph(tuner.Result()).ok());

  // The same bits on two threads.
  ThreadPool two(2);
  engine::Tape other(two);
  FineTuner a(start, teacher, mean, deviation), b(start, teacher, mean, deviation);
  for (int step = 0; step < 3; ++step) {
    EXPECT_EQ(a.Step(batch, 0.1f, tape), b.Step(batch, 0.1f, other)) << "step " << step;
  }
}

}  // namespace
}  // namespace rhnas::nn
