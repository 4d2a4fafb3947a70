// ONNX models read: against ONNX Runtime on models as exporters write them, against our own graphs
// written and read back, and with bytes that are damaged.
#include "nn/onnx_import.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "engine/archive.h"
#include "nn/onnx_export.h"
#include "nn/protobuf_reader.h"
#include "nn/protobuf_writer.h"
#include "tests/nn_export_graphs.h"
#include "tests/nn_scramble.h"
#include "tests/outside_tools.h"

namespace rhnas::nn {
namespace {

using engine::Result;
using engine::Rng;

ByteSpan Span(const std::string& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

Result<OnnxModel> Parse(const std::string& bytes, Unsupported unsupported = Unsupported::kFail,
                        bool weights = true) {
  OnnxOptions options;
  options.unsupported = unsupported;
  options.weights = weights;
  return ParseOnnx(bytes, "m", options);
}

void ExpectSameLayers(const std::vector<LayerShape>& got, const std::vector<LayerShape>& want,
                      const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < want.size(); ++i) {
    const LayerShape &a = got[i], &b = want[i];
    EXPECT_EQ(a.name, b.name) << what;
    const std::vector<int> have = {static_cast<int>(a.kind),
                                   a.h,
                                   a.w,
                                   a.c,
                                   a.k,
                                   a.r,
                                   a.s,
                                   a.stride,
                                   a.pad,
                                   a.groups,
                                   a.bias,
                                   a.relu,
                                   a.chained};
    const std::vector<int> need = {static_cast<int>(b.kind),
                                   b.h,
                                   b.w,
                                   b.c,
                                   b.k,
                                   b.r,
                                   b.s,
                                   b.stride,
                                   b.pad,
                                   b.groups,
                                   b.bias,
                                   b.relu,
                                   b.chained};
    EXPECT_EQ(have, need) << what << ", layer " << a.name;
  }
}

// protobuf.dev, "Encoding": the examples of the page.
TEST(ProtobufReader, Wire) {
  const std::string bytes("\x08\x96\x01\x12\x07testing\x15\x00\x00\x80\x3f\x32\x03\x01\x96\x01",
                          22);
  ProtoReader reader(Span(bytes));
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.field(), 1);
  EXPECT_EQ(reader.number(), 150u);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.field(), 2);
  EXPECT_EQ(reader.bytes().text(), "testing");
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.real(), 1.0f);
  ASSERT_TRUE(reader.Next());
  std::vector<int64_t> packed;
  reader.AppendIntegers(&packed);
  EXPECT_EQ(packed, (std::vector<int64_t>{1, 150}));
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
  for (const char* damaged : {"\x08\xff", "\x12\x09short", "\x0b", "\x15\x01", "\x02\x01"}) {
    const std::string text(damaged);
    ProtoReader broken(Span(text));
    while (broken.Next()) {
    }
    EXPECT_FALSE(broken.ok()) << text;
  }
}

// What EvaluateGraph computes from a model is what ONNX Runtime does.
TEST(OnnxImport, ComputesWhatOnnxRuntimeDoes) {
  RHNAS_NEED_PYTHON("onnx, numpy");
  RHNAS_NEED_ONNXRUNTIME();
  // As the file has it: fused into a max pool, a Pad with zeros loses to what is negative.
  setenv("RHNAS_ONNX_OPTIMIZE", "disabled", 1);
  const ToolFolder folder;
  folder.Write("models/none", "");
  const ToolRun made = RunTool({Python(), "tests/tools/onnx_make.py", folder.File("models")});
  ASSERT_EQ(made.code, 0) << made.text;
  std::istringstream lines(made.text);
  std::string line;
  int models = 0;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::vector<double> numbers;
    for (double x = 0; words >> x;) numbers.push_back(x);
    const double tolerance = numbers.back();
    const std::vector<char> file = folder.ReadValues<char>("models/" + name + ".onnx");
    const std::string bytes(file.begin(), file.end());
    const Result<OnnxModel> model = Parse(bytes);
    ASSERT_TRUE(model.ok()) << name << ": " << model.status().message();
    // Without weights the layers are the same.
    const Result<OnnxModel> bare = Parse(bytes, Unsupported::kFail, false);
    ASSERT_TRUE(bare.ok()) << name << ": " << bare.status().message();
    ExpectSameLayers(bare->layers, model->layers, name);
    EXPECT_EQ(bare->params, model->params) << name;
    EXPECT_FALSE(bare->evaluable);
    ++models;
    if (name == "external") {
      EXPECT_FALSE(model->evaluable);
      EXPECT_NE(model->why_not.find("external data"), std::string::npos) << model->why_not;
      continue;
    }
    EXPECT_TRUE(model->evaluable) << name << ": " << model->why_not;
    if (!model->evaluable) continue;
    constexpr int kImages = 3;
    const Node& in = model->graph.input();
    const bool last = name == "tensorflow";
    Rng rng(11);
    std::vector<float> images(static_cast<size_t>(kImages * in.h * in.w * in.c));
    for (float& x : images) x = rng.Normal();
    const std::vector<float> got = EvaluateGraph(model->graph, images.data(), kImages);
    folder.Write("model.onnx", bytes);
    std::vector<float> want = last ? RunOnnx(folder, bytes, 1, 1, in.h * in.w * in.c, images, 1)
                                   : RunOnnx(folder, bytes, in.h, in.w, in.c, images, 1);
    ASSERT_EQ(got.size(), want.size()) << name;
    const bool softmax = name == "before_activation";
    const size_t classes = got.size() / kImages;
    for (size_t i = 0; i < got.size(); ++i) {
      double have = double{got[i]};
      if (softmax) {
        double sum = 0;
        for (size_t j = 0; j < classes; ++j)
          sum += std::exp(double{got[i / classes * classes + j]});
        have = std::exp(have) / sum;
      }
      ASSERT_NEAR(have, want[i], tolerance) << name << ", output " << i;
    }
  }
  EXPECT_EQ(models, 15);
  unsetenv("RHNAS_ONNX_OPTIMIZE");
}

