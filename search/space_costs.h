// What every candidate of every slot of a network space costs on every point of a hardware space on
// which networks run: then any network's exact landscape is a sum of a few rows. Chains never cross
// a searched slot (nn/space.h), so the sums are exact.
//
// Built once in parallel, then read-only. Memory: 16 bytes a point and candidate (fbnet-cifar x
// vta: 5 MB).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/accelerator.h"
#include "nn/space.h"
#include "search/cost_source.h"
#include "search/joint_search.h"
#include "search/landscape.h"
#include "search/objective.h"

namespace rhnas::search {

class SpaceCosts {
 public:
  static constexpr int64_t kMostEntries = int64_t{1} << 26;  // 1 GiB

  struct Question {
    const hw::Accelerator* accelerator = nullptr;
    std::shared_ptr<const hw::DesignSpace> space;
    const hw::CostTable* prices = nullptr;
    const nn::Space* networks = nullptr;
  };
  // Null: *stop became true. Errors: too many points, no point runs networks.
  static engine::Result<std::shared_ptr<const SpaceCosts>> Build(const Question& question,
                                                                 engine::ThreadPool& pool,
                                                                 ProgressSink* sink,
                                                                 const std::atomic<bool>& stop);

  const std::vector<int64_t>& points() const { return points_; }
  // Relative to the reference's area.
  const std::vector<double>& areas() const { return areas_; }
  // log(objective) of a network on each of points(); +infinity is never there: where it cannot run,
  // *runs is 0. choice: one candidate a searchable slot.
  void Landscape(const std::vector<int>& choice, Objective objective, std::vector<double>* logs,
                 std::vector<uint8_t>* runs) const;

 private:
  std::vector<int64_t> points_;
  std::vector<double> areas_;
  std::vector<int> offsets_;  // first column of each searchable slot; column 0: what all pay
  size_t columns_ = 0;
  std::vector<double> latency_, energy_;  // [point][column]; latency below 0: cannot run
};

}  // namespace rhnas::search
