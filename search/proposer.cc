#include "search/proposer.h"

#include "engine/archive.h"
#include "engine/check.h"
#include "engine/math.h"
#include "hw/fnv.h"
#include "hw/layer_table_rows.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

int OutputsOf(const std::vector<int>& sizes) {
  int sum = 0, pairs = 0;
  for (int size : sizes) {
    pairs += sum * size;
    sum += size;
  }
  return sum + pairs;
}

rl::MlpOptions OptionsOf(const Proposer::Head& head, const hw::DesignSpace& space) {
  rl::MlpOptions options;
  options.inputs = Proposer::kInputs;
  options.hidden = head.hidden;
  options.layers = 2;
  options.outputs = OutputsOf(space.sizes());
  options.output_gain = 0.01f;
  return options;
}

uint64_t PrintOf(const hw::DesignSpace& space) {
  hw::Fnv fnv;
  fnv.AddText(hw::SpaceText(space));
  return fnv.value();
}

}  // namespace

Proposer::Proposer(const Head& of, const hw::DesignSpace& space, engine::ThreadPool& pool)
    : head(of),
      sizes_(space.sizes()),
      space_print_(PrintOf(space)),
      pool_(pool),
      tape_(pool),
      init_(of.seed, 0x70726f70),
      mlp_("proposer", OptionsOf(of, space), init_),
      adam_(mlp_.parameters(), engine::AdamOptions()) {
  int column = 0;
  for (int size : sizes_) {
    offsets_.push_back(column);
    column += size;
  }
  for (size_t j = 0; j < sizes_.size(); ++j) {
    for (size_t i = 0; i < j; ++i) {
      pair_offsets_.push_back(column);
      column += sizes_[i] * sizes_[j];
    }
  }
  RHNAS_CHECK(column == mlp_.outputs() && column < 65536, "%d outputs", column);
  terms_ = static_cast<int>(sizes_.size() + pair_offsets_.size());
}

void Proposer::Terms(int64_t point, std::vector<uint16_t>* columns) const {
  std::vector<int> index(sizes_.size());
  for (size_t i = sizes_.size(); i-- > 0;) {
    index[i] = static_cast<int>(point % sizes_[i]);
    point /= sizes_[i];
  }
  for (size_t i = 0; i < sizes_.size(); ++i) {
    columns->push_back(static_cast<uint16_t>(offsets_[i] + index[i]));
  }
  size_t pair = 0;
  for (size_t j = 0; j < sizes_.size(); ++j) {
    for (size_t i = 0; i < j; ++i, ++pair) {
      columns->push_back(
          static_cast<uint16_t>(pair_offsets_[pair] + index[i] * sizes_[j] + index[j]));
    }
  }
}

void Proposer::Observe(const std::vector<hw::Layer>& layers, double area_max, float* inputs) {
  ObserveNetwork(layers, inputs);
  inputs[kNetworkFeatures] = area_max > 0 ? 1.0f : 0.0f;
  inputs[kNetworkFeatures + 1] =
      area_max > 0 ? engine::Log(static_cast<float>(area_max)) * 1.442695f : 0.0f;
}

engine::Var Proposer::Forward(const float* inputs, int rows) {
  return mlp_.Forward(tape_, inputs, rows);
}

int64_t Proposer::Propose(const std::vector<hw::Layer>& layers, double area_max,
                          const std::vector<int64_t>& points) {
  RHNAS_CHECK(!points.empty(), "%zu points", points.size());
  std::vector<float> inputs(static_cast<size_t>(kInputs));
  Observe(layers, area_max, inputs.data());
  tape_.Reset();
  const float* out = tape_.value(Forward(inputs.data(), 1));
  int64_t best = points[0];
  float most = 0;
  std::vector<uint16_t> columns;
  for (size_t i = 0; i < points.size(); ++i) {
    columns.clear();
    Terms(points[i], &columns);
    float logit = 0;
    for (uint16_t column : columns) logit += out[column];
    if (i > 0 && logit <= most) continue;
    most = logit;
    best = points[i];
  }
  return best;
}

