// How energy and area of logic change with the technology node.
//
// A. Stillmaker, B. Baas, "Scaling equations for the accurate prediction of CMOS device performance
// from 180 nm to 7 nm", Integration 58 (2017): energy of an operation a V^2 + b V + c with
// coefficients for each node, and a table of area factors; both as the Accelergy library plug-in
// quotes them (scaling.py). Between two nodes of the paper coefficients and factors are
// interpolated linearly in nanometres. Pure functions, thread-safe.
#pragma once

namespace rhnas::hw {

// Nodes between which everything below is defined.
inline constexpr double kSmallestNodeNm = 7, kLargestNodeNm = 65;
// Supply that logic is compared at: the one of the 45 nm energies (Horowitz). A real 16 nm part
// runs at less and saves more; nothing here assumes it.
inline constexpr double kLogicVolt = 0.9;

// Energy of the same operation at `to_nm` over that at `from_nm`, both at `volt`.
// REQUIRES: nodes within 7..65 nm.
double EnergyFactor(double from_nm, double to_nm, double volt = kLogicVolt);
// Area of the same circuit at `to_nm` over that at `from_nm`. REQUIRES: nodes within 7..65 nm.
double AreaFactor(double from_nm, double to_nm);

}  // namespace rhnas::hw
