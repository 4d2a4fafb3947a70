// Statistics of repeated runs: quantiles, a paired bootstrap, the hypervolume of a front.
#pragma once

#include <cstdint>
#include <vector>

namespace rhnas::search {

// Linear interpolation between order statistics at (n - 1) q: type 7 of Hyndman and Fan, "Sample
// quantiles in statistical packages", 1996; what R and NumPy compute. Infinite values are allowed:
// a quantile that lies between a finite and an infinite one is infinite. REQUIRES: values, none
// NaN; 0 <= q <= 1.
double Quantile(std::vector<double> values, double q);
inline double Median(const std::vector<double>& values) { return Quantile(values, 0.5); }

struct Interval {
  double low = 0, high = 0;
};
inline constexpr int kResamples = 10000;
// The percentile interval (Efron, 1979) of median(a) - median(b) over resamples of the pairs
// (a[i], b[i]), which belong together (same seed). The resamples come from `seed` alone.
// REQUIRES: as many a as b, at least one; all finite; 0 < level < 1.
Interval PairedBootstrap(const std::vector<double>& a, const std::vector<double>& b,
                         uint64_t seed = 1, int resamples = kResamples, double level = 0.95);

// The area that points (gain, loss) dominate above `least_gain` and below `most_loss`: more gain
// and less loss are better. Points outside count for what they dominate inside.
struct FrontPoint {
  double gain = 0, loss = 0;
};
double Hypervolume(std::vector<FrontPoint> points, double least_gain, double most_loss);

}  // namespace rhnas::search
