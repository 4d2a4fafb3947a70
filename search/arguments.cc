#include "search/arguments.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "engine/archive.h"
#include "hw/json.h"
#include "hw/vta_accelerator.h"
#include "nn/onnx_import.h"
#include "search/console.h"
#include "search/layers.h"
#include "search/run_folder.h"
#include "search/suggest.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;
namespace fs = std::filesystem;

namespace {

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsFile(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(fs::path(path), error);
}

// The file meant by an argument: itself, or `inside` it when it is a run folder. A known name is
// never a file, whatever lies in the current folder.
std::string FileOf(const std::string& argument, const std::string& inside,
                   const std::vector<std::string>& names) {
  if (Contains(names, argument)) return argument;
  std::error_code error;
  if (fs::is_directory(fs::path(argument), error)) {
    const std::string path = argument + "/" + inside;
    if (IsFile(path)) return path;
  }
  return argument;
}

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(fs::path(path), error);
}

// What a path is that is no regular file; `inside` stands for a folder that holds it.
Status NotAFile(const std::string& path, const std::string& inside) {
  std::error_code error;
  const char* text = path.c_str();
  if (fs::is_directory(fs::path(path), error)) {
    return Status::Error("%s: is a folder without %s", text, inside.c_str());
  }
  if (Exists(path)) return Status::Error("%s: is not a regular file", text);
  return Status::Error("%s: no such file", text);
}

bool LooksLikePath(const std::string& argument, const std::string& extension) {
  if (argument.find('/') != std::string::npos) return true;
  return argument.size() > extension.size() &&
         argument.compare(argument.size() - extension.size(), extension.size(), extension) == 0;
}

// The first line that is neither empty nor a comment, without blanks around it.
std::string FirstLine(const std::string& text, int* line_number) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++*line_number;
    line.resize(std::min(line.size(), line.find('#')));
    const size_t last = line.find_last_not_of(" \t\r");
    if (last == std::string::npos) continue;
    line.resize(last + 1);
    return line.substr(line.find_first_not_of(" \t"));
  }
  return std::string();
}

bool HasEnding(const std::string& path, const char* ending) {
  const size_t length = std::strlen(ending);
  return path.size() > length && path.compare(path.size() - length, length, ending) == 0;
}

// By its name, or by its first byte: no text begins with the key of a model's ir_version.
bool IsOnnx(const std::string& path) {
  if (HasEnding(path, ".onnx")) return true;
  if (!IsFile(path)) return false;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  const int first = file != nullptr ? std::fgetc(file) : EOF;
  if (file != nullptr) std::fclose(file);
  return first == 0x08;
}

}  // namespace

void NetworkArgument::Declare(FlagSet* flags, bool sized_by_data) {
  flags
      ->Text("network", "NAME|FILE|GENOTYPE", &text,
             "a name (" + JoinWords(nn::NetworkNames()) +
                 "), a network.txt or its run folder, a genotype like "
                 "fbnet-cifar:k3_e6,skip,..." +
                 (sized_by_data ? "" : ", or an ONNX model"))
      .Needed();
  flags->Number("width", &options.width, 0.05, 8, "multiplies the channels of a searched space");
  flags->Switch("always-pw", &options.always_pw,
                "blocks of expansion 1 have a leading pointwise convolution");
  if (sized_by_data) return;
  flags->Int("classes", &options.classes, 0, 1000000, "outputs; 0: the network's own");
  flags->Int("resolution", &options.resolution, 0, 4096,
             "input height and width; 0: the network's own");
  flags->Int("channels", &options.channels, 0, 4096, "input channels; 0: the network's own");
  DeclareUnsupportedFlag(&unsupported, flags);
}

void DeclareUnsupportedFlag(std::string* unsupported, FlagSet* flags) {
  flags->Choice("unsupported", unsupported, nn::UnsupportedNames(),
                "operators of an ONNX model that no accelerator here runs: an error, skipped at no "
                "cost, or a copy of their maps to and from the host");
}

