#include "search/feasibility.h"

#include <cmath>
#include <limits>
#include <vector>

#include "search/layers.h"
#include "search/objective.h"

namespace rhnas::search {

namespace {

// The candidate of each slot that runs in the fewest cycles.
nn::Genotype FastestNetwork(const nn::Space& space, const hw::DesignModel& model,
                            engine::ThreadPool& pool) {
  nn::Genotype genotype;
  for (const nn::Slot& slot : space.slots) {
    if (!slot.searchable()) continue;
    int best = 0;
    int64_t best_cycles = std::numeric_limits<int64_t>::max();
    for (size_t i = 0; i < slot.candidates.size(); ++i) {
      const Workload workload(ToHardwareLayers(nn::LayersOf(slot, slot.candidates[i], "slot")));
      const std::optional<DesignCost> cost = Evaluate(model, workload, pool);
      if (cost && cost->latency_cycles < best_cycles) {
        best_cycles = cost->latency_cycles;
        best = static_cast<int>(i);
      }
    }
    genotype.choice.push_back(best);
  }
  return genotype;
}

// Nothing in the space satisfies the rules and the limits: which limit is it, and what comes
// nearest?
engine::Status NoValidPoint(const FeasibilityQuestion& q) {
  const hw::DesignSpace& space = *q.space;
  const std::vector<int64_t> buildable = space.ValidPoints({});
  if (buildable.empty()) {
    return engine::Status::Error(
        "hardware space %s holds no point that can be built (%lld points): choose another space or "
        "bus width",
        space.name().c_str(), static_cast<long long>(space.points()));
  }
  double smallest = std::numeric_limits<double>::infinity();
  double least_missed = std::numeric_limits<double>::infinity();
  hw::DesignPtr smallest_design, nearest;
  hw::BrokenRule nearest_verdict;
  for (const int64_t point : buildable) {
    const hw::DesignPtr design = space.AtPoint(point);
    const double area = design->AreaUm2(*q.costs.table);
    if (area < smallest) {
      smallest = area;
      smallest_design = design;
    }
    if (q.limits.board) {
      hw::Limits board_only;
      board_only.board = q.limits.board;
      const std::vector<hw::BrokenRule> broken = design->CheckAll(board_only);
      if (!broken.empty() && broken.front().severity < least_missed) {
        least_missed = broken.front().severity;
        nearest = design;
        nearest_verdict = broken.front();
      }
      if (broken.empty()) least_missed = -1;
    }
  }
  if (q.limits.area_max_um2 && smallest > *q.limits.area_max_um2) {
    return engine::Status::Error(
        "--area-max %.4g is infeasible: the smallest accelerator that can be built in %s is %s "
        "with %.4g "
        "times the default's area: raise --area-max to at least that",
        q.area_max, space.name().c_str(), smallest_design->ShortName().c_str(),
        std::ceil(smallest / q.default_area_um2 * 1e4) / 1e4);
  }
  if (q.limits.board && least_missed >= 0) {
    return engine::Status::Error(
        "no accelerator of %s fits board %s: the nearest, %s, breaks %s: choose a larger board",
        space.name().c_str(), q.limits.board->name.c_str(), nearest->ShortName().c_str(),
        nearest_verdict.ToString().c_str());
  }
  return engine::Status::Error(
      "no accelerator of %s satisfies --area-max %.4g and board %s together (each alone can be "
      "met): "
      "raise --area-max or choose a larger board",
      space.name().c_str(), q.area_max, q.limits.board ? q.limits.board->name.c_str() : "none");
}

}  // namespace

engine::Status CheckFeasible(const FeasibilityQuestion& q, engine::ThreadPool& pool) {
  std::vector<int64_t> valid;
  if (q.space != nullptr) {
    valid = q.space->ValidPoints(q.limits);
    if (valid.empty()) return NoValidPoint(q);
  }
  if (q.latency_max <= 0) return engine::Status::Ok();

  // As fast as it gets: the network of the candidates that are fastest on the reference, on every
  // accelerator.
  const nn::Genotype genotype = FastestNetwork(*q.networks, *q.costs.Model(*q.reference), pool);
  const Workload workload(ToHardwareLayers(nn::LayersOf(*q.networks, genotype)));
  hw::DesignPtr best_design = q.reference;
  int64_t best = std::numeric_limits<int64_t>::max();
  auto consider = [&](const hw::DesignPtr& design) {
    const std::optional<DesignCost> cost = Evaluate(*q.costs.Model(*design), workload, pool);
    if (cost && cost->latency_cycles < best) {
      best = cost->latency_cycles;
      best_design = design;
    }
    return static_cast<double>(best) <= q.latency_max;
  };
  if (q.space == nullptr && consider(q.reference)) return engine::Status::Ok();
  // Largest arrays first: a feasible limit is then usually met at once.
  for (auto point = valid.rbegin(); point != valid.rend(); ++point) {
    if (consider(q.space->AtPoint(*point))) return engine::Status::Ok();
  }
  return engine::Status::Error(
      "--latency-max %.0f is infeasible: the fastest design found, %s on %s, takes %lld cycles: "
      "raise "
      "--latency-max to at least that, or --area-max or --bus",
      q.latency_max, nn::ToText(*q.networks, genotype).c_str(), best_design->ShortName().c_str(),
      static_cast<long long>(best));
}

}  // namespace rhnas::search
