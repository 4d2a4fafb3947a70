// What each candidate of each slot costs on one accelerator: the table that the architecture step
// reads.
#pragma once

#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/cost.h"
#include "nn/space.h"
#include "nn/supernet.h"
#include "search/objective.h"

namespace rhnas::search {

// By searchable slot and candidate, plus what every network of the space pays (stem, head).
struct SlotCosts {
  std::vector<std::vector<double>> latency_cycles, energy_pj;
  double fixed_latency_cycles = 0, fixed_energy_pj = 0;
};

// A candidate that cannot run on the accelerator gets four times the cost of the slot's dearest
// one: a gradient away from it, never a design. An error when no candidate of a slot can run: slot
// and reason.
engine::Result<SlotCosts> CostsOfSlots(const nn::Space& space, const hw::DesignModel& model,
                                       engine::ThreadPool& pool);

// Cost of the network whose candidates are mixed in equal parts: the scale that expected costs are
// divided by, so that lambda means the same for every space and objective.
struct CostScale {
  double latency_cycles = 1, energy_pj = 1;
};
CostScale UniformMixture(const SlotCosts& costs);

// The expected objective of an architecture pass relative to the scale, as a scalar on the tape:
// latency L, energy E, or L E for EDP (both expectations; the product rule gives its gradient).
engine::Var ExpectedObjective(engine::Tape& tape, const nn::ArchPass& pass, const SlotCosts& costs,
                              const CostScale& scale, Objective objective);

}  // namespace rhnas::search
