// safetensors and .npy: their bytes, the order of their values, and numpy reading them back.
#include <gtest/gtest.h>

#include "nn/npy.h"
#include "tests/nn_export_graphs.h"
#include "tests/nn_scramble.h"
#include "tests/outside_tools.h"

namespace rhnas::nn {
namespace {

float FloatAt(const ExportTensor& tensor, size_t index) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(tensor.bytes.data()) + 4 * index;
  uint32_t bits = 0;
  for (size_t i = 0; i < 4; ++i) bits |= static_cast<uint32_t>(bytes[i]) << (8 * i);
  float value = 0;
  std::memcpy(&value, &bits, 4);
  return value;
}

const Node& Find(const Graph& graph, const std::string& name) {
  for (const Node& node : graph.nodes) {
    if (node.name == name) return node;
  }
  ADD_FAILURE() << name;
  return graph.nodes[0];
}

TEST(WeightsExport, FiltersHaveOutputChannelsFirst) {
  EveryKind every(1, false);
  const Node& conv = Find(every.graph(), "stem");
  const ExportTensor filter = FilterOf(conv);
  EXPECT_EQ(filter.name, "stem/filter");
  EXPECT_EQ(filter.shape, (std::vector<int64_t>{8, 6, 3, 3}));
  for (size_t k = 0; k < 8; ++k) {
    for (size_t c = 0; c < 6; ++c) {
      for (size_t r = 0; r < 3; ++r) {
        for (size_t s = 0; s < 3; ++s) {
          ASSERT_EQ(FloatAt(filter, ((k * 6 + c) * 3 + r) * 3 + s),
                    conv.filter[((r * 3 + s) * 6 + c) * 8 + k]);
        }
      }
    }
  }
  // A dense layer that reads a map of 2 x 1 x 16 flat, channels last, reads it channels first.
  const Node& dense = Find(every.graph(), "hidden");
  const ExportTensor weight = FilterOf(dense);
  EXPECT_EQ(weight.shape, (std::vector<int64_t>{16, 32}));
  for (size_t k = 0; k < 16; ++k) {
    for (size_t c = 0; c < 16; ++c) {
      for (size_t y = 0; y < 2; ++y) {
        ASSERT_EQ(FloatAt(weight, k * 32 + c * 2 + y), dense.filter[(y * 16 + c) * 16 + k]);
      }
    }
  }
}

TEST(WeightsExport, SafetensorsBytes) {
  const std::string file = ToSafetensors(
      {Int8Tensor("a\"", {3}, {1, -1, 2}), Int32Tensor("b", {2, 1}, {258, -1})}, {{"k", "v\n"}});
  const std::string header =
      "{\"__metadata__\":{\"k\":\"v\\u000a\"},\"a\\\"\":{\"dtype\":\"I8\",\"shape\":[3],"
      "\"data_offsets\":[0,3]},\"b\":{\"dtype\":\"I32\",\"shape\":[2,1],\"data_offsets\":[3,11]}}";
  const size_t padded = (header.size() + 7) / 8 * 8;
  ASSERT_EQ(file.size(), 8 + padded + 11);
  EXPECT_EQ(static_cast<unsigned char>(file[0]), padded);
  EXPECT_EQ(file.substr(1, 7), std::string(7, '\0'));
  EXPECT_EQ(file.substr(8, header.size()), header);
  EXPECT_EQ(file.substr(8 + header.size(), padded - header.size()),
            std::string(padded - header.size(), ' '));
  EXPECT_EQ(file.substr(8 + padded),
            std::string("\x01\xff\x02\x02\x01\x00\x00\xff\xff\xff\xff", 11));
}

TEST(WeightsExport, NpyBytes) {
  const std::string file = ToNpy(Int8Tensor("a", {2}, {5, -5}));
  const std::string header = "{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }";
  EXPECT_EQ(file.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(file.substr(10, header.size()), header);
  EXPECT_EQ(file.substr(127), "\n\x05\xfb");
}

void ExpectNumpyReads(const std::vector<ExportTensor>& tensors, const ExportMetadata& metadata,
                      const std::vector<double>& want) {
  const ToolFolder folder;
  const std::string file = folder.Write("w.safetensors", ToSafetensors(tensors, metadata));
  for (const ExportFile& npy : ToNpyFiles(tensors, metadata)) {
    folder.Write("npy/" + npy.name, npy.bytes);
  }
  const ToolRun run = RunTool({Python(), "tests/tools/weights_read.py", file, folder.File("npy"),
                               folder.File("values.f64")});
  ASSERT_EQ(run.code, 0) << run.text;
  EXPECT_EQ(run.text, std::to_string(tensors.size()) + " arrays\n");
  EXPECT_EQ(folder.ReadValues<double>("values.f64"), want);
}

TEST(WeightsExport, NumpyReadsFloats) {
  RHNAS_NEED_PYTHON("numpy");
  EveryKind every(2, false);
  const std::vector<ExportTensor> tensors = TensorsOf(every.graph());
  std::vector<double> want;
  for (const ExportTensor& tensor : tensors) {
    for (size_t i = 0; i < tensor.bytes.size() / 4; ++i) {
      want.push_back(double{FloatAt(tensor, i)});
    }
  }
  EXPECT_EQ(tensors.size(), 12u);  // filter and bias of four convolutions and two dense layers
  ExpectNumpyReads(tensors, {{"network", "every \"kind\"\\"}}, want);
}

TEST(WeightsExport, NumpyReadsIntegers) {
  RHNAS_NEED_PYTHON("numpy");
  EveryKind every(3, false);
  const IntGraph graph = every.Integers();
  const std::vector<ExportTensor> tensors = TensorsOf(graph);
  std::vector<double> want;
  for (const ExportTensor& tensor : tensors) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(tensor.bytes.data());
    const size_t step = tensor.type == ExportTensor::Type::kInt8 ? 1 : 4;
    for (size_t i = 0; i < tensor.bytes.size(); i += step) {
      if (step == 1) {
        want.push_back(static_cast<int8_t>(bytes[i]));
        continue;
      }
      uint32_t bits = 0;
      for (size_t j = 0; j < 4; ++j) bits |= static_cast<uint32_t>(bytes[i + j]) << (8 * j);
      want.push_back(static_cast<int32_t>(bits));
    }
  }
  ExpectNumpyReads(tensors, MetadataOf(graph), want);
}

TEST(WeightsExport, AsTrained) {
  const engine::Result<Network> network = ParseNetwork("resnet20");
  ASSERT_TRUE(network.ok());
  Supernet net(network->space, engine::Rng(1));
  Scramble(net, network->genotype);
  const std::vector<ExportTensor> tensors = TensorsOf(net, network->genotype);
  int64_t values = 0;
  for (const ExportTensor& tensor : tensors)
    values += static_cast<int64_t>(tensor.bytes.size()) / 4;
  // 19 convolutions with two statistics a channel, which are no parameters.
  EXPECT_EQ(tensors.size(), 19u * 5 + 2);
  EXPECT_EQ(values, Params(network->space, network->genotype) + 2 * (7 * 16 + 6 * 32 + 6 * 64));
  const engine::Parameter& filter = *net.weights(network->genotype)[0];
  EXPECT_EQ(tensors[0].name, filter.name);
  EXPECT_EQ(tensors[0].shape, (std::vector<int64_t>{16, 3, 3, 3}));
  EXPECT_EQ(FloatAt(tensors[0], 1), filter.value[1 * 3 * 16]);  // second column of the first filter
  EXPECT_EQ(FloatAt(tensors[0], 27), filter.value[1]);
}

}  // namespace
}  // namespace rhnas::nn
