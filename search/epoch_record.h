// What a joint search would have chosen at the end of each epoch: the most probable network, its
// accelerator, accuracy and cost, and the probabilities of all candidates. Bounded, and saved with
// the search.
#pragma once

#include <string>
#include <vector>

#include "engine/archive.h"
#include "nn/space.h"
#include "search/objective.h"

namespace rhnas::search {

struct RecordedEpoch {
  int32_t epoch = 0;
  int32_t phase = 0;    // 0 warm-up, 1 search, 2 training of the final network
  double accuracy = 0;  // on validation images
  DesignCost cost;
};

class EpochRecord {
 public:
  static constexpr size_t kMost = 512;  // epochs

  // `probabilities`: of every candidate of every searchable slot, in order. When the record is full
  // every second epoch is dropped, and from then on every second one left out.
  void Add(const RecordedEpoch& epoch, const nn::Genotype& network, const std::string& hw_name,
           const std::vector<float>& probabilities);

  // epochs.csv: epoch,phase,accuracy,latency_cycles,energy_pj,edp_pj_cycles,area_um2,hw,network.
  std::string EpochsCsv(const nn::Space& space) const;
  // arch.csv: epoch,slot,candidate,probability; the last epoch of the warm-up and those of the
  // search.
  std::string ArchCsv(const nn::Space& space) const;

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  // A checkpoint of a version without records leaves them empty; one that does not fit the space as
  // well.
  void Load(engine::ArchiveReader& archive, const std::string& prefix, const nn::Space& space);

 private:
  std::vector<RecordedEpoch> epochs_;
  std::vector<int> choices_;           // a genotype an epoch
  std::vector<float> probabilities_;   // all candidates an epoch
  std::vector<std::string> hw_names_;  // one an epoch
  int32_t stride_ = 1;
};

}  // namespace rhnas::search
