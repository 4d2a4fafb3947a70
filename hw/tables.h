// The energy and area table: CSV, compiled in, replaceable by a file. Columns: name, value, unit,
// node_nm, voltage_v, source. A field may stand in double quotes ("" for a quote inside). Lines
// that start with # and empty lines are skipped. Every row has a source; unknown, missing,
// duplicate, negative or non-finite rows are errors with path and line. The names are those of
// DefaultCostTableCsv().
#pragma once

#include <string>
#include <vector>

#include "hw/result.h"

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
  double operator[](const std::string& name) const;
  const std::vector<TableRow>& rows() const { return rows_; }
  // SRAM by capacity, interpolated log-log in KB between the table's points, clamped at its ends.
  double SramReadPjPerByte(double bytes) const;
  double SramWritePjPerByte(double bytes) const;
  double SramLeakageMw(double bytes) const;
  double SramAreaUm2(double bytes) const;

 private:
  friend Result<CostTable> ParseCostTable(const std::string&, const std::string&);
  std::vector<TableRow> rows_;
  struct SramPoint {
    double kib, read, write, leak_mw, um2_per_kib;
  };
  double Sram(double bytes, double SramPoint::*value) const;
  std::vector<SramPoint> sram_;  // by growing capacity
};

Result<CostTable> ParseCostTable(const std::string& csv, const std::string& path);
// Reads a file; errors as ParseCostTable's, or that it cannot be read.
Result<CostTable> ReadCostTable(const std::string& path);
// The built-in table (45 nm); parsed once.
const CostTable& DefaultCostTable();
const std::string& DefaultCostTableCsv();

}  // namespace rhnas::hw
