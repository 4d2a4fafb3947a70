// Layer tables as CSV: there and back, and one clear line for each thing that can be wrong with a
// user's.
#include "hw/layer_table_csv.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "hw/layer_table_rows.h"
#include "hw/layer_table_write.h"
#include "hw/layer_text.h"

namespace rhnas::hw {
namespace {

constexpr char kConv[] = "conv-1x8x8x16-k32-3x3-s1-p1-g1-b-relu";
constexpr char kAdd[] = "add-1x8x8x32-k32-1x1-s1-p0-g1";
constexpr char kDefault[] = "1x16x16_15_15_18_17_64", kSmall[] = "1x8x8_15_14_16_16_64";

class LayerTableCsv : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "rhnas_table_csv_" + std::to_string(getpid());
    head_.space = "two points";
    head_.networks = "two layers";
    for (const char* text : {kConv, kAdd}) {
      std::vector<Layer> chain;
      ASSERT_TRUE(ParseChainText(text, &chain, nullptr));
      head_.items.push_back(chain);
    }
    head_.configurations = {{11, 0, kDefault}, {22, 7, kSmall}};
  }
  void TearDown() override { std::remove(path_.c_str()); }

  // A whole table with line `number` (2 to 5 are entries) replaced; empty: left out.
  std::string Table(int number = 0, const std::string& line = "") const {
    const std::string lines[] = {
        "layer,configuration,cycles,energy_pj", std::string(kConv) + "," + kDefault + ",100,2.5e3",
        std::string(kConv) + "," + kSmall + ",200,0", std::string(kAdd) + "," + kDefault + ",7,1",
        std::string(kAdd) + "," + kSmall + ",none,none"};
    std::string text;
    for (int i = 1; i <= 5; ++i) {
      if (i != number) {
        text += lines[i - 1] + "\n";
      } else if (!line.empty()) {
        text += line + "\n";
      }
    }
    return text;
  }
  Result<LayerTable> Read(const std::string& text) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << text;
    return ReadLayerTableCsv(path_, head_);
  }

  std::string path_;
  TableHead head_;
};

TEST_F(LayerTableCsv, ReadsWhatStandsThere) {
  for (const std::string& text : {Table(), "# mine\n\n" + Table(), [this] {
                                    std::string windows;
                                    for (const char c : Table())
                                      windows += c == '\n' ? "\r\n" : std::string(1, c);
                                    return windows;
                                  }()}) {
    const Result<LayerTable> table = Read(text);
    ASSERT_TRUE(table.ok()) << table.error();
    EXPECT_TRUE(table->head().given);
    const int conv = table->FindItem(head_.items[0].data(), 1);
    const int add = table->FindItem(head_.items[1].data(), 1);
    ASSERT_EQ(conv, 0);
    ASSERT_EQ(add, 1);
    const LayerTable::Row first = table->At(static_cast<size_t>(table->FindRow(11)));
    EXPECT_EQ(first[0].latency_cycles, 100);
    EXPECT_EQ(first[0].energy_pj, 2500);
    EXPECT_EQ(first[1].latency_cycles, 7);
    const LayerTable::Row second = table->At(static_cast<size_t>(table->FindRow(22)));
    EXPECT_EQ(second[0].energy_pj, 0);
    EXPECT_FALSE(second[1].runs());
    std::string why;
    EXPECT_TRUE(CheckLayerTable(*table, &why)) << why;
  }
}

TEST_F(LayerTableCsv, ColumnsComeInAnyOrder) {
  std::string text = "energy_pj, tiling,dram_bytes,cycles,configuration,layer\n";
  for (const char* layer : {kConv, kAdd}) {
    for (const char* name : {kDefault, kSmall}) {
      text += std::string("1.5,7x7 co1,640,9,") + name + "," + layer + "\n";
    }
  }
  const Result<LayerTable> table = Read(text);
  ASSERT_TRUE(table.ok()) << table.error();
  EXPECT_EQ(table->At(1)[1].dram_bytes, 640);
  EXPECT_EQ(table->At(1)[1].energy_pj, 1.5);
}

