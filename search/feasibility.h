// Can the constraints be met at all? Asked before any work, so that a search never runs towards a
// design that does not exist; the answer names the rule and the nearest feasible point.
#pragma once

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/accelerator.h"
#include "nn/space.h"
#include "search/cost_source.h"

namespace rhnas::search {

struct FeasibilityQuestion {
  const hw::DesignSpace* space = nullptr;  // null: the accelerator is fixed
  hw::DesignPtr reference;                 // the default accelerator, or the fixed one
  hw::Limits limits;
  double area_max = 0;  // as the user gave it, relative to the default; for the message
  double default_area_um2 = 0;
  const nn::Space* networks = nullptr;
  double latency_max = 0;  // cycles; 0: none
  CostSource costs;
};

engine::Status CheckFeasible(const FeasibilityQuestion& question, engine::ThreadPool& pool);

}  // namespace rhnas::search
