// Rules R1 to R15 and the scratchpad address, written out one by one as need <= have.
// Sources: the generator of the extended VTA, pasqoc/incubator-tvm-vta branch il_contrib_0421
// @66bcb00, hardware/chisel/src/main/scala; the file stands beside each rule.
#include "hw/validity.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "hw/cost.h"
#include "hw/number.h"

namespace rhnas::hw {
namespace {

constexpr const char* kNames[kRuleCount] = {"R1",  "R2",  "R3",  "R4",      "R5",   "R6",
                                            "R7",  "R8",  "R9",  "R10",     "R11",  "R12",
                                            "R13", "R14", "R15", "address", "area", "board"};

constexpr const char* kDescriptions[kRuleCount] = {
    "GEMM factors w+i+a fit the instruction's high word (core/Decode.scala)",
    "micro-op range fits the GEMM and ALU low word, u <= 13 (core/Decode.scala)",
    "ALU factors i+a fit the instruction's high word (core/Decode.scala)",
    "micro-op's accumulator and input indices fit its low 32 bits (core/Decode.scala)",
    "micro-op's three indices fit its width (core/Decode.scala)",
    "scratchpads deeper than the factor bits removed (core/Configs.scala)",
    "memory engine's tag holds the scratchpad destination (core/TensorLoad*VME.scala)",
    "bus is 64 bits or a power of two from 128 (core/Fetch*.scala, interface/axi/AXI.scala)",
    "input block of at least 2 (core/TensorGemm.scala)",
    "split factors are powers of two that divide their block (core/TensorUtil.scala)",
    "a row of outputs fills a bus word in a narrow store (core/TensorStoreNarrowVME.scala)",
    "simulated memory is as wide as the bus (test/Test.scala)",
    "micro-op width divides the bus and is whole bytes (core/LoadUop.scala)",
    "burst cap within the bus protocol's burst length (core/TensorLoadNarrowVME.scala)",
    "fetch buffer holds whole bus words (core/FetchWideVME.scala)",
    "scratchpad address fits 16 bits of load and store (ISA, sram field)",
    "area within the cap",
    "resources within the board",
};

// Widest scratchpad address of LOAD and STORE (M_SRAM_OFFSET_BITS).
constexpr int kSramAddressBits = 16;
// A low word holds opcode 3, dependences and reset 5, two loop counts of 14; the rest is the
// micro-op range u + (u + 1).
constexpr int kMaxUopDepthBits = 13;

int Log2(int64_t power) {
  int log = 0;
  while ((int64_t{1} << (log + 1)) <= power) ++log;
  return log;
}

bool IsPowerOfTwo(int64_t value) { return value > 0 && (value & (value - 1)) == 0; }

int64_t NearestPowerOfTwo(int64_t value) {
  const int64_t low = int64_t{1} << Log2(std::max<int64_t>(value, 1));
  return value - low <= 2 * low - value ? low : 2 * low;
}

// Receives one rule at a time; keeps nothing but the worst miss of each.
struct Ledger {
  Verdict worst[kRuleCount];
  uint32_t broken = 0;

