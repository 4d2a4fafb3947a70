// What layers cost on every configuration of a hardware space, as a file that is mapped and read
// in place. docs/TABLES.md gives the layout byte by byte and the CSV form.
//
// An item is a layer, or a chain of up to three that run as one program; it is found by shape, so
// equal shapes of a network are one item. A row is a configuration, found by its key. An entry
// holds cycles, energy, DRAM bytes and the tiling. Reading is thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "hw/accelerator.h"
#include "hw/cost.h"
#include "hw/layer.h"
#include "hw/mapped_file.h"
#include "hw/result.h"

namespace rhnas::hw {

inline constexpr uint32_t kLayerTableVersion = 1;

// What an entry can be at most, far beyond any layer: sums over a network stay within 64 bits, and
// finite.
inline constexpr int64_t kMostTableCount = int64_t{1} << 50;  // cycles, bytes
inline constexpr double kMostTablePj = 1e30;

struct TableEntry {
  int64_t latency_cycles = 0;  // 0: the item fits no tiling on this configuration
  double energy_pj = 0;
  int64_t dram_bytes = 0;    // 0 where a user's table does not say
  uint64_t tiling_code = 0;  // PackTiling; 0: not known
  bool runs() const { return latency_cycles > 0; }
};

// A tiling in 64 bits, never 0; 0 when a size is too large for its field (th, tw 4095; tco, tci
// 65535). Unpack is its inverse. REQUIRES of UnpackTiling: code != 0.
uint64_t PackTiling(const Tiling& tiling);
Tiling UnpackTiling(uint64_t code);

struct TableConfiguration {
  uint64_t key = 0;   // Design::Key
  int64_t point = 0;  // in its space
  std::string name;   // unique in the table, at most kLongestName bytes
};
inline constexpr size_t kLongestName = 39;

// What a table says of itself.
struct TableHead {
  std::string accelerator = "vta";
  std::string space;       // name of the hardware space
  std::string space_text;  // its parameters and values: what makes it the same space
  std::string networks;    // network space whose layers it holds
  uint64_t model = 0;      // ModelFingerprint of the program that built it
  uint64_t prices = 0;     // PricesFingerprint of the energy table
  bool given = false;      // a user's numbers: nothing is computed again from them
  std::vector<std::vector<Layer>> items;
  std::vector<TableConfiguration> configurations;
};

// Changes when the family's cost model does: a hash of the costs of a few layers on its presets.
uint64_t ModelFingerprint(const Accelerator& family);
uint64_t PricesFingerprint(const CostTable& table);

class LayerTable {
 public:
  // A row as it lies in the file.
  class Row {
   public:
    explicit Row(const unsigned char* entries = nullptr) : entries_(entries) {}
    TableEntry operator[](size_t item) const;

   private:
    const unsigned char* entries_;
  };

  LayerTable() = default;
  // Checks the head, not the rows: each row has a checksum of its own, see FindRow and CheckRow.
  // Errors: not a table, another version, cut short, damaged.
  static Result<LayerTable> Open(const std::string& path);
  static Result<LayerTable> FromFile(MappedFile file, const std::string& path);

  const TableHead& head() const { return head_; }
  const std::string& path() const { return path_; }
  size_t items() const { return head_.items.size(); }
  size_t rows() const { return head_.configurations.size(); }
  size_t bytes() const { return file_.size(); }
  bool mapped() const { return file_.mapped(); }
  uint64_t checksum() const;  // of the whole: head and all rows' checksums

  // -1: not there.
  int FindItem(const Layer* layers, int count) const;
  int64_t FindRow(uint64_t key) const;
  // False: the row's bytes are not those that were written; `why` tells.
  bool CheckRow(size_t row, std::string* why) const;
  // REQUIRES: row < rows().
  Row At(size_t row) const;

 private:
  const unsigned char* RowRecord(size_t row) const;
  TableHead head_;
  std::string path_;
  MappedFile file_;
  size_t rows_at_ = 0, entries_at_ = 0;
  std::vector<std::pair<uint64_t, int>> by_item_, by_key_;  // sorted
};

}  // namespace rhnas::hw
