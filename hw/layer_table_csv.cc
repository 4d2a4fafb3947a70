#include "hw/layer_table_csv.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <unordered_map>

#include <unistd.h>

#include "hw/layer_table_format.h"
#include "hw/layer_table_write.h"
#include "hw/layer_text.h"
#include "hw/number.h"

namespace rhnas::hw {
namespace {

constexpr const char* kColumns[] = {"layer",     "configuration", "cycles",
                                    "energy_pj", "dram_bytes",    "tiling"};
constexpr size_t kColumnCount = 6, kNeeded = 4;
constexpr char kHeader[] = "layer,configuration,cycles,energy_pj,dram_bytes,tiling";
constexpr char kNone[] = "none";

bool WholeNumber(const std::string& text, int64_t* value) {
  if (text.empty() || text.size() > 19) return false;
  int64_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9' || number > kMostTableCount / 10) return false;
    number = number * 10 + (digit - '0');
  }
  *value = number;
  return number <= kMostTableCount;
}

class Reader {
 public:
  Reader(const std::string& path, const TableHead& expected) : path_(path), head_(expected) {
    head_.given = true;
    head_.model = head_.prices = 0;
    for (size_t i = 0; i < head_.items.size(); ++i) items_[ChainText(head_.items[i])] = i;
    for (size_t i = 0; i < head_.configurations.size(); ++i) {
      rows_[head_.configurations[i].name] = i;
    }
    entries_.resize(head_.items.size() * head_.configurations.size());
    line_of_.resize(entries_.size());
  }

  bool Line(const std::string& line) {
    ++line_;
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') return true;
    Split(line);
    return have_header_ ? Row() : Header();
  }

  bool Finish() {
    if (!have_header_) return Fail(std::string("empty table, expected the header ") + kHeader);
    int64_t missing = 0;
    std::string first;
    for (size_t i = 0; i < entries_.size(); ++i) {
      const size_t item = i % head_.items.size();
      if (line_of_[i] != 0 || head_.items[item].size() > 1) continue;
      if (missing++ == 0) {
        first = "layer " + ChainText(head_.items[item]) + " on configuration " +
                head_.configurations[i / head_.items.size()].name;
      }
    }
    if (missing == 0) return true;
    return Fail("misses " + std::to_string(missing) + " of " + std::to_string(entries_.size()) +
                " entries, the first is " + first);
  }

  Result<LayerTable> Table() const {
    return LayerTable::FromFile(LayerTableBytes(head_, entries_), path_);
  }
  const std::string& error() const { return error_; }

 private:
  bool Fail(const std::string& what) {
    error_ = path_ + ":" + std::to_string(std::max(line_, 1)) + ": " + what;
    return false;
  }

  void Split(const std::string& line) {
    fields_.clear();
    for (size_t begin = 0; begin <= line.size();) {
      const size_t end = std::min(line.find(',', begin), line.size());
      std::string field = line.substr(begin, end - begin);
      const size_t from = field.find_first_not_of(" \t\r");
      fields_.push_back(from == std::string::npos
                            ? ""
                            : field.substr(from, field.find_last_not_of(" \t\r") - from + 1));
      begin = end + 1;
    }
  }

  bool Header() {
    column_.fill(-1);
    for (size_t i = 0; i < fields_.size(); ++i) {
      const auto known = std::find(kColumns, kColumns + kColumnCount, fields_[i]);
      if (known == kColumns + kColumnCount) {
        return Fail("unknown column \"" + fields_[i] + "\", expected " + kHeader);
      }
      int& at = column_[static_cast<size_t>(known - kColumns)];
      if (at >= 0) return Fail("column \"" + fields_[i] + "\" appears twice");
      at = static_cast<int>(i);
    }
    for (size_t i = 0; i < kNeeded; ++i) {
      if (column_[i] < 0) {
        return Fail(std::string("has no column \"") + kColumns[i] + "\", expected " + kHeader);
      }
    }
    columns_ = fields_.size();
    have_header_ = true;
    return true;
  }