// Ours, written and read back: the same values, the same layers.
TEST(OnnxImport, ReadsWhatIsWritten) {
  for (const bool swish : {false, true}) {
    EveryKind every(3, swish);
    const Graph& graph = every.graph();
    const Result<std::string> bytes = ToOnnx(graph, {});
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    const Result<OnnxModel> model = Parse(*bytes);
    ASSERT_TRUE(model.ok()) << model.status().message();
    ASSERT_TRUE(model->evaluable) << model->why_not;
    std::vector<LayerShape> want = LayersOf(graph);
    for (LayerShape& layer : want) {  // its last row of taps is padding on one side
      if (layer.name == "slot02/max") layer.h = 4;
    }
    ExpectSameLayers(model->layers, want, swish ? "swish" : "plain");
    ASSERT_EQ(model->graph.nodes.size(), graph.nodes.size());
    constexpr int kImages = 4;
    std::vector<float> images(kImages * 9 * 7 * 6);
    Rng rng(4);
    for (float& x : images) x = rng.Normal();
    EXPECT_EQ(EvaluateGraph(model->graph, images.data(), kImages),
              EvaluateGraph(graph, images.data(), kImages));
  }
}

// The int8 form too: quantisers are read through, an average pool is the depthwise convolution as
// which it is written.
TEST(OnnxImport, ReadsInt8) {
  EveryKind every(3, false);
  const Result<std::string> bytes =
      ToOnnx(every.Integers(), {"test", every.graph().mean, every.graph().stddev});
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  const Result<OnnxModel> model = Parse(*bytes);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_TRUE(model->evaluable) << model->why_not;
  const std::vector<LayerShape> want = LayersOf(every.graph());
  ASSERT_EQ(model->layers.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    const LayerShape& layer = model->layers[i];
    EXPECT_EQ(layer.name, want[i].name);
    EXPECT_EQ(layer.oh(), want[i].name == "slot02/max" ? 2 : want[i].oh()) << layer.name;
    EXPECT_EQ(layer.k, want[i].k) << layer.name;
    if (want[i].kind == LayerKind::kAvgPool) continue;
    EXPECT_EQ(layer.kind, want[i].kind) << layer.name;
    EXPECT_EQ(layer.macs(), want[i].macs()) << layer.name;
  }
}

TEST(OnnxImport, NetworksHaveTheirLayers) {
  for (const char* name : {"tiny:k3_e6,skip,k5_e3,k3_e1_g2,k3_e6,k5_e1", "resnet20",
                           "resnet20@28x28x1", "mobilenet_v2_cifar", "fbnet-a@cifar"}) {
    const Result<Network> network = ParseNetwork(name);
    ASSERT_TRUE(network.ok()) << name << ": " << network.status().message();
    Supernet net(network->space, Rng(1));
    const Graph graph = MakeGraph(net, network->genotype);
    const Result<std::string> bytes = ToOnnx(graph, {});
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    const Result<OnnxModel> model = Parse(*bytes, Unsupported::kFail, false);
    ASSERT_TRUE(model.ok()) << name << ": " << model.status().message();
    std::vector<LayerShape> want = LayersOf(graph);
    ExpectSameLayers(model->layers, want, name);
    EXPECT_EQ(TotalMacs(model->layers), Macs(network->space, network->genotype)) << name;
  }
}

