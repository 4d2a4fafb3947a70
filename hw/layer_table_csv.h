// Layer tables as text, so that users can bring numbers of their own: measured on a board, or of
// another model.
//
//   layer,configuration,cycles,energy_pj,dram_bytes
//   conv-1x32x32x24-k144-1x1-s1-p0-g1-b-relu,1x16x16_15_15_18_17_64,49212,1.25e7,190464
//
// A row an entry, in any order; lines that start with # and empty ones are skipped. `layer` as in
// hw/layer_text.h, `configuration` as rhnas names it (ShortName). cycles: a whole number above 0;
// energy_pj: at least 0; both "none" where the layer cannot run there. dram_bytes may be left out,
// and a column `tiling` may stand there: it is not read.
#pragma once

#include <string>

#include "hw/layer_table.h"

namespace rhnas::hw {

// `expected` says which layers and configurations there are. Every single layer must have an entry
// on every configuration; a chain without one counts as never run in one go. The table is a given
// one, in memory: 36 bytes an entry and the text. Errors, one line each, with path and line: not
// this form, an unknown layer or configuration, a number that is none, negative or not finite, an
// entry that appears twice, the first that is missing.
Result<LayerTable> ReadLayerTableCsv(const std::string& path, const TableHead& expected);

// Written aside, then renamed. False: the disk refuses, or a row is damaged; `why` tells.
bool WriteLayerTableCsv(const LayerTable& table, const std::string& path, std::string* why);

// What a file is, by its first bytes: a table in the binary form, of the cost model or a user's, or
// something else (also where it cannot be read).
enum class TableKind { kOther, kBuilt, kGiven };
TableKind KindOfTable(const std::string& path);
inline bool IsLayerTableFile(const std::string& path) {
  return KindOfTable(path) != TableKind::kOther;
}

// Every row against its checksum, every entry against what costs can be, layers and configurations
// against appearing twice. False: `why` has the first that is wrong.
bool CheckLayerTable(const LayerTable& table, std::string* why);

}  // namespace rhnas::hw