  const std::string& Field(size_t column) const {
    return fields_[static_cast<size_t>(column_[column])];
  }

  bool Row() {
    if (fields_.size() != columns_) {
      return Fail("found " + std::to_string(fields_.size()) + " fields, expected " +
                  std::to_string(columns_) + ", one a column");
    }
    const auto item = items_.find(Field(0));
    if (item == items_.end()) return UnknownLayer();
    const auto row = rows_.find(Field(1));
    if (row == rows_.end()) {
      std::vector<std::string> names;
      for (const TableConfiguration& known : head_.configurations) names.push_back(known.name);
      const std::string near = Nearest(Field(1), names.data(), static_cast<int>(names.size()));
      return Fail("unknown configuration \"" + Field(1) + "\": " + head_.space +
                  " has no such valid point" +
                  (near.empty() ? "" : ", did you mean \"" + near + "\"?"));
    }
    const size_t at = row->second * head_.items.size() + item->second;
    if (line_of_[at] != 0) {
      return Fail("layer " + Field(0) + " on configuration " + Field(1) +
                  " appears twice (first in line " + std::to_string(line_of_[at]) + ")");
    }
    line_of_[at] = line_;
    return Numbers(&entries_[at]);
  }

  bool UnknownLayer() {
    std::vector<Layer> chain;
    std::string why;
    if (!ParseChainText(Field(0), &chain, &why)) return Fail(why);
    return Fail("unknown layer \"" + Field(0) + "\": " + head_.networks + " has no such layer");
  }

  bool Numbers(TableEntry* entry) {
    const std::string &cycles = Field(2), &energy = Field(3);
    if (cycles == kNone && energy == kNone) return true;
    if (!WholeNumber(cycles, &entry->latency_cycles) || entry->latency_cycles == 0) {
      return Fail("cycles: found \"" + cycles +
                  "\", expected a whole number above 0 (at most 2^50), or " + kNone +
                  " for both cycles and energy_pj where the layer cannot run");
    }
    if (!ParseDouble(energy, &entry->energy_pj) || !std::isfinite(entry->energy_pj)) {
      return Fail("energy_pj: found \"" + energy + "\", expected a finite number");
    }
    if (entry->energy_pj < 0 || entry->energy_pj > kMostTablePj) {
      return Fail("energy_pj: found " + energy + ", expected a number of at least 0" +
                  (entry->energy_pj < 0 ? "" : " and at most 1e30"));
    }
    if (column_[4] >= 0 && !WholeNumber(Field(4), &entry->dram_bytes)) {
      return Fail("dram_bytes: found \"" + Field(4) + "\", expected a whole number (at most 2^50)");
    }
    return true;
  }

  const std::string& path_;
  TableHead head_;
  std::unordered_map<std::string, size_t> items_, rows_;
  std::vector<TableEntry> entries_;
  std::vector<int32_t> line_of_;  // 0: not seen
  std::array<int, kColumnCount> column_{};
  std::vector<std::string> fields_;
  size_t columns_ = 0;
  int32_t line_ = 0;
  bool have_header_ = false;
  std::string error_;
};

}  // namespace

Result<LayerTable> ReadLayerTableCsv(const std::string& path, const TableHead& expected) {
  const Result<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return Error{file.error()};
  Reader reader(path, expected);
  const char* text = reinterpret_cast<const char*>(file->data());
  const char* const end = text + file->size();
  while (text < end) {
    const char* stop = std::find(text, end, '\n');
    if (!reader.Line(std::string(text, stop))) return Error{reader.error()};
    text = stop == end ? end : stop + 1;
  }
  if (!reader.Finish()) return Error{reader.error()};
  return reader.Table();
}

