// Weights as one safetensors file (huggingface.co/docs/safetensors, "Format"): the length of the
// header as u64, a JSON object that gives type, shape and place of each tensor, then their bytes
// without holes. All little-endian.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/export_tensors.h"

namespace rhnas::nn {

using ExportMetadata = std::vector<std::pair<std::string, std::string>>;

// The file. REQUIRES: tensors of different names.
std::string ToSafetensors(const std::vector<ExportTensor>& tensors, const ExportMetadata& metadata);

// What a reader of an int8 network needs beside its tensors: for each layer the exponents and
// limits as IntNode has them, "stem/shift" -> "7".
ExportMetadata MetadataOf(const IntGraph& graph);

// A string of JSON with its quotes.
std::string JsonString(const std::string& text);

}  // namespace rhnas::nn
