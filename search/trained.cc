#include "search/trained.h"

#include <cmath>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/archive.h"
#include "nn/nasbench201.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;
namespace fs = std::filesystem;

namespace {

constexpr char kKind[] = "trained network 1";
constexpr char kPrefix[] = "net/";

Result<std::string> FileOf(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(fs::path(path), error)) {
    if (fs::exists(fs::path(path), error)) return path;
    return Status::Error("%s: no such file or run folder; rhnas train makes one", path.c_str());
  }
  for (const char* name : {kBestWeights, kLastWeights}) {
    std::string file = path + "/" + name;
    if (fs::exists(fs::path(file), error)) return file;
  }
  return Status::Error(
      "%s: holds neither %s nor %s: expected the folder of a run of rhnas train or rhnas search "
      "that came to its first epoch's end",
      path.c_str(), kBestWeights, kLastWeights);
}

bool Finite(const float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) return false;
  }
  return true;
}

Status CheckValues(const std::string& file, const TrainedNetwork& trained) {
  for (const engine::Parameter* weight : trained.net->weights()) {
    if (Finite(weight->value.data(), weight->value.size())) continue;
    return Status::Error("%s: %s has a value that is not finite: the file is of a failed training",
                         file.c_str(), weight->name.c_str());
  }
  for (const nn::NamedBuffer& entry : trained.net->statistics(trained.path)) {
    if (Finite(entry.buffer->data(), entry.buffer->size())) continue;
    return Status::Error("%s: %s has a value that is not finite: the file is of a failed training",
                         file.c_str(), entry.name.c_str());
  }
  const size_t channels = static_cast<size_t>(trained.network.space.c);
  bool good = trained.mean.size() == channels && trained.stddev.size() == channels;
  for (float mean : trained.mean) good = good && std::isfinite(mean);
  for (float stddev : trained.stddev) good = good && std::isfinite(stddev) && stddev > 0;
  if (good) return Status::Ok();
  return Status::Error("%s: means and deviations of its images are not %zu numbers each",
                       file.c_str(), channels);
}

}  // namespace

nn::Space OnlyThis(const nn::Network& network) {
  nn::Space space = network.space;
  size_t searched = 0;
  for (size_t i = 0; i < space.slots.size(); ++i) {
    nn::Slot& slot = space.slots[i];
    if (!slot.searchable()) continue;
    nn::Block block = slot.candidates[static_cast<size_t>(network.genotype.choice[searched++])];
    block.name = nn::SlotPrefix(network.space, static_cast<int>(i)) + "/" + block.name;
    slot.candidates = {block};
  }
  return space;
}

Status SaveTrained(const std::string& path, const nn::Network& network, nn::Supernet& net,
                   const std::string& dataset, const std::vector<float>& mean,
                   const std::vector<float>& stddev) {
  const bool alone = net.space().searchable().empty();
  const nn::Genotype choice = alone ? nn::Genotype() : network.genotype;
  engine::ArchiveWriter archive;
  archive.PutString("kind", kKind);
  archive.PutString("network", nn::ToText(network.space, network.genotype));
  archive.PutString("dataset", dataset);
  archive.PutVector("mean", mean);
  archive.PutVector("stddev", stddev);
  for (const engine::Parameter* weight : net.weights(choice)) {
    archive.PutBuffer(kPrefix + weight->name, weight->value);
  }
  for (const nn::NamedBuffer& entry : net.statistics(choice)) {
    archive.PutBuffer(kPrefix + entry.name, *entry.buffer);
  }
  const Status saved = archive.Save(path);
  // The archive keeps the file that stood there; nobody looks for weights of an earlier epoch.
  std::error_code ignored;
  if (saved.ok()) fs::remove(fs::path(path + ".prev"), ignored);
  return saved;
}

Result<TrainedNetwork> LoadTrained(const std::string& folder_or_file) {
  const Result<std::string> file = FileOf(folder_or_file);
  if (!file.ok()) return file.status();
  Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(*file);
  if (!archive.ok()) return archive.status();
  if (!archive->Has("kind")) {
    return Status::Error("%s: a checkpoint, expected trained weights (%s, %s)", file->c_str(),
                         kBestWeights, kLastWeights);
  }
  TrainedNetwork trained;
  trained.source = *file;
  if (archive->used_previous()) {
    trained.note = *file + " is damaged; read the one before, " + *file + ".prev";
  }
  std::string kind, text;
  archive->GetString("kind", &kind);
  if (archive->status().ok() && kind != kKind) {
    return Status::Error("%s: of kind \"%s\", expected \"%s\": written by another version?",
                         file->c_str(), kind.c_str(), kKind);
  }
  archive->GetString("network", &text);
  archive->GetString("dataset", &trained.dataset);
  archive->GetVector("mean", &trained.mean);
  archive->GetVector("stddev", &trained.stddev);
  if (!archive->status().ok()) return archive->status();
  Result<nn::Network> network = nn::ParseNetwork(text);
  if (!network.ok()) {
    return Status::Error("%s: %s", file->c_str(), network.status().message().c_str());
  }
  if (Status status = nn::CheckTrainable(network->space); !status.ok()) {
    return Status::Error("%s: %s", file->c_str(), status.message().c_str());
  }
  trained.network = std::move(*network);
  trained.net = std::make_unique<nn::Supernet>(OnlyThis(trained.network), engine::Rng(0));
  trained.net->Load(*archive, kPrefix);
  if (!archive->status().ok()) return archive->status();
  if (Status status = CheckValues(*file, trained); !status.ok()) return status;
  return trained;
}

}  // namespace rhnas::search