bool WriteLayerTableCsv(const LayerTable& table, const std::string& path, std::string* why) {
  const std::string aside = path + ".tmp";
  std::FILE* file = std::fopen(aside.c_str(), "wb");
  const auto refused = [&](const std::string& name) {
    *why = name + ": cannot be written: " + std::strerror(errno);
    if (file != nullptr) std::fclose(file);
    std::remove(aside.c_str());
    return false;
  };
  if (file == nullptr) return refused(aside);
  const TableHead& head = table.head();
  std::vector<std::string> layers;
  for (const std::vector<Layer>& item : head.items) layers.push_back(ChainText(item));
  std::string text = "# layers of " + head.networks + " on " + head.accelerator + " space " +
                     head.space + "\n" + kHeader + "\n";
  for (size_t row = 0; row < table.rows(); ++row) {
    if (!table.CheckRow(row, why)) {
      std::fclose(file);
      std::remove(aside.c_str());
      return false;
    }
    for (size_t item = 0; item < table.items(); ++item) {
      const TableEntry entry = table.At(row)[item];
      text += layers[item] + "," + head.configurations[row].name + ",";
      if (!entry.runs()) {
        text += "none,none,0,\n";
        continue;
      }
      text += std::to_string(entry.latency_cycles) + "," + FormatDouble(entry.energy_pj) + "," +
              std::to_string(entry.dram_bytes) + ",";
      if (entry.tiling_code != 0) text += UnpackTiling(entry.tiling_code).ToString();
      text += "\n";
    }
    if (std::fwrite(text.data(), 1, text.size(), file) != text.size()) return refused(aside);
    text.clear();
  }
  if (std::fwrite(text.data(), 1, text.size(), file) != text.size() || std::fflush(file) != 0 ||
      fsync(fileno(file)) != 0) {
    return refused(aside);
  }
  std::fclose(file);
  file = nullptr;
  if (std::rename(aside.c_str(), path.c_str()) != 0) return refused(path);
  return true;
}

TableKind KindOfTable(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return TableKind::kOther;
  unsigned char head[table_format::kFixedBytes] = {};
  const size_t count = std::fread(head, 1, sizeof head, file);
  std::fclose(file);
  if (count < table_format::kMagicBytes ||
      std::memcmp(head, table_format::kMagic, table_format::kMagicBytes) != 0) {
    return TableKind::kOther;
  }
  const uint32_t flags = table_format::Load32(head + table_format::kFlagsAt);
  return (flags & table_format::kGivenFlag) != 0 ? TableKind::kGiven : TableKind::kBuilt;
}

bool CheckLayerTable(const LayerTable& table, std::string* why) {
  const TableHead& head = table.head();
  const auto fail = [&](const std::string& what) {
    *why = table.path() + ": " + what;
    return false;
  };
  for (size_t item = 0; item < table.items(); ++item) {
    const std::vector<Layer>& chain = head.items[item];
    if (table.FindItem(chain.data(), static_cast<int>(chain.size())) != static_cast<int>(item)) {
      return fail("layer " + ChainText(chain) + " appears twice");
    }
  }
  for (size_t row = 0; row < table.rows(); ++row) {
    const TableConfiguration& configuration = head.configurations[row];
    if (table.FindRow(configuration.key) != static_cast<int64_t>(row)) {
      return fail("configuration " + configuration.name + " appears twice");
    }
    if (!table.CheckRow(row, why)) return false;
    for (size_t item = 0; item < table.items(); ++item) {
      const TableEntry entry = table.At(row)[item];
      if (entry.latency_cycles >= 0 && entry.latency_cycles <= kMostTableCount &&
          entry.energy_pj >= 0 && entry.energy_pj <= kMostTablePj && entry.dram_bytes >= 0 &&
          entry.dram_bytes <= kMostTableCount) {
        continue;
      }
      return fail("layer " + ChainText(head.items[item]) + " on configuration " +
                  configuration.name + ": found cycles " + std::to_string(entry.latency_cycles) +
                  ", energy_pj " +
                  (std::isfinite(entry.energy_pj) ? FormatShort(entry.energy_pj) : "not finite") +
                  ", dram_bytes " + std::to_string(entry.dram_bytes) +
                  ", expected none below 0, counts up to 2^50 and energies up to 1e30");
    }
  }
  return true;
}

}  // namespace rhnas::hw
