#include "search/statistics.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/random.h"

namespace rhnas::search {

namespace {

// REQUIRES: sorted.
double QuantileOfSorted(const std::vector<double>& sorted, double q) {
  const double at = static_cast<double>(sorted.size() - 1) * q;
  const size_t below = static_cast<size_t>(at);
  const double share = at - static_cast<double>(below);
  const double low = sorted[below];
  if (share == 0) return low;
  const double high = sorted[below + 1];
  // Equal values stay exact, and infinity less infinity is never asked.
  return low == high ? low : std::isinf(high) ? high : low + share * (high - low);
}

}  // namespace

double Quantile(std::vector<double> values, double q) {
  RHNAS_CHECK(!values.empty() && q >= 0 && q <= 1, "quantile %g of %d values", q,
              static_cast<int>(values.size()));
  std::sort(values.begin(), values.end());
  return QuantileOfSorted(values, q);
}

Interval PairedBootstrap(const std::vector<double>& a, const std::vector<double>& b, uint64_t seed,
                         int resamples, double level) {
  RHNAS_CHECK(!a.empty() && a.size() == b.size(), "%d and %d paired values",
              static_cast<int>(a.size()), static_cast<int>(b.size()));
  engine::Rng rng(seed);
  std::vector<double> first(a.size()), second(a.size()), differences;
  differences.reserve(static_cast<size_t>(resamples));
  for (int i = 0; i < resamples; ++i) {
    for (size_t k = 0; k < a.size(); ++k) {
      const size_t pair = rng.Below(static_cast<uint32_t>(a.size()));
      first[k] = a[pair];
      second[k] = b[pair];
    }
    std::sort(first.begin(), first.end());
    std::sort(second.begin(), second.end());
    differences.push_back(QuantileOfSorted(first, 0.5) - QuantileOfSorted(second, 0.5));
  }
  std::sort(differences.begin(), differences.end());
  return {QuantileOfSorted(differences, (1 - level) / 2),
          QuantileOfSorted(differences, (1 + level) / 2)};
}

double Hypervolume(std::vector<FrontPoint> points, double least_gain, double most_loss) {
  // From the greatest gain down: each point adds the strip of losses below all before it.
  std::sort(points.begin(), points.end(), [](const FrontPoint& a, const FrontPoint& b) {
    return a.gain != b.gain ? a.gain > b.gain : a.loss < b.loss;
  });
  double volume = 0, loss = most_loss;
  for (const FrontPoint& point : points) {
    if (point.gain <= least_gain) break;
    if (point.loss >= loss) continue;
    volume += (point.gain - least_gain) * (loss - point.loss);
    loss = point.loss;
  }
  return volume;
}

}  // namespace rhnas::search
