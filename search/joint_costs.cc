#include "search/joint_costs.h"

#include <cstring>
#include <limits>

#include "hw/chain.h"

namespace rhnas::search {

JointCosts::JointCosts(const std::vector<Run>& runs, const std::vector<std::vector<int>>& units,
                       const std::vector<hw::DesignPtr>& designs, const CostSource& source,
                       engine::ThreadPool& pool)
    : units_(static_cast<int>(units.size())) {
  // All runs as one list: equal layers and chains of them are one item.
  std::vector<hw::Layer> layers;
  std::vector<int> begin;
  for (const Run& run : runs) {
    begin.push_back(static_cast<int>(layers.size()));
    layers.insert(layers.end(), run.begin(), run.end());
    if (!run.empty()) layers[static_cast<size_t>(begin.back())].chained = false;
  }
  begin.push_back(static_cast<int>(layers.size()));
  const hw::ChainSet chains(layers);
  rows_.resize(designs.size());
  entries_.resize(designs.size() * units.size());
  rough_.resize(entries_.size());
  pool.ParallelFor(static_cast<int64_t>(designs.size()), 4, [&](int64_t first, int64_t last, int) {
    for (int64_t row = first; row < last; ++row) {
      Price(chains, begin, units, *designs[static_cast<size_t>(row)], source,
            static_cast<int>(row));
    }
  });
}

void JointCosts::Price(const hw::ChainSet& chains, const std::vector<int>& begin,
                       const std::vector<std::vector<int>>& units, const hw::Design& design,
                       const CostSource& source, int index) {
  Row& row = rows_[static_cast<size_t>(index)];
  const std::unique_ptr<hw::DesignModel> model = source.Model(design);
  row.prices = model->prices();
  row.area_um2 = model->area_um2();
  row.runs_all = false;
  if (!design.RunsNetworks()) return;
  // As hw::SumOfChains does it.
  const std::vector<hw::ChainSet::Item>& items = chains.items();
  std::vector<int64_t> cycles(items.size(), -1);
  std::vector<hw::Activity> activity(items.size());
  std::vector<int64_t> dram(items.size(), 0);
  for (size_t i = 0; i < items.size(); ++i) {
    const std::optional<hw::LayerCost> cost = model->EvaluateChain(
        chains.layers_of(items[i]), items[i].length, chains.Limit(static_cast<int>(i), cycles));
    if (!cost.has_value()) continue;
    cycles[i] = cost->latency_cycles;
    activity[i] = cost->activity;
    dram[i] = cost->dram_bytes;
  }
  row.runs_all = true;
  std::vector<int> lengths;
  for (size_t u = 0; u < units.size(); ++u) {
    Entry& entry = entries_[static_cast<size_t>(index) * units.size() + u];
    hw::Activity sum;
    int64_t latency = 0;
    bool runs = true;
    for (const int run : units[u]) {
      const int first = begin[static_cast<size_t>(run)], last = begin[static_cast<size_t>(run) + 1];
      if (first == last) continue;
      runs = runs && chains.Group(first, last, cycles, &lengths);
      if (!runs) break;
      for (int at = first; at < last; ++at) {
        const int length = lengths[static_cast<size_t>(at - first)];
        if (length == 0) continue;
        const auto item = static_cast<size_t>(chains.ItemAt(at, length));
        latency += cycles[item];
        entry.dram_bytes += dram[item];
        sum += activity[item];
      }
    }
    row.runs_all = row.runs_all && runs;
    if (!runs) continue;
    entry.latency_cycles = latency;
    std::memcpy(entry.counts, &sum, sizeof sum);
    Rough& rough = rough_[static_cast<size_t>(index) * units.size() + u];
    rough.latency_cycles = static_cast<double>(latency);
    rough.energy_pj = hw::EnergyOf(sum, latency, row.prices).total_pj();
  }
}

bool JointCosts::Cost(Terms terms, int design, DesignCost* cost) const {
  const Row& row = rows_[static_cast<size_t>(design)];
  const Entry* entries = &entries_[static_cast<size_t>(design) * static_cast<size_t>(units_)];
  int64_t latency = 0, dram = 0, counts[kCounts] = {};
  for (int i = 0; i < terms.count; ++i) {
    const Entry& entry = entries[terms.terms[i].unit];
    const int64_t times = terms.terms[i].count;
    if (entry.latency_cycles < 0) return false;
    latency += times * entry.latency_cycles;
    dram += times * entry.dram_bytes;
    for (int j = 0; j < kCounts; ++j) counts[j] += times * entry.counts[j];
  }
  hw::Activity activity;
  std::memcpy(&activity, counts, sizeof activity);
  cost->latency_cycles = latency;
  cost->dram_bytes = dram;
  cost->energy_pj = hw::EnergyOf(activity, latency, row.prices).total_pj();
  cost->edp_pj_cycles = static_cast<double>(latency) * cost->energy_pj;
  cost->area_um2 = row.area_um2;
  return true;
}

double JointCosts::Roughly(Terms terms, int design, Objective objective) const {
  const Row& row = rows_[static_cast<size_t>(design)];
  if (!row.runs_all) {
    DesignCost cost;
    return Cost(terms, design, &cost) ? ObjectiveValue(objective, cost)
                                      : std::numeric_limits<double>::infinity();
  }
  const Rough* rough = &rough_[static_cast<size_t>(design) * static_cast<size_t>(units_)];
  double latency = 0, energy = 0;
  for (int i = 0; i < terms.count; ++i) {
    latency += terms.terms[i].count * rough[terms.terms[i].unit].latency_cycles;
    energy += terms.terms[i].count * rough[terms.terms[i].unit].energy_pj;
  }
  if (objective == Objective::kLatency) return latency;
  return objective == Objective::kEnergy ? energy : latency * energy;
}

}  // namespace rhnas::search
