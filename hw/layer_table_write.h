// Writing a layer table row by row, in any order, from any number of threads, so that a build that
// was stopped or killed goes on where it was.
//
// Rows go into FILE.partial at their final places; a row counts as done when its checksum is right,
// so whatever a crash leaves is either a whole row or none. Finish renames it to FILE.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/layer_table.h"

namespace rhnas::hw {

class LayerTableWriter {
 public:
  LayerTableWriter() = default;
  ~LayerTableWriter();
  LayerTableWriter(LayerTableWriter&& other) noexcept;
  LayerTableWriter& operator=(LayerTableWriter&& other) noexcept;

  // Starts FILE.partial, or goes on with it where `resume` is set and it is there. Errors: the disk
  // refuses; another process builds the same file; an interrupted build is there and `resume` is
  // not set, or it is of another table (other space, layers, prices or model).
  static Result<LayerTableWriter> Create(const std::string& path, const TableHead& head,
                                         bool resume);
  static std::string PartialPath(const std::string& path) { return path + ".partial"; }

  bool done(size_t row) const { return done_[row] != 0; }
  size_t rows_done() const;
  // Writes a row: one entry an item. Thread-safe for different rows. False: the disk refuses; `why`
  // tells.
  bool Write(size_t row, const TableEntry* entries, std::string* why);
  // REQUIRES: every row is done. Syncs, then renames.
  bool Finish(std::string* why);

 private:
  bool Put(uint64_t offset, const void* bytes, size_t count, std::string* why) const;
  std::string path_, head_bytes_;
  size_t items_ = 0;
  int file_ = -1;
  std::vector<char> done_;  // not bool: threads set neighbours
};

// The whole file in memory, for tables that came from a CSV. `entries` by row and item.
MappedFile LayerTableBytes(const TableHead& head, const std::vector<TableEntry>& entries);

}  // namespace rhnas::hw
