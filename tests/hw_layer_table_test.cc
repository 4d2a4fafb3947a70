// Layer tables: every entry is what the cost model says, the bytes do not depend on how a table was
// built, and what is damaged is found.
#include "hw/layer_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>

#include "hw/layer_table_rows.h"
#include "hw/layer_table_write.h"
#include "hw/layer_text.h"
#include "hw/vta_accelerator.h"

namespace rhnas::hw {
namespace {

const std::atomic<bool> kGoOn{false};

std::vector<std::vector<Layer>> SomeItems() {
  std::vector<std::vector<Layer>> items;
  for (const char* text :
       {"conv-1x32x32x3-k16-3x3-s1-p1-g1-b-relu", "conv-1x16x16x24-k144-1x1-s1-p0-g1-b-relu",
        "conv-1x16x16x144-k144-5x5-s2-p2-g144-b-relu", "conv-1x8x8x144-k32-1x1-s1-p0-g1-b",
        "conv-1x8x8x64-k64-3x3-s1-p1-g4-b-relu", "add-1x8x8x32-k32-1x1-s1-p0-g1",
        "global-pool-1x4x4x352-k352-1x1-s1-p0-g1", "dense-1x1x1x352-k10-1x1-s1-p0-g1-b",
        "shuffle-1x8x8x64-k64-1x1-s1-p0-g4",
        "conv-1x16x16x24-k144-1x1-s1-p0-g1-b-relu+conv-1x16x16x144-k144-3x3-s1-p1-g144-b-relu",
        "conv-1x8x8x144-k32-1x1-s1-p0-g1-b+add-1x8x8x32-k32-1x1-s1-p0-g1",
        "conv-1x4x4x64-k128-3x3-s1-p1-g1-b-relu+global-pool-1x4x4x128-k128-1x1-s1-p0-g1"}) {
    std::vector<Layer> chain;
    std::string why;
    EXPECT_TRUE(ParseChainText(text, &chain, &why)) << why;
    items.push_back(chain);
  }
  return items;
}

std::unique_ptr<DesignSpace> SmallSpace(const char* name = "vta-small") {
  SpaceOptions options;
  options.derived_tags = true;
  Result<std::unique_ptr<DesignSpace>> space = Vta().FindSpace(name, options);
  EXPECT_TRUE(space.ok()) << space.error();
  return std::move(*space);
}

TableHead SmallHead(const DesignSpace& space) {
  return HeadOf(Vta(), space, DefaultCostTable(), "some", SomeItems());
}

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void SetFileText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

class LayerTableFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "rhnas_table_" + std::to_string(getpid());
    Remove();
  }
  void TearDown() override { Remove(); }
  void Remove() {
    std::remove(path_.c_str());
    std::remove(LayerTableWriter::PartialPath(path_).c_str());
  }
  // Builds the groups in this order until `most` rows are written.
  void Build(const DesignSpace& space, const TableHead& head, const std::vector<size_t>& order,
             bool resume, size_t most = 1000000) {
    Result<LayerTableWriter> writer = LayerTableWriter::Create(path_, head, resume);
    ASSERT_TRUE(writer.ok()) << writer.error();
    const LayerTableRows rows(space, DefaultCostTable(), head);
    std::string why;
    std::vector<TableEntry> entries;
    for (const size_t group : order) {
      ASSERT_TRUE(rows.Evaluate(group, kGoOn, &entries));
      for (size_t i = 0; i < rows.rows(group).size(); ++i) {
        const size_t row = rows.rows(group)[i];
        if (writer->done(row)) continue;
        if (most-- == 0) return;
        ASSERT_TRUE(writer->Write(row, entries.data() + i * head.items.size(), &why)) << why;
      }
    }
    ASSERT_EQ(writer->rows_done(), head.configurations.size());
    ASSERT_TRUE(writer->Finish(&why)) << why;
  }
  static std::vector<size_t> InOrder(size_t count) {
    std::vector<size_t> order(count);
    for (size_t i = 0; i < count; ++i) order[i] = i;
    return order;
  }
  size_t GroupCount(const DesignSpace& space, const TableHead& head) {
    return LayerTableRows(space, DefaultCostTable(), head).groups();
  }
  std::string path_;
};

