// Cost tables: every row of the built-in one has a source; a wrong file is told by path and line;
// SRAM interpolates between the table's points.
#include "hw/tables.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rhnas::hw {
namespace {

std::string ErrorOf(const std::string& csv) {
  const Result<CostTable> table = ParseCostTable(csv, "t.csv");
  return table.ok() ? "no error" : table.error();
}

// The built-in table with the first `from` replaced.
std::string With(const std::string& from, const std::string& to) {
  std::string csv = DefaultCostTableCsv();
  const size_t at = csv.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return csv.replace(at, from.size(), to);
}

TEST(Tables, BuiltInTableParses) {
  const Result<CostTable> table = ParseCostTable(DefaultCostTableCsv(), "built-in");
  ASSERT_TRUE(table.ok()) << table.error();
  EXPECT_EQ(table->rows().size(), 53u);
  for (const TableRow& row : table->rows()) {
    EXPECT_FALSE(row.source.empty()) << row.name;
    EXPECT_FALSE(row.unit.empty()) << row.name;
  }
  EXPECT_EQ((*table)["mac_pj"], 0.30);
  EXPECT_EQ(DefaultCostTable()["dram_read_pj_per_byte"], 64);
}

TEST(Tables, ErrorsNamePathAndLine) {
  EXPECT_EQ(ErrorOf(With("mac_pj,0.30", "mac_pj,-1")),
            "t.csv:2: mac_pj: found -1, expected a number of at least 0");
  EXPECT_EQ(ErrorOf(With("mac_pj,0.30", "mac_pj,nan")),
            "t.csv:2: mac_pj: found \"nan\", expected a finite number");
  EXPECT_EQ(ErrorOf(With("mac_pj,0.30", "mac_pj,1e400")),
            "t.csv:2: mac_pj: found \"1e400\", expected a finite number");
  EXPECT_EQ(ErrorOf(With("mac_pj,0.30", "mac_pJ,0.30")),
            "t.csv:2: unknown row \"mac_pJ\", did you mean \"mac_pj\"?");
  EXPECT_EQ(ErrorOf(With("alu_op_pj,0.10", "mac_pj,0.10")),
            "t.csv:3: row \"mac_pj\" appears twice (first in line 2)");
  EXPECT_EQ(ErrorOf(With("clock_mhz,100", "clock_mhz,0")),
            "t.csv:10: clock_mhz: found 0, expected a number above 0");
  EXPECT_NE(ErrorOf(With("mac_pj,0.30", "# mac_pj,0.30")).find("missing row: mac_pj"),
            std::string::npos);
  EXPECT_NE(ErrorOf(With("mac_pj,0.30,pJ", "mac_pj,0.30")).find("t.csv:2: found 5 fields"),
            std::string::npos);
  EXPECT_NE(ErrorOf(With("name,value", "value,name")).find("t.csv:1: found column"),
            std::string::npos);
  EXPECT_NE(ErrorOf(With("mac_pj,0.30", "\"mac_pj,0.30")).find("does not close"),
            std::string::npos);
  EXPECT_EQ(ErrorOf(With("Horowitz ISSCC 2014: 32-bit integer add; one ALU lane operation", "")),
            "t.csv:3: alu_op_pj: has no source");
}

TEST(Tables, SramInterpolatesLogLog) {
  const CostTable& table = DefaultCostTable();
  EXPECT_DOUBLE_EQ(table.SramReadPjPerByte(8 * 1024), 0.395);
  EXPECT_DOUBLE_EQ(table.SramWritePjPerByte(128 * 1024), 1.317);
  EXPECT_DOUBLE_EQ(table.SramLeakageMw(64 * 1024), 0.94);
  EXPECT_DOUBLE_EQ(table.SramAreaUm2(32 * 1024), 32 * 3498.0);
  // Halfway in logarithm: the geometric mean.
  EXPECT_NEAR(table.SramReadPjPerByte(8 * 1024 * 1.4142135623730951), std::sqrt(0.395 * 0.754),
              1e-12);
  // Outside the table energy stays at its end; leakage and area go with capacity.
  EXPECT_DOUBLE_EQ(table.SramReadPjPerByte(16), 0.164);
  EXPECT_DOUBLE_EQ(table.SramReadPjPerByte(1 << 24), 5.220);
  EXPECT_DOUBLE_EQ(table.SramLeakageMw(1024), 0.02);
  EXPECT_DOUBLE_EQ(table.SramAreaUm2(2 << 20), 2048 * 3187.0);
  double before = 0;
  for (double bytes = 1024; bytes < (4 << 20); bytes *= 1.1) {
    EXPECT_GE(table.SramReadPjPerByte(bytes), before);
    before = table.SramReadPjPerByte(bytes);
  }
}

TEST(Tables, MissingFileIsTold) {
  const Result<CostTable> table = ReadCostTable("/no/such/table.csv");
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error(), "/no/such/table.csv: cannot be opened, expected a cost table (CSV)");
}

}  // namespace
}  // namespace rhnas::hw
