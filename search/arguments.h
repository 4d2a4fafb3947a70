// What users write for a network, an accelerator or a table: a name, a file, a genotype.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"
#include "hw/accelerator.h"
#include "hw/layer.h"
#include "hw/space.h"
#include "nn/space.h"
#include "search/flags.h"

namespace rhnas::search {

// --network NAME|FILE|GENOTYPE with the options of its space. A file holds the text of a network
// (nn/space.h) on its first line that is neither empty nor a # comment; a run folder stands for its
// network.txt. Where layers are all that is asked for it may be an ONNX model (nn/onnx_import.h).
struct NetworkArgument {
  std::string text;
  nn::SpaceOptions options;
  std::string unsupported = "fail";  // operators of an ONNX model (nn::Unsupported)
  // Declares --network, --width, --always-pw and, for networks that no data set sizes, --classes,
  // --resolution, --channels, --unsupported.
  void Declare(FlagSet* flags, bool sized_by_data);
};

// An argument that is wrong: a misspelt name is a usage error (exit code 2), a missing or damaged
// file a failure (1).
template <typename T>
struct Argument {
  engine::Result<T> value;
  int exit_code = 0;
};

// A network that can be trained: an ONNX model is an error.
Argument<nn::Network> ResolveNetwork(const NetworkArgument& argument);

// What it takes to price a network: of one of ours, or of an ONNX model.
struct NetworkLayers {
  std::string name;
  std::vector<hw::Layer> layers;
  int64_t macs = 0, params = 0;
  int h = 0, w = 0, c = 0, classes = 0;
  std::vector<std::string> notes;  // what of a model is not costed as it stands
};
Argument<NetworkLayers> ResolveNetworkLayers(const NetworkArgument& argument);
void DeclareUnsupportedFlag(std::string* unsupported, FlagSet* flags);

// --accelerator NAME. Declares the flag; empty text: not given.
void DeclareAcceleratorFlag(std::string* accelerator, FlagSet* flags);
// The family meant by --accelerator; where that is empty, by --hw: the one that has a preset of
// this name, whose file the run folder holds, or most of whose keys the file has. VTA when none
// does.
const hw::Accelerator& FamilyOf(const std::string& accelerator, const std::string& name_or_path);

// The family's file in a run folder (vta_config.json); anything else as it is.
std::string HardwareFile(const hw::Accelerator& family, const std::string& name_or_path);
// False for the name of a preset, which is never a file.
bool IsHardwareFile(const hw::Accelerator& family, const std::string& name_or_path);

// --hw NAME|FILE; a run folder stands for its design. bus_bits 0: as the design says; otherwise the
// platform's bus (for VTA with a tag field as wide as that bus needs, R7).
Argument<hw::DesignPtr> ResolveDesign(const hw::Accelerator& family,
                                      const std::string& name_or_path, int bus_bits);
// The same for commands that are about VTA alone.
Argument<hw::Config> ResolveHardware(const std::string& name_or_path, int bus_bits);

// The spaces of every family.
std::vector<std::string> AllHwSpaces();
// True for anything but the name of a space of a family that is compiled in.
bool IsSpaceFile(const std::string& name_or_path);
// --hw-space NAME|FILE of VTA.
Argument<hw::HwSpace> ResolveHwSpace(const std::string& name_or_path,
                                     const hw::SpaceOptions& options);

}  // namespace rhnas::search
