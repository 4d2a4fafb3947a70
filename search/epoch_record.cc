#include "search/epoch_record.h"

#include "search/design_record.h"
#include "search/flags.h"

namespace rhnas::search {

using engine::Format;

namespace {

constexpr const char* kPhases[] = {"warm-up", "search", "training"};

// Keeps every second of `count` rows of equal length.
template <typename T>
void Halve(std::vector<T>* values, size_t count) {
  const size_t row = values->size() / count;
  size_t to = 0;
  for (size_t i = 1; i < count; i += 2) {
    for (size_t k = 0; k < row; ++k) (*values)[to++] = (*values)[i * row + k];
  }
  values->resize(to);
}

}  // namespace

void EpochRecord::Add(const RecordedEpoch& epoch, const nn::Genotype& network,
                      const std::string& hw_name, const std::vector<float>& probabilities) {
  if (epoch.epoch % stride_ != 0) return;
  epochs_.push_back(epoch);
  choices_.insert(choices_.end(), network.choice.begin(), network.choice.end());
  probabilities_.insert(probabilities_.end(), probabilities.begin(), probabilities.end());
  hw_names_.push_back(hw_name);
  if (epochs_.size() < kMost) return;
  Halve(&choices_, kMost);
  Halve(&probabilities_, kMost);
  Halve(&hw_names_, kMost);
  Halve(&epochs_, kMost);
  stride_ *= 2;
}

std::string EpochRecord::EpochsCsv(const nn::Space& space) const {
  std::string text =
      "epoch,phase,accuracy,latency_cycles,energy_pj,edp_pj_cycles,area_um2,hw,network\n";
  const size_t slots = space.searchable().size();
  for (size_t i = 0; i < epochs_.size(); ++i) {
    const RecordedEpoch& e = epochs_[i];
    nn::Genotype network;
    const auto first = choices_.begin() + static_cast<std::ptrdiff_t>(i * slots);
    network.choice.assign(first, first + static_cast<std::ptrdiff_t>(slots));
    text += Format("%d,%s,%s,%lld", e.epoch, kPhases[e.phase], NumberText(e.accuracy).c_str(),
                   static_cast<long long>(e.cost.latency_cycles));
    for (const double value : {e.cost.energy_pj, e.cost.edp_pj_cycles, e.cost.area_um2}) {
      text += "," + NumberText(value);
    }
    text += "," + hw_names_[i] + "," + CsvField(nn::ToText(space, network)) + "\n";
  }
  return text;
}

std::string EpochRecord::ArchCsv(const nn::Space& space) const {
  std::string text = "epoch,slot,candidate,probability\n";
  size_t at = 0;
  for (size_t i = 0; i < epochs_.size(); ++i) {
    const RecordedEpoch& e = epochs_[i];
    const bool last_of_warmup = i + 1 == epochs_.size() || epochs_[i + 1].phase != 0;
    const bool told = e.phase == 1 || (e.phase == 0 && last_of_warmup);
    for (const int slot : space.searchable()) {
      const std::string prefix = nn::SlotPrefix(space, slot);
      for (const nn::Block& block : space.slots[static_cast<size_t>(slot)].candidates) {
        const float probability = probabilities_[at++];
        if (!told) continue;
        text += Format("%d,%s,%s,%s\n", e.epoch, prefix.c_str(), block.name.c_str(),
                       NumberText(probability).c_str());
      }
    }
  }
  return text;
}

void EpochRecord::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  std::string names;
  for (const std::string& name : hw_names_) names += name + "\n";
  archive.PutVector(prefix + "epochs", epochs_);
  archive.PutVector(prefix + "choices", choices_);
  archive.PutVector(prefix + "probabilities", probabilities_);
  archive.PutString(prefix + "hw", names);
  archive.Put(prefix + "stride", stride_);
}

void EpochRecord::Load(engine::ArchiveReader& archive, const std::string& prefix,
                       const nn::Space& space) {
  *this = EpochRecord();
  if (!archive.Has(prefix + "epochs")) return;
  std::string names;
  archive.GetVector(prefix + "epochs", &epochs_);
  archive.GetVector(prefix + "choices", &choices_);
  archive.GetVector(prefix + "probabilities", &probabilities_);
  archive.GetString(prefix + "hw", &names);
  archive.Get(prefix + "stride", &stride_);
  for (size_t begin = 0; begin < names.size();) {
    const size_t end = names.find('\n', begin);
    hw_names_.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  size_t candidates = 0;
  for (const int slot : space.searchable()) {
    candidates += space.slots[static_cast<size_t>(slot)].candidates.size();
  }
  const size_t count = epochs_.size();
  bool sound = true;
  for (const RecordedEpoch& e : epochs_) sound = sound && e.phase >= 0 && e.phase <= 2;
  if (!sound || choices_.size() != count * space.searchable().size() || hw_names_.size() != count ||
      probabilities_.size() != count * candidates) {
    *this = EpochRecord();
  }
}

}  // namespace rhnas::search
