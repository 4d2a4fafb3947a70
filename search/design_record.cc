#include "search/design_record.h"

#include "search/flags.h"

namespace rhnas::search {

using engine::Format;

namespace {

constexpr size_t kValid = 0, kUnmappable = 1, kRules = 2;  // columns of a bin
// Beyond this stride bests are thinned out as well: the record stays bounded.
constexpr int64_t kLastStrideWithBests = int64_t{1} << 20;

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

void DesignRecord::BeginNetwork(const std::string& text, int epoch) {
  epoch_ = epoch;
  if (!networks_.empty() && networks_.back() == text) return;
  networks_.push_back(text);
  has_best_ = 0;
}

void DesignRecord::Proposed(uint64_t broken, bool valid, size_t rules) {
  const size_t columns = kRules + rules;
  if (bins_.empty()) bins_.resize(static_cast<size_t>(kBins) * columns);
  if (proposals_ == kBins * bin_width_) {
    for (size_t i = 0; i < bins_.size() / 2; ++i) {
      const size_t row = i / columns * 2, column = i % columns;
      bins_[i] = bins_[row * columns + column] + bins_[(row + 1) * columns + column];
    }
    for (size_t i = bins_.size() / 2; i < bins_.size(); ++i) bins_[i] = 0;
    bin_width_ *= 2;
  }
  int64_t* bin = &bins_[static_cast<size_t>(proposals_ / bin_width_) * columns];
  ++proposals_;
  if (valid) ++bin[kValid];
  if (!valid && broken == 0) ++bin[kUnmappable];
  for (size_t rule = 0; rule < rules; ++rule) bin[kRules + rule] += broken >> rule & 1;
}

bool DesignRecord::Keeps(const RecordedDesign& design) const {
  return design.evaluation % stride_ == 0 || (design.best != 0 && stride_ < kLastStrideWithBests);
}

void DesignRecord::Evaluated(RecordedDesign design) {
  design.network = static_cast<int32_t>(networks_.size()) - 1;
  design.epoch = epoch_;
  if (design.runs() && (has_best_ == 0 || design.reward > best_reward_)) {
    design.best = has_best_ = 1;
    best_reward_ = design.reward;
  }
  if (!Keeps(design)) return;
  designs_.push_back(design);
  while (designs_.size() >= kMost) ThinOut();
}

void DesignRecord::ThinOut() {
  stride_ *= 2;
  std::vector<RecordedDesign> kept;
  std::vector<std::string> networks;
  int32_t last = -1;  // number, before, of the network that was kept last
  for (RecordedDesign& design : designs_) {
    if (!Keeps(design)) continue;
    if (design.network != last) {
      last = design.network;
      networks.push_back(networks_[static_cast<size_t>(last)]);
    }
    design.network = static_cast<int32_t>(networks.size()) - 1;
    kept.push_back(design);
  }
  // The current network stays the last one.
  if (last != static_cast<int32_t>(networks_.size()) - 1) networks.push_back(networks_.back());
  designs_ = std::move(kept);
  networks_ = std::move(networks);
}

std::string DesignRecord::DesignsCsv(const hw::DesignSpace& space,
                                     const hw::Accelerator& accelerator) const {
  std::string text =
      "proposal,evaluation,epoch,hw,valid,broken,latency_cycles,energy_pj,edp_pj_cycles,area_um2,"
      "reward,network\n";
  for (const RecordedDesign& d : designs_) {
    std::string broken = d.runs() || d.broken != 0 ? "" : "unmappable";
    for (size_t rule = 0; rule < accelerator.rules().size(); ++rule) {
      if ((d.broken >> rule & 1) == 0) continue;
      broken += (broken.empty() ? "" : " ") + std::string(accelerator.rules()[rule].name);
    }
    text += Format("%lld,%lld,%d,%s,%d,%s,", static_cast<long long>(d.proposal),
                   static_cast<long long>(d.evaluation), d.epoch,
                   space.AtPoint(d.point)->ShortName().c_str(), d.runs() ? 1 : 0, broken.c_str());
    if (d.runs()) text += Format("%lld", static_cast<long long>(d.cost.latency_cycles));
    for (const double value : {d.cost.energy_pj, d.cost.edp_pj_cycles, d.cost.area_um2}) {
      text += "," + (d.runs() ? NumberText(value) : std::string());
    }
    text += "," + NumberText(d.reward) + "," + CsvField(networks_[static_cast<size_t>(d.network)]) +
            "\n";
  }
  return text;
}

std::string DesignRecord::ProposalsCsv(const hw::Accelerator& accelerator) const {
  std::string text = "first,last,valid,unmappable";
  for (const hw::RuleInfo& rule : accelerator.rules()) text += std::string(",") + rule.name;
  text += "\n";
  const size_t columns = kRules + accelerator.rules().size();
  for (int64_t begin = 0; begin < proposals_; begin += bin_width_) {
    text += Format("%lld,%lld", static_cast<long long>(begin + 1),
                   static_cast<long long>(std::min(begin + bin_width_, proposals_)));
    for (size_t column = 0; column < columns; ++column) {
      const int64_t count = bins_[static_cast<size_t>(begin / bin_width_) * columns + column];
      text += Format(",%lld", static_cast<long long>(count));
    }
    text += "\n";
  }
  return text;
}

void DesignRecord::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "designs", designs_);
  archive.PutString(prefix + "networks", Joined(networks_));
  archive.Put(prefix + "stride", stride_);
  archive.Put(prefix + "epoch", epoch_);
  archive.Put(prefix + "has_best", has_best_);
  archive.Put(prefix + "best_reward", best_reward_);
  archive.Put(prefix + "proposals", proposals_);
  archive.Put(prefix + "bin_width", bin_width_);
  archive.PutVector(prefix + "bins", bins_);
}

void DesignRecord::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  *this = DesignRecord();
  if (!archive.Has(prefix + "designs")) return;
  std::string networks;
  archive.GetVector(prefix + "designs", &designs_);
  archive.GetString(prefix + "networks", &networks);
  archive.Get(prefix + "stride", &stride_);
  archive.Get(prefix + "epoch", &epoch_);
  archive.Get(prefix + "has_best", &has_best_);
  archive.Get(prefix + "best_reward", &best_reward_);
  archive.Get(prefix + "proposals", &proposals_);
  archive.Get(prefix + "bin_width", &bin_width_);
  archive.GetVector(prefix + "bins", &bins_);
  for (size_t begin = 0; begin < networks.size();) {
    const size_t end = networks.find('\n', begin);
    networks_.push_back(networks.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace rhnas::search
