// Weights as .npy files (numpy.lib.format, "Format Version 1.0"): one array a file, and a list of
// them.
#pragma once

#include <string>
#include <vector>

#include "nn/export_file.h"
#include "nn/safetensors.h"

namespace rhnas::nn {

std::string ToNpy(const ExportTensor& tensor);

// A file for each tensor, '/' in its name as '.': "stem.filter.npy"; and tensors.json with name,
// file, type and shape of each, and the metadata.
std::vector<ExportFile> ToNpyFiles(const std::vector<ExportTensor>& tensors,
                                   const ExportMetadata& metadata);

}  // namespace rhnas::nn
