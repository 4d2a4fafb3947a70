// What an agent sees of a network: a fixed number of floats of order one, from its layers alone, so
// that networks of a space, published ones and a user's layer file are seen alike.
//
// Shares of the multiply-accumulates by kind of layer, by input channels, output channels and
// output pixels (in octaves), the weights and maps that have to be moved, sizes on log scales; and
// how much of an array of given width the channels fill, which is what an accelerator's block sizes
// are chosen by: sum of MACs / sum of MACs with channels rounded up to the width.
#pragma once

#include <vector>

#include "hw/layer.h"

namespace rhnas::search {

inline constexpr int kOctaves = 9;  // up to 8, 16, .. 1024, and more
// Kinds and sizes, three histograms of two kinds of layer, fill by 4 x 4 widths.
inline constexpr int kNetworkFeatures = 9 + 3 * 2 * kOctaves + 16;

// features: kNetworkFeatures floats. Any layers: an empty list gives zeros but for the constants.
void ObserveNetwork(const std::vector<hw::Layer>& layers, float* features);

}  // namespace rhnas::search
