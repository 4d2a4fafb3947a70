// The CACTI 7 sweep as data, and the ways between its columns.
#include "hw/sram_sweep.h"

#include <cmath>

#include "hw/node_scaling.h"
#include "hw/number.h"

namespace rhnas::hw {
namespace {

struct Column {
  int node_nm;
  double volt;  // CACTI tech_params/<node>.dat, Vdd; 40 and 28 nm lie between their neighbours
  SramMacro macro[kSweepKb.size()];  // read pJ/B, write pJ/B, leakage mW, um^2/KB
};

// clang-format off
constexpr Column kHp[] = {
    {22, 0.8,
     {{0.075, 0.112, 0.73, 903}, {0.136, 0.145, 1.33, 880},
      {0.188, 0.211, 2.63, 784}, {0.361, 0.276, 4.75, 757},
      {0.437, 0.352, 9.50, 835}, {0.586, 0.502, 19.00, 876},
      {0.937, 0.638, 34.75, 801}, {1.242, 0.943, 69.50, 813},
      {1.671, 1.372, 139.00, 803}, {2.304, 1.993, 277.26, 791}}},
    {28, 0.86,
     {{0.120, 0.178, 1.13, 1463}, {0.214, 0.234, 2.08, 1427},
      {0.287, 0.332, 4.10, 1272}, {0.548, 0.443, 7.57, 1228},
      {0.673, 0.567, 15.15, 1354}, {1.205, 0.799, 27.53, 1265},
      {1.461, 1.055, 55.06, 1300}, {1.952, 1.546, 110.11, 1319},
      {2.647, 2.240, 220.23, 1302}, {3.967, 3.168, 437.49, 1198}}},
    {32, 0.9,
     {{0.155, 0.231, 1.46, 1913}, {0.199, 0.356, 2.89, 1716},
      {0.363, 0.429, 5.32, 1664}, {0.692, 0.574, 9.93, 1606},
      {1.064, 0.840, 19.71, 1500}, {1.504, 1.021, 35.95, 1653},
      {1.806, 1.322, 71.91, 1698}, {2.387, 1.903, 143.82, 1724},
      {3.208, 2.725, 287.63, 1701}, {4.795, 3.845, 571.47, 1566}}},
    {40, 0.96,
     {{0.233, 0.348, 2.17, 2983}, {0.293, 0.533, 4.30, 2677},
      {0.532, 0.645, 7.93, 2599}, {1.009, 0.869, 14.95, 2507},
      {1.524, 1.261, 29.67, 2344}, {1.901, 1.637, 59.34, 2580},
      {2.609, 1.963, 108.21, 2652}, {4.128, 2.862, 215.04, 2458},
      {5.268, 4.003, 430.09, 2432}, {6.838, 5.572, 860.17, 2446}}},
    {45, 1.0,
     {{0.294, 0.440, 2.71, 3774}, {0.365, 0.668, 5.35, 3381},
      {0.661, 0.813, 9.88, 3286}, {1.249, 1.099, 18.68, 3172},
      {1.866, 1.586, 37.08, 2966}, {3.623, 2.149, 67.34, 2870},
      {4.120, 2.645, 134.68, 3027}, {5.078, 3.604, 269.36, 3110},
      {6.503, 5.029, 538.72, 3078}, {8.461, 6.987, 1077.45, 3095}}},
    {65, 1.1,
     {{0.489, 0.772, 3.06, 7895}, {0.609, 1.192, 6.03, 7082},
      {1.102, 1.433, 11.10, 6866}, {2.083, 1.911, 20.63, 6623},
      {3.114, 2.803, 40.93, 6190}, {6.046, 3.741, 74.17, 5988},
      {7.000, 4.696, 148.33, 6316}, {8.846, 6.541, 296.67, 6490},
      {11.703, 8.480, 564.18, 6704}, {15.677, 12.393, 1127.09, 6650}}},
};
constexpr Column kLop[] = {
    {22, 0.6,
     {{0.051, 0.066, 1.00, 901}, {0.092, 0.087, 1.84, 878},
      {0.175, 0.129, 3.34, 852}, {0.206, 0.160, 6.68, 943},
      {0.265, 0.219, 13.36, 989}, {0.440, 0.311, 24.42, 916},
      {0.562, 0.434, 48.84, 929}, {0.873, 0.623, 96.72, 813},
      {1.155, 0.854, 184.83, 864}, {1.600, 1.347, 386.06, 794}}},
    {28, 0.6,
     {{0.067, 0.087, 0.67, 1457}, {0.122, 0.115, 1.23, 1421},
      {0.230, 0.169, 2.25, 1380}, {0.267, 0.207, 4.51, 1526},
      {0.339, 0.278, 9.01, 1601}, {0.567, 0.399, 16.40, 1483},
      {0.715, 0.547, 32.81, 1504}, {1.105, 0.779, 64.98, 1316},
      {1.462, 1.070, 123.81, 1399}, {1.982, 1.652, 259.35, 1287}}},
    {32, 0.6,
     {{0.080, 0.103, 0.30, 1911}, {0.144, 0.136, 0.56, 1864},
      {0.271, 0.201, 1.03, 1809}, {0.315, 0.245, 2.06, 2000},
      {0.398, 0.328, 4.12, 2099}, {0.666, 0.472, 7.47, 1944},
      {0.838, 0.643, 14.95, 1971}, {1.288, 0.910, 29.61, 1723},
      {1.711, 1.255, 56.31, 1833}, {2.299, 1.916, 118.16, 1684}}},
    {40, 0.66,
     {{0.127, 0.167, 0.18, 2981}, {0.227, 0.222, 0.33, 2911},
      {0.311, 0.310, 0.65, 2595}, {0.596, 0.420, 1.21, 2506},
      {0.711, 0.535, 2.43, 2764}, {1.045, 0.774, 4.45, 3037},
      {1.315, 1.043, 8.90, 3079}, {1.985, 1.460, 17.63, 2692},
      {2.682, 2.033, 33.52, 2864}, {3.569, 3.037, 70.35, 2631}}},
    {45, 0.7,
     {{0.164, 0.219, 0.04, 3771}, {0.293, 0.293, 0.07, 3685},
      {0.395, 0.406, 0.14, 3285}, {0.754, 0.552, 0.26, 3172},
      {0.904, 0.702, 0.52, 3498}, {1.634, 1.008, 0.94, 3267},
      {1.943, 1.317, 1.87, 3357}, {2.538, 1.912, 3.74, 3407},
      {3.463, 2.677, 7.11, 3625}, {5.220, 3.717, 14.14, 3187}}},
};
// clang-format on

constexpr double SramMacro::*kValues[] = {&SramMacro::read_pj_per_byte,
                                          &SramMacro::write_pj_per_byte, &SramMacro::leakage_mw,
                                          &SramMacro::um2_per_kb};

constexpr char kSweep[] = "CACTI 7 sweep: ram; 360 K; ED^2; 1 rw port; 64-bit word; itrs-";

SramColumn Copy(const Column& column, Process process) {
  SramColumn result;
  for (size_t i = 0; i < kSweepKb.size(); ++i) result.macro[i] = column.macro[i];
  result.volt = column.volt;
  result.source = kSweep + std::string(ProcessName(process));
  return result;
}

// share 0: a; 1: b.
double Between(double a, double b, double share) {
  return std::exp(std::log(a) + share * (std::log(b) - std::log(a)));
}

SramColumn BetweenColumns(const Column& low, const Column& high, int node_nm, Process process) {
  const double share = std::log(static_cast<double>(node_nm) / low.node_nm) /
                       std::log(static_cast<double>(high.node_nm) / low.node_nm);
  SramColumn result = Copy(low, process);
  for (size_t i = 0; i < kSweepKb.size(); ++i) {
    for (const auto value : kValues) {
      result.macro[i].*value =
          RoundDigits(Between(low.macro[i].*value, high.macro[i].*value, share));
    }
  }
  result.volt = RoundDigits(low.volt + (high.volt - low.volt) * (node_nm - low.node_nm) /
                                           (high.node_nm - low.node_nm));
  result.source += "; derived: log-log between its " + std::to_string(low.node_nm) + " and " +
                   std::to_string(high.node_nm) + " nm columns";
  return result;
}

SramColumn Below22(int node_nm, Process process) {
  const Column& column = process == Process::kHp ? kHp[0] : kLop[0];
  SramColumn result = Copy(column, process);
  const double energy = EnergyFactor(column.node_nm, node_nm);
  const double area = AreaFactor(column.node_nm, node_nm);
  for (SramMacro& macro : result.macro) {
    macro.read_pj_per_byte = RoundDigits(macro.read_pj_per_byte * energy);
    macro.write_pj_per_byte = RoundDigits(macro.write_pj_per_byte * energy);
    macro.leakage_mw = RoundDigits(macro.leakage_mw * energy);
    macro.um2_per_kb = RoundDigits(macro.um2_per_kb * area);
  }
  result.source +=
      "; derived: its 22 nm column times the logic factors of Stillmaker & Baas 2017 (energy also "
      "for leakage)";
  return result;
}

// The sweep at hand has no 65 nm lop column.
Column Lop65() {
  const Column& hp65 = kHp[std::size(kHp) - 1];
  const Column& hp45 = kHp[std::size(kHp) - 2];
  Column result = kLop[std::size(kLop) - 1];
  result.node_nm = hp65.node_nm;
  result.volt = 0.8;
  for (size_t i = 0; i < kSweepKb.size(); ++i) {
    for (const auto value : kValues) {
      result.macro[i].*value =
          RoundDigits(result.macro[i].*value * (hp65.macro[i].*value / hp45.macro[i].*value));
    }
  }
  return result;
}

}  // namespace

const char* ProcessName(Process process) { return process == Process::kHp ? "hp" : "lop"; }

double SramCellUm2(int node_nm) { return 146e-6 * node_nm * node_nm; }

SramColumn SramAt(int node_nm, Process process) {
  const Column* columns = process == Process::kHp ? kHp : kLop;
  const size_t count = process == Process::kHp ? std::size(kHp) : std::size(kLop);
  if (node_nm < columns[0].node_nm) return Below22(node_nm, process);
  for (size_t i = 0; i < count; ++i) {
    if (node_nm == columns[i].node_nm) return Copy(columns[i], process);
    if (i > 0 && node_nm < columns[i].node_nm) {
      return BetweenColumns(columns[i - 1], columns[i], node_nm, process);
    }
  }
  const Column derived = Lop65();
  const char* note = "; derived: its 45 nm column times the ratio of the 65 and 45 nm hp columns";
  SramColumn result = node_nm == derived.node_nm
                          ? Copy(derived, process)
                          : BetweenColumns(columns[count - 1], derived, node_nm, process);
  result.source += note;
  return result;
}

}  // namespace rhnas::hw