// A model of nodes by hand: input x [1, 3, 8, 8], output y, filter w [4, 3, 3, 3].
class ByHand {
 public:
  ByHand& Add(const std::string& type, const std::vector<std::string>& inputs,
              const std::string& output, const std::vector<ProtoWriter>& attributes = {},
              const std::string& domain = "") {
    ProtoWriter node;
    for (const std::string& input : inputs) node.String(1, input);
    node.String(2, output).String(3, "n_" + output).String(4, type).String(7, domain);
    for (const ProtoWriter& attribute : attributes) node.Message(5, attribute);
    graph_.Message(1, node);
    return *this;
  }
  static ProtoWriter Ints(const std::string& name, const std::vector<int64_t>& values) {
    ProtoWriter attribute;
    attribute.String(1, name);
    for (int64_t value : values) attribute.Int(8, value);
    return attribute;
  }
  static ProtoWriter Value(const std::string& name, const std::vector<int64_t>& dims) {
    ProtoWriter shape, tensor, type, info;
    for (int64_t dim : dims) {
      ProtoWriter one;
      if (dim > 0) {
        one.Int(1, dim);
      } else {
        one.String(2, "open");
      }
      shape.Message(1, one);
    }
    tensor.Int(1, 1).Message(2, shape);
    type.Message(1, tensor);
    return info.String(1, name).Message(2, type);
  }
  ByHand& Weight(const std::string& name, const std::vector<int64_t>& dims, size_t values) {
    ProtoWriter tensor;
    for (int64_t dim : dims) tensor.Int(1, dim);
    tensor.Int(2, 1).String(8, name).String(9, std::string(values * 4, '\x3c'));
    graph_.Message(5, tensor);
    return *this;
  }
  std::string Bytes(const std::vector<int64_t>& input = {1, 3, 8, 8}) const {
    ProtoWriter graph = graph_, opset, model;
    graph.Message(11, Value("x", input)).Message(12, Value("y", {1, 4, 8, 8}));
    opset.Int(2, 13);
    return model.Int(1, 8).Message(7, graph).Message(8, opset).bytes();
  }

 private:
  ProtoWriter graph_;
};

std::string ErrorOf(const Result<OnnxModel>& model) {
  return model.ok() ? "no error" : model.status().message();
}

ByHand Conv() {
  ByHand model;
  model.Weight("w", {4, 3, 3, 3}, 108);
  model.Add("Conv", {"x", "w"}, "a", {ByHand::Ints("pads", {1, 1, 1, 1})});
  return model;
}

TEST(OnnxImport, UnsupportedOperatorsAreNamed) {
  ByHand hand = Conv();
  hand.Add("Erf", {"a"}, "b").Add("Relu", {"b"}, "c").Add("Erf", {"c"}, "d");
  hand.Add("FusedThing", {"d"}, "y", {}, "com.example");
  const std::string error = ErrorOf(Parse(hand.Bytes()));
  EXPECT_NE(error.find("Erf (node n_b and 1 more)"), std::string::npos) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;

  // The output's shape is known where the file says it.
  ByHand known = Conv();
  known.Add("Erf", {"a"}, "b").Add("Relu", {"b"}, "y");
  const std::string bytes = known.Bytes();
  EXPECT_NE(ErrorOf(Parse(bytes)).find("--unsupported skip"), std::string::npos);
  const Result<OnnxModel> skipped = Parse(bytes, Unsupported::kSkip);
  ASSERT_TRUE(skipped.ok()) << ErrorOf(skipped);
  ASSERT_EQ(skipped->layers.size(), 1u);
  EXPECT_FALSE(skipped->evaluable);
  ASSERT_EQ(skipped->notes.size(), 1u);
  EXPECT_NE(skipped->notes[0].find("n_b"), std::string::npos) << skipped->notes[0];
  EXPECT_NE(skipped->notes[0].find("skipped"), std::string::npos) << skipped->notes[0];

  const Result<OnnxModel> host = Parse(bytes, Unsupported::kHost);
  ASSERT_TRUE(host.ok()) << ErrorOf(host);
  ASSERT_EQ(host->layers.size(), 2u);  // the ReLU behind becomes part of it
  EXPECT_EQ(host->layers[1].name, "n_b (host)");
  EXPECT_EQ(host->layers[1].kind, LayerKind::kMaxPool);
  EXPECT_EQ(host->layers[1].h, 8);
  EXPECT_EQ(host->layers[1].c, 4);
  EXPECT_EQ(host->layers[1].r, 1);
  EXPECT_NE(host->notes[0].find("copy"), std::string::npos) << host->notes[0];
}

