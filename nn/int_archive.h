// Integer networks as files: an archive (engine/archive.h) with "kind" = "rhnas int8 network",
// "name", "origin" (what it was made from, in the caller's words), "output", "input_table", and for
// each node, under "node/NUMBER/": "name", "inputs", "shape" (the numbers of Node and IntNode in
// the order of their declaration), "filter", "bias".
#pragma once

#include <string>

#include "engine/status.h"
#include "nn/quantize.h"

namespace rhnas::nn {

engine::Status SaveIntGraph(const std::string& path, const IntGraph& graph,
                            const std::string& origin = "");
// Errors: no such file, damaged, another kind of file, a network that CheckIntGraph refuses.
engine::Result<IntGraph> LoadIntGraph(const std::string& path, std::string* origin = nullptr);

}  // namespace rhnas::nn