TEST_F(LayerTableCsv, OneLineForEachMistake) {
  const std::string conv = std::string(kConv) + ",", at = std::string(kDefault) + ",";
  struct Case {
    std::string text, line, says;
  };
  const Case cases[] = {
      {"", ":1:", "empty table"},
      {Table(1), ":1:", "unknown column"},
      {Table(1, "layer,configuration,cycles"), ":1:", "no column \"energy_pj\""},
      {Table(1, "layer,configuration,cycles,cycles,energy_pj"), ":1:", "appears twice"},
      {Table(3, conv + kSmall + ",200"), ":3:", "found 3 fields, expected 4"},
      {Table(2, "conv-8x8," + at + "1,1"), ":2:", "expected the form"},
      {Table(2, "conv-1x8x8x16-k33-3x3-s1-p1-g1-b-relu," + at + "1,1"),
       ":2:", "two layers has no such layer"},
      {Table(2, conv + "1x16x16_15_15_18_17_65,1,1"),
       ":2:", "did you mean \"" + std::string(kDefault)},
      {Table(3, conv + kDefault + ",200,1"), ":3:", "appears twice (first in line 2)"},
      {Table(2, conv + at + "-100,1"), ":2:", "cycles: found \"-100\""},
      {Table(2, conv + at + "0,1"), ":2:", "above 0"},
      {Table(2, conv + at + "1.5,1"), ":2:", "whole number"},
      {Table(2, conv + at + "99999999999999999999,1"), ":2:", "whole number"},
      {Table(2, conv + at + "1125899906842625,1"), ":2:", "at most 2^50"},
      {Table(2, conv + at + "none,1"), ":2:", "none for both"},
      {Table(2, conv + at + "100,-1"), ":2:", "at least 0"},
      {Table(2, conv + at + "100,nan"), ":2:", "finite"},
      {Table(2, conv + at + "100,inf"), ":2:", "finite"},
      {Table(2, conv + at + "100,1e999"), ":2:", "finite"},
      {Table(2, conv + at + "100,1e31"), ":2:", "at most 1e30"},
      {Table(2, conv + at + "100,"), ":2:", "found \"\""},
      {Table(4), ":4:",
       "misses 1 of 4 entries, the first is layer " + std::string(kAdd) + " on configuration " +
           kDefault},
  };
  for (const Case& c : cases) {
    const Result<LayerTable> table = Read(c.text);
    ASSERT_FALSE(table.ok()) << c.text;
    EXPECT_EQ(table.error().compare(0, path_.size() + c.line.size(), path_ + c.line), 0)
        << table.error() << "\nexpected line " << c.line;
    EXPECT_NE(table.error().find(c.says), std::string::npos) << table.error() << "\n" << c.says;
    EXPECT_EQ(table.error().find('\n'), std::string::npos);
  }
  EXPECT_FALSE(ReadLayerTableCsv(path_ + ".none", head_).ok());
}

TEST_F(LayerTableCsv, ExportComesBack) {
  std::vector<TableEntry> entries(4);
  entries[0] = {123, 1.0 / 3, 77, 0};
  entries[1] = {int64_t{1} << 40, 1e-300, 0, PackTiling(Tiling())};
  entries[3] = {1, 0, 0, 0};
  const Result<LayerTable> table = LayerTable::FromFile(LayerTableBytes(head_, entries), "memory");
  ASSERT_TRUE(table.ok()) << table.error();
  std::string why;
  ASSERT_TRUE(WriteLayerTableCsv(*table, path_, &why)) << why;
  EXPECT_FALSE(IsLayerTableFile(path_));
  const Result<LayerTable> back = ReadLayerTableCsv(path_, head_);
  ASSERT_TRUE(back.ok()) << back.error();
  for (size_t i = 0; i < 4; ++i) {
    const TableEntry was = table->At(i / 2)[i % 2], is = back->At(i / 2)[i % 2];
    EXPECT_EQ(is.latency_cycles, was.latency_cycles) << i;
    EXPECT_EQ(is.energy_pj, was.energy_pj) << i;
    EXPECT_EQ(is.dram_bytes, was.dram_bytes) << i;
  }
  EXPECT_FALSE(WriteLayerTableCsv(*table, "/nonexistent/folder/file", &why));
  EXPECT_NE(why.find("cannot be written"), std::string::npos) << why;
}

TEST_F(LayerTableCsv, WrongEntriesOfABinaryTableAreNamed) {
  const auto check = [this](std::vector<TableEntry> entries, std::string* why) {
    const Result<LayerTable> table =
        LayerTable::FromFile(LayerTableBytes(head_, entries), "memory");
    EXPECT_TRUE(table.ok());
    return CheckLayerTable(*table, why);
  };
  std::vector<TableEntry> entries(4, TableEntry{5, 1, 1, 0});
  std::string why;
  ASSERT_TRUE(check(entries, &why)) << why;
  for (const TableEntry& wrong :
       {TableEntry{-1, 1, 1, 0}, TableEntry{5, -1, 1, 0}, TableEntry{5, 1, -1, 0},
        TableEntry{kMostTableCount + 1, 1, 1, 0}, TableEntry{5, 1, kMostTableCount + 1, 0},
        TableEntry{5, 2 * kMostTablePj, 1, 0},
        TableEntry{5, std::numeric_limits<double>::quiet_NaN(), 1, 0},
        TableEntry{5, std::numeric_limits<double>::infinity(), 1, 0}}) {
    std::vector<TableEntry> some = entries;
    some[2] = wrong;
    EXPECT_FALSE(check(some, &why));
    EXPECT_NE(why.find(kConv), std::string::npos) << why;
    EXPECT_NE(why.find(kSmall), std::string::npos) << why;
  }
  TableHead twice = head_;
  twice.configurations[1].key = 11;
  const Result<LayerTable> table = LayerTable::FromFile(LayerTableBytes(twice, entries), "memory");
  ASSERT_TRUE(table.ok());
  EXPECT_FALSE(CheckLayerTable(*table, &why));
  EXPECT_NE(why.find("appears twice"), std::string::npos) << why;
}

}  // namespace
}  // namespace rhnas::hw
