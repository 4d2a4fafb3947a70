// The built-in energy and area table, for a node.
//
// SRAM by default in the low-operating-power process: CACTI's high-performance column leaks 100
// times more at 360 K, which would make an edge accelerator's energy a measure of its memory size
// alone. Rows of logic are the same for both processes; their supply stays at 0.9 V.
#include <cstdio>

#include "hw/node_scaling.h"
#include "hw/number.h"
#include "hw/tables.h"

namespace rhnas::hw {
namespace {

// How a row of logic moves between nodes.
enum class Moves { kEnergy, kArea, kEnergyPerArea };

struct LogicRow {
  const char* name;
  double value;
  const char* unit;
  int node_nm;  // published at
  Moves moves;
  const char* source;
};

constexpr LogicRow kLogic[] = {
    {"mac_pj", 0.30, "pJ", 45, Moves::kEnergy,
     "Horowitz ISSCC 2014: 8-bit multiply 0.2 + 32-bit add 0.1; one multiply-accumulate of a lane"},
    {"alu_op_pj", 0.10, "pJ", 45, Moves::kEnergy,
     "Horowitz ISSCC 2014: 32-bit integer add; one ALU lane operation"},
    {"alu_mul_pj", 0.20, "pJ", 45, Moves::kEnergy,
     "Horowitz ISSCC 2014: 8-bit integer multiply; one ALU lane MUL"},
    {"register_pj_per_bit", 0.009, "pJ", 40, Moves::kEnergy,
     "ALADDIN common/power_func.h register per bit at 1 ns"},
    {"instruction_pj", 3.5, "pJ", 40, Moves::kEnergy,
     "derived: a 128-bit instruction written to three registers (fetch; queue; decode) at 0.009 pJ "
     "per bit (ALADDIN)"},
    {"logic_leakage_mw_per_um2", 8.6e-6, "mW/um2", 40, Moves::kEnergyPerArea,
     "Accelergy library plug-in aladdin: 32-bit adder 0.0024 pJ/ns over its 278 um2"},
    {"mac_um2", 419, "um2", 45, Moves::kArea,
     "Horowitz ISSCC 2014 slide (not re-read): 8-bit multiplier 282 + 32-bit adder 137"},
    {"alu_lane_um2", 684, "um2", 45, Moves::kArea,
     "derived: yosys 0.23 on the RTL counts 9572 transistors a lane against 5863 a MAC; times "
     "mac_um2"},
    {"control_um2", 8712, "um2", 45, Moves::kArea,
     "derived: yosys 0.23 on the RTL: 4 command generators 14.4 kT; 3 padding units 13.0 kT; "
     "arbiter 10.5 kT; 2 index generators 7.4 kT; in MACs of 5863 T"},
    {"register_um2_per_bit", 5.98, "um2", 40, Moves::kArea,
     "ALADDIN common/power_func.h register 5.981433 um2 per bit"},
};

struct DramRow {
  const char* name;
  double pj_per_byte;
  const char* source;
};
// pJ a bit times 8, in the order of Dram.
constexpr DramRow kDram[] = {
    {"lpddr4", 64, "LPDDR4 8 pJ per bit (public data)"},
    {"lpddr", 320, "LPDDR 40 pJ per bit (Malladi ISCA 2012)"},
    {"ddr3", 560, "DDR3 70 pJ per bit (Malladi ISCA 2012)"},
    {"gddr5", 112, "GDDR5 14 pJ per bit (Chatterjee MICRO 2017)"},
    {"hbm2", 31.2, "HBM2 3.9 pJ per bit (Chatterjee MICRO 2017)"},
};

double Factor(Moves moves, int from_nm, int to_nm) {
  switch (moves) {
    case Moves::kEnergy:
      return EnergyFactor(from_nm, to_nm);
    case Moves::kArea:
      return AreaFactor(from_nm, to_nm);
    case Moves::kEnergyPerArea:
      return EnergyFactor(from_nm, to_nm) / AreaFactor(from_nm, to_nm);
  }
  return 1;
}

const char* What(Moves moves) {
  if (moves == Moves::kArea) return "area";
  return moves == Moves::kEnergy ? "energy at 0.9 V" : "taken to move as energy per area";
}

TableRow Moved(const LogicRow& row, int node_nm) {
  TableRow result{row.name, row.value, row.unit, std::to_string(node_nm), "0.9", row.source};
  if (node_nm == row.node_nm) return result;
  const double factor = Factor(row.moves, row.node_nm, node_nm);
  result.value = RoundDigits(row.value * factor);
  result.source += "; times " + FormatShort(RoundDigits(factor)) + " from " +
                   std::to_string(row.node_nm) + " nm (Stillmaker & Baas 2017: " + What(row.moves) +
                   ")";
  return result;
}

}  // namespace

const std::vector<std::string>& DramNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const DramRow& row : kDram) all.emplace_back(row.name);
    return all;
  }();
  return names;
}

Result<CostTable> BuiltInCostTable(const TableOptions& options) {
  if (options.node_nm < kSmallestSramNm || options.node_nm > kLargestSramNm) {
    return Error{"no energy table at " + std::to_string(options.node_nm) +
                 " nm: expected a node from " + std::to_string(kSmallestSramNm) + " to " +
                 std::to_string(kLargestSramNm) + " nm"};
  }
  if (!(options.clock_mhz > 0)) {
    return Error{"found a clock of " + FormatShort(options.clock_mhz) +
                 " MHz, expected a number above 0"};
  }
  std::vector<TableRow> rows;
  for (const LogicRow& row : kLogic) rows.push_back(Moved(row, options.node_nm));
  const DramRow& dram = kDram[static_cast<size_t>(options.dram)];
  for (const char* name : {"dram_read_pj_per_byte", "dram_write_pj_per_byte"}) {
    rows.push_back({name, dram.pj_per_byte, "pJ/B", "-", "-",
                    std::string("Accelergy CACTI plug-in @9cf48b1: ") + dram.source});
  }
  rows.push_back({"clock_mhz", options.clock_mhz, "MHz", "-", "-",
                  "turns cycles into leakage energy; VTA on xc7z020 runs at 100 (apache/tvm-vta "
                  "config/pkg_config.py)"});
  const std::string node = std::to_string(options.node_nm);
  const SramColumn sram = SramAt(options.node_nm, options.process);
  const std::string volt = FormatShort(sram.volt);
  rows.push_back({"sram_cell_um2_per_bit", RoundDigits(SramCellUm2(options.node_nm)), "um2", node,
                  volt, "CACTI tech_params: 6T cell of 146 squares of the feature size"});
  for (size_t i = 0; i < kSweepKb.size(); ++i) {
    const SramMacro& macro = sram.macro[i];
    const std::string name = "sram_" + std::to_string(kSweepKb[i]) + "kb_";
    const auto add = [&](const char* what, double value, const char* unit) {
      rows.push_back({name + what, value, unit, node, volt, sram.source});
    };
    add("read_pj_per_byte", macro.read_pj_per_byte, "pJ/B");
    add("write_pj_per_byte", macro.write_pj_per_byte, "pJ/B");
    add("leakage_mw", macro.leakage_mw, "mW");
    add("um2_per_kb", macro.um2_per_kb, "um2/KB");
  }
  return MakeCostTable(std::move(rows), "built-in table: ");
}

const CostTable& DefaultCostTable() {
  static const CostTable table = BuiltInCostTable(TableOptions()).value();
  return table;
}

const std::string& DefaultCostTableCsv() {
  static const std::string csv = CostTableCsv(DefaultCostTable());
  return csv;
}

}  // namespace rhnas::hw
