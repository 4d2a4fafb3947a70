// Results for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/cost.h"
#include "hw/layer.h"
#include "search/joint_search.h"

namespace rhnas::search {

// "1,234,567".
std::string Grouped(int64_t value);
// Energy with the unit that fits: "123.4 uJ".
std::string EnergyText(double picojoule);
// "1.234 mm2".
std::string AreaText(double square_micrometre);

// Found against default: latency, energy, EDP, area, DRAM, with their ratios.
std::string ComparedCostText(const DesignCost& found, const DesignCost& base);
// How many proposals broke which rule, with a sample of each.
std::string ProposalsText(const Proposals& proposals, const hw::Accelerator& accelerator);

// The end of a search: network, configuration, costs, the same network on the default accelerator,
// ratios, proposals.
std::string SearchResultText(const SearchResult& result, const SearchOptions& options);

// A table row a layer.
std::string LayerTable(const std::vector<hw::Layer>& layers, const hw::NetworkCost& cost,
                       const hw::DesignModel& model);

}  // namespace rhnas::search
