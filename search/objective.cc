#include "search/objective.h"

#include <map>
#include <tuple>

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

Workload::Workload(const std::vector<hw::Layer>& layers) {
  using Key =
      std::tuple<hw::LayerKind, int, int, int, int, int, int, int, int, int, int, bool, bool>;
  std::map<Key, size_t> seen;
  for (const hw::Layer& l : layers) {
    const Key key{l.kind, l.n,      l.h,   l.w,      l.c,    l.k,   l.r,
                  l.s,    l.stride, l.pad, l.groups, l.bias, l.relu};
    const auto [at, is_new] = seen.emplace(key, unique.size());
    if (is_new) {
      unique.push_back(l);
      count.push_back(1);
    } else {
      ++count[at->second];
    }
  }
}

std::optional<DesignCost> Evaluate(const hw::DesignModel& model, const Workload& workload,
                                   engine::ThreadPool& pool, std::string* why) {
  const size_t n = workload.unique.size();
  std::vector<std::optional<hw::LayerCost>> costs(n);
  pool.ParallelFor(static_cast<int64_t>(n), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      costs[static_cast<size_t>(i)] = model.Evaluate(workload.unique[static_cast<size_t>(i)]);
    }
  });
  DesignCost total;
  for (size_t i = 0; i < n; ++i) {
    if (!costs[i]) {
      if (why != nullptr) model.Evaluate(workload.unique[i], why);
      return std::nullopt;
    }
    total.latency_cycles += costs[i]->latency_cycles * workload.count[i];
    total.energy_pj += costs[i]->energy_pj * workload.count[i];
    total.dram_bytes += costs[i]->dram_bytes * workload.count[i];
  }
  total.edp_pj_cycles = static_cast<double>(total.latency_cycles) * total.energy_pj;
  total.area_um2 = model.area_um2();
  return total;
}

}  // namespace rhnas::search