  void Need(Rule rule, double need, double have, const char* what) {
    if (need <= have) return;  // written so that a NaN does not pass
    Verdict verdict{false, rule, need, have, what};
    Add(verdict);
  }
  // The value itself is wrong, `nearest` would do.
  void Value(Rule rule, bool holds, double value, double nearest, const char* what) {
    if (holds) return;
    Add(Verdict{false, rule, value, nearest, what});
  }
  void Add(const Verdict& verdict) {
    const auto index = static_cast<size_t>(verdict.rule);
    const bool first = (broken >> index & 1u) == 0;
    if (first || verdict.severity() > worst[index].severity()) worst[index] = verdict;
    broken |= 1u << index;
  }
};

int TagBits(int64_t elem_bits, int log_depth, int bus_bits) {
  if (bus_bits < elem_bits) return Log2(elem_bits / bus_bits) + log_depth;
  return log_depth + 2 * (Log2(bus_bits / elem_bits) + 1);
}

// Tag bits of inputs, weights, accumulators, micro-ops.
std::array<int, 4> TagNeeds(const Config& config) {
  const int bus = config.bus_bits;
  return {TagBits(config.inp_elem_bits(), config.log_inp_depth(), bus),
          TagBits(config.wgt_elem_bits(), config.log_wgt_depth(), bus),
          TagBits(config.acc_elem_bits(), config.log_acc_depth(), bus),
          TagBits(config.uop_bits(), config.log_uop_depth(), bus)};
}

void CheckEncoding(const Config& config, Ledger* ledger) {
  const int i = config.log_inp_depth();
  const int w = config.log_wgt_depth();
  const int a = config.log_acc_depth();
  const int u = config.log_uop_depth();
  const int fi = i - config.log_inp_factor_restrict;
  const int fw = w - config.log_wgt_factor_restrict;
  const int fa = a - config.log_acc_factor_restrict;
  ledger->Need(Rule::kR1, fw + fi + fa, 32, "GEMM factor bits w+i+a");
  ledger->Need(Rule::kR2, u, kMaxUopDepthBits, "micro-op address bits u");
  ledger->Need(Rule::kR3, fi + fa, 22, "ALU factor bits i+a");
  ledger->Need(Rule::kR4, i + a, 32, "micro-op index bits i+a");
  // A weight index that does not fit the low word moves whole to the high one, if there is one.
  const bool moves = config.uop_bits() > 32 && a + i + w > 32 && w <= 32;
  const int low_free = moves ? std::max(0, 32 - a - i) : 0;
  ledger->Need(Rule::kR5, low_free + w + i + a, config.uop_bits(), "micro-op index bits w+i+a");
  ledger->Need(Rule::kR6, config.log_inp_factor_restrict + 1, i, "input scratchpad address bits");
  ledger->Need(Rule::kR6, config.log_wgt_factor_restrict + 1, w, "weight scratchpad address bits");
  ledger->Need(Rule::kR6, config.log_acc_factor_restrict + 1, a,
               "accumulator scratchpad address bits");
  ledger->Need(Rule::kAddress, i, kSramAddressBits, "input scratchpad address bits");
  ledger->Need(Rule::kAddress, w, kSramAddressBits, "weight scratchpad address bits");
  ledger->Need(Rule::kAddress, a, kSramAddressBits, "accumulator scratchpad address bits");
}

void CheckMemoryPath(const Config& config, Ledger* ledger) {
  const int bus = config.bus_bits;
  const bool bus_ok = bus == 64 || (bus >= 128 && IsPowerOfTwo(bus));
  ledger->Value(Rule::kR8, bus_ok, bus,
                static_cast<double>(std::max<int64_t>(64, NearestPowerOfTwo(bus))), "bus bits");
  if (bus_ok) {  // ratios of bus and element mean nothing otherwise
    constexpr const char* kWhat[] = {"tag bits for inputs", "tag bits for weights",
                                     "tag bits for accumulators", "tag bits for micro-ops"};
    const std::array<int, 4> needs = TagNeeds(config);
    for (size_t i = 0; i < needs.size(); ++i) {
      ledger->Need(Rule::kR7, needs[i], config.vme_tag_bits, kWhat[i]);
    }
    // Instructions pass a wide bus as 64-bit halves; the buffer holds 2^len instructions.
    if (bus >= 128) {
      ledger->Need(Rule::kR15, bus / 64, std::ldexp(1.0, config.dpi_len_bits + 1),
                   "fetch buffer, 64-bit words");
    }
    const int row_bits = config.block_out() << config.log_inp_width;
    if (bus < config.out_elem_bits()) {
      ledger->Need(Rule::kR11, bus, row_bits, "bits of an output row to fill the bus");
    }
  }
  ledger->Value(Rule::kR12, config.dpi_data_bits == bus, config.dpi_data_bits, bus,
                "DPI data bits");
  ledger->Value(Rule::kR13, config.uop_bits() % 8 == 0, config.uop_bits(), 8, "micro-op bits");
  ledger->Value(Rule::kR13, bus % config.uop_bits() == 0, config.uop_bits(),
                std::min<double>(bus, 32), "micro-op bits");
  if (config.max_burst_length != 0) {
    ledger->Need(Rule::kR14, config.max_burst_length, std::ldexp(1.0, config.dpi_len_bits),
                 "burst beats");
    ledger->Need(Rule::kR14, 1, config.max_burst_length, "burst beats");
  }
}

void CheckSplits(const Config& config, Ledger* ledger) {
  ledger->Need(Rule::kR9, 2, config.block_in(), "input block");
  // Blocks, elements and the bus are powers of two, so a power-of-two split that is no larger than
  // its block divides everything the generator divides by it.
  const int split = config.block_out_split;
  ledger->Value(Rule::kR10, IsPowerOfTwo(split), split,
                static_cast<double>(NearestPowerOfTwo(split)), "output block split");
  ledger->Need(Rule::kR10, split, config.block_out(), "output block split");
  const int inp_split = config.inp_sp_split;
  ledger->Value(Rule::kR10, IsPowerOfTwo(inp_split), inp_split,
                static_cast<double>(NearestPowerOfTwo(inp_split)), "input scratchpad split");
  ledger->Need(Rule::kR10, inp_split, config.block_in(), "input scratchpad split");
}

void CheckRules(const Config& config, const Limits& limits, Ledger* ledger) {
  CheckEncoding(config, ledger);
  CheckMemoryPath(config, ledger);
  CheckSplits(config, ledger);
  if (limits.area_max_um2.has_value()) {
    ledger->Need(Rule::kArea, AreaUm2(config, limits.table()), *limits.area_max_um2, "area, um^2");
  }
  if (limits.board.has_value()) {
    const Board& board = *limits.board;
    const BoardUse use = EstimateBoardUse(config, board);
    const auto need = [&](Resource resource, double used, double have) {
      ledger->Need(Rule::kBoard, used, have, ResourceName(board.family, resource));
    };
    need(Resource::kLut, use.lut, board.lut);
    need(Resource::kFf, use.ff, board.ff);
    need(Resource::kDsp, use.dsp, board.dsp);
    need(Resource::kBlockRam, use.bram36, board.bram36);
    need(Resource::kUram, use.uram, board.uram);
  }
}

// Rules whose need and have are plain sizes rather than logarithms.
bool InPlainUnits(Rule rule) {
  switch (rule) {
    case Rule::kR8:
    case Rule::kR9:
    case Rule::kR10:
    case Rule::kR11:
    case Rule::kR12:
    case Rule::kR13:
    case Rule::kR14:
    case Rule::kR15:
    case Rule::kArea:
    case Rule::kBoard:
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* RuleName(Rule rule) { return kNames[static_cast<size_t>(rule)]; }
const char* RuleDescription(Rule rule) { return kDescriptions[static_cast<size_t>(rule)]; }

std::string Verdict::ToString() const {
  if (ok) return "valid";
  return std::string(RuleName(rule)) + ": " + what + ": need " + FormatShort(need) + ", have " +
         FormatShort(have);
}

double Verdict::severity() const {
  constexpr double kCap = 8;
  if (ok) return 0;
  if (!InPlainUnits(rule)) return std::min(kCap, std::abs(need - have));
  if (!(need > 0) || !(have > 0)) return kCap;
  return std::min(kCap, std::abs(std::log2(need / have)));
}

std::vector<Verdict> CheckAll(const Config& config, const Limits& limits) {
  Ledger ledger;
  CheckRules(config, limits, &ledger);
  std::vector<Verdict> verdicts;
  for (size_t rule = 0; rule < kRuleCount; ++rule) {
    if (ledger.broken >> rule & 1u) verdicts.push_back(ledger.worst[rule]);
  }
  return verdicts;
}

Verdict Check(const Config& config, const Limits& limits) {
  Ledger ledger;
  CheckRules(config, limits, &ledger);
  for (size_t rule = 0; rule < kRuleCount; ++rule) {
    if (ledger.broken >> rule & 1u) return ledger.worst[rule];
  }
  return Verdict{};
}

uint32_t BrokenRules(const Config& config, const Limits& limits) {
  Ledger ledger;
  CheckRules(config, limits, &ledger);
  return ledger.broken;
}

int TagBitsNeeded(const Config& config) {
  const std::array<int, 4> needs = TagNeeds(config);
  return *std::max_element(needs.begin(), needs.end());
}

int TagViolations(const Config& config) {
  int broken = 0;
  for (const int need : TagNeeds(config)) broken += need > config.vme_tag_bits ? 1 : 0;
  return broken;
}

}  // namespace rhnas::hw
