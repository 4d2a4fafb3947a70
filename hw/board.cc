// Resources of a configuration on an FPGA board, and the boards.
//
// A linear model through one anchor: the Vivado 2021.2 report of the default VTA (HLS) on an
// xc7z020 at 100 MHz: 19,058 LUT, 22,258 flip-flops, 115.5 block RAMs of 36 Kib, 220 DSP slices
// (all of them; the other 36 of 256 multipliers went into LUTs). Source: OilyHand/vta-gemm-core,
// report/vta_hls_utilization.txt. The slopes are estimates and are marked so; the block RAM count
// is computed from the shapes of the memories.
#include <algorithm>

#include "hw/number.h"
#include "hw/validity.h"

namespace rhnas::hw {
namespace {

// Xilinx DS190 (Zynq-7000) and DS891 (Zynq UltraScale+) product tables.
const Board kBoards[] = {
    {"xc7z020", 53200, 106400, 220, 140, 0},
    {"xczu3eg", 70560, 141120, 360, 216, 0},
    {"xczu7ev", 230400, 460800, 1728, 312, 96},
};

// Estimates: an 8 x 8 multiplier with its share of the adder tree in LUTs, a 32-bit ALU lane with
// barrel shifter, and a bus bit through five read clients and one write client.
constexpr double kLutPerMac = 75, kLutPerAluLane = 250, kLutPerBusBit = 20;
constexpr double kFfPerMac = 16, kFfPerAluLane = 100, kFfPerBusBit = 60;
// The rest of the anchor: control, fetch and queues.
constexpr double kAnchorMacsInLut = 256 - 220;
constexpr double kLutFixed =
    19058 - kAnchorMacsInLut * kLutPerMac - 16 * kLutPerAluLane - 64 * kLutPerBusBit;
constexpr double kFfFixed = 22258 - 256 * kFfPerMac - 16 * kFfPerAluLane - 64 * kFfPerBusBit;
constexpr double kBramFixed = 115.5 - 108.5;  // 108.5: the default's five scratchpads, below

// An 18 Kib block RAM as width x depth (7 Series memory resources, Xilinx UG473).
double Bram36(int64_t width_bits, int64_t depth) {
  struct Shape {
    int64_t depth, width;
  };
  constexpr Shape kShapes[] = {{512, 36}, {1024, 18}, {2048, 9}, {4096, 4}, {8192, 2}, {16384, 1}};
  constexpr int64_t kDeepest = 16384;
  for (const Shape& shape : kShapes) {
    if (depth <= shape.depth) {
      return 0.5 * static_cast<double>((width_bits + shape.width - 1) / shape.width);
    }
  }
  return 0.5 * static_cast<double>(width_bits * ((depth + kDeepest - 1) / kDeepest));
}

// UltraRAM: 72 bits x 4096 (Xilinx UG573).
double Uram(int64_t width_bits, int64_t depth) {
  return static_cast<double>(((width_bits + 71) / 72) * ((depth + 4095) / 4096));
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

BoardUse EstimateBoardUse(const Config& config, const Board& board) {
  const double macs = config.macs_per_cycle();
  const double lanes = config.batch() * config.block_out();
  const double bus = config.bus_bits;
  BoardUse use;
  use.dsp = std::min<double>(macs, board.dsp);
  use.lut =
      kLutFixed + (macs - use.dsp) * kLutPerMac + lanes * kLutPerAluLane + bus * kLutPerBusBit;
  use.ff = kFfFixed + macs * kFfPerMac + lanes * kFfPerAluLane + bus * kFfPerBusBit;
  struct Memory {
    int64_t width, depth;
  };
  const int64_t acc_depth = Depth(config.log_acc_depth());
  const Memory memories[] = {
      {config.wgt_elem_bits(), Depth(config.log_wgt_depth())}, {config.acc_elem_bits(), acc_depth},
      {config.inp_elem_bits(), Depth(config.log_inp_depth())}, {config.out_elem_bits(), acc_depth},
      {config.uop_bits(), Depth(config.log_uop_depth())},
  };
  use.bram36 = kBramFixed;
  for (const Memory& memory : memories) use.bram36 += Bram36(memory.width, memory.depth);
  // What does not fit block RAM moves, largest first, to UltraRAM where the board has it.
  for (const Memory& memory : memories) {
    if (use.bram36 <= board.bram36) break;
    const double uram = Uram(memory.width, memory.depth);
    if (use.uram + uram > board.uram) continue;
    use.uram += uram;
    use.bram36 -= Bram36(memory.width, memory.depth);
  }
  return use;
}

}  // namespace rhnas::hw
