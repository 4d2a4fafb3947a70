// What the search minimises, and the cost of a whole design (a network on an accelerator).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/chain.h"
#include "hw/cost.h"

namespace rhnas::search {

enum class Objective { kLatency, kEnergy, kEdp };
const char* ObjectiveName(Objective objective);  // "latency", "energy", "edp"
// Unknown: an error that lists the three.
engine::Result<Objective> ParseObjective(const std::string& name);

// One network on one accelerator.
struct DesignCost {
  int64_t latency_cycles = 0;
  double energy_pj = 0, edp_pj_cycles = 0, area_um2 = 0;
  int64_t dram_bytes = 0;
};

// cycles, pJ or pJ cycles.
double ObjectiveValue(Objective objective, const DesignCost& cost);

// A network's layers and chains, equal ones once: what is evaluated when thousands of accelerators
// are tried on the same network.
struct Workload {
  explicit Workload(const std::vector<hw::Layer>& layers) : chains(layers) {}
  hw::ChainSet chains;
};

// Sum over the workload with the grouping of least latency on this design, items in parallel; the
// sum is taken in order, so it does not depend on threads. Empty when the design is invalid, does
// not run networks or a layer fits no tiling; `why` says which.
std::optional<DesignCost> Evaluate(const hw::DesignModel& model, const Workload& workload,
                                   engine::ThreadPool& pool, std::string* why = nullptr);

// The same for parts of one workload: every item priced once, sums over layers [begin, end).
struct ItemPrices {
  std::vector<int64_t> latency_cycles;  // negative: cannot run, or slower than its parts
  std::vector<double> energy_pj;
  std::vector<int64_t> dram_bytes;
};
ItemPrices PriceItems(const hw::DesignModel& model, const hw::ChainSet& chains,
                      engine::ThreadPool& pool);
std::optional<DesignCost> SumOf(const hw::DesignModel& model, const hw::ChainSet& chains, int begin,
                                int end, const ItemPrices& prices, std::string* why = nullptr);

}  // namespace rhnas::search
