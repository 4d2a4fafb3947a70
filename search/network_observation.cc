#include "search/network_observation.h"

#include <algorithm>

#include "engine/math.h"

namespace rhnas::search {

namespace {

int Octave(int64_t value) {
  int octave = 0;
  for (int64_t limit = 8; octave + 1 < kOctaves && value > limit; limit *= 2) ++octave;
  return octave;
}

double RoundUp(int64_t value, int64_t to) {
  return static_cast<double>((value + to - 1) / to * to);
}

float Log2(double value) {
  return engine::Log(static_cast<float>(std::max(value, 1.0))) * 1.442695f;
}

}  // namespace

void ObserveNetwork(const std::vector<hw::Layer>& layers, float* features) {
  std::fill_n(features, kNetworkFeatures, 0.0f);
  double kinds[4] = {}, total = 0, weights = 0, maps = 0, adds = 0;
  double histogram[3][2][kOctaves] = {}, padded[4][4] = {}, arrayed = 0;
  for (const hw::Layer& l : layers) {
    const double macs = static_cast<double>(l.macs());
    const double inputs = static_cast<double>(l.h) * l.w * l.c;
    maps += inputs;
    if (macs <= 0) {
      adds += inputs;
      continue;
    }
    total += macs;
    const int group_inputs = std::max(l.c / std::max(l.groups, 1), 1);
    weights += static_cast<double>(l.r) * l.s * group_inputs * l.k;
    const bool depthwise = l.depthwise();
    kinds[depthwise ? 0 : l.groups > 1 ? 1 : l.r == 1 ? 2 : 3] += macs;
    const int64_t pixels = std::max<int64_t>(
        1, static_cast<int64_t>(l.h / std::max(l.stride, 1)) * (l.w / std::max(l.stride, 1)));
    histogram[0][depthwise ? 1 : 0][Octave(l.c)] += macs;
    histogram[1][depthwise ? 1 : 0][Octave(l.k)] += macs;
    histogram[2][depthwise ? 1 : 0][Octave(pixels)] += macs;
    if (depthwise) continue;
    arrayed += macs;
    for (int in = 0; in < 4; ++in) {
      for (int out = 0; out < 4; ++out) {
        padded[in][out] += macs * RoundUp(l.c, 8 << in) / l.c * RoundUp(l.k, 8 << out) / l.k;
      }
    }
  }
  const double all = std::max(total, 1.0);
  float* next = features;
  *next++ = 1;
  for (double kind : kinds) *next++ = static_cast<float>(kind / all);
  *next++ = (Log2(total) - 25) / 4;
  *next++ = (Log2(weights) - 20) / 4;
  *next++ = (Log2(maps) - 20) / 4;
  *next++ = static_cast<float>(adds / std::max(maps, 1.0));
  for (const auto& of_size : histogram) {
    // The two kinds each on their own scale: depthwise layers have few MACs and take much time.
    for (int kind = 0; kind < 2; ++kind) {
      double sum = 0;
      for (double share : of_size[kind]) sum += share;
      for (double share : of_size[kind]) {
        *next++ = static_cast<float>(share / std::max(sum, 1.0));
      }
    }
  }
  for (const auto& row : padded) {
    for (double macs : row) *next++ = static_cast<float>(arrayed / std::max(macs, 1.0));
  }
}

}  // namespace rhnas::search
