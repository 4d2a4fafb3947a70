// exp, log and the standard normal distribution in double precision: our own, since those of the
// C library differ between machines in their last bits, and a search must not. Relative errors
// below 1e-14 (log near 1: absolute); square roots are std::sqrt.
#pragma once

namespace rhnas::rl {

double Exp(double x);  // 0 below -745, infinity above 709.7
double Log(double x);  // REQUIRES: x > 0, finite
double NormalDensity(double z);
double NormalCdf(double z);
// E[max(0, z + N(0, 1))] = z cdf(z) + density(z), without cancellation at large negative z: the
// expected improvement of Jones, Schonlau and Welch (1998) in units of the standard deviation.
double NormalGain(double z);

}  // namespace rhnas::rl
