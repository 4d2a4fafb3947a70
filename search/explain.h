// Where each number of `rhnas cost` comes from, for a reader with a pencil: counts times table rows
// for energy, parts for area, unit timings and busy times for latency, use of the boards. The lines
// are those that the model itself adds up, so they sum to its totals.
#pragma once

#include <string>
#include <vector>

#include "hw/config.h"
#include "hw/cost.h"
#include "hw/json.h"
#include "hw/layer.h"
#include "hw/tables.h"

namespace rhnas::search {

// What was evaluated; all of it must outlive the explanation.
struct Explained {
  const hw::Config& config;
  const hw::CostTable& table;
  std::string table_text;  // "built-in table: 45 nm lop, .."
  const std::vector<hw::Layer>& layers;
  const hw::NetworkCost& cost;
  const hw::EnergyPrices& prices;
};

// Accesses of a scratchpad by the instructions that make them; they sum to the whole.
struct AccessShare {
  const char* by = "";  // "GEMM"
  int64_t bytes = 0;
};
// Of one term of hw::EnergyTerms. Empty: no scratchpad. Every GEMM iteration reads one input,
// weight and accumulator and writes one accumulator and output; every ALU iteration reads and
// writes as its lanes say; what remains is loads and resets.
std::vector<AccessShare> SharesOf(const hw::EnergyTerm& term, const hw::Activity& activity,
                                  const hw::Config& config);

std::string ExplainText(const Explained& explained);
// "explain": {latency, energy, area, boards, rows}.
void AddExplanation(const Explained& explained, hw::JsonWriter* json);

}  // namespace rhnas::search
