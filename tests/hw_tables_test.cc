// Cost tables: every row of the built-in one has a source; a wrong file is told by path and line;
// SRAM interpolates between the table's points; nodes.
#include "hw/tables.h"

#include <gtest/gtest.h>

#include <cmath>

#include "hw/node_scaling.h"

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
  EXPECT_EQ(table->rows().size(), 54u);
  for (const TableRow& row : table->rows()) {
    EXPECT_FALSE(row.source.empty()) << row.name;
    EXPECT_FALSE(row.unit.empty()) << row.name;
  }
  EXPECT_EQ((*table)["mac_pj"], 0.30);
  EXPECT_EQ(DefaultCostTable()["dram_read_pj_per_byte"], 64);
}

TEST(Tables, ErrorsNamePathAndLine) {
  EXPECT_EQ(ErrorOf(With("mac_pj,0.3", "mac_pj,-1")),
            "t.csv:2: mac_pj: found -1, expected a number of at least 0");
  EXPECT_EQ(ErrorOf(With("mac_pj,0.3", "mac_pj,nan")),
            "t.csv:2: mac_pj: found \"nan\", expected a finite number");
  EXPECT_EQ(ErrorOf(With("mac_pj,0.3", "mac_pj,1e400")),
            "t.csv:2: mac_pj: found \"1e400\", expected a finite number");
  EXPECT_EQ(ErrorOf(With("mac_pj,0.3", "mac_pJ,0.30")),
            "t.csv:2: unknown row \"mac_pJ\", did you mean \"mac_pj\"?");
  EXPECT_EQ(ErrorOf(With("alu_op_pj,0.1", "mac_pj,0.1")),
            "t.csv:3: row \"mac_pj\" appears twice (first in line 2)");
  EXPECT_EQ(ErrorOf(With("clock_mhz,100", "clock_mhz,0")),
            "t.csv:14: clock_mhz: found 0, expected a number above 0");
  EXPECT_EQ(ErrorOf(With("mac_pj,0.3", "mac_pj,1e300")),
            "t.csv:2: mac_pj: found 1e300, expected a number of at most 1e12");
  EXPECT_EQ(ErrorOf(With("clock_mhz,100", "clock_mhz,1e-300")),
            "t.csv:14: clock_mhz: found 1e-300, expected a number of at least 0.001");
  EXPECT_NE(ErrorOf(With("mac_pj,0.3", "# mac_pj,0.3")).find("missing row: mac_pj"),
            std::string::npos);
  EXPECT_NE(ErrorOf(With("mac_pj,0.3,pJ", "mac_pj,0.3")).find("t.csv:2: found 5 fields"),
            std::string::npos);
  EXPECT_NE(ErrorOf(With("name,value", "value,name")).find("t.csv:1: found column"),
            std::string::npos);
  EXPECT_NE(ErrorOf(With("mac_pj,0.3", "\"mac_pj,0.3")).find("does not close"), std::string::npos);
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
  // Above the table energy stays at its end; leakage and area go with capacity.
  EXPECT_DOUBLE_EQ(table.SramReadPjPerByte(1 << 24), 5.220);
  EXPECT_DOUBLE_EQ(table.SramAreaUm2(2 << 20), 2048 * 3187.0);
  EXPECT_DOUBLE_EQ(table.SramLeakageMw(2 << 20), 2 * 14.14);
  double before = 0;
  for (double bytes = 1024; bytes < (4 << 20); bytes *= 1.1) {
    EXPECT_GE(table.SramReadPjPerByte(bytes), before);
    before = table.SramReadPjPerByte(bytes);
  }
}

