// A layer, or a chain of up to three that run as one program, as one word: what tables and users
// write. The name of a layer is not part of it; two layers of one shape are the same word.
//
//   conv-1x32x32x24-k144-3x3-s1-p1-g1-b-relu
//   KIND-NxHxWxC-kK-RxS-sSTRIDE-pPAD-gGROUPS[-b][-relu], chains joined by "+"
//
// KIND: conv, dense, max-pool, avg-pool, global-pool, add, concat, shuffle. NxHxWxC: images, input
// height, width, channels; K: output channels; RxS: filter height and width; b: a bias is added.
#pragma once

#include <string>
#include <vector>

#include "hw/layer.h"

namespace rhnas::hw {

std::string LayerText(const Layer& layer);
std::string ChainText(const std::vector<Layer>& chain);
// False: not such a word; `why` tells what was found and expected. Whether the sizes fit each other
// is not checked here (see MakeWork). The layers' names are their texts.
bool ParseLayerText(const std::string& text, Layer* layer, std::string* why);
bool ParseChainText(const std::string& text, std::vector<Layer>* chain, std::string* why);

}  // namespace rhnas::hw
