// Resources of a configuration on an FPGA board, and the boards.
//
// A linear model through one anchor: the Vivado 2021.2 report of the default VTA (HLS) on an
// xc7z020 at 100 MHz: 19,058 LUT, 22,258 flip-flops, 115.5 block RAMs of 36 Kib, 220 DSP slices
// (all there are: the other 36 of 256 multipliers went into LUTs). Source: OilyHand/vta-gemm-core,
// report/vta_hls_utilization.txt. Block RAMs are counted from the shapes of the memories,
// multipliers from the array; the slopes of LUTs and flip-flops come from transistor counts of the
// RTL where there are any (yosys 0.23: 5,863 for a MAC lane with its adders, 9,572 for an ALU lane
// with 65 flip-flops) and are estimates otherwise, said so below; whatever the anchor has beyond
// them is fixed. Every use grows, or stays, with every block, buffer and the bus (block RAM: with a
// buffer, and with an element's width at the same depth).
#include <algorithm>
#include <cmath>

#include "hw/number.h"
#include "hw/validity.h"

namespace rhnas::hw {
namespace {

// Xilinx DS190 (Zynq-7000) and DS891 (Zynq UltraScale+) product tables; Intel's Cyclone V device
// overview (not re-read): 41,910 ALMs, each one 6-input function and four registers here, 557 M10K,
// 112 DSP blocks of three 9 x 9 multipliers.
const Board kBoards[] = {
    {"xc7z020", 53200, 106400, 220, 140, 0, BoardFamily::kXilinx7},
    {"xczu3eg", 70560, 141120, 360, 216, 0, BoardFamily::kUltraScalePlus},
    {"xczu7ev", 230400, 460800, 1728, 312, 96, BoardFamily::kUltraScalePlus},
    {"5CSEBA6U23I7", 41910, 167640, 112, 557, 0, BoardFamily::kCycloneV},
};

// A memory word that HLS makes at most; a wider element is partitioned over banks (apache/tvm-vta
// config/pkg_config.py).
constexpr int64_t kMaxWordBits = 1024;

// LUTs of a MAC lane: an 8 x 8 multiplier (eight rows of adders, a LUT a bit) where no DSP slice is
// left, and its share of the adder tree, 18 bits (product 16, two levels), always. Estimates.
constexpr double kLutPerMultiplier = 64, kLutPerAdder = 18;
// An ALU lane in the proportion of the transistor counts.
constexpr double kLutPerAluLane = (kLutPerMultiplier + kLutPerAdder) * 9572 / 5863;
// A bus bit through five read clients and a write client. Estimate.
constexpr double kLutPerBusBit = 20;
// The product's register; the lane's 65; the bus clients' registers (estimate).
constexpr double kFfPerMac = 16, kFfPerAluLane = 65, kFfPerBusBit = 60;

// The anchor and what the slopes above make of it.
constexpr double kAnchorLut = 19058, kAnchorFf = 22258, kAnchorDsp = 220, kAnchorBram36 = 115.5;
constexpr double kAnchorMacs = 256, kAnchorLanes = 16, kAnchorBus = 64;
// 7 block RAMs more than the default's five scratchpads take: fetch, queues and bus engines.
constexpr double kAnchorScratchpads = 108.5;
constexpr double kBramFixed = kAnchorBram36 - kAnchorScratchpads;

double LutSlopes(double macs, double multipliers_in_lut, double lanes, double bus) {
  return macs * kLutPerAdder + multipliers_in_lut * kLutPerMultiplier + lanes * kLutPerAluLane +
         bus * kLutPerBusBit;
}

double FfSlopes(double macs, double lanes, double bus) {
  return macs * kFfPerMac + lanes * kFfPerAluLane + bus * kFfPerBusBit;
}

// Multipliers of 8 x 8 that one DSP takes without rewriting the design: one on Xilinx, as the
// report shows; a Cyclone V block is three 9 x 9.
int MultipliersPerDsp(BoardFamily family) { return family == BoardFamily::kCycloneV ? 3 : 1; }

struct Shape {
  int64_t depth, width;
};
// Half a 36 Kib block as width x depth (UG473, UG573).
constexpr Shape kBram18[] = {{512, 36}, {1024, 18}, {2048, 9}, {4096, 4}, {8192, 2}, {16384, 1}};
// M10K (Cyclone V device handbook, embedded memory; not re-read).
constexpr Shape kM10k[] = {{256, 40}, {512, 20}, {1024, 10}, {2048, 5}, {4096, 2}, {8192, 1}};

// Blocks of one bank, each in the shape that is just deep enough; deeper memories stack the
// deepest.
template <size_t kShapes>
int64_t Blocks(const Shape (&shapes)[kShapes], int64_t width_bits, int64_t depth) {
  for (const Shape& shape : shapes) {
    if (depth <= shape.depth) return (width_bits + shape.width - 1) / shape.width;
  }
  const int64_t deepest = shapes[kShapes - 1].depth;
  return width_bits * ((depth + deepest - 1) / deepest);
}

struct Memory {
  int64_t width, depth;
  int64_t banks() const { return (width + kMaxWordBits - 1) / kMaxWordBits; }
  int64_t bank_width() const { return std::min(width, kMaxWordBits); }
};

double BlockRams(const Memory& memory, BoardFamily family) {
  const auto banks = static_cast<double>(memory.banks());
  if (family == BoardFamily::kCycloneV) {
    return banks * static_cast<double>(Blocks(kM10k, memory.bank_width(), memory.depth));
  }
  return banks * 0.5 * static_cast<double>(Blocks(kBram18, memory.bank_width(), memory.depth));
}

// UltraRAM: 72 bits x 4096 (UG573).
double Urams(const Memory& memory) {
  return static_cast<double>(memory.banks() * ((memory.bank_width() + 71) / 72) *
                             ((memory.depth + 4095) / 4096));
}

int64_t Depth(int log_depth) { return int64_t{1} << std::max(0, log_depth); }

}  // namespace

std::vector<std::string> BoardNames() {
  std::vector<std::string> names;
  for (const Board& board : kBoards) names.push_back(board.name);
  return names;
}

Result<Board> FindBoard(const std::string& name) {
  for (const Board& board : kBoards) {
    if (board.name == name) return board;
  }
  const std::vector<std::string> names = BoardNames();
  const std::string near = Nearest(name, names.data(), static_cast<int>(names.size()));
  std::string message = "unknown board \"" + name + "\"";
  if (!near.empty()) message += ", did you mean \"" + near + "\"?";
  message += "; boards:";
  for (const std::string& known : names) message += " " + known;
  return Error{message};
}

const char* ResourceName(BoardFamily family, Resource resource) {
  const bool intel = family == BoardFamily::kCycloneV;
  switch (resource) {
    case Resource::kLut:
      return intel ? "ALMs" : "LUT";
    case Resource::kFf:
      return "flip-flops";
    case Resource::kDsp:
      return intel ? "DSP blocks" : "DSP slices";
    case Resource::kBlockRam:
      return intel ? "M10K blocks" : "36 Kib block RAMs";
    case Resource::kUram:
      return "UltraRAMs";
  }
  return "?";
}

BoardUse EstimateBoardUse(const Config& config, const Board& board) {
  constexpr double kLutFixed =
      kAnchorLut - (kAnchorMacs * kLutPerAdder + (kAnchorMacs - kAnchorDsp) * kLutPerMultiplier +
                    kAnchorLanes * kLutPerAluLane + kAnchorBus * kLutPerBusBit);
  static_assert(kLutFixed > 0, "the anchor holds more than its slopes");
  const double ff_fixed = kAnchorFf - FfSlopes(kAnchorMacs, kAnchorLanes, kAnchorBus);
  const double macs = config.macs_per_cycle();
  const double lanes = static_cast<double>(config.batch()) * config.block_out();
  const double bus = config.bus_bits;
  const int packing = MultipliersPerDsp(board.family);
  BoardUse use;
  use.dsp = std::min<double>(static_cast<double>((config.macs_per_cycle() + packing - 1) / packing),
                             board.dsp);
  use.multipliers_in_lut = std::max(0.0, macs - use.dsp * packing);
  use.lut = std::round(kLutFixed + LutSlopes(macs, use.multipliers_in_lut, lanes, bus));
  use.ff = std::round(ff_fixed + FfSlopes(macs, lanes, bus));
  const int64_t acc_depth = Depth(config.log_acc_depth());
  const Memory memories[] = {
      {config.wgt_elem_bits(), Depth(config.log_wgt_depth())}, {config.acc_elem_bits(), acc_depth},
      {config.inp_elem_bits(), Depth(config.log_inp_depth())}, {config.out_elem_bits(), acc_depth},
      {config.uop_bits(), Depth(config.log_uop_depth())},
  };
  // The rest of the anchor, in blocks of that family: 36 Kib are four M10K.
  use.bram36 = board.family == BoardFamily::kCycloneV ? 4 * kBramFixed : kBramFixed;
  for (const Memory& memory : memories) use.bram36 += BlockRams(memory, board.family);
  // What does not fit block RAM moves, largest first, to UltraRAM where the board has it.
  for (const Memory& memory : memories) {
    if (use.bram36 <= board.bram36) break;
    const double uram = Urams(memory);
    if (use.uram + uram > board.uram) continue;
    use.uram += uram;
    use.bram36 -= BlockRams(memory, board.family);
  }
  return use;
}

}  // namespace rhnas::hw
