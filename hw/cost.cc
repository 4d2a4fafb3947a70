// The cost model's front: layers in, latency, traffic, energy and area out.
#include "hw/cost.h"

#include <algorithm>
#include <cstdio>

#include "hw/chain.h"
#include "hw/program.h"
#include "hw/schedule.h"
#include "hw/tiling_activity.h"
#include "hw/tiling_search.h"

namespace rhnas::hw {
namespace {

int64_t ToCycles(Ticks ticks) { return (ticks + kCycle / 2) / kCycle; }

}  // namespace

const char* BoundName(Bound bound) {
  switch (bound) {
    case Bound::kCompute:
      return "compute";
    case Bound::kMemory:
      return "memory";
    case Bound::kFetch:
      return "fetch";
  }
  return "?";
}

std::string Tiling::ToString() const {
  constexpr const char* kSuffix[] = {"", " ws", " is"};
  char text[96];
  std::snprintf(text, sizeof text, "%dx%d co%d ci%d vt%d%s%s%s", th, tw, tco, tci, vthreads,
                kSuffix[static_cast<size_t>(stationary)], on_alu ? " alu" : "",
                split_rows ? " rows" : "");
  return text;
}

CostModel::CostModel(const Config& config, const CostTable& table, bool pipelined_memory)
    : config_(config) {
  const Verdict verdict = Check(config);
  if (!verdict.ok) {
    invalid_ = "invalid configuration: " + verdict.ToString();
    return;
  }
  area_um2_ = AreaUm2(config, table);
  prices_ = EnergyPrices(config, table);
  timing_.emplace(config, pipelined_memory ? MemoryModel::kPipelined : MemoryModel::kQueued);
}

LayerCost CostModel::Finish(const Machine& machine, const Tiling& tiling, const Schedule& schedule,
                            int64_t latency_cycles) const {
  const Totals& totals = schedule.totals;
  LayerCost cost;
  cost.latency_cycles = latency_cycles;
  cost.compute_cycles = ToCycles(totals.compute);
  cost.load_cycles = ToCycles(totals.load);
  cost.store_cycles = ToCycles(totals.store);
  cost.fetch_cycles =
      ToCycles(machine.timing.Arrival(totals.instructions - 1, totals.instructions));
  cost.macs = machine.work.useful_macs;
  cost.activity = CountActivity(machine, tiling, schedule.uops);
  cost.dram_bytes = cost.activity.dram_bytes();
  cost.energy = EnergyOf(cost.activity, latency_cycles, prices_);
  cost.energy_pj = cost.energy.total_pj();
  const int64_t memory = std::max(cost.load_cycles, cost.store_cycles);
  if (cost.fetch_cycles > std::max(memory, cost.compute_cycles)) {
    cost.bound = Bound::kFetch;
  } else {
    cost.bound = memory > cost.compute_cycles ? Bound::kMemory : Bound::kCompute;
  }
  cost.tiling = tiling;
  return cost;
}

std::optional<LayerCost> CostModel::Evaluate(const Layer& layer, std::string* why) const {
  return Best(&layer, 1, kAnyCycles, why);
}

std::optional<LayerCost> CostModel::EvaluateChain(const Layer* layers, int count,
                                                  int64_t below_cycles, std::string* why) const {
  return Best(layers, count, below_cycles, why);
}

std::optional<LayerCost> CostModel::Evaluate(const Layer& layer, const Tiling& tiling,
                                             std::string* why) const {
  return WithTiling(&layer, 1, tiling, why);
}

std::optional<LayerCost> CostModel::Best(const Layer* layers, int count, int64_t below_cycles,
                                         std::string* why) const {
  if (!timing_) {
    if (why != nullptr) *why = invalid_;
    return std::nullopt;
  }
  const Layer& layer = layers[0];
  Work work;
  if (!MakeChainWork(layers, count, config_, &work, why)) return std::nullopt;
  BestTiling best;
  Work best_work;
  bool found = false;
  const auto attempt = [&](const Work& form, bool on_alu, bool split_rows) {
    BestTiling other;
    const Machine machine(form, config_, *timing_);
    const int64_t below = found ? best.latency_cycles : below_cycles;
    if (!FindTiling(machine, &other, found ? nullptr : why, below)) return;
    best = other;
    best.tiling.on_alu = on_alu;
    best.tiling.split_rows = split_rows;
    best_work = form;
    found = true;
  };
  attempt(work, false, false);
  if (count == 1 && layer.depthwise() && config_.clp) attempt(OnAlu(work), true, false);
  // Also where the whole filter fits: a scratchpad that has just become large enough for it must
  // not cost the tilings of the rows.
  if (Splits(work)) attempt(SplitRows(work), false, true);
  if (!found) {
    if (why != nullptr) {
      *why = "layer " + layer.name + " fits no tiling: even the smallest lacks " + *why;
    }
    return std::nullopt;
  }
  const Machine machine(best_work, config_, *timing_);
  Schedule schedule;
  const PixelCut rows = CutRows(best_work, best.tiling.th);
  const PixelCut cols = CutCols(best_work, best.tiling.tw);
  BuildSchedule(machine, best.tiling, rows, cols, MakePixelTiles(machine, rows, cols), &schedule);
  return Finish(machine, best.tiling, schedule, best.latency_cycles);
}

std::optional<LayerCost> CostModel::WithTiling(const Layer* layers, int count, const Tiling& asked,
                                               std::string* why) const {
  if (!timing_) {
    if (why != nullptr) *why = invalid_;
    return std::nullopt;
  }
  const Layer& layer = layers[0];
  Work work;
  if (!MakeChainWork(layers, count, config_, &work, why)) return std::nullopt;
  if ((asked.on_alu && !(count == 1 && layer.depthwise() && config_.clp)) ||
      (asked.split_rows && !Splits(work))) {
    if (why != nullptr) {
      *why = "layer " + layer.name + " with tiling " + asked.ToString() + ": it has no such form";
    }
    return std::nullopt;
  }
  if (asked.on_alu) work = OnAlu(work);
  if (asked.split_rows) work = SplitRows(work);
  Tiling tiling = asked;
  for (int* size : {&tiling.th, &tiling.tw, &tiling.tco, &tiling.tci}) {
    if (*size < 1) {
      if (why != nullptr) *why = "layer " + layer.name + ": tile sizes start at 1";
      return std::nullopt;
    }
  }
  tiling.th = std::min(tiling.th, work.rows);
  tiling.tw = std::min(tiling.tw, work.cols);
  tiling.tco = std::min(tiling.tco, work.out_units);
  tiling.tci = std::min(tiling.tci, work.in_units);
  tiling.vthreads = tiling.vthreads >= 2 ? 2 : 1;
  const Machine machine(work, config_, *timing_);
  const PixelCut rows = CutRows(work, tiling.th);
  const PixelCut cols = CutCols(work, tiling.tw);
  const Footprint footprint = Measure(machine, tiling, rows, cols);
  if (!Fits(machine, tiling, footprint, why)) {
    if (why != nullptr) {
      *why = "layer " + layer.name + " with tiling " + tiling.ToString() + ": " + *why;
    }
    return std::nullopt;
  }
  Schedule schedule;
  BuildSchedule(machine, tiling, rows, cols, MakePixelTiles(machine, rows, cols), footprint.uop,
                &schedule);
  LayerCost cost = Finish(machine, tiling, schedule, LatencyCycles(machine, tiling, schedule));
  if (cost.activity.instructions > kMaxInstructions) {
    if (why != nullptr) {
      *why = "layer " + layers[0].name + " with tiling " + tiling.ToString() +
             ": instructions of a launch: need " + std::to_string(cost.activity.instructions) +
             ", have " + std::to_string(kMaxInstructions) + " (4 MiB)";
    }
    return std::nullopt;
  }
  return cost;
}

bool CostModel::RunsNetworks(std::string* why) const {
  if (hw::RunsNetworks(config_)) return true;
  if (why != nullptr) {
    *why = "LOG_BATCH " + std::to_string(config_.log_batch) +
           " with LOG_BLOCK_IN != LOG_BLOCK_OUT: one layer's output tensors are not the next one's "
           "input tensors, need LOG_BATCH 0 or blocks alike";
  }
  return false;
}

std::optional<NetworkCost> CostModel::Evaluate(const std::vector<Layer>& layers,
                                               std::string* why) const {
  return SumOfChains(*this, ChainSet(layers), why);
}

std::optional<NetworkCost> SumOfLayers(const DesignModel& model, const std::vector<Layer>& layers,
                                       std::string* why) {
  return SumOfChains(model, ChainSet(layers, false), why);
}

std::optional<NetworkCost> SumOfChains(const DesignModel& model, const ChainSet& chains,
                                       std::string* why) {
  const std::vector<Layer>& layers = chains.layers();
  if (layers.size() > 1 && !model.RunsNetworks(why)) return std::nullopt;
  std::vector<LayerCost> costs(chains.items().size());
  std::vector<int64_t> cycles(costs.size(), -1);
  for (size_t i = 0; i < costs.size(); ++i) {
    const ChainSet::Item& item = chains.items()[i];
    const std::optional<LayerCost> cost = model.EvaluateChain(
        chains.layers_of(item), item.length, chains.Limit(static_cast<int>(i), cycles));
    if (!cost.has_value()) continue;
    costs[i] = *cost;
    costs[i].chain = item.length;
    cycles[i] = cost->latency_cycles;
  }
  std::vector<int> lengths;
  int missing = 0;
  if (!chains.Group(0, static_cast<int>(layers.size()), cycles, &lengths, &missing)) {
    if (why != nullptr) model.Evaluate(layers[static_cast<size_t>(missing)], why);
    return std::nullopt;
  }
  NetworkCost total;
  total.area_um2 = model.area_um2();
  total.layers.reserve(layers.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    if (lengths[i] == 0) {
      total.layers.emplace_back();
      total.layers.back().chain = 0;
      continue;
    }
    const LayerCost& layer =
        costs[static_cast<size_t>(chains.ItemAt(static_cast<int>(i), lengths[i]))];
    total.layers.push_back(layer);
    total.latency_cycles += layer.latency_cycles;
    total.macs += layer.macs;
    total.dram_bytes += layer.dram_bytes;
    total.activity += layer.activity;
  }
  total.energy = EnergyOf(total.activity, total.latency_cycles, model.prices());
  total.energy_pj = total.energy.total_pj();
  total.edp_pj_cycles = static_cast<double>(total.latency_cycles) * total.energy_pj;
  return total;
}

}  // namespace rhnas::hw
