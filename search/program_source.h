// Where `rhnas program` gets its program from: a layer that is lowered now, or a file.
#pragma once

#include <string>
#include <vector>

#include "engine/status.h"
#include "hw/lower.h"
#include "hw/program_file.h"
#include "search/arguments.h"

namespace rhnas::search {

struct ProgramRequest {
  std::string layer;           // as typed, or NETWORK:LAYER
  std::string hw = "default";  // preset, file, run folder
  std::string tiling;          // empty: the best one is searched
  std::string isa = "auto";    // auto, stock, extended
  int shift = 4;
  std::string file;  // a program to run instead
};

struct LoadedProgram {
  hw::ProgramFile file;
  // How the data of `file` lies, where its layers are known.
  bool has_layout = false;
  hw::LoweredProgram lowered;
  std::string note;  // something to tell the user
};

// The layers that a person means: "conv 64x14x14 -> 64 k3 p1", joined by " + " as a chain, or
// "resnet18:stage2.0.conv1", a layer of a known network.
Argument<std::vector<hw::Layer>> ResolveLayers(const std::string& text);

Argument<LoadedProgram> LoadProgram(const ProgramRequest& request);
// The program of these layers, on the instruction set and with the tiling and shift asked for.
// REQUIRES: valid configuration.
Argument<LoadedProgram> LowerLayers(const ProgramRequest& request,
                                    const std::vector<hw::Layer>& layers, const hw::Config& config);

}  // namespace rhnas::search
