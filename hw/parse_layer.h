// Layers and tilings as a person types them.
//
//   conv 64x14x14 -> 64 k3 s1 p1          kind, channels x height x width, "->" output channels,
//   depthwise 96x28x28 k5 s2 p2           filter (k3 or k3x5), stride, padding, groups (g4), images
//   dense 512 -> 10 no-relu               (n2), relu or no-relu, bias or no-bias
//   conv c=64 h=14 w=14 k=64 r=3 s=3 stride=1 pad=1 groups=1 n=1 relu=1 bias=1
//
//   conv-1x14x14x64-k64-3x3-s1-p1-g1-b-relu      as tables have it (hw/layer_text.h)
//
// Words in any order, apart by spaces or commas; both forms mix. Left out: square filter of 1,
// stride 1, no padding, one group, one image, with bias and relu, as many outputs as inputs. A
// chain of layers that run as one program is joined by " + ".
#pragma once

#include <string>
#include <vector>

#include "hw/cost.h"
#include "hw/layer.h"

namespace rhnas::hw {

// conv, depthwise, dense, max-pool, avg-pool, global-pool, add, concat, shuffle.
std::vector<std::string> LayerKindWords();

// False: `why` names the word that was found and what was expected. Whether the shape is possible
// is for MakeWork to say. The layer's name is the text.
bool ParseLayer(const std::string& text, Layer* layer, std::string* why);
bool ParseLayers(const std::string& text, std::vector<Layer>* chain, std::string* why);

// What Tiling::ToString writes: "7x14 co2 ci1 vt2 ws", with "alu" and "rows" where they apply.
bool ParseTiling(const std::string& text, Tiling* tiling, std::string* why);

}  // namespace rhnas::hw