TEST(OnnxImport, SaysWhatIsWrong) {
  const auto expect = [](const Result<OnnxModel>& model, const std::string& part) {
    EXPECT_NE(ErrorOf(model).find(part), std::string::npos) << ErrorOf(model);
  };
  expect(Parse(""), "no graph");
  expect(Parse("resnet20\n"), "damaged");
  expect(Parse(Conv().Add("Relu", {"a"}, "y").Bytes().substr(0, 60)), "damaged");
  expect(Parse(Conv().Add("Add", {"a", "nowhere"}, "y").Bytes()), "\"nowhere\", which no node");
  expect(Parse(Conv().Add("Relu", {"a"}, "z").Bytes()), "no input that its output depends on");
  ByHand open = Conv();
  open.Add("Relu", {"a"}, "y");
  expect(Parse(open.Bytes({-1, 3, -1, -1})), "--resolution");
  OnnxOptions options;
  options.resolution = 16;
  const Result<OnnxModel> sized = ParseOnnx(open.Bytes({-1, 3, -1, -1}), "m", options);
  ASSERT_TRUE(sized.ok()) << ErrorOf(sized);
  EXPECT_EQ(sized->layers[0].h, 16);
  expect(Parse(ByHand().Weight("w", {4, 3, 3, 3}, 100).Add("Conv", {"x", "w"}, "y").Bytes()),
         "initializer w has 100 values, its dimensions tell 108");
  expect(Parse(ByHand().Weight("w", {4, 5, 3, 3}, 180).Add("Conv", {"x", "w"}, "y").Bytes()),
         "[4, 5, 3, 3]");
  expect(Parse(ByHand().Weight("w", {1, -7}, 0).Add("Conv", {"x", "w"}, "y").Bytes()), "negative");
}

// Damaged bytes: an answer, whatever it is, without a crash or a large allocation (the sanitizers
// see to that), and a model whose constants are out of proportion is refused.
TEST(OnnxImport, SurvivesDamage) {
  EveryKind every(3, true);
  const Result<std::string> ours = ToOnnx(every.graph(), {});
  ASSERT_TRUE(ours.ok());
  ByHand hand = Conv();
  hand.Add("Shape", {"a"}, "s").Add("Reshape", {"a", "s"}, "r").Add("Pad", {"r", "s"}, "p");
  hand.Add("Slice", {"r", "s", "s"}, "t").Add("Concat", {"t", "p", "a"}, "y");
  const std::string seeds[] = {*ours, hand.Bytes(), Conv().Add("Erf", {"a"}, "y").Bytes()};
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    Rng rng(seed);
    std::string bytes = seeds[seed % 3];
    if (seed % 7 == 0) bytes.resize(rng.Below(static_cast<uint32_t>(bytes.size())));
    const int flips = static_cast<int>(rng.Below(6)) + 1;
    // Structure is at the front and the end, weights between.
    for (int i = 0; i < flips && !bytes.empty(); ++i) {
      const auto at = rng.Below(static_cast<uint32_t>(bytes.size()));
      bytes[at] = static_cast<char>(rng.Below(2) == 0 ? rng.Below(256)
                                                      : static_cast<uint32_t>(bytes[at] ^ 1));
    }
    const Unsupported how = static_cast<Unsupported>(rng.Below(3));
    const Result<OnnxModel> model = Parse(bytes, how, rng.Below(2) == 0);
    if (!model.ok()) {
      ASSERT_FALSE(model.status().message().empty()) << "seed " << seed;
      continue;
    }
    for (const LayerShape& layer : model->layers) {
      ASSERT_GE(layer.h, 1) << "seed " << seed;
      ASSERT_GE(layer.oh(), 1) << "seed " << seed;
      ASSERT_GE(layer.c, 1) << "seed " << seed;
      ASSERT_GE(layer.stride, 1) << "seed " << seed;
    }
    if (model->evaluable) {
      const Node& in = model->graph.input();
      if (int64_t{in.h} * in.w * in.c > 10000 || TotalMacs(model->layers) > 1000000) continue;
      const std::vector<float> image(static_cast<size_t>(in.h * in.w * in.c), 0.5f);
      EvaluateGraph(model->graph, image.data(), 1);
    }
  }
}

TEST(OnnxImport, ConstantsStayInProportion) {
  ByHand hand = Conv();
  ProtoWriter shape, value;
  for (int i = 0; i < 3; ++i) shape.Int(7, 4000);
  shape.Int(1, 3).Int(2, 7);
  value.String(1, "value").Message(5, shape);
  hand.Add("Constant", {}, "dims", {value}).Add("ConstantOfShape", {"dims"}, "huge");
  hand.Add("Add", {"a", "huge"}, "y");
  EXPECT_NE(ErrorOf(Parse(hand.Bytes())).find("out of all proportion"), std::string::npos)
      << ErrorOf(Parse(hand.Bytes()));
}

}  // namespace
}  // namespace rhnas::nn
