// CSV in, checked; SRAM rows interpolated.
#include "hw/tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

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
};
// Capacities of the SRAM rows in KB: CACTI sweep points.
constexpr int kSramKb[] = {2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

std::string SramRow(int kb, const char* what) {
  return "sram_" + std::to_string(kb) + "kb_" + what;
}

std::vector<std::string> KnownRows() {
  std::vector<std::string> names(std::begin(kScalarRows), std::end(kScalarRows));
  for (const int kb : kSramKb) {
    for (const char* what : {"read_pj_per_byte", "write_pj_per_byte", "leakage_mw", "um2_per_kb"}) {
      names.push_back(SramRow(kb, what));
    }
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

double CostTable::operator[](const std::string& name) const {
  for (const TableRow& row : rows_) {
    if (row.name == name) return row.value;
  }
  return std::nan("");  // only for a name that is no row: the caller's mistake must not look cheap
}

double CostTable::Sram(double bytes, double SramPoint::*value) const {
  const double kib = bytes / 1024;
  if (kib <= sram_.front().kib) return sram_.front().*value;
  for (size_t i = 1; i < sram_.size(); ++i) {
    if (kib <= sram_[i].kib) {
      return Interpolate(kib, sram_[i - 1].kib, sram_[i - 1].*value, sram_[i].kib, sram_[i].*value);
    }
  }
  return sram_.back().*value;
}

double CostTable::SramReadPjPerByte(double bytes) const { return Sram(bytes, &SramPoint::read); }
double CostTable::SramWritePjPerByte(double bytes) const { return Sram(bytes, &SramPoint::write); }

double CostTable::SramLeakageMw(double bytes) const {
  // Leakage and area go with capacity: beyond the table's ends they scale from the end point.
  const double kib = bytes / 1024;
  const double inside = std::min(std::max(kib, sram_.front().kib), sram_.back().kib);
  return Sram(bytes, &SramPoint::leak_mw) * kib / inside;
}

double CostTable::SramAreaUm2(double bytes) const {
  return Sram(bytes, &SramPoint::um2_per_kib) * bytes / 1024;
}

Result<CostTable> ParseCostTable(const std::string& csv, const std::string& path) {
  const std::vector<std::string> known = KnownRows();
  std::vector<int> seen_in(known.size(), 0);
  CostTable table;
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
    const bool zero_allowed = row.name != "clock_mhz";
    if (row.value < 0 || (row.value == 0 && !zero_allowed)) {
      return Error{at + row.name + ": found " + fields[1] + ", expected a number " +
                   (zero_allowed ? "of at least 0" : "above 0")};
    }
    if (row.source.empty()) return Error{at + row.name + ": has no source"};
    table.rows_.push_back(row);
  }
  if (!have_header) {
    return Error{path + ":1: empty table, expected the header " +
                 "name,value,unit,node_nm,voltage_v,source"};
  }
  std::string missing;
  for (size_t i = 0; i < known.size(); ++i) {
    if (seen_in[i] == 0) missing += " " + known[i];
  }
  if (!missing.empty()) {
    return Error{path + ":" + std::to_string(line_number) + ": missing row:" + missing};
  }
  for (const int kb : kSramKb) {
    table.sram_.push_back({static_cast<double>(kb), table[SramRow(kb, "read_pj_per_byte")],
                           table[SramRow(kb, "write_pj_per_byte")],
                           table[SramRow(kb, "leakage_mw")], table[SramRow(kb, "um2_per_kb")]});
  }
  return table;
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
