// The bytes of a layer table: shared by its reader and its writers. Private to hw/layer_table*.cc.
// Integers are little-endian, energies IEEE 754 doubles as integers; docs/TABLES.md has the fields.
#pragma once

#include <cstring>
#include <string>

#include "hw/fnv.h"
#include "hw/layer_table.h"

namespace rhnas::hw::table_format {

inline constexpr char kMagic[] = "RHNASTBL";
inline constexpr size_t kMagicBytes = 8, kFixedBytes = 128, kRowBytes = 64, kEntryBytes = 32;
inline constexpr size_t kNameBytes = kLongestName + 1;
// Offsets in the fixed part.
inline constexpr size_t kVersionAt = 8, kEntryBytesAt = 12, kFileBytesAt = 16, kHeadSumAt = 24,
                        kModelAt = 32, kPricesAt = 40, kItemsAt = 48, kRowsAt = 52, kFlagsAt = 56,
                        kTextBytesAt = 60, kRowsOffsetAt = 64, kEntriesOffsetAt = 72;
inline constexpr uint32_t kGivenFlag = 1;
// Offsets in a row's record.
inline constexpr size_t kKeyAt = 0, kRowSumAt = 8, kPointAt = 16, kNameAt = 24;

inline uint32_t Load32(const unsigned char* p) {
  return uint32_t{p[0]} | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 | uint32_t{p[3]} << 24;
}
inline uint64_t Load64(const unsigned char* p) {
  return uint64_t{Load32(p)} | uint64_t{Load32(p + 4)} << 32;
}
inline void Store(unsigned char* p, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) p[i] = static_cast<unsigned char>(value >> (8 * i));
}
inline void Store32(unsigned char* p, uint32_t value) { Store(p, value, 4); }
inline void Store64(unsigned char* p, uint64_t value) { Store(p, value, 8); }

void StoreEntry(const TableEntry& entry, unsigned char* p);
TableEntry LoadEntry(const unsigned char* p);
// Of a row: key, point, name and entries. Eight bytes a step (FNV-1a over words with the high bits
// folded in), never 0, which stands for a row that was not written.
uint64_t RowSum(const unsigned char* record, const unsigned char* entries, size_t items);
uint64_t HeadSum(const unsigned char* head, size_t bytes);

// All bytes before the entries; the rows' checksums are 0.
std::string HeadBytes(const TableHead& head);
inline uint64_t FileBytes(const TableHead& head, size_t head_bytes) {
  return head_bytes + uint64_t{kEntryBytes} * head.items.size() * head.configurations.size();
}
// Where the record of a row lies. REQUIRES: the bytes are those of HeadBytes.
inline size_t RowAt(const std::string& head_bytes, size_t row) {
  const unsigned char* p = reinterpret_cast<const unsigned char*>(head_bytes.data());
  return static_cast<size_t>(Load64(p + kRowsOffsetAt)) + row * kRowBytes;
}

}  // namespace rhnas::hw::table_format
