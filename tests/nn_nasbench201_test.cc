#include "nn/nasbench201.h"

#include <cmath>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/archive.h"
#include "nn/text.h"

namespace rhnas::nn {
namespace {

Cell Parsed(const std::string& text) {
  const engine::Result<Cell> cell = ParseCell(text);
  EXPECT_TRUE(cell.ok()) << text << ": " << cell.status().message();
  return cell.ok() ? *cell : Cell{};
}

// The layers of the second cell (one before and one after it).
std::vector<LayerShape> CellLayers(const std::string& text, bool dead = false) {
  const Network network = MakeCellNetwork(Parsed(text), CellDataOf(0), dead);
  return LayersOf(network.space.slots[2], network.space.slots[2].candidates[0], "c");
}

std::string Summary(const std::vector<LayerShape>& layers) {
  std::string text;
  for (const LayerShape& layer : layers) {
    text += (text.empty() ? "" : " ") + layer.name.substr(2);
    if (layer.relu) text += "!";
    if (layer.chained) text += "^";
  }
  return text;
}

TEST(NasBench201, EveryCellsTextReadsBack) {
  std::set<std::string> texts;
  for (int number = 0; number < kCellCount; ++number) {
    const Cell cell = CellOf(number);
    ASSERT_EQ(CellNumber(cell), number);
    const std::string text = CellText(cell);
    const engine::Result<Cell> read = ParseCell(text);
    ASSERT_TRUE(read.ok()) << text;
    ASSERT_EQ(*read, cell) << text;
    texts.insert(text);
  }
  EXPECT_EQ(texts.size(), static_cast<size_t>(kCellCount));
  for (int i = 0; i < kCellDataCount; ++i) {
    for (const bool dead : {false, true}) {
      const Network network = MakeCellNetwork(CellOf(7777), CellDataOf(i), dead);
      const engine::Result<Network> read = ParseNetwork(network.name);
      ASSERT_TRUE(read.ok()) << network.name << ": " << read.status().message();
      EXPECT_EQ(read->name, network.name);
      EXPECT_EQ(ToText(read->space, read->genotype), network.name);
      EXPECT_EQ(read->space.classes, CellDataOf(i).classes);
      EXPECT_EQ(read->space.h, CellDataOf(i).resolution);
    }
  }
}

TEST(NasBench201, BadTextIsToldPrecisely) {
  const std::string rest = "+|none~0|none~1|+|none~0|none~1|none~2|";
  const struct {
    std::string text, part;
  } cases[] = {
      {"nasbench201", "add ':' and a cell"},
      {"nasbench201:", "3 nodes"},
      {"nasbench201:|none~0|", "has 1"},
      {"nasbench201:|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 is '|none~0|'"},
      {"nasbench201:none~0" + rest, "node 1 is 'none~0'"},
      {"nasbench201:|none~1|" + rest, "'~0'"},
      {"nasbench201:|none|" + rest, "'~0'"},
      {"nasbench201:|nor_conv_5x5~0|" + rest, "did you mean nor_conv_"},
      {"nasbench201@mnist:|none~0|" + rest, "'mnist'"},
      {"nasbench201@:|none~0|" + rest, "''"},
  };
  for (const auto& each : cases) {
    const engine::Result<Network> network = ParseNetwork(each.text);
    ASSERT_FALSE(network.ok()) << each.text;
    EXPECT_NE(network.status().message().find(each.part), std::string::npos)
        << each.text << " gave: " << network.status().message();
  }
  SpaceOptions wide;
  wide.width = 2;
  EXPECT_FALSE(ParseNetwork("nasbench201:|none~0|" + rest, wide).ok());
  EXPECT_FALSE(FindSpace("nasbench201").ok());
}

// Every row of the benchmark: FLOPs, as counted by hand; parameters, as summed over the blocks.
TEST(NasBench201, CountsAreAsPublished) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds nasbench201/";
  const engine::Result<std::string> text =
      engine::ReadFile(std::string(shared) + "/nasbench201/nb201_accuracy.csv");
  if (!text.ok()) GTEST_SKIP() << text.status().message();
  const std::vector<std::string> lines = SplitText(*text, '\n');
  const char* columns[] = {"c10_mflops",   "c10_mparams", "c100_mflops",
                           "c100_mparams", "in16_mflops", "in16_mparams"};
  const std::vector<std::string> names = SplitText(Trim(lines[0]), ',');
  int rows = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    ++rows;
    const std::vector<std::string> words = SplitText(Trim(lines[i]), ',');
    const Cell cell = Parsed(words[1]);
    for (size_t j = 0; j < 6; ++j) {
      size_t at = 0;
      while (at < names.size() && names[at] != columns[j]) ++at;
      ASSERT_LT(at, names.size()) << columns[j];
      const int64_t published =
          static_cast<int64_t>(std::llround(std::strtod(words[at].c_str(), nullptr) * 1e6));
      const CellData& data = CellDataOf(static_cast<int>(j / 2));
      const int64_t ours = j % 2 == 0 ? CellFlops(cell, data) : CellParams(cell, data);
      ASSERT_EQ(ours, published) << words[1] << " " << columns[j];
    }
  }
  EXPECT_EQ(rows, kCellCount);
}

