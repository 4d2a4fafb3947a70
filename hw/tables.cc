// CSV in and out, checked; SRAM rows interpolated.
#include "hw/tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <utility>

#include "hw/number.h"

namespace rhnas::hw {
namespace {

constexpr const char* kColumns[] = {"name", "value", "unit", "node_nm", "voltage_v", "source"};
constexpr size_t kColumnCount = 6;

constexpr const char* kScalarRows[] = {
    "mac_pj",
    "alu_op_pj",
    "alu_mul_pj",
    "register_pj_per_bit",
    "dram_read_pj_per_byte",
    "dram_write_pj_per_byte",
    "instruction_pj",
    "logic_leakage_mw_per_um2",
    "clock_mhz",
    "mac_um2",
    "alu_lane_um2",
    "control_um2",
    "register_um2_per_bit",
    "sram_cell_um2_per_bit",
};
constexpr const char* kSramValues[] = {"read_pj_per_byte", "write_pj_per_byte", "leakage_mw",
                                       "um2_per_kb"};

std::string SramRow(int kb, const char* what) {
  return "sram_" + std::to_string(kb) + "kb_" + what;
}

std::vector<std::string> KnownRows() {
  std::vector<std::string> names(std::begin(kScalarRows), std::end(kScalarRows));
  for (const int kb : kSweepKb) {
    for (const char* what : kSramValues) names.push_back(SramRow(kb, what));
  }
  return names;
}

std::string Trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// False: a quote does not close.
bool SplitCsv(const std::string& line, std::vector<std::string>* fields) {
  fields->assign(1, "");
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields->back().push_back('"');
        ++i;
      } else {
        quoted = !quoted;
      }
    } else if (line[i] == ',' && !quoted) {
      fields->emplace_back();
    } else {
      fields->back().push_back(line[i]);
    }
  }
  for (std::string& field : *fields) field = Trim(field);
  return !quoted;
}

// Log-log through two points.
double Interpolate(double x, double x0, double y0, double x1, double y1) {
  if (y0 <= 0 || y1 <= 0) return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
  const double share = std::log(x / x0) / std::log(x1 / x0);
  return std::exp(std::log(y0) + share * (std::log(y1) - std::log(y0)));
}

}  // namespace

double CostTable::operator[](const char* name) const {
  for (const TableRow& row : rows_) {
    if (std::strcmp(row.name.c_str(), name) == 0) return row.value;
  }
  return std::nan("");  // only for a name that is no row: the caller's mistake must not look cheap
}

