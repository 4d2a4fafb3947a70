// The examples are compiled here, as a user would write them, and run.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "engine/archive.h"
#include "hw/accelerator.h"
#include "hw/cost.h"
#include "hw/layer_text.h"
#include "hw/parse_layer.h"
#include "nn/train.h"
#include "rl/agent.h"
#include "search/joint_search.h"
#include "search/layer_tables.h"

// Each has a main of its own.
#define main TrainExample
#include "examples/train.cc"
#undef main
#define main PriceExample
#include "examples/price.cc"
#undef main
#define main AgentExample
#include "examples/agent.cc"
#undef main
#define main OwnTableExample
#include "examples/own_table.cc"
#undef main

namespace rhnas {
namespace {

std::string OutputOf(int (*example)()) {
  testing::internal::CaptureStdout();
  const int code = example();
  std::fflush(stdout);
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_EQ(code, 0) << text;
  return text;
}

TEST(Examples, TrainLearns) {
  const std::string text = OutputOf(TrainExample);
  double accuracy = 0;
  ASSERT_EQ(std::sscanf(text.c_str(), "60 steps, %lf%% of 400", &accuracy), 1) << text;
  EXPECT_GT(accuracy, 90) << "two classes";
}

TEST(Examples, PriceIsWhatTheModelSays) {
  const std::string text = OutputOf(PriceExample);
  EXPECT_NE(text.find("need"), std::string::npos) << "a rule is broken first: " << text;
  hw::Config config = *hw::FindConfig("default");
  config.log_wgt_buff = 16;
  hw::Layer layer;
  ASSERT_TRUE(hw::ParseLayer("conv 64x14x14 -> 64 k3 p1", &layer, nullptr));
  const auto cost = hw::CostModel(config, hw::DefaultCostTable()).Evaluate(layer);
  ASSERT_TRUE(cost.has_value());
  EXPECT_NE(text.find(std::to_string(cost->latency_cycles) + " cycles"), std::string::npos) << text;
}

TEST(Examples, AgentFindsTheDials) {
  EXPECT_EQ(OutputOf(AgentExample), "4 4 4 4 4 4 reward 0, best possible 0\n");
}

TEST(Examples, OwnTableIsWhatCounts) {
  const std::filesystem::path before = std::filesystem::current_path();
  const std::filesystem::path folder =
      testing::TempDir() + "rhnas_example_" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  std::filesystem::current_path(folder);
  const std::string text = OutputOf(OwnTableExample);
  std::filesystem::current_path(before);
  // The formula knows multipliers only: the most that the area cap leaves.
  EXPECT_NE(text.find(" on 1x16x32_"), std::string::npos) << text;
  EXPECT_NE(text.find("cycles by the own table"), std::string::npos) << text;
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace rhnas
