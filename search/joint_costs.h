// What networks of a joint problem cost, as sums: a network is a bag of units (a stem, one
// operation of a cell in every place where it stands, a candidate block), a unit a few runs of
// layers that no chain leaves. Latencies, activities and traffic are whole numbers and add up in
// any order, so the sum is bit for bit what pricing the whole network gives (hw::SumOfChains);
// energy follows from the summed activity. A pair costs some tens of nanoseconds.
//
// Never changes once built; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/threads.h"
#include "hw/accelerator.h"
#include "search/cost_source.h"
#include "search/objective.h"

namespace rhnas::search {

class JointCosts {
 public:
  // Layers whose first reads no chained input: one run.
  using Run = std::vector<hw::Layer>;
  // `count` times the unit.
  struct Term {
    uint16_t unit, count;
  };
  struct Terms {
    const Term* terms;
    int count;
  };

  // Units as indices into `runs`. Prices every run on every design, in parallel. Designs that
  // cannot be built cost nothing and say so.
  JointCosts(const std::vector<Run>& runs, const std::vector<std::vector<int>>& units,
             const std::vector<hw::DesignPtr>& designs, const CostSource& source,
             engine::ThreadPool& pool);

  int designs() const { return static_cast<int>(rows_.size()); }
  int units() const { return units_; }
  double area_um2(int design) const { return rows_[static_cast<size_t>(design)].area_um2; }
  // Whether every unit can run there.
  bool runs_all(int design) const { return rows_[static_cast<size_t>(design)].runs_all; }

  // False: some unit cannot run there.
  bool Cost(Terms terms, int design, DesignCost* cost) const;
  // The objective to within a few roundings, for scans; infinite: cannot run.
  double Roughly(Terms terms, int design, Objective objective) const;

 private:
  static constexpr int kCounts = static_cast<int>(sizeof(hw::Activity) / sizeof(int64_t));
  static_assert(sizeof(hw::Activity) == kCounts * sizeof(int64_t), "counts alone");
  // Latency, traffic and activity of one unit.
  struct Entry {
    int64_t latency_cycles = -1, dram_bytes = 0;  // negative: cannot run
    int64_t counts[kCounts] = {};
  };
  struct Rough {
    double latency_cycles = 0, energy_pj = 0;
  };
  struct Row {
    hw::EnergyPrices prices;
    double area_um2 = 0;
    bool runs_all = false;
  };

  void Price(const hw::ChainSet& chains, const std::vector<int>& begin,
             const std::vector<std::vector<int>>& units, const hw::Design& design,
             const CostSource& source, int row);

  int units_ = 0;
  std::vector<Row> rows_;
  std::vector<Entry> entries_;  // by design, then unit
  std::vector<Rough> rough_;
};

}  // namespace rhnas::search