Status Proposer::Save(const std::string& path) const {
  engine::ArchiveWriter archive;
  archive.Put("proposer/version", int32_t{kVersion});
  archive.PutString("proposer/networks", head.networks);
  archive.PutString("proposer/hw_space", head.hw_space);
  archive.Put("proposer/bus_bits", int32_t{head.bus_bits});
  archive.PutString("proposer/objective", ObjectiveName(head.objective));
  archive.Put("proposer/sampled", int32_t{head.gradient == PretrainGradient::kSampled ? 1 : 0});
  archive.Put("proposer/prices", head.prices);
  archive.Put("proposer/seed", head.seed);
  archive.Put("proposer/hidden", int32_t{head.hidden});
  archive.Put("proposer/steps", head.steps);
  archive.Put("proposer/all_steps", head.all_steps);
  archive.Put("proposer/space", space_print_);
  mlp_.Save(archive, "proposer/policy/");
  adam_.Save(archive, "proposer/adam/");
  return archive.Save(path);
}

Result<Proposer::Head> Proposer::LoadHead(const std::string& path) {
  Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(path);
  if (!archive.ok()) return archive.status();
  if (!archive->Has("proposer/version")) {
    return Status::Error("%s: not an agent of 'rhnas agent train' (a checkpoint of something else)",
                         path.c_str());
  }
  Head head;
  int32_t version = 0, bus = 0, hidden = 0, sampled = 0;
  std::string objective;
  archive->Get("proposer/version", &version);
  if (version != kVersion) {
    return Status::Error("%s: an agent of version %d, this program reads %d: train it again",
                         path.c_str(), version, kVersion);
  }
  archive->GetString("proposer/networks", &head.networks);
  archive->GetString("proposer/hw_space", &head.hw_space);
  archive->Get("proposer/bus_bits", &bus);
  archive->GetString("proposer/objective", &objective);
  archive->Get("proposer/sampled", &sampled);
  archive->Get("proposer/prices", &head.prices);
  archive->Get("proposer/seed", &head.seed);
  archive->Get("proposer/hidden", &hidden);
  archive->Get("proposer/steps", &head.steps);
  archive->Get("proposer/all_steps", &head.all_steps);
  if (!archive->status().ok()) return archive->status();
  Result<Objective> parsed = ParseObjective(objective);
  if (!parsed.ok() || hidden < 1 || hidden > 4096) {
    return Status::Error("%s: damaged: objective '%s', %d hidden units", path.c_str(),
                         objective.c_str(), hidden);
  }
  head.bus_bits = bus;
  head.gradient = sampled != 0 ? PretrainGradient::kSampled : PretrainGradient::kExact;
  head.hidden = hidden;
  head.objective = *parsed;
  return head;
}

Result<std::unique_ptr<Proposer>> Proposer::Load(const std::string& path,
                                                 const hw::DesignSpace& space,
                                                 engine::ThreadPool& pool) {
  Result<Head> head = LoadHead(path);
  if (!head.ok()) return head.status();
  Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(path);
  if (!archive.ok()) return archive.status();
  uint64_t print = 0;
  archive->Get("proposer/space", &print);
  if (!archive->status().ok()) return archive->status();
  if (print != PrintOf(space)) {
    return Status::Error(
        "%s: an agent for hardware space %s at bus %d, not for %s as it is here: train one for it",
        path.c_str(), head->hw_space.c_str(), head->bus_bits, space.name().c_str());
  }
  auto proposer = std::make_unique<Proposer>(*head, space, pool);
  proposer->mlp_.Load(*archive, "proposer/policy/");
  proposer->adam_.Load(*archive, "proposer/adam/");
  if (!archive->status().ok()) return archive->status();
  return proposer;
}

}  // namespace rhnas::search