Argument<nn::Network> ResolveNetwork(const NetworkArgument& argument) {
  if (argument.text.empty()) {
    return {Status::Error("--network is needed: %s, a file or a genotype",
                          JoinWords(nn::NetworkNames()).c_str()),
            kExitUsage};
  }
  const std::vector<std::string> names = nn::NetworkNames();
  const std::string path = FileOf(argument.text, RunFolder::kNetwork, names);
  if (!Contains(names, path) && IsOnnx(path)) {
    if (!IsFile(path)) return {NotAFile(path, RunFolder::kNetwork), kExitFailure};
    return {Status::Error("%s: an ONNX model has layers and weights but no blocks to train or "
                          "search: rhnas cost, hw, compare, program and agent propose take one",
                          path.c_str()),
            kExitUsage};
  }
  if (Contains(names, path) || !IsFile(path)) {
    if (LooksLikePath(path, ".txt")) {
      return {NotAFile(path, RunFolder::kNetwork), kExitFailure};
    }
    Result<nn::Network> network = nn::ParseNetwork(argument.text, argument.options);
    if (!network.ok() && Exists(path)) return {NotAFile(path, RunFolder::kNetwork), kExitFailure};
    return {network, kExitUsage};
  }
  const Result<std::string> text = engine::ReadFile(path);
  if (!text.ok()) return {text.status(), kExitFailure};
  int line_number = 0;
  const std::string line = FirstLine(*text, &line_number);
  if (line.empty()) {
    return {Status::Error("%s: is empty, expected a network's name or genotype", path.c_str()),
            kExitFailure};
  }
  Result<nn::Network> network = nn::ParseNetwork(line, argument.options);
  if (network.ok()) return {network, kExitOk};
  return {Status::Error("%s:%d: %s", path.c_str(), line_number, network.status().message().c_str()),
          kExitFailure};
}

Argument<NetworkLayers> ResolveNetworkLayers(const NetworkArgument& argument) {
  NetworkLayers result;
  const std::string& path = argument.text;
  if (!Contains(nn::NetworkNames(), path) && IsFile(path) && IsOnnx(path)) {
    nn::OnnxOptions options;
    const std::vector<std::string> ways = nn::UnsupportedNames();
    const auto way = std::find(ways.begin(), ways.end(), argument.unsupported);
    options.unsupported = static_cast<nn::Unsupported>(way - ways.begin());
    options.weights = false;
    options.resolution = argument.options.resolution;
    options.channels = argument.options.channels;
    if (argument.options.classes > 0 || argument.options.width != 1) {
      return {Status::Error("--classes and --width are for networks of our own: %s has its layers",
                            path.c_str()),
              kExitUsage};
    }
    const Result<nn::OnnxModel> model = nn::ReadOnnx(path, options);
    if (!model.ok()) return {model.status(), kExitFailure};
    const nn::Node& image = model->graph.input();
    result.name = path;
    result.layers = ToHardwareLayers(model->layers);
    result.macs = nn::TotalMacs(model->layers);
    result.params = model->params;
    result.h = image.h;
    result.w = image.w;
    result.c = image.c;
    result.classes = model->graph.classes();
    result.notes = model->notes;
    return {result, kExitOk};
  }
  const Argument<nn::Network> found = ResolveNetwork(argument);
  if (!found.value.ok()) return {found.value.status(), found.exit_code};
  const nn::Network& network = *found.value;
  result.name = network.name;
  result.layers = ToHardwareLayers(nn::LayersOf(network.space, network.genotype));
  result.macs = nn::Macs(network.space, network.genotype);
  result.params = nn::Params(network.space, network.genotype);
  result.h = network.space.h;
  result.w = network.space.w;
  result.c = network.space.c;
  result.classes = network.space.classes;
  return {result, kExitOk};
}

void DeclareAcceleratorFlag(std::string* accelerator, FlagSet* flags) {
  std::vector<std::string> names;
  for (const hw::Accelerator* family : hw::Accelerators()) names.push_back(family->name());
  Flag& flag = flags->Text("accelerator", "NAME", accelerator,
                           "family of accelerators; not given: as the other flags say, else vta");
  flag.choices = names;
  flag.set = [accelerator, names](const std::string& text) {
    if (!text.empty() && hw::FindAccelerator(text) == nullptr) {
      return Status::Error("--accelerator: unknown family \"%s\": expected %s", text.c_str(),
                           JoinWords(names).c_str());
    }
    *accelerator = text;
    return Status::Ok();
  };
}

