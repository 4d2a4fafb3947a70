// Results as JSON. The keys are an interface that scripts rely on: they stay.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/accelerator.h"
#include "hw/json.h"
#include "hw/layer.h"
#include "search/joint_search.h"

namespace rhnas::search {

// default / found, so above 1 the found design is better; area is found / default.
struct Ratios {
  double latency = 0, energy = 0, edp = 0, area = 0;
};
Ratios RatiosOf(const DesignCost& found, const DesignCost& default_cost);

// result.json, also what `rhnas search --json` prints. A limit that was not set counts as met.
std::string SearchResultJson(const SearchResult& result, const SearchOptions& options);

// Members of the object that is open: latency_cycles, energy_pj, edp_pj_cycles, area_um2,
// dram_bytes.
void AddCost(const DesignCost& cost, hw::JsonWriter* json);
// "ratio": {..}, as RatiosOf; "proposals": {..}.
void AddRatios(const DesignCost& found, const DesignCost& default_cost, hw::JsonWriter* json);
void AddProposals(const Proposals& proposals, const hw::Accelerator& accelerator,
                  hw::JsonWriter* json);
// "verdicts": [{rule, need, have, what, text}, ..].
void AddVerdicts(const std::vector<hw::BrokenRule>& verdicts, hw::JsonWriter* json);
// "by_rule": {"R1": n, ..}, every rule of the family. `by_rule` has that many counts.
void AddByRule(const hw::Accelerator& accelerator, const int64_t* by_rule, hw::JsonWriter* json);
// "layers": [..].
void AddLayers(const std::vector<hw::Layer>& layers, const hw::NetworkCost& cost,
               const hw::DesignModel& model, hw::JsonWriter* json);
// "energy_parts": {..}.
void AddEnergyParts(const hw::EnergyParts& parts, hw::JsonWriter* json);

}  // namespace rhnas::search