TEST(LayerText, GoesThereAndBack) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    Layer layer;
    layer.kind = static_cast<LayerKind>(random() % 8);
    for (int* size : {&layer.n, &layer.h, &layer.w, &layer.c, &layer.k, &layer.r, &layer.s,
                      &layer.stride, &layer.groups}) {
      *size = 1 + static_cast<int>(random() % 3000);
    }
    layer.pad = static_cast<int>(random() % 4);
    layer.bias = random() % 2 != 0;
    layer.relu = random() % 2 != 0;
    const std::string text = LayerText(layer);
    Layer back;
    std::string why;
    ASSERT_TRUE(ParseLayerText(text, &back, &why)) << why;
    EXPECT_EQ(LayerText(back), text);
    EXPECT_EQ(back.kind, layer.kind) << text;
    EXPECT_EQ(back.stride, layer.stride) << text;
    EXPECT_EQ(back.bias, layer.bias) << text;
  }
}

TEST(LayerText, SaysWhatIsWrong) {
  std::string why;
  Layer layer;
  for (const char* text :
       {"", "conv", "konv-1x1x1x1-k1-1x1-s1-p0-g1", "conv-1x1x1-k1-1x1-s1-p0-g1",
        "conv-1x1x1x1-k1-1x1-s1-p0-g1-bias", "conv-1x1x1x99999999999-k1-1x1-s1-p0-g1",
        "conv-1x1x1x1-k1-1x1-s1-p0-g1-relu-b", "conv--1x1x1x1-k1-1x1-s1-p0-g1"}) {
    why.clear();
    EXPECT_FALSE(ParseLayerText(text, &layer, &why)) << text;
    EXPECT_NE(why.find("expected"), std::string::npos) << text << ": " << why;
  }
  std::vector<Layer> chain;
  const std::string one = "add-1x8x8x32-k32-1x1-s1-p0-g1";
  EXPECT_TRUE(ParseChainText(one + "+" + one + "+" + one, &chain, &why));
  EXPECT_EQ(chain.size(), 3u);
  EXPECT_FALSE(ParseChainText(one + "+" + one + "+" + one + "+" + one, &chain, &why));
  EXPECT_NE(why.find("chain of 4"), std::string::npos) << why;
  EXPECT_FALSE(ParseChainText(one + "+", &chain, &why));
}

TEST(LayerTable, TilingsGoThereAndBack) {
  std::mt19937 random(11);
  for (int i = 0; i < 5000; ++i) {
    Tiling t;
    t.th = 1 + static_cast<int>(random() % 4095);
    t.tw = 1 + static_cast<int>(random() % 4095);
    t.tco = 1 + static_cast<int>(random() % 65535);
    t.tci = 1 + static_cast<int>(random() % 65535);
    t.vthreads = 1 + static_cast<int>(random() % 2);
    t.stationary = static_cast<Stationary>(random() % 3);
    t.on_alu = random() % 2 != 0;
    t.split_rows = random() % 2 != 0;
    const uint64_t code = PackTiling(t);
    ASSERT_NE(code, 0u);
    EXPECT_EQ(UnpackTiling(code).ToString(), t.ToString());
    EXPECT_EQ(PackTiling(UnpackTiling(code)), code);
  }
  Tiling wide;
  wide.tco = 65536;
  EXPECT_EQ(PackTiling(wide), 0u);
}

TEST(LayerTable, KeysTellConfigurationsApart) {
  const std::unique_ptr<DesignSpace> space = SmallSpace("vta");
  std::vector<uint64_t> keys;
  for (int64_t point = 0; point < space->points(); ++point) {
    keys.push_back(space->AtPoint(point)->Key());
  }
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
  Config config;
  const uint64_t key = ConfigurationKey(config);
  config.vme_tag_bits = 30;
  EXPECT_EQ(ConfigurationKey(config), key);
  config.pipe_gemm_rd_uop = 1;
  EXPECT_NE(ConfigurationKey(config), key);
}

