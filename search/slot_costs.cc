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
  SlotCosts costs;
  for (size_t i = 0; i < space.slots.size(); ++i) {
    const nn::Slot& slot = space.slots[i];
    std::vector<double> latency, energy;
    std::string reason;
    for (const nn::Block& block : slot.candidates) {
      const std::vector<hw::Layer> layers =
          ToHardwareLayers(nn::LayersOf(slot, block, "slot" + std::to_string(i)));
      std::string why;
      const std::optional<DesignCost> cost = Evaluate(model, Workload(layers), pool, &why);
      latency.push_back(cost ? static_cast<double>(cost->latency_cycles) : kUnmappable);
      energy.push_back(cost ? cost->energy_pj : kUnmappable);
      if (!cost) reason = block.name + ": " + why;
    }
    if (!PriceUnmappable(&latency) || !PriceUnmappable(&energy)) {
      return engine::Status::Error("no candidate of slot %zu can run on %s: %s", i,
                                   model.design_name().c_str(), reason.c_str());
    }
    if (slot.searchable()) {
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
