// The running average of weights: its formula, its warm-up, the exchange with the network.
#include "nn/weight_average.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "engine/random.h"

namespace rhnas::nn {
namespace {

std::vector<engine::Buffer*> BuffersOf(Supernet& net) {
  std::vector<engine::Buffer*> buffers;
  for (engine::Parameter* weight : net.weights()) buffers.push_back(&weight->value);
  for (const NamedBuffer& entry : net.statistics({})) buffers.push_back(entry.buffer);
  return buffers;
}

std::vector<float> Flat(Supernet& net) {
  std::vector<float> values;
  for (const engine::Buffer* buffer : BuffersOf(net)) {
    values.insert(values.end(), buffer->data(), buffer->data() + buffer->size());
  }
  return values;
}

void Shift(Supernet& net, engine::Rng* rng) {
  for (engine::Buffer* buffer : BuffersOf(net)) {
    for (int64_t i = 0; i < buffer->size(); ++i) (*buffer)[i] += rng->Normal();
  }
}

Space Lenet() { return *FindSpace("lenet5"); }

TEST(NnWeightAverage, IsTheFormulaWithItsWarmUp) {
  for (const float decay : {0.0f, 0.3f, 0.95f}) {
    Supernet net(Lenet(), engine::Rng(1));
    WeightAverage average(net, {}, decay);
    std::vector<double> expected;
    for (float value : Flat(net)) expected.push_back(double{value});
    engine::Rng rng(5);
    for (int n = 0; n < 30; ++n) {
      Shift(net, &rng);
      average.Update();
      const double d = std::min(double{decay}, (1.0 + n) / (10 + n));
      const std::vector<float> now = Flat(net);
      for (size_t i = 0; i < now.size(); ++i) {
        expected[i] += (1 - d) * (double{now[i]} - expected[i]);
      }
    }
    std::vector<float> values;
    average.CopyTo(&values);
    ASSERT_EQ(values.size(), expected.size());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(double{values[i]}, expected[i], 1e-4) << i << " at decay " << decay;
    }
    if (decay == 0) {
      EXPECT_EQ(values, Flat(net));
    }
  }
}

TEST(NnWeightAverage, SwapExchangesAndPutsBack) {
  Supernet net(Lenet(), engine::Rng(1));
  WeightAverage average(net, {}, 0.9f);
  engine::Rng rng(5);
  Shift(net, &rng);
  average.Update();
  const std::vector<float> weights = Flat(net);
  std::vector<float> mean;
  average.CopyTo(&mean);
  ASSERT_NE(weights, mean);
  average.Swap();
  EXPECT_EQ(Flat(net), mean);
  average.Swap();
  EXPECT_EQ(Flat(net), weights);

  // Another one goes on from what was saved.
  engine::ArchiveWriter writer;
  average.Save(writer, "a/");
  const std::string path = testing::TempDir() + "rhnas_weight_average";
  ASSERT_TRUE(writer.Save(path).ok());
  auto reader = engine::ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok());
  WeightAverage loaded(net, {}, 0.9f);
  loaded.Load(*reader, "a/");
  ASSERT_TRUE(reader->status().ok()) << reader->status().message();
  average.Update();
  loaded.Update();
  std::vector<float> other;
  average.CopyTo(&mean);
  loaded.CopyTo(&other);
  EXPECT_EQ(mean, other);
  Supernet larger(*FindSpace("resnet20"), engine::Rng(1));
  WeightAverage misfit(larger, {}, 0.9f);
  misfit.Load(*reader, "a/");
  EXPECT_FALSE(reader->status().ok());
  std::remove(path.c_str());
}

}  // namespace
}  // namespace rhnas::nn
