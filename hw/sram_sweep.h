// One SRAM macro by capacity, node and process: a sweep of CACTI 7.
//
// Settings of the sweep: plain ram, 360 K, objective ED^2, global wires "Global_30", one read/write
// port, no ECC, 64-bit word; energies are those of an access divided by its 8 bytes. Columns: 65,
// 45, 40, 32, 28 and 22 nm, ITRS high performance ("hp") and low operating power ("lop").
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace rhnas::hw {

// ITRS device type: high performance, low operating power. At 360 K hp leaks up to 100 times more.
enum class Process { kHp, kLop };
const char* ProcessName(Process process);  // "hp", "lop"

struct SramMacro {
  double read_pj_per_byte = 0, write_pj_per_byte = 0, leakage_mw = 0, um2_per_kb = 0;
};

inline constexpr std::array<int, 10> kSweepKb = {2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

// The macros of one node and process, by capacity as kSweepKb.
struct SramColumn {
  std::array<SramMacro, kSweepKb.size()> macro;
  double volt = 0;     // CACTI's supply of that device
  std::string source;  // where the column comes from, derivation included
};

inline constexpr int kSmallestSramNm = 16, kLargestSramNm = 65;

// Columns of the sweep as they are; between two of them log-log in the node. Not in the sweep, and
// marked "derived" in the source: 65 nm lop (45 nm lop times the ratio of the hp columns) and below
// 22 nm, where CACTI 7 gives nothing (22 nm times the factors of hw/node_scaling.h).
// REQUIRES: node_nm within 16..65.
SramColumn SramAt(int node_nm, Process process);
// 6T cell of CACTI, in um^2 a bit: 146 squares of the feature size (its tech_params/*.dat).
double SramCellUm2(int node_nm);

}  // namespace rhnas::hw