// The micro-op scratchpad decides how loops are folded: searches must not be shared across its
// sizes.
TEST(LayerTable, MicroOpScratchpadsAreNotShared) {
  HwSpace small;
  small.name = "micro-ops";
  small.base.vme_tag_bits = 21;
  small.parameters = {{"LOG_BLOCK_IN", {3, 4}},
                      {"LOG_UOP_BUFF_SIZE", {11, 12, 13, 15}},
                      {"LOG_INP_BUFF_SIZE", {13, 15}}};
  const std::unique_ptr<DesignSpace> space = MakeVtaSpace(small, 64);
  std::vector<std::vector<Layer>> items;
  for (const char* text :
       {"conv-1x4x4x184-k1104-1x1-s1-p0-g1-b-relu", "conv-1x4x4x552-k352-1x1-s1-p0-g1-b"}) {
    items.emplace_back();
    ASSERT_TRUE(ParseChainText(text, &items.back(), nullptr));
  }
  const TableHead head = HeadOf(Vta(), *space, DefaultCostTable(), "some", items);
  const LayerTableRows rows(*space, DefaultCostTable(), head);
  std::vector<TableEntry> entries;
  int compared = 0;
  for (size_t group = 0; group < rows.groups(); ++group) {
    ASSERT_TRUE(rows.Evaluate(group, kGoOn, &entries));
    for (size_t i = 0; i < rows.rows(group).size(); ++i) {
      const TableConfiguration& configuration = head.configurations[rows.rows(group)[i]];
      const std::unique_ptr<DesignModel> model =
          space->AtPoint(configuration.point)->Model(DefaultCostTable());
      for (size_t item = 0; item < items.size(); ++item) {
        const std::optional<LayerCost> cost = model->Evaluate(items[item][0]);
        const TableEntry& entry = entries[i * items.size() + item];
        ASSERT_EQ(entry.runs(), cost.has_value()) << configuration.name;
        if (!cost) continue;
        EXPECT_EQ(entry.latency_cycles, cost->latency_cycles) << configuration.name;
        EXPECT_EQ(entry.energy_pj, cost->energy_pj) << configuration.name;
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 16);
}

TEST_F(LayerTableFile, EveryEntryIsWhatTheModelSays) {
  const std::unique_ptr<DesignSpace> space = SmallSpace();
  const TableHead head = SmallHead(*space);
  ASSERT_EQ(head.configurations.size(), 114u);
  Build(*space, head, InOrder(GroupCount(*space, head)), false);
  const Result<LayerTable> table = LayerTable::Open(path_);
  ASSERT_TRUE(table.ok()) << table.error();
  EXPECT_EQ(table->head().networks, "some");
  EXPECT_EQ(table->head().model, ModelFingerprint(Vta()));
  EXPECT_EQ(table->bytes(), FileText(path_).size());
  std::string why;
  int chains_run = 0;
  for (const TableConfiguration& configuration : head.configurations) {
    const DesignPtr design = space->AtPoint(configuration.point);
    const int64_t row = table->FindRow(design->Key());
    ASSERT_GE(row, 0);
    ASSERT_TRUE(table->CheckRow(static_cast<size_t>(row), &why)) << why;
    const CostModel model(VtaConfig(*design), DefaultCostTable());
    for (const std::vector<Layer>& item : head.items) {
      const int count = static_cast<int>(item.size());
      const int at = table->FindItem(item.data(), count);
      ASSERT_GE(at, 0);
      const TableEntry entry = table->At(static_cast<size_t>(row))[static_cast<size_t>(at)];
      const std::optional<LayerCost> cost =
          model.EvaluateChain(item.data(), count, std::numeric_limits<int64_t>::max());
      chains_run += cost && count > 1 ? 1 : 0;
      ASSERT_EQ(entry.runs(), cost.has_value()) << configuration.name << " " << item[0].name;
      if (!cost) continue;
      EXPECT_EQ(entry.latency_cycles, cost->latency_cycles) << configuration.name << item[0].name;
      EXPECT_EQ(entry.energy_pj, cost->energy_pj) << configuration.name << " " << item[0].name;
      EXPECT_EQ(entry.dram_bytes, cost->dram_bytes) << configuration.name << " " << item[0].name;
      EXPECT_EQ(UnpackTiling(entry.tiling_code).ToString(), cost->tiling.ToString())
          << configuration.name << " " << item[0].name;
    }
  }
  EXPECT_GT(chains_run, 0);
  Layer other = head.items[0][0];
  other.k += 1;
  EXPECT_EQ(table->FindItem(&other, 1), -1);
  EXPECT_EQ(table->FindRow(1), -1);
}

TEST_F(LayerTableFile, OrderAndResumeLeaveTheSameBytes) {
  const std::unique_ptr<DesignSpace> space = SmallSpace();
  const TableHead head = SmallHead(*space);
  std::vector<size_t> order = InOrder(GroupCount(*space, head));
  Build(*space, head, order, false);
  const std::string straight = FileText(path_);
  ASSERT_FALSE(straight.empty());
  std::reverse(order.begin(), order.end());
  Build(*space, head, order, false);
  EXPECT_EQ(FileText(path_), straight);
  for (const size_t stop_after : {0u, 1u, 30u, 113u}) {
    Remove();
    Build(*space, head, order, false, stop_after);
    ASSERT_TRUE(FileText(path_).empty());
    if (stop_after == 30) {  // a row that a crash cut short
      const size_t row = LayerTableRows(*space, DefaultCostTable(), head).rows(order[0])[0];
      const std::string partial = LayerTableWriter::PartialPath(path_);
      std::string text = FileText(partial);
      const size_t row_bytes = 32 * head.items.size();
      const size_t at = text.size() - (head.configurations.size() - row) * row_bytes + 9;
      text[at] = static_cast<char>(text[at] ^ 4);
      SetFileText(partial, text);
      const Result<LayerTableWriter> writer = LayerTableWriter::Create(path_, head, true);
      ASSERT_TRUE(writer.ok()) << writer.error();
      EXPECT_EQ(writer->rows_done(), 29u);
      EXPECT_FALSE(writer->done(row));
    }
    Build(*space, head, InOrder(order.size()), true);
    EXPECT_EQ(FileText(path_) == straight, true) << "stopped after " << stop_after << " rows";
  }
}

TEST_F(LayerTableFile, AnInterruptedBuildIsNeitherLostNorMixedUp) {
  const std::unique_ptr<DesignSpace> space = SmallSpace();
  const TableHead head = SmallHead(*space);
  Build(*space, head, InOrder(GroupCount(*space, head)), false, 3);
  Result<LayerTableWriter> again = LayerTableWriter::Create(path_, head, false);
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.error().find("--resume"), std::string::npos) << again.error();
  TableHead other = head;
  other.items.pop_back();
  again = LayerTableWriter::Create(path_, other, true);
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.error().find("another table"), std::string::npos) << again.error();
  other = head;
  other.prices ^= 1;
  EXPECT_FALSE(LayerTableWriter::Create(path_, other, true).ok());
  const Result<LayerTableWriter> holder = LayerTableWriter::Create(path_, head, true);
  ASSERT_TRUE(holder.ok()) << holder.error();
  EXPECT_EQ(holder->rows_done(), 3u);
  again = LayerTableWriter::Create(path_, head, true);
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.error().find("another build"), std::string::npos) << again.error();
}