// The convolutions' part of the published count is what runs, with all edges.
TEST(NasBench201, MacsAreTheConvolutionsOfTheCount) {
  for (int number = 0; number < kCellCount; number += 13) {
    const Cell cell = CellOf(number);
    for (int i = 0; i < kCellDataCount; ++i) {
      const CellData& data = CellDataOf(i);
      const Network all = MakeCellNetwork(cell, data, true);
      const int64_t size = data.resolution, last = size / 4;
      int64_t other = 2 * 16 * size * size;  // stem's batch norm
      for (const int stage : {0, 1, 2}) {
        const int64_t values = (int64_t{16} << stage) * (size >> stage) * (size >> stage);
        for (const int8_t operation : cell) {
          if (operation == 2 || operation == 3) other += 5 * 3 * values;
          if (operation == 4) other += 5 * 9 * values;
        }
        // Reduction: ReLU before, batch norm, ReLU and batch norm after, average pool.
        if (stage < 2) other += values + 5 * values / 2 + values;
      }
      // Batch norm's multiplication is a layer of ours: 1 of its 2.
      other += (1 + 1) * 64 * last * last + 64 * (last + 1) * (last + 1);
      EXPECT_EQ(Macs(all.space, all.genotype), CellFlops(cell, data) - other) << all.name;
      const Network live = MakeCellNetwork(cell, data);
      EXPECT_LE(Macs(live.space, live.genotype), Macs(all.space, all.genotype)) << live.name;
      EXPECT_EQ(Params(live.space, live.genotype), Params(all.space, all.genotype)) << live.name;
    }
  }
}

// "!": through ReLU, "^": reads what the layer before makes, alone.
TEST(NasBench201, LayersOfCells) {
  const struct {
    const char* cell;
    const char* layers;
  } cases[] = {
      // Both convolutions and the skip read the input.
      {"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_"
       "3x3~2|",
       "relu0! nor_conv_3x3_0-1! nor_conv_3x3_0-2 nor_conv_3x3_1-2 add2!^ nor_conv_3x3_1-3 add3^ "
       "nor_conv_3x3_2-3 add3-2^"},
      // Convolutions alone: the layer before applies ReLU.
      {"|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|nor_conv_3x3~0|none~1|nor_conv_1x1~2|",
       "nor_conv_1x1_0-1! nor_conv_3x3_1-2!^ nor_conv_3x3_0-3 nor_conv_1x1_2-3 add3!^"},
      // Nothing but the input.
      {"|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", ""},
      {"|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|", ""},
      // The input twice.
      {"|skip_connect~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|", "add3"},
      // No way to the output.
      {"|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|", ""},
      {"|none~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_3x3~2|", ""},
      // Node 2 leads nowhere; node 1 is read as it is and through ReLU.
      {"|avg_pool_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_1x1~1|none~2|",
       "avg_pool_3x3_0-1! nor_conv_1x1_1-3^"},
      {"|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|",
       "nor_conv_3x3_0-1 relu1! avg_pool_3x3_1-2 nor_conv_1x1_1-3 add3!^"},
      // A chain of three: convolution, pool, addition.
      {"|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|skip_connect~2|",
       "relu0! nor_conv_3x3_0-1^ avg_pool_3x3_1-2^ add3^"},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(Summary(CellLayers(each.cell)), each.layers) << each.cell;
  }
  // With all edges, dead ones too.
  EXPECT_EQ(
      Summary(CellLayers("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_3x3~2|", true)),
      "nor_conv_3x3_1-2! nor_conv_3x3_2-3^");
}

TEST(NasBench201, LayerNamesAreDistinctAndShapesFollowEachOther) {
  for (int number = 0; number < kCellCount; number += 37) {
    const Network network =
        MakeCellNetwork(CellOf(number), CellDataOf(number % 3), number % 2 == 0);
    std::set<std::string> names;
    const std::vector<LayerShape> layers = LayersOf(network.space, network.genotype);
    for (size_t i = 0; i < layers.size(); ++i) {
      EXPECT_TRUE(names.insert(layers[i].name).second) << network.name << " " << layers[i].name;
      if (!layers[i].chained) continue;
      ASSERT_GT(i, 0u);
      const LayerShape& before = layers[i - 1];
      EXPECT_EQ(layers[i].c, before.k) << network.name << " " << layers[i].name;
      EXPECT_EQ(layers[i].h, before.oh()) << network.name << " " << layers[i].name;
    }
    EXPECT_EQ(layers.front().name, "stem");
    EXPECT_EQ(layers.back().k, CellDataOf(number % 3).classes);
  }
}

// Seen from the output by a walk over all paths.
TEST(NasBench201, LiveEdgesAreThoseOnSomePath) {
  const int from[] = {0, 0, 1, 0, 1, 2}, to[] = {1, 2, 2, 3, 3, 3};
  const std::vector<std::vector<size_t>> paths = {{3}, {0, 4}, {1, 5}, {0, 2, 5}};
  for (int number = 0; number < kCellCount; ++number) {
    const Cell cell = CellOf(number);
    std::array<bool, kCellEdges> expected{};
    for (const std::vector<size_t>& path : paths) {
      bool open = true;
      for (size_t i = 0; i < path.size(); ++i) {
        open = open && cell[path[i]] != 0;
        if (i > 0) {
          ASSERT_EQ(to[path[i - 1]], from[path[i]]);
        }
      }
      for (const size_t edge : path) expected[edge] = expected[edge] || open;
    }
    ASSERT_EQ(LiveEdges(cell), expected) << CellText(cell);
  }
}

}  // namespace
}  // namespace rhnas::nn
