#include "search/slot_costs.h"

#include <algorithm>

#include "search/layers.h"

namespace rhnas::search {

namespace {

std::vector<std::vector<double>> Divided(const std::vector<std::vector<double>>& table, double by) {
  std::vector<std::vector<double>> result = table;
  for (std::vector<double>& row : result) {
    for (double& value : row) value /= by;
  }
  return result;
}

constexpr double kUnmappable = -1;

// A candidate that the accelerator cannot run at all has no cost, but the architecture step needs a
// number that turns it away: four times the slot's dearest one. False: the slot has none that runs.
bool PriceUnmappable(std::vector<double>* costs) {
  const double dearest = *std::max_element(costs->begin(), costs->end());
  if (dearest == kUnmappable) return false;
  for (double& cost : *costs) {
    if (cost == kUnmappable) cost = 4 * dearest;
  }
  return true;
}

}  // namespace

engine::Result<SlotCosts> CostsOfSlots(const nn::Space& space, const hw::DesignModel& model,
                                       engine::ThreadPool& pool) {
  std::string why;
  if (!model.RunsNetworks(&why)) {
    return engine::Status::Error("no network can run on %s: %s", model.design_name().c_str(),
                                 why.c_str());
  }
  // All candidates of all slots as one list, so that equal layers and chains are priced once. Slots
  // without a choice that follow each other are one candidate: chains may join them.
  struct Candidate {
    size_t slot;
    const nn::Block* block;
    int begin, end;
  };
  std::vector<Candidate> candidates;
  std::vector<hw::Layer> layers;
  std::vector<nn::LayerShape> shapes;
  const auto close = [&](size_t slot, const nn::Block& block) {
    const int begin = static_cast<int>(layers.size());
    for (const nn::LayerShape& shape : shapes) layers.push_back(ToHardwareLayer(shape));
    candidates.push_back({slot, &block, begin, static_cast<int>(layers.size())});
    shapes.clear();
  };
  for (size_t i = 0; i < space.slots.size(); ++i) {
    const nn::Slot& slot = space.slots[i];
    const bool joins =
        !slot.searchable() && i + 1 < space.slots.size() && !space.slots[i + 1].searchable();
    for (const nn::Block& block : slot.candidates) {
      nn::AppendLayers(space, static_cast<int>(i), block, &shapes);
      if (!joins) close(i, block);
    }
  }
  const hw::ChainSet chains(layers);
  const ItemPrices prices = PriceItems(model, chains, pool);
  SlotCosts costs;
  for (size_t c = 0; c < candidates.size();) {
    const size_t slot = candidates[c].slot;
    std::vector<double> latency, energy;
    std::string reason;
    for (; c < candidates.size() && candidates[c].slot == slot; ++c) {
      const Candidate& candidate = candidates[c];
      const std::optional<DesignCost> cost =
          SumOf(model, chains, candidate.begin, candidate.end, prices, &why);
      latency.push_back(cost ? static_cast<double>(cost->latency_cycles) : kUnmappable);
      energy.push_back(cost ? cost->energy_pj : kUnmappable);
      if (!cost) reason = candidate.block->name + ": " + why;
    }
    if (!PriceUnmappable(&latency) || !PriceUnmappable(&energy)) {
      return engine::Status::Error("no candidate of slot %zu can run on %s: %s", slot,
                                   model.design_name().c_str(), reason.c_str());
    }
    if (space.slots[slot].searchable()) {
      costs.latency_cycles.push_back(std::move(latency));
      costs.energy_pj.push_back(std::move(energy));
    } else {
      costs.fixed_latency_cycles += latency[0];
      costs.fixed_energy_pj += energy[0];
    }
  }
  return costs;
}

CostScale UniformMixture(const SlotCosts& costs) {
  CostScale scale{costs.fixed_latency_cycles, costs.fixed_energy_pj};
  for (size_t slot = 0; slot < costs.latency_cycles.size(); ++slot) {
    const double share = 1.0 / static_cast<double>(costs.latency_cycles[slot].size());
    for (double cycles : costs.latency_cycles[slot]) scale.latency_cycles += share * cycles;
    for (double pj : costs.energy_pj[slot]) scale.energy_pj += share * pj;
  }
  return scale;
}

engine::Var ExpectedObjective(engine::Tape& tape, const nn::ArchPass& pass, const SlotCosts& costs,
                              const CostScale& scale, Objective objective) {
  engine::Var latency, energy;
  if (objective != Objective::kEnergy) {
    latency = nn::ExpectedCost(tape, pass, Divided(costs.latency_cycles, scale.latency_cycles),
                               costs.fixed_latency_cycles / scale.latency_cycles);
  }
  if (objective != Objective::kLatency) {
    energy = nn::ExpectedCost(tape, pass, Divided(costs.energy_pj, scale.energy_pj),
                              costs.fixed_energy_pj / scale.energy_pj);
  }
  if (objective == Objective::kLatency) return latency;
  if (objective == Objective::kEnergy) return energy;
  return engine::Mul(tape, latency, energy);
}

}  // namespace rhnas::search