TEST_F(LayerTableFile, DamageIsFound) {
  const std::unique_ptr<DesignSpace> space = SmallSpace();
  const TableHead head = SmallHead(*space);
  Build(*space, head, InOrder(GroupCount(*space, head)), false);
  const std::string whole = FileText(path_);
  std::string why;
  const auto sound = [&](const std::string& text) {
    SetFileText(path_, text);
    const Result<LayerTable> table = LayerTable::Open(path_);
    if (!table.ok()) {
      why = table.error();
      return false;
    }
    for (size_t row = 0; row < table->rows(); ++row) {
      if (!table->CheckRow(row, &why)) return false;
    }
    return true;
  };
  ASSERT_TRUE(sound(whole)) << why;
  for (const size_t size : {size_t{0}, size_t{5}, size_t{100}, size_t{200}, whole.size() - 1}) {
    EXPECT_FALSE(sound(whole.substr(0, size))) << size;
    EXPECT_EQ(why.find('\n'), std::string::npos);
  }
  EXPECT_FALSE(sound(whole + "x"));
  EXPECT_FALSE(sound("some text that is no table"));
  EXPECT_NE(why.find("not a layer table"), std::string::npos) << why;
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    std::string text = whole;
    const size_t at = i < 150 ? random() % 20000 : random() % text.size();
    text[at] = static_cast<char>(text[at] ^ (1u << random() % 8));
    EXPECT_FALSE(sound(text)) << "bit of byte " << at << " turned, seed 3 step " << i;
  }
  std::string version = whole;
  version[8] = 9;
  EXPECT_FALSE(sound(version));
  EXPECT_NE(why.find("version 9"), std::string::npos) << why;
}

}  // namespace
}  // namespace rhnas::hw
