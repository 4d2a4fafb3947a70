#include "search/arguments.h"

#include <filesystem>
#include <system_error>

#include "engine/archive.h"
#include "hw/validity.h"
#include "search/console.h"
#include "search/run_folder.h"
#include "search/suggest.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;
namespace fs = std::filesystem;

namespace {

// The flags of a space's options, under the names that network.txt uses too.
void DeclareSpaceOptions(nn::SpaceOptions* options, bool sized_by_data, FlagSet* flags) {
  flags->Number("width", &options->width, 0.05, 8, "multiplies the channels of a searched space");
  flags->Switch("always-pw", &options->always_pw,
                "blocks of expansion 1 have a leading pointwise convolution");
  if (sized_by_data) return;
  flags->Int("classes", &options->classes, 0, 1000000, "outputs; 0: the network's own");
  flags->Int("resolution", &options->resolution, 0, 4096,
             "input height and width; 0: the network's own");
  flags->Int("channels", &options->channels, 0, 4096, "input channels; 0: the network's own");
}

bool IsFile(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(fs::path(path), error);
}

// The file meant by an argument: itself, or `inside` it when it is a run folder.
std::string FileOf(const std::string& argument, const std::string& inside) {
  if (argument.find('\0') != std::string::npos) return argument;
  std::error_code error;
  if (fs::is_directory(fs::path(argument), error)) {
    const std::string path = argument + "/" + inside;
    if (IsFile(path)) return path;
  }
  return argument;
}

bool LooksLikePath(const std::string& argument, const std::string& extension) {
  if (argument.find('/') != std::string::npos) return true;
  return argument.size() > extension.size() &&
         argument.compare(argument.size() - extension.size(), extension.size(), extension) == 0;
}

}  // namespace

void NetworkArgument::Declare(FlagSet* flags, bool sized_by_data) {
  flags->Text("network", "NAME|FILE|GENOTYPE", &text,
              "a name (" + JoinWords(nn::NetworkNames()) +
                  "), a network.txt or its run folder, or a genotype like "
                  "fbnet-cifar:k3_e6,skip,...");
  DeclareSpaceOptions(&options, sized_by_data, flags);
}

std::string NetworkFileText(const std::string& genotype, const nn::SpaceOptions& options) {
  nn::SpaceOptions copy = options;
  FlagSet flags;
  DeclareSpaceOptions(&copy, false, &flags);
  std::string text = genotype + "\n";
  for (const Flag& flag : flags.flags()) text += flag.name + " " + flag.get() + "\n";
  return text;
}

Status ParseNetworkFile(const std::string& text, const std::string& path, std::string* genotype,
                        nn::SpaceOptions* options) {
  FlagSet flags;
  DeclareSpaceOptions(options, false, &flags);
  genotype->clear();
  int line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    line.resize(std::min(line.size(), line.find('#')));
    const size_t last = line.find_last_not_of(" \t\r");
    if (last == std::string::npos) continue;
    line.resize(last + 1);
    line.erase(0, line.find_first_not_of(" \t"));
    if (genotype->empty()) {
      *genotype = line;
      continue;
    }
    const size_t space = line.find_first_of(" \t");
    const std::string key = line.substr(0, space);
    const size_t value = space == std::string::npos ? space : line.find_first_not_of(" \t", space);
    if (value == std::string::npos || flags.Find(key) == nullptr) {
      return Status::Error(
          "%s:%d: expected \"KEY VALUE\" with a key of width, always-pw, classes, "
          "resolution or channels, found \"%s\"",
          path.c_str(), line_number, line.c_str());
    }
    if (Status status = flags.Set(key, line.substr(value)); !status.ok()) {
      return Status::Error("%s:%d: %s", path.c_str(), line_number, status.message().c_str());
    }
  }
  if (genotype->empty()) {
    return Status::Error("%s: is empty, expected a network's name or genotype on the first line",
                         path.c_str());
  }
  return Status::Ok();
}

Argument<nn::Network> ResolveNetwork(const NetworkArgument& argument, const FlagSet& flags) {
  if (argument.text.empty()) {
    return {Status::Error("--network is needed: %s, a file or a genotype",
                          JoinWords(nn::NetworkNames()).c_str()),
            kExitUsage};
  }
  const std::string path = FileOf(argument.text, RunFolder::kNetwork);
  if (!IsFile(path)) {
    if (LooksLikePath(path, ".txt")) {
      return {Status::Error("%s: no such file", path.c_str()), kExitFailure};
    }
    return {nn::ParseNetwork(argument.text, argument.options), kExitUsage};
  }
  Result<std::string> text = engine::ReadFile(path);
  if (!text.ok()) return {text.status(), kExitFailure};
  std::string genotype;
  nn::SpaceOptions options;
  if (Status status = ParseNetworkFile(*text, path, &genotype, &options); !status.ok()) {
    return {status, kExitFailure};
  }
  if (flags.given("width")) options.width = argument.options.width;
  if (flags.given("always-pw") || flags.given("no-always-pw")) {
    options.always_pw = argument.options.always_pw;
  }
  if (argument.options.classes != 0) options.classes = argument.options.classes;
  if (argument.options.resolution != 0) options.resolution = argument.options.resolution;
  if (argument.options.channels != 0) options.channels = argument.options.channels;
  Result<nn::Network> network = nn::ParseNetwork(genotype, options);
  if (network.ok()) return {network, kExitOk};
  return {Status::Error("%s: %s", path.c_str(), network.status().message().c_str()), kExitFailure};
}

Argument<hw::Config> ResolveHardware(const std::string& name_or_path, int bus_bits) {
  const std::string path = FileOf(name_or_path, RunFolder::kHardware);
  hw::Result<hw::Config> found = hw::FindConfig(path);
  if (!found.ok()) {
    const bool file = IsFile(path) || LooksLikePath(path, ".json");
    return {Status::Error("%s", found.error().c_str()), file ? kExitFailure : kExitUsage};
  }
  hw::Config config = *found;
  if (bus_bits == 0 || bus_bits == config.bus_bits) return {config, kExitOk};
  config.bus_bits = config.dpi_data_bits = bus_bits;
  // The tag field is no design parameter: another bus brings the one it needs.
  constexpr int kWidestTag = 32;
  for (hw::Config wider = config; wider.vme_tag_bits < kWidestTag; ++wider.vme_tag_bits) {
    bool tag_missed = false;
    for (const hw::Verdict& verdict : hw::CheckAll(wider)) {
      tag_missed = tag_missed || verdict.rule == hw::Rule::kR7;
    }
    if (tag_missed) continue;
    config = wider;
    break;
  }
  return {config, kExitOk};
}

Result<hw::CostTable> LoadCostTable(const std::string& path) {
  if (path.empty()) return hw::DefaultCostTable();
  Result<std::string> text = engine::ReadFile(path);
  if (!text.ok()) return text.status();
  hw::Result<hw::CostTable> table = hw::ParseCostTable(*text, path);
  if (!table.ok()) return Status::Error("%s", table.error().c_str());
  return *table;
}

}  // namespace rhnas::search
