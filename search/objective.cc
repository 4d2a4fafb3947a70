#include "search/objective.h"

namespace rhnas::search {

const char* ObjectiveName(Objective objective) {
  switch (objective) {
    case Objective::kLatency:
      return "latency";
    case Objective::kEnergy:
      return "energy";
    case Objective::kEdp:
      return "edp";
  }
  return "?";
}

engine::Result<Objective> ParseObjective(const std::string& name) {
  for (Objective objective : {Objective::kLatency, Objective::kEnergy, Objective::kEdp}) {
    if (name == ObjectiveName(objective)) return objective;
  }
  return engine::Status::Error("unknown objective '%s': expected latency, energy or edp",
                               name.c_str());
}

double ObjectiveValue(Objective objective, const DesignCost& cost) {
  switch (objective) {
    case Objective::kLatency:
      return static_cast<double>(cost.latency_cycles);
    case Objective::kEnergy:
      return cost.energy_pj;
    case Objective::kEdp:
      return cost.edp_pj_cycles;
  }
  return 0;
}

ItemPrices PriceItems(const hw::DesignModel& model, const hw::ChainSet& chains,
                      engine::ThreadPool& pool) {
  const std::vector<hw::ChainSet::Item>& items = chains.items();
  ItemPrices prices;
  prices.latency_cycles.assign(items.size(), -1);
  prices.energy_pj.assign(items.size(), 0);
  prices.dram_bytes.assign(items.size(), 0);
  // A chain is only looked for below what its parts take, so those come first: length by length.
  for (size_t first = 0; first < items.size();) {
    size_t last = first;
    while (last < items.size() && items[last].length == items[first].length) ++last;
    pool.ParallelFor(static_cast<int64_t>(last - first), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t at = begin; at < end; ++at) {
        const size_t i = first + static_cast<size_t>(at);
        hw::DesignModel::Numbers numbers;
        if (!model.ChainNumbers(chains.layers_of(items[i]), items[i].length,
                                chains.Limit(static_cast<int>(i), prices.latency_cycles),
                                &numbers)) {
          continue;
        }
        prices.latency_cycles[i] = numbers.latency_cycles;
        prices.energy_pj[i] = numbers.energy_pj;
        prices.dram_bytes[i] = numbers.dram_bytes;
      }
    });
    first = last;
  }
  return prices;
}

std::optional<DesignCost> SumOf(const hw::DesignModel& model, const hw::ChainSet& chains, int begin,
                                int end, const ItemPrices& prices, std::string* why) {
  std::vector<int> lengths;
  int missing = 0;
  if (!chains.Group(begin, end, prices.latency_cycles, &lengths, &missing)) {
    if (why != nullptr) model.Evaluate(chains.layers()[static_cast<size_t>(missing)], why);
    return std::nullopt;
  }
  DesignCost total;
  for (int at = begin; at < end; ++at) {
    const int length = lengths[static_cast<size_t>(at - begin)];
    if (length == 0) continue;
    const auto item = static_cast<size_t>(chains.ItemAt(at, length));
    total.latency_cycles += prices.latency_cycles[item];
    total.energy_pj += prices.energy_pj[item];
    total.dram_bytes += prices.dram_bytes[item];
  }
  total.edp_pj_cycles = static_cast<double>(total.latency_cycles) * total.energy_pj;
  total.area_um2 = model.area_um2();
  return total;
}

std::optional<DesignCost> Evaluate(const hw::DesignModel& model, const Workload& workload,
                                   engine::ThreadPool& pool, std::string* why) {
  const hw::ChainSet& chains = workload.chains;
  const int layers = static_cast<int>(chains.layers().size());
  if (layers > 1 && !model.RunsNetworks(why)) return std::nullopt;
  return SumOf(model, chains, 0, layers, PriceItems(model, chains, pool), why);
}

}  // namespace rhnas::search
