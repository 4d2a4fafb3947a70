// Can this configuration be built? Rules R1 to R15 of the (extended) VTA's generator, scratchpad
// address width, then an area cap and a board's budget. A verdict is a value, never an error.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hw/config.h"
#include "hw/tables.h"

namespace rhnas::hw {

enum class Rule {
  kR1,
  kR2,
  kR3,
  kR4,
  kR5,
  kR6,
  kR7,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15,
  kAddress,  // scratchpad address: i, w, a <= 16
  kArea,     // area cap of the user
  kBoard,    // LUT, FF, BRAM, DSP, URAM of a board
};
inline constexpr int kRuleCount = 18;
const char* RuleName(Rule rule);         // "R1", .., "address", "area", "board"
const char* RuleDescription(Rule rule);  // one line, with the file it comes from

// need/have in `unit`; the rule holds when need <= have. For "a power of two" style rules need and
// have are the value and the nearest allowed one.
struct Verdict {
  bool ok = true;
  Rule rule = Rule::kR1;
  double need = 0, have = 0;
  const char* what = "";  // "GEMM factor bits", unit included
  // "R3: ALU factor bits i+a: need 23, have 22"; fractions to seven digits.
  std::string ToString() const;
  // How far the rule is missed, >= 0, comparable between rules: log2-style units, capped at 8.
  double severity() const;
};

// A budget of programmable logic. Cyclone V: adaptive logic modules as LUTs (one 6-input function
// each), M10K as block RAMs.
enum class BoardFamily { kXilinx7, kUltraScalePlus, kCycloneV };
struct Board {
  std::string name;
  int lut = 0, ff = 0, dsp = 0;
  double bram36 = 0;
  int uram = 0;
  BoardFamily family = BoardFamily::kXilinx7;
};
enum class Resource { kLut, kFf, kDsp, kBlockRam, kUram };
const char* ResourceName(BoardFamily family, Resource resource);  // "LUT", "M10K blocks"
// xc7z020, xczu3eg, xczu7ev, 5CSEBA6U23I7.
std::vector<std::string> BoardNames();
Result<Board> FindBoard(const std::string& name);

struct Limits {
  std::optional<double> area_max_um2;
  std::optional<Board> board;
  const CostTable* area_table = nullptr;  // null: the built-in one; must outlive the limits
  // The table that areas under these limits are taken from.
  const CostTable& table() const { return area_table ? *area_table : DefaultCostTable(); }
};

// Every violated rule (one verdict a rule, the worst one); empty when valid.
std::vector<Verdict> CheckAll(const Config& config, const Limits& limits = {});
// The first violated rule in order, or ok.
Verdict Check(const Config& config, const Limits& limits = {});
// Bit i set: rule i is broken. For counting: no text, no allocation.
uint32_t BrokenRules(const Config& config, const Limits& limits = {});
// How many of the four memories (inputs, weights, accumulators, micro-ops) break R7.
int TagViolations(const Config& config);
// Bits of SHL_VME_CLT_TAG_BITS that R7 asks for: the most of its four memories.
int TagBitsNeeded(const Config& config);

// What the configuration takes of a board (model and anchor: hw/board.cc). DSP use stops at what
// the board has: further multipliers go into LUTs.
struct BoardUse {
  double lut = 0, ff = 0, dsp = 0, bram36 = 0, uram = 0;
  double multipliers_in_lut = 0;
};
BoardUse EstimateBoardUse(const Config& config, const Board& board);

}  // namespace rhnas::hw
