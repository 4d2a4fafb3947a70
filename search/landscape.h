// What one network costs on every point of a hardware space: the exact answer that searches are
// measured against, and what lets thousands of searches share one evaluation of the space.
//
// Built once, in parallel; from then on read-only, so all threads may share it. Costs are those of
// search/objective.h's Evaluate to the bit. Memory: 16 bytes a point and 40 a point on which the
// network runs (vta: 0.3 MB; vta-wide: 15 to 25 MB), while it is built about 40 bytes a layer of
// the network and configuration under way besides (hw/layer_table_rows.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/accelerator.h"
#include "hw/layer_table.h"
#include "search/cost_source.h"
#include "search/objective.h"

namespace rhnas::search {

class ProgressSink;  // search/joint_search.h

// What a search of every item by itself would have kept of a table's entries, one an item: a chain
// only below what its parts take (PriceItems).
ItemPrices PricesOfEntries(const hw::ChainSet& chains, const hw::TableEntry* entries);

class Landscape {
 public:
  // A space with more points is refused: 1 GiB.
  static constexpr int64_t kMostPoints = int64_t{1} << 26;

  enum class State : uint8_t {
    kInvalid,     // breaks a rule or a limit
    kUnmappable,  // can be built, but the network cannot run there
    kRuns,
  };
  struct Question {
    const hw::Accelerator* accelerator = nullptr;
    std::shared_ptr<const hw::DesignSpace> space;  // of the accelerator
    hw::Limits limits;
    CostSource costs;
    std::vector<hw::Layer> layers;  // of the network, in order
  };
  // `sink` may be null. Null result: *stop became true. Errors: a space of more than kMostPoints.
  static engine::Result<std::shared_ptr<const Landscape>> Build(
      const Question& question, engine::ThreadPool& pool, ProgressSink* sink = nullptr,
      const std::atomic<bool>* stop = nullptr);

  int64_t points() const { return static_cast<int64_t>(places_.size()); }
  int64_t valid() const { return points() - invalid_; }  // can be built under the limits
  int64_t runs() const { return static_cast<int64_t>(costs_.size()); }

  // REQUIRES of all: 0 <= point < points().
  State state(int64_t point) const {
    const int32_t at = places_[static_cast<size_t>(point)].at;
    return at >= 0 ? State::kRuns : at == kNoRun ? State::kUnmappable : State::kInvalid;
  }
  // REQUIRES: state(point) is kRuns.
  const DesignCost& cost(int64_t point) const {
    return costs_[static_cast<size_t>(places_[static_cast<size_t>(point)].at)];
  }
  // Bit i: breaks rule i of the accelerator. All rules of both families fit.
  uint32_t broken_rules(int64_t point) const { return places_[static_cast<size_t>(point)].broken; }
  // Sum over the broken rules of how far each is missed; 0 of a point that can be built.
  double severity(int64_t point) const { return places_[static_cast<size_t>(point)].severity; }

  // The point of least objective among those that meet the latency limit (cycles; 0: none), the
  // first of equals; -1: none.
  int64_t Best(Objective objective, double latency_max = 0) const;
  // The point of greatest objective on which the network runs; -1: none.
  int64_t Worst(Objective objective) const;

 private:
  static constexpr int32_t kBroken = -1, kNoRun = -2;
  struct Place {
    double severity = 0;
    uint32_t broken = 0;
    int32_t at = kBroken;  // index into costs_
  };
  std::vector<Place> places_;
  std::vector<DesignCost> costs_;  // of the points that run, in order
  int64_t invalid_ = 0;
};

}  // namespace rhnas::search