// Below 2 KB the periphery stays: what is taken away is cells of 146 F^2 a bit.
TEST(Tables, SmallMemoriesKeepTheirPeriphery) {
  const CostTable& table = DefaultCostTable();
  const double cell = 0.2957;  // 146 squares of 45 nm, four digits
  EXPECT_EQ(table["sram_cell_um2_per_bit"], cell);
  EXPECT_DOUBLE_EQ(table.SramAreaUm2(2048), 2 * 3771.0);
  EXPECT_NEAR(table.SramAreaUm2(256), 2 * 3771.0 - (2048 - 256) * 8 * cell, 1e-9);
  EXPECT_DOUBLE_EQ(table.SramReadPjPerByte(256), 0.164);
  EXPECT_DOUBLE_EQ(table.SramLeakageMw(1024), 0.02);
  // Until registers are smaller.
  EXPECT_FALSE(table.IsRegisters(64));
  EXPECT_TRUE(table.IsRegisters(32));
  EXPECT_DOUBLE_EQ(table.SramAreaUm2(32), 32 * 8 * table["register_um2_per_bit"]);
  EXPECT_DOUBLE_EQ(table.SramWritePjPerByte(32), 8 * table["register_pj_per_bit"]);
  EXPECT_EQ(table.SramRowNames(32, "um2_per_kb"), "register_um2_per_bit");
  EXPECT_EQ(table.SramRowNames(256, "um2_per_kb"), "sram_2kb_um2_per_kb, sram_cell_um2_per_bit");
  EXPECT_EQ(table.SramRowNames(8192, "read_pj_per_byte"), "sram_8kb_read_pj_per_byte");
  EXPECT_EQ(table.SramRowNames(9000, "read_pj_per_byte"),
            "sram_8kb_read_pj_per_byte, sram_16kb_read_pj_per_byte");
  for (const int node : {16, 22, 28, 32, 40, 45, 65}) {
    for (const Process process : {Process::kHp, Process::kLop}) {
      TableOptions options;
      options.node_nm = node;
      options.process = process;
      const CostTable other = *BuiltInCostTable(options);
      double area = 0;
      for (double bytes = 1; bytes <= (1 << 20); bytes *= 2) {
        EXPECT_GT(other.SramAreaUm2(bytes), area) << node << " " << bytes;
        EXPECT_GE(other.SramAreaUm2(bytes) / bytes, 8 * other["sram_cell_um2_per_bit"])
            << node << " " << bytes;
        area = other.SramAreaUm2(bytes);
      }
    }
  }
}

CostTable At(int node_nm, Process process) {
  TableOptions options;
  options.node_nm = node_nm;
  options.process = process;
  const Result<CostTable> table = BuiltInCostTable(options);
  EXPECT_TRUE(table.ok()) << table.error();
  return *table;
}

// One number of every column of the sweep.
TEST(Tables, EveryColumnOfTheSweep) {
  struct Row {
    int node_nm;
    Process process;
    double kb, read, write, leakage_mw, um2_per_kb;
    const char* volt;
  };
  const Row rows[] = {
      {65, Process::kHp, 16, 2.083, 1.911, 20.63, 6623, "1.1"},
      {45, Process::kHp, 64, 3.623, 2.149, 67.34, 2870, "1"},
      {45, Process::kLop, 256, 2.538, 1.912, 3.74, 3407, "0.7"},
      {40, Process::kHp, 2, 0.233, 0.348, 2.17, 2983, "0.96"},
      {40, Process::kLop, 1024, 3.569, 3.037, 70.35, 2631, "0.66"},
      {32, Process::kHp, 4, 0.199, 0.356, 2.89, 1716, "0.9"},
      {32, Process::kLop, 32, 0.398, 0.328, 4.12, 2099, "0.6"},
      {28, Process::kHp, 512, 2.647, 2.240, 220.23, 1302, "0.86"},
      {28, Process::kLop, 8, 0.230, 0.169, 2.25, 1380, "0.6"},
      {22, Process::kHp, 128, 0.937, 0.638, 34.75, 801, "0.8"},
      {22, Process::kLop, 2, 0.051, 0.066, 1.00, 901, "0.6"},
  };
  for (const Row& row : rows) {
    const CostTable table = At(row.node_nm, row.process);
    const double bytes = row.kb * 1024;
    EXPECT_EQ(table.SramReadPjPerByte(bytes), row.read) << row.node_nm;
    EXPECT_EQ(table.SramWritePjPerByte(bytes), row.write) << row.node_nm;
    EXPECT_EQ(table.SramLeakageMw(bytes), row.leakage_mw) << row.node_nm;
    EXPECT_EQ(table.SramAreaUm2(bytes), row.um2_per_kb * row.kb) << row.node_nm;
    const std::string name = "sram_" + std::to_string(static_cast<int>(row.kb)) + "kb_leakage_mw";
    EXPECT_EQ(table.Find(name)->voltage_v, row.volt) << row.node_nm;
    EXPECT_EQ(table.Find(name)->node_nm, std::to_string(row.node_nm));
  }
}