const TableRow* CostTable::Find(const std::string& name) const {
  for (const TableRow& row : rows_) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

double CostTable::Sram(double bytes, double SramMacro::*value) const {
  const double kib = bytes / 1024;
  if (kib <= kSweepKb[0]) return sram_[0].*value;
  for (size_t i = 1; i < kSweepKb.size(); ++i) {
    if (kib == kSweepKb[i]) return sram_[i].*value;  // the row itself, not its logarithm's inverse
    if (kib < kSweepKb[i]) {
      return Interpolate(kib, kSweepKb[i - 1], sram_[i - 1].*value, kSweepKb[i], sram_[i].*value);
    }
  }
  return sram_.back().*value;
}

bool CostTable::IsRegisters(double bytes) const {
  constexpr double kSmallest = kSweepKb[0] * 1024.0;
  return bytes < kSmallest &&
         bytes * register_um2_per_byte_ <=
             kSweepKb[0] * sram_[0].um2_per_kb - (kSmallest - bytes) * cell_um2_per_byte_;
}

double CostTable::SramReadPjPerByte(double bytes) const {
  return IsRegisters(bytes) ? register_pj_per_byte_ : Sram(bytes, &SramMacro::read_pj_per_byte);
}

double CostTable::SramWritePjPerByte(double bytes) const {
  return IsRegisters(bytes) ? register_pj_per_byte_ : Sram(bytes, &SramMacro::write_pj_per_byte);
}

double CostTable::SramLeakageMw(double bytes) const {
  if (IsRegisters(bytes)) return SramAreaUm2(bytes) * logic_leakage_mw_per_um2_;
  // Leakage goes with capacity: beyond the table's ends it scales from the end point.
  const double kib = bytes / 1024;
  const double inside = std::min<double>(std::max<double>(kib, kSweepKb.front()), kSweepKb.back());
  return Sram(bytes, &SramMacro::leakage_mw) * kib / inside;
}

double CostTable::SramAreaUm2(double bytes) const {
  if (IsRegisters(bytes)) return bytes * register_um2_per_byte_;
  constexpr double kSmallest = kSweepKb[0] * 1024.0;
  if (bytes < kSmallest) {
    return kSweepKb[0] * sram_[0].um2_per_kb - (kSmallest - bytes) * cell_um2_per_byte_;
  }
  return Sram(bytes, &SramMacro::um2_per_kb) * bytes / 1024;
}

std::string CostTable::SramRowNames(double bytes, const char* what) const {
  if (IsRegisters(bytes)) {
    const bool area = std::strcmp(what, "um2_per_kb") == 0;
    return area ? "register_um2_per_bit" : "register_pj_per_bit";
  }
  const double kib = bytes / 1024;
  if (kib < kSweepKb[0] && std::strcmp(what, "um2_per_kb") == 0) {
    return SramRow(kSweepKb[0], what) + ", sram_cell_um2_per_bit";
  }
  if (kib <= kSweepKb.front()) return SramRow(kSweepKb.front(), what);
  for (size_t i = 1; i < kSweepKb.size(); ++i) {
    if (kib == kSweepKb[i]) return SramRow(kSweepKb[i], what);
    if (kib < kSweepKb[i])
      return SramRow(kSweepKb[i - 1], what) + ", " + SramRow(kSweepKb[i], what);
  }
  return SramRow(kSweepKb.back(), what);
}

Result<CostTable> MakeCostTable(std::vector<TableRow> rows, const std::string& where) {
  CostTable table;
  table.rows_ = std::move(rows);
  std::string missing;
  for (const std::string& name : KnownRows()) {
    if (table.Find(name) == nullptr) missing += " " + name;
  }
  if (!missing.empty()) return Error{where + "missing row:" + missing};
  for (size_t i = 0; i < kSweepKb.size(); ++i) {
    const auto value = [&table, i](const char* what) { return table[SramRow(kSweepKb[i], what)]; };
    table.sram_[i] = {value(kSramValues[0]), value(kSramValues[1]), value(kSramValues[2]),
                      value(kSramValues[3])};
  }
  table.register_pj_per_byte_ = 8 * table["register_pj_per_bit"];
  table.register_um2_per_byte_ = 8 * table["register_um2_per_bit"];
  table.logic_leakage_mw_per_um2_ = table["logic_leakage_mw_per_um2"];
  // Cells cannot take more than the whole of the smallest memory.
  table.cell_um2_per_byte_ =
      std::min(8 * table["sram_cell_um2_per_bit"], table.sram_[0].um2_per_kb / 1024);
  return table;
}

Result<CostTable> ParseCostTable(const std::string& csv, const std::string& path) {
  const std::vector<std::string> known = KnownRows();
  std::vector<int> seen_in(known.size(), 0);
  std::vector<TableRow> rows;
  std::vector<std::string> fields;
  bool have_header = false;
  int line_number = 0;
  for (size_t begin = 0; begin < csv.size();) {
    const size_t end = std::min(csv.find('\n', begin), csv.size());
    const std::string line = csv.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    const std::string at = path + ":" + std::to_string(line_number) + ": ";
    if (Trim(line).empty() || Trim(line)[0] == '#') continue;
    if (!SplitCsv(line, &fields)) return Error{at + "a double quote does not close"};
    if (fields.size() != kColumnCount) {
      return Error{at + "found " + std::to_string(fields.size()) +
                   " fields, expected 6: name,value,unit,node_nm,voltage_v,source"};
    }
    if (!have_header) {
      for (size_t i = 0; i < kColumnCount; ++i) {
        if (fields[i] != kColumns[i]) {
          return Error{at + "found column \"" + fields[i] + "\", expected \"" + kColumns[i] +
                       "\" (header: name,value,unit,node_nm,voltage_v,source)"};
        }
      }
      have_header = true;
      continue;
    }
    TableRow row{fields[0], 0, fields[2], fields[3], fields[4], fields[5]};
    const auto found = std::find(known.begin(), known.end(), row.name);
    if (found == known.end()) {
      const std::string near = Nearest(row.name, known.data(), static_cast<int>(known.size()));
      return Error{at + "unknown row \"" + row.name + "\"" +
                   (near.empty() ? "" : ", did you mean \"" + near + "\"?")};
    }
    int& first_line = seen_in[static_cast<size_t>(found - known.begin())];
    if (first_line != 0) {
      return Error{at + "row \"" + row.name + "\" appears twice (first in line " +
                   std::to_string(first_line) + ")"};
    }
    first_line = line_number;
    if (!ParseDouble(fields[1], &row.value)) {
      return Error{at + row.name + ": found \"" + fields[1] + "\", expected a finite number"};
    }
    // Far beyond any node: sums and products over a network stay finite.
    constexpr double kMostValue = 1e12, kLeastMhz = 1e-3;
    if (row.value > kMostValue ||
        (row.name == "clock_mhz" && row.value > 0 && row.value < kLeastMhz)) {
      return Error{at + row.name + ": found " + fields[1] + ", expected a number " +
                   (row.value > kMostValue ? "of at most 1e12" : "of at least 0.001")};
    }
    const bool zero_allowed = row.name != "clock_mhz";
    if (row.value < 0 || (row.value == 0 && !zero_allowed)) {
      return Error{at + row.name + ": found " + fields[1] + ", expected a number " +
                   (zero_allowed ? "of at least 0" : "above 0")};
    }
    if (row.source.empty()) return Error{at + row.name + ": has no source"};
    rows.push_back(row);
  }
  if (!have_header) {
    return Error{path + ":1: empty table, expected the header " +
                 "name,value,unit,node_nm,voltage_v,source"};
  }
  return MakeCostTable(std::move(rows), path + ":" + std::to_string(line_number) + ": ");
}

std::string CostTableCsv(const CostTable& table) {
  std::string csv;
  for (size_t i = 0; i < kColumnCount; ++i) csv += std::string(i > 0 ? "," : "") + kColumns[i];
  csv += "\n";
  for (const TableRow& row : table.rows()) {
    const std::string value = FormatDouble(row.value);
    for (const std::string* field :
         {&row.name, &value, &row.unit, &row.node_nm, &row.voltage_v, &row.source}) {
      if (field != &row.name) csv += ",";
      if (field->find_first_of(",\"") == std::string::npos) {
        csv += *field;
        continue;
      }
      csv += '"';
      for (const char letter : *field) csv += std::string(letter == '"' ? 2 : 1, letter);
      csv += '"';
    }
    csv += "\n";
  }
  return csv;
}

Result<CostTable> ReadCostTable(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return Error{path + ": cannot be opened, expected a cost table (CSV)"};
  // Far beyond any table.
  constexpr size_t kMaxBytes = 1 << 22;
  std::string text;
  char buffer[4096];
  size_t count = 0;
  while (text.size() <= kMaxBytes && (count = std::fread(buffer, 1, sizeof buffer, file)) > 0) {
    text.append(buffer, count);
  }
  const bool bad = std::ferror(file) != 0 || text.size() > kMaxBytes;
  std::fclose(file);
  if (bad) return Error{path + ": cannot be read, expected a cost table (CSV) of at most 4 MiB"};
  return ParseCostTable(text, path);
}

}  // namespace rhnas::hw
