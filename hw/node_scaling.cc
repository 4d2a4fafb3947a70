// The rows of Stillmaker & Baas 2017 that the tables need.
#include "hw/node_scaling.h"

#include <cstddef>

namespace rhnas::hw {
namespace {

// Energy in the paper's units: a V^2 + b V + c.
struct EnergyRow {
  double nm, a, b, c;
};
constexpr EnergyRow kEnergy[] = {
    {7, 0.1776, -0.09097, 0.02447}, {16, 0.2958, -0.1241, 0.03024}, {20, 0.373, -0.1582, 0.04104},
    {32, 0.9559, -0.7823, 0.471},   {45, 1.103, -0.362, 0.2767},    {65, 3.755, -4.398, 1.975},
};

// Area relative to 45 nm.
struct AreaRow {
  double nm, factor;
};
constexpr AreaRow kArea[] = {
    {7, 0.059}, {10, 0.1}, {14, 0.17}, {16, 0.19}, {20, 0.21}, {32, 0.46}, {45, 1.0}, {65, 1.5},
};

// Index of the last row at or below `nm` that has a next one, and the share of the way to it.
template <size_t kRows, typename Row>
size_t Place(const Row (&rows)[kRows], double nm, double* share) {
  size_t i = 0;
  while (i + 2 < kRows && rows[i + 1].nm <= nm) ++i;
  *share = (nm - rows[i].nm) / (rows[i + 1].nm - rows[i].nm);
  return i;
}

double Energy(double nm, double volt) {
  const auto at = [volt](const EnergyRow& row) { return (row.a * volt + row.b) * volt + row.c; };
  double share = 0;
  const size_t i = Place(kEnergy, nm, &share);
  return at(kEnergy[i]) + share * (at(kEnergy[i + 1]) - at(kEnergy[i]));
}

double Area(double nm) {
  double share = 0;
  const size_t i = Place(kArea, nm, &share);
  return kArea[i].factor + share * (kArea[i + 1].factor - kArea[i].factor);
}

}  // namespace

double EnergyFactor(double from_nm, double to_nm, double volt) {
  return from_nm == to_nm ? 1 : Energy(to_nm, volt) / Energy(from_nm, volt);
}

double AreaFactor(double from_nm, double to_nm) {
  return from_nm == to_nm ? 1 : Area(to_nm) / Area(from_nm);
}

}  // namespace rhnas::hw
