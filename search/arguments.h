// What users write for a network, an accelerator or a table: a name, a file, a genotype.
#pragma once

#include <string>

#include "engine/status.h"
#include "hw/config.h"
#include "hw/space.h"
#include "nn/space.h"
#include "search/flags.h"

namespace rhnas::search {

// --network NAME|FILE|GENOTYPE with the options of its space. A file holds the text of a network
// (nn/space.h) on its first line that is neither empty nor a # comment; a run folder stands for its
// network.txt.
struct NetworkArgument {
  std::string text;
  nn::SpaceOptions options;
  // Declares --network, --width, --always-pw and, for networks that no data set sizes, --classes,
  // --resolution, --channels.
  void Declare(FlagSet* flags, bool sized_by_data);
};

// An argument that is wrong: a misspelt name is a usage error (exit code 2), a missing or damaged
// file a failure (1).
template <typename T>
struct Argument {
  engine::Result<T> value;
  int exit_code = 0;
};

Argument<nn::Network> ResolveNetwork(const NetworkArgument& argument);

// The vta_config.json of a run folder; anything else as it is.
std::string HardwareFile(const std::string& name_or_path);
// False for the name of a preset, which is never a file.
bool IsHardwareFile(const std::string& name_or_path);

// --hw NAME|FILE; a run folder stands for its vta_config.json. bus_bits 0: as the configuration
// says; otherwise the platform's bus, with a tag field as wide as that bus needs (R7).
Argument<hw::Config> ResolveHardware(const std::string& name_or_path, int bus_bits);

// True for anything but the name of a space of a family that is compiled in.
bool IsSpaceFile(const std::string& name_or_path);
// --hw-space NAME|FILE of VTA.
Argument<hw::HwSpace> ResolveHwSpace(const std::string& name_or_path,
                                     const hw::SpaceOptions& options);

}  // namespace rhnas::search
