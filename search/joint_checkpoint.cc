// Saving and restoring a joint search, to the same bits.

#include "engine/hash.h"
#include "search/joint_state.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

double Elapsed(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

// What does not change the result (threads, folders) is left out.
std::string JointSearch::Impl::Fingerprint() const {
  const auto file_name = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  const SearchOptions& o = options;
  // A table of this model changes no bit; a user's does.
  const bool given = cost_source.layers != nullptr && cost_source.layers->head().given;
  const std::string layers =
      given ? engine::Format(" layer_table=%016llx",
                             static_cast<unsigned long long>(cost_source.layers->checksum()))
            : "";
  return engine::Format(
      "space=%s width=%.17g always_pw=%d accelerator=%s hw_space=%s bus=%d hw=%s objective=%s "
      "area_max=%.17g "
      "board=%s "
      "latency_max=%.17g accuracy_min=%.17g energy_table=%s node=%d/%d dram=%d clock=%.17g "
      "dataset=%s train=%d test=%d warmup=%d "
      "search=%d "
      "final=%d batch=%d arch_every=%d hw_every=%d hw_evaluations=%d hw_final=%d lambda=%.17g "
      "gradient=%d "
      "lr=%.9g decay=%.9g arch_lr=%.9g tau=%.9g..%.9g agent=%s invalid=%s seed=%llu%s",
      o.space.c_str(), o.width, o.always_pw, accelerator->name(), file_name(o.hw_space).c_str(),
      o.bus_bits, file_name(o.fixed_hw).c_str(), ObjectiveName(o.objective), o.area_max,
      o.board.c_str(), o.latency_max, o.accuracy_min, file_name(o.energy_table.file).c_str(),
      o.energy_table.options.node_nm, static_cast<int>(o.energy_table.options.process),
      static_cast<int>(o.energy_table.options.dram), o.energy_table.options.clock_mhz,
      o.dataset.c_str(), o.train_size, o.test_size, o.warmup_epochs, o.search_epochs,
      o.final_epochs, o.batch, o.arch_every, o.hw_every, o.hw_evaluations, o.hw_final_evaluations,
      o.lambda, static_cast<int>(o.arch_gradient), static_cast<double>(o.weight_lr),
      static_cast<double>(o.weight_decay), static_cast<double>(o.arch_lr),
      static_cast<double>(o.temperature), static_cast<double>(o.temperature_final), o.agent.c_str(),
      InvalidHandlingName(o.invalid), static_cast<unsigned long long>(o.seed), layers.c_str());
}

Status JointSearch::Impl::Save(const std::string& path) const {
  engine::ArchiveWriter archive;
  archive.PutString("options", Fingerprint());
  archive.Put("cursor", cursor);
  archive.Put("path_rng", path_rng.state());
  archive.Put("arch_rng", arch_rng.state());
  archive.Put("agent_rng", agent_rng.state());
  archive.Put("lambda", lambda);
  const bool running = cursor.phase != Phase::kDone;
  archive.Put("seconds", running ? seconds_before + Elapsed(started) : result.seconds);
  archive.PutString("current_hw", current_hw->ToJson());
  archive.PutVector("hardware_network", hardware_network.choice);
  archive.PutVector("final_network", final_network.choice);
  // The last figures shown, so that a resumed run logs what the uninterrupted one would.
  archive.Put("progress/epoch", progress.epoch);
  archive.Put("progress/loss", progress.loss);
  archive.Put("progress/accuracy", progress.accuracy);
  archive.Put("progress/temperature", progress.temperature);
  archive.Put("progress/entropy", progress.entropy);
  archive.Put("progress/reward", progress.reward);
  archive.Put("progress/share_valid", progress.share_valid);
  archive.Put("progress/current", progress.current);
  archive.Put("weight_data", weight_data->position());
  archive.Put("arch_data", arch_data->position());
  archive.Put("training_data", training_data->position());
  net->Save(archive, "net/");
  weight_optimizer->Save(archive, "sgd/");
  arch_optimizer->Save(archive, "adam/");
  if (cursor.phase == Phase::kTraining) training_optimizer->Save(archive, "training/");
  environment->Save(archive, "environment/");
  agent->Save(archive, "agent/");
  return archive.Save(path);
}

Status JointSearch::Impl::Load(const std::string& path) {
  Result<engine::ArchiveReader> opened = engine::ArchiveReader::Open(path);
  if (!opened.ok()) return opened.status();
  engine::ArchiveReader& archive = *opened;
  std::string saved_options;
  archive.GetString("options", &saved_options);
  if (!archive.status().ok()) return archive.status();
  if (saved_options != Fingerprint()) {
    return Status::Error(
        "%s belongs to a search with other settings (%s; now %s): resume it with its own settings",
        path.c_str(), saved_options.c_str(), Fingerprint().c_str());
  }
  engine::Rng::State path_state{}, arch_state{}, agent_state{};
  int64_t weight_position = 0, arch_position = 0, training_position = 0;
  std::string hw_json;
  archive.Get("cursor", &cursor);
  archive.Get("path_rng", &path_state);
  archive.Get("arch_rng", &arch_state);
  archive.Get("agent_rng", &agent_state);
  archive.Get("lambda", &lambda);
  archive.Get("seconds", &seconds_before);
  archive.GetString("current_hw", &hw_json);
  archive.GetVector("hardware_network", &hardware_network.choice);
  archive.GetVector("final_network", &final_network.choice);
  archive.Get("progress/epoch", &progress.epoch);
  archive.Get("progress/loss", &progress.loss);
  archive.Get("progress/accuracy", &progress.accuracy);
  archive.Get("progress/temperature", &progress.temperature);
  archive.Get("progress/entropy", &progress.entropy);
  archive.Get("progress/reward", &progress.reward);
  archive.Get("progress/share_valid", &progress.share_valid);
  archive.Get("progress/current", &progress.current);
  archive.Get("weight_data", &weight_position);
  archive.Get("arch_data", &arch_position);
  archive.Get("training_data", &training_position);
  net->Load(archive, "net/");
  weight_optimizer->Load(archive, "sgd/");
  arch_optimizer->Load(archive, "adam/");
  agent->Load(archive, "agent/");
  if (!archive.status().ok()) return archive.status();

  const size_t slots = space.searchable().size();
  for (const nn::Genotype* genotype : {&hardware_network, &final_network}) {
    if (!genotype->choice.empty() && genotype->choice.size() != slots) {
      return Status::Error("%s: a network of %zu slots, the space has %zu", path.c_str(),
                           genotype->choice.size(), slots);
    }
  }
  path_rng.set_state(path_state);
  arch_rng.set_state(arch_state);
  agent_rng.set_state(agent_state);
  weight_data->Seek(weight_position);
  arch_data->Seek(arch_position);
  training_data->Seek(training_position);
  const hw::Result<hw::DesignPtr> design = accelerator->Parse(hw_json, path);
  if (!design.ok()) return Status::Error("%s", design.error().c_str());
  current_hw = *design;
  if (!hardware_network.choice.empty()) environment->SetNetwork(LayersOfNetwork(hardware_network));
  const Status environment_status = environment->Load(archive, "environment/");
  if (!environment_status.ok()) return environment_status;
  const Status adopted = AdoptAccelerator();
  if (!adopted.ok()) return adopted;
  if (cursor.phase == Phase::kTraining) {
    const Cursor saved = cursor;
    BeginTraining();
    cursor = saved;
    training_optimizer->Load(archive, "training/");
  }
  if (!archive.status().ok()) return archive.status();
  if (cursor.phase == Phase::kDone) {
    Finish();
    result.seconds = seconds_before;
  }
  started = std::chrono::steady_clock::now();
  return Status::Ok();
}

uint64_t JointSearch::Impl::Hash() const {
  engine::Fnv1a hash;
  auto mix_parameters = [&hash](const std::vector<engine::Parameter*>& parameters) {
    for (const engine::Parameter* p : parameters) {
      hash.Add(p->value.data(), static_cast<size_t>(p->value.size()) * sizeof(float));
    }
  };
  mix_parameters(net->weights());
  mix_parameters(net->arch());
  hash.Add(final_network.choice.data(), final_network.choice.size() * sizeof(int));
  const std::string design = current_hw->ToJson();
  hash.Add(design.data(), design.size());
  hash.Add(&result.accuracy, sizeof result.accuracy);
  hash.Add(&result.evaluations, sizeof result.evaluations);
  hash.Add(&result.proposals.total, sizeof result.proposals.total);
  hash.Add(&result.proposals.valid, sizeof result.proposals.valid);
  return hash.value();
}

}  // namespace rhnas::search
