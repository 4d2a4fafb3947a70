// The energy and area table: built in for a node, process and DRAM, or a CSV file of the user's.
//
// Columns: name, value, unit, node_nm, voltage_v, source. A field may stand in double quotes (""
// for a quote inside). Lines that start with # and empty lines are skipped. Every row has a source;
// unknown, missing, duplicate, negative or non-finite rows are errors with path and line. The names
// are those of DefaultCostTableCsv(). A table is immutable: threads may share it.
#pragma once

#include <string>
#include <vector>

#include "hw/result.h"
#include "hw/sram_sweep.h"

namespace rhnas::hw {

struct TableRow {
  std::string name;
  double value = 0;
  std::string unit, node_nm, voltage_v, source;
};

class CostTable {
 public:
  // Value of a row. REQUIRES: the name is one of the known rows (parsing guarantees they are all
  // there).
  double operator[](const char* name) const;
  double operator[](const std::string& name) const { return (*this)[name.c_str()]; }
  // Null: no such row.
  const TableRow* Find(const std::string& name) const;
  const std::vector<TableRow>& rows() const { return rows_; }

  // One memory of a 64-bit word by capacity: log-log in KB between the table's points, beyond the
  // largest the end point's (area and leakage a KB). Below the smallest (2 KB) its periphery stays
  // as it is and only the cells get fewer: its energy per byte is kept (too much rather than too
  // little), its area loses sram_cell_um2_per_bit a bit, its leakage goes with capacity; or it is
  // built of registers, where that is smaller. Small memories so never look cheaper than they are.
  double SramReadPjPerByte(double bytes) const;
  double SramWritePjPerByte(double bytes) const;
  double SramLeakageMw(double bytes) const;
  double SramAreaUm2(double bytes) const;
  // True: registers take less area than the table's smallest memory with fewer cells.
  bool IsRegisters(double bytes) const;
  // The rows that SramReadPjPerByte and the others take for a capacity, for the reader:
  // "sram_8kb_read_pj_per_byte", "sram_8kb_.. to sram_16kb_..".
  std::string SramRowNames(double bytes, const char* what) const;

 private:
  friend Result<CostTable> MakeCostTable(std::vector<TableRow> rows, const std::string& where);
  double Sram(double bytes, double SramMacro::*value) const;
  std::vector<TableRow> rows_;
  std::array<SramMacro, kSweepKb.size()> sram_{};  // by growing capacity
  double register_pj_per_byte_ = 0, register_um2_per_byte_ = 0, cell_um2_per_byte_ = 0;
  double logic_leakage_mw_per_um2_ = 0;
};

Result<CostTable> ParseCostTable(const std::string& csv, const std::string& path);
// Reads a file; errors as ParseCostTable's, or that it cannot be read.
Result<CostTable> ReadCostTable(const std::string& path);
// As ParseCostTable reads it.
std::string CostTableCsv(const CostTable& table);
// Rows in any order. Missing rows are an error that starts with `where`.
Result<CostTable> MakeCostTable(std::vector<TableRow> rows, const std::string& where);

// Off-chip memory: energy of a byte on the pins and in the chips.
enum class Dram { kLpddr4, kLpddr, kDdr3, kGddr5, kHbm2 };
const std::vector<std::string>& DramNames();  // "lpddr4", .. in the order of the enum

// What a built-in table is made for.
struct TableOptions {
  int node_nm = 45;
  Process process = Process::kLop;
  Dram dram = Dram::kLpddr4;
  double clock_mhz = 100;  // above 0; turns cycles into leakage energy
  bool operator==(const TableOptions& other) const {
    return node_nm == other.node_nm && process == other.process && dram == other.dram &&
           clock_mhz == other.clock_mhz;
  }
};
// Arithmetic, registers and control: published rows moved to the node with hw/node_scaling.h (rows
// at the published node are as published). SRAM: hw/sram_sweep.h. An error: a node outside 16..65
// nm or a clock that is not above 0.
Result<CostTable> BuiltInCostTable(const TableOptions& options);
// That of TableOptions(): 45 nm, low operating power, LPDDR4, 100 MHz; built once.
const CostTable& DefaultCostTable();
const std::string& DefaultCostTableCsv();

}  // namespace rhnas::hw
