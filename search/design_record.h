// The accelerators that a run evaluated, kept for its report: a row a design, and how many
// proposals broke which rule as the run went on. Bounded whatever the run's length, and saved with
// it, so that a resumed run records what the uninterrupted one would.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "hw/accelerator.h"
#include "search/objective.h"

namespace rhnas::search {

struct RecordedDesign {
  int64_t proposal = 0;    // number among all proposals, from 1
  int64_t evaluation = 0;  // number among the distinct ones, from 1
  int64_t point = 0;       // of the design space
  uint64_t broken = 0;     // bit i: breaks rule i of the family
  double reward = 0;
  DesignCost cost;      // all zero: breaks rules, or the network cannot run there
  int32_t network = 0;  // which one it was evaluated for
  int32_t epoch = 0;    // of a joint search; 0: none
  int32_t best = 0;     // 1: the best so far for its network
  int32_t unused = 0;   // no padding: checkpoints hold the bytes
  bool runs() const { return cost.latency_cycles > 0; }
};

class DesignRecord {
 public:
  static constexpr size_t kMost = 8192;  // designs
  static constexpr int64_t kBins = 64;   // of proposals

  // `text` names the network that the following designs are evaluated for.
  void BeginNetwork(const std::string& text, int epoch);
  // Every proposal. REQUIRES: the same number of rules every time, at most 64.
  void Proposed(uint64_t broken, bool valid, size_t rules);
  // Every distinct design; its network, epoch and best are filled in. When the record is full,
  // every second one is dropped, and from then on every second one left out; the bests stay.
  void Evaluated(RecordedDesign design);

  const std::vector<RecordedDesign>& designs() const { return designs_; }

  // designs.csv: proposal,evaluation,epoch,hw,valid,broken,latency_cycles,energy_pj,edp_pj_cycles,
  // area_um2,reward,network; costs of a design that cannot be built or run are empty.
  std::string DesignsCsv(const hw::DesignSpace& space, const hw::Accelerator& accelerator) const;
  // proposals.csv: first,last (of a range of proposals),valid,unmappable, and a column a rule: how
  // many of the range broke it. The columns sum to the run's totals.
  std::string ProposalsCsv(const hw::Accelerator& accelerator) const;

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  // A checkpoint of a version without records leaves them empty.
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  bool Keeps(const RecordedDesign& design) const;
  void ThinOut();

  std::vector<RecordedDesign> designs_;
  std::vector<std::string> networks_;
  int64_t stride_ = 1;  // evaluations between designs kept
  int32_t epoch_ = 0;
  int32_t has_best_ = 0;
  double best_reward_ = 0;  // for the current network
  int64_t proposals_ = 0, bin_width_ = 1;
  std::vector<int64_t> bins_;  // kBins rows of: valid, unmappable, each rule; empty: none yet
};

// Fields that hold a comma, a quote or a line end are quoted (RFC 4180).
std::string CsvField(const std::string& text);

}  // namespace rhnas::search