const hw::Accelerator& FamilyOf(const std::string& accelerator, const std::string& name_or_path) {
  if (const hw::Accelerator* named = hw::FindAccelerator(accelerator)) return *named;
  const std::vector<const hw::Accelerator*> families = hw::Accelerators();
  for (const hw::Accelerator* family : families) {
    if (!IsHardwareFile(*family, name_or_path)) return *family;
  }
  for (const hw::Accelerator* family : families) {
    if (HardwareFile(*family, name_or_path) != name_or_path) return *family;
  }
  const hw::Accelerator* likely = &hw::Vta();
  if (!IsFile(name_or_path)) return *likely;
  const Result<std::string> text = engine::ReadFile(name_or_path);
  if (!text.ok()) return *likely;
  const hw::Result<hw::Json> json = hw::ParseJson(*text, name_or_path);
  if (!json.ok()) return *likely;
  size_t most = 0;
  for (const hw::Accelerator* family : families) {
    size_t own = 0;
    for (const auto& member : json->members) own += family->OwnsKey(member.first) ? 1 : 0;
    if (own <= most) continue;
    most = own;
    likely = family;
  }
  return *likely;
}

std::string HardwareFile(const hw::Accelerator& family, const std::string& name_or_path) {
  return FileOf(name_or_path, family.file_name(), family.PresetNames());
}

bool IsHardwareFile(const hw::Accelerator& family, const std::string& name_or_path) {
  return !Contains(family.PresetNames(), name_or_path);
}

Argument<hw::DesignPtr> ResolveDesign(const hw::Accelerator& family,
                                      const std::string& name_or_path, int bus_bits) {
  const std::string path = HardwareFile(family, name_or_path);
  if (IsHardwareFile(family, path) && !IsFile(path) &&
      (LooksLikePath(path, ".json") || Exists(path))) {
    return {NotAFile(path, family.file_name()), kExitFailure};
  }
  const hw::Result<hw::DesignPtr> found = family.Find(path);
  if (!found.ok()) {
    return {Status::Error("%s", found.error().c_str()), IsFile(path) ? kExitFailure : kExitUsage};
  }
  return {family.OnBus(**found, bus_bits), kExitOk};
}

Argument<hw::Config> ResolveHardware(const std::string& name_or_path, int bus_bits) {
  const Argument<hw::DesignPtr> design = ResolveDesign(hw::Vta(), name_or_path, bus_bits);
  if (!design.value.ok()) return {design.value.status(), design.exit_code};
  return {hw::VtaConfig(**design.value), kExitOk};
}

std::vector<std::string> AllHwSpaces() {
  std::vector<std::string> names;
  for (const hw::Accelerator* family : hw::Accelerators()) {
    for (const std::string& name : family->SpaceNames()) names.push_back(name);
  }
  return names;
}

bool IsSpaceFile(const std::string& name_or_path) {
  return hw::FindAcceleratorOfSpace(name_or_path) == nullptr;
}

Argument<hw::HwSpace> ResolveHwSpace(const std::string& name_or_path,
                                     const hw::SpaceOptions& options) {
  const bool file = IsSpaceFile(name_or_path) && Exists(name_or_path);
  if (!file && IsSpaceFile(name_or_path) && name_or_path.find('/') != std::string::npos) {
    return {Status::Error("%s: no such file", name_or_path.c_str()), kExitFailure};
  }
  if (file && !IsFile(name_or_path)) {
    return {Status::Error("%s: is not a file, expected an accelerator space", name_or_path.c_str()),
            kExitFailure};
  }
  if (!file && IsSpaceFile(name_or_path)) {
    return {
        Status::Error("%s", UnknownWord("accelerator space", name_or_path, AllHwSpaces()).c_str()),
        kExitUsage};
  }
  hw::Result<hw::HwSpace> space = hw::FindHwSpace(name_or_path, options);
  if (space.ok()) return {std::move(*space), kExitOk};
  return {Status::Error("%s", space.error().c_str()), file ? kExitFailure : kExitUsage};
}

}  // namespace rhnas::search