TEST(Tables, NodesBetweenAndBeyondTheSweep) {
  // Between 45 and 40 nm: between their values, and their geometric mean at the geometric mean.
  const double at44 = At(44, Process::kLop).SramReadPjPerByte(8192);
  EXPECT_GT(at44, 0.311);
  EXPECT_LT(at44, 0.395);
  // 16 nm: 22 nm times the logic's factors; the area factor is 0.19 / 0.252.
  const CostTable at16 = At(16, Process::kLop);
  EXPECT_NEAR(at16.SramAreaUm2(1 << 20) / (1024 * 794.0), 0.19 / 0.252, 0.001);
  EXPECT_NEAR(at16.SramReadPjPerByte(1 << 20) / 1.600, EnergyFactor(22, 16), 0.001);
  // 65 nm lop is derived and says so.
  const CostTable at65 = At(65, Process::kLop);
  const TableRow* derived = at65.Find("sram_8kb_read_pj_per_byte");
  EXPECT_NEAR(derived->value, 0.395 * 1.102 / 0.661, 0.001);
  EXPECT_NE(derived->source.find("derived: its 45 nm column"), std::string::npos);
  for (const int node : {15, 66, 0, -1}) {
    TableOptions options;
    options.node_nm = node;
    const Result<CostTable> none = BuiltInCostTable(options);
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error(), "no energy table at " + std::to_string(node) +
                                " nm: expected a node from 16 to 65 nm");
  }
}

// The published quotients of Stillmaker & Baas 2017 as the Accelergy plug-in has them.
TEST(Tables, LogicScalesAsPublished) {
  EXPECT_NEAR(EnergyFactor(45, 32, 0.8), 0.65934, 5e-6);  // logged by its reference output
  EXPECT_DOUBLE_EQ(AreaFactor(45, 65), 1.5);
  EXPECT_DOUBLE_EQ(AreaFactor(45, 16), 0.19);
  EXPECT_NEAR(AreaFactor(45, 22), 0.252, 0.0005);
  EXPECT_DOUBLE_EQ(EnergyFactor(45, 28) * EnergyFactor(28, 45), 1);
  double energy = 0, area = 0;
  for (int node = 16; node <= 65; ++node) {
    const CostTable table = At(node, Process::kHp);
    EXPECT_GT(table["mac_pj"], energy) << node;
    EXPECT_GT(table["mac_um2"], area) << node;
    energy = table["mac_pj"];
    area = table["mac_um2"];
  }
  // Rows at the node they were published for are as published.
  EXPECT_EQ(At(45, Process::kLop)["mac_pj"], 0.3);
  EXPECT_EQ(At(40, Process::kLop)["register_pj_per_bit"], 0.009);
}

TEST(Tables, DramAndClockAreOptions) {
  const double pj_per_byte[] = {64, 320, 560, 112, 31.2};
  ASSERT_EQ(DramNames().size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    TableOptions options;
    options.dram = static_cast<Dram>(i);
    EXPECT_EQ((*BuiltInCostTable(options))["dram_read_pj_per_byte"], pj_per_byte[i]);
    EXPECT_EQ((*BuiltInCostTable(options))["dram_write_pj_per_byte"], pj_per_byte[i]);
  }
  TableOptions options;
  options.clock_mhz = 333;
  EXPECT_EQ((*BuiltInCostTable(options))["clock_mhz"], 333);
  options.clock_mhz = 0;
  EXPECT_EQ(BuiltInCostTable(options).error(), "found a clock of 0 MHz, expected a number above 0");
}

TEST(Tables, CsvReadsBackTheSame) {
  for (const int node : {16, 28, 45}) {
    const CostTable table = At(node, Process::kHp);
    const Result<CostTable> back = ParseCostTable(CostTableCsv(table), "t.csv");
    ASSERT_TRUE(back.ok()) << back.error();
    ASSERT_EQ(back->rows().size(), table.rows().size());
    for (size_t i = 0; i < table.rows().size(); ++i) {
      EXPECT_EQ(back->rows()[i].name, table.rows()[i].name);
      EXPECT_EQ(back->rows()[i].value, table.rows()[i].value);
      EXPECT_EQ(back->rows()[i].source, table.rows()[i].source);
    }
  }
}

TEST(Tables, MissingFileIsTold) {
  const Result<CostTable> table = ReadCostTable("/no/such/table.csv");
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error(), "/no/such/table.csv: cannot be opened, expected a cost table (CSV)");
}

}  // namespace
}  // namespace rhnas::hw
