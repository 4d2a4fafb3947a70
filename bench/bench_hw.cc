// Speed of the accelerator model: closed forms, best-tiling searches, the simulator, tables of
// layer costs, validity and the counts of a space. One core; items_per_second is the rate that is
// meant. At the end stand the figures of other cost models, with what each of them models.
#include <benchmark/benchmark.h>

#include <cstdio>

#include "hw/layer_table_rows.h"
#include "hw/layer_table_write.h"
#include "hw/lower.h"
#include "hw/schedule.h"
#include "hw/simulate.h"
#include "hw/space.h"
#include "hw/tiling_search.h"
#include "hw/vta_accelerator.h"
#include "search/cost_source.h"
#include "search/layers.h"
#include "search/objective.h"

namespace rhnas::hw {
namespace {

Layer Conv(int size, int c, int k, int r, int stride, int groups) {
  Layer layer;
  layer.name = "conv";
  layer.h = layer.w = size;
  layer.c = c;
  layer.k = k;
  layer.r = layer.s = r;
  layer.stride = stride;
  layer.pad = r / 2;
  layer.groups = groups;
  return layer;
}

// Shapes of fbnet-cifar and ResNet-18: pointwise, depthwise, dense 3x3.
const Layer kLayers[] = {
    Conv(32, 24, 144, 1, 1, 1),      Conv(16, 192, 192, 3, 1, 192), Conv(8, 672, 112, 1, 1, 1),
    Conv(4, 1104, 1104, 5, 1, 1104), Conv(56, 64, 64, 3, 1, 1),     Conv(14, 256, 256, 3, 1, 1),
};

// Every layer of fbnet-cifar and every chain of them, equal shapes once: what the rates below are
// averages over.
const std::vector<std::vector<Layer>>& Items() {
  static const std::vector<std::vector<Layer>> items =
      search::TableItems(*nn::FindSpace("fbnet-cifar"));
  return items;
}

const std::vector<Layer>& Layers() {
  static const std::vector<Layer> layers = [] {
    std::vector<Layer> singles;
    for (const std::vector<Layer>& item : Items()) {
      if (item.size() == 1) singles.push_back(item[0]);
    }
    return singles;
  }();
  return layers;
}

std::unique_ptr<DesignSpace> Space(const char* name) {
  SpaceOptions options;
  options.derived_tags = true;
  return std::move(*Vta().FindSpace(name, options));
}

// --- The closed form ---

// As the search asks: work, timing and cuts are known, cycles are wanted.
void ClosedForm(benchmark::State& state) {
  struct Point {
    Machine machine;
    Tiling tiling;
    PixelCut rows, cols;
    PixelTiles tiles;
  };
  std::vector<Point> points;
  for (const Layer& layer : Layers()) {
    Work work;
    BestTiling best;
    MakeWork(layer, Config(), &work, nullptr);
    const Machine machine(work, Config(), MemoryModel::kQueued);
    FindTiling(machine, &best, nullptr);
    const PixelCut rows = CutRows(work, best.tiling.th), cols = CutCols(work, best.tiling.tw);
    points.push_back({machine, best.tiling, rows, cols, MakePixelTiles(machine, rows, cols)});
  }
  Schedule schedule;
  for (auto _ : state) {
    for (const Point& p : points) {
      BuildSchedule(p.machine, p.tiling, p.rows, p.cols, p.tiles, &schedule);
      benchmark::DoNotOptimize(LatencyCycles(p.machine, p.tiling, schedule));
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(points.size()));
}
BENCHMARK(ClosedForm)->Unit(benchmark::kMicrosecond);

// As a user asks: a layer, a configuration and a tiling; cycles, activity and energy are wanted.
void CostOfTiling(benchmark::State& state) {
  const CostModel model(Config(), DefaultCostTable());
  std::vector<std::pair<const Layer*, Tiling>> points;
  for (const Layer& layer : Layers()) {
    points.emplace_back(&layer, model.Evaluate(layer)->tiling);
  }
  for (auto _ : state) {
    for (const auto& [layer, tiling] : points) {
      benchmark::DoNotOptimize(model.Evaluate(*layer, tiling));
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(points.size()));
}
BENCHMARK(CostOfTiling)->Unit(benchmark::kMicrosecond);

// --- The search ---

// All layers of fbnet-cifar on a published configuration.
void BestTilingSearches(benchmark::State& state) {
  const char* const names[] = {"default", "vta_config_be_small", "vta_config_be_large"};
  const Result<Config> config = FindConfig(names[state.range(0)]);
  if (!config.ok()) return state.SkipWithError(config.error().c_str());
  const CostModel model(*config, DefaultCostTable());
  for (auto _ : state) {
    for (const Layer& layer : Layers()) benchmark::DoNotOptimize(model.Evaluate(layer));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(Layers().size()));
  state.SetLabel(names[state.range(0)]);
}
BENCHMARK(BestTilingSearches)->DenseRange(0, 2)->Unit(benchmark::kMicrosecond);

void BestTilingSearch(benchmark::State& state) {
  const CostModel model(Config(), DefaultCostTable());
  const Layer& layer = kLayers[state.range(0)];
  for (auto _ : state) benchmark::DoNotOptimize(model.Evaluate(layer));
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(model.Evaluate(layer)->tiling.ToString());
}
BENCHMARK(BestTilingSearch)->DenseRange(0, 5)->Unit(benchmark::kMicrosecond);

// --- The simulator ---

void SimulatedInstructions(benchmark::State& state) {
  const Layer& layer = kLayers[state.range(0)];
  const CostModel model(Config(), DefaultCostTable());
  LoweredProgram lowered;
  std::string why;
  if (!Lower(layer, Config(), model.Evaluate(layer)->tiling, LowerOptions(), &lowered, &why)) {
    return state.SkipWithError(why.c_str());
  }
  const std::vector<Instruction>& instructions = lowered.program.instructions;
  for (auto _ : state) {
    benchmark::DoNotOptimize(Simulate(Config(), MemoryModel::kQueued, instructions));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(instructions.size()));
  state.SetLabel(std::to_string(instructions.size()) + " instructions");
}
BENCHMARK(SimulatedInstructions)->DenseRange(0, 5)->Unit(benchmark::kMicrosecond);

// --- Tables of layer costs ---

// Entries of a table: all layers of fbnet-cifar on the up to 64 valid scratchpad sizes of `vta`
// that go with 1 x 2^n x 2^n multipliers. Searches are shared between them.
void TableEntries(benchmark::State& state) {
  const std::unique_ptr<DesignSpace> space = Space("vta");
  const TableHead head = HeadOf(Vta(), *space, DefaultCostTable(), "fbnet-cifar", Items());
  const LayerTableRows rows(*space, DefaultCostTable(), head);
  const std::atomic<bool> stop{false};
  std::vector<TableEntry> entries;
  size_t group = 0;
  const auto wanted = [&](size_t g) {
    const DesignPtr design = space->AtPoint(head.configurations[rows.rows(g)[0]].point);
    const Config& config = VtaConfig(*design);
    return config.log_batch == 0 && config.log_block_in == state.range(0) &&
           config.log_block_out == state.range(0);
  };
  while (group < rows.groups() && !wanted(group)) ++group;
  if (group == rows.groups()) return state.SkipWithError("no such valid points");
  for (auto _ : state) rows.Evaluate(group, stop, &entries);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(entries.size()));
  state.SetLabel(std::to_string(rows.rows(group).size()) + " configurations");
}
BENCHMARK(TableEntries)->DenseRange(3, 5)->Unit(benchmark::kMillisecond);

LayerTable MadeUpTable() {
  const std::unique_ptr<DesignSpace> space = Space("vta");
  const TableHead head = HeadOf(Vta(), *space, DefaultCostTable(), "fbnet-cifar", Items());
  std::vector<TableEntry> entries(head.items.size() * head.configurations.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    entries[i] = {static_cast<int64_t>(i + 1), static_cast<double>(i), 0, 1};
  }
  return std::move(*LayerTable::FromFile(LayerTableBytes(head, entries), "memory"));
}

// A layer by its shape on a configuration at hand.
void TableLookup(benchmark::State& state) {
  const LayerTable table = MadeUpTable();
  size_t row = 0;
  for (auto _ : state) {
    row = (row + 1009) % table.rows();
    for (const std::vector<Layer>& item : Items()) {
      const int at = table.FindItem(item.data(), static_cast<int>(item.size()));
      benchmark::DoNotOptimize(table.At(row)[static_cast<size_t>(at)]);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(Items().size()));
}
BENCHMARK(TableLookup)->Unit(benchmark::kNanosecond);

// A configuration by its key.
void TableRow(benchmark::State& state) {
  const LayerTable table = MadeUpTable();
  const Config config;
  for (auto _ : state) benchmark::DoNotOptimize(table.FindRow(ConfigurationKey(config)));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(TableRow)->Unit(benchmark::kNanosecond);

// --- Whole designs: a network on another accelerator each time, as a search proposes them ---

void Designs(benchmark::State& state, bool from_table) {
  const nn::Network network = *nn::ParseNetwork("fbnet-a@cifar");
  const std::vector<Layer> layers =
      search::ToHardwareLayers(nn::LayersOf(network.space, network.genotype));
  const search::Workload workload(layers);
  const std::unique_ptr<DesignSpace> space = Space("vta");
  search::CostSource source;
  source.table = &DefaultCostTable();
  TableHead head = HeadOf(Vta(), *space, DefaultCostTable(), "fbnet-cifar", Items());
  if (from_table) {
    std::vector<TableEntry> entries(head.items.size() * head.configurations.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      entries[i] = {static_cast<int64_t>(1000 + i % 977), static_cast<double>(i), 0, 1};
    }
    source.layers = std::make_shared<LayerTable>(
        std::move(*LayerTable::FromFile(LayerTableBytes(head, entries), "memory")));
  }
  std::vector<DesignPtr> designs;
  for (size_t row = 0; row < head.configurations.size(); row += 37) {
    designs.push_back(space->AtPoint(head.configurations[row].point));
  }
  engine::ThreadPool pool(1);
  size_t at = 0;
  for (auto _ : state) {
    at = (at + 1) % designs.size();
    benchmark::DoNotOptimize(search::Evaluate(*source.Model(*designs[at]), workload, pool));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(Designs, Evaluated, false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Designs, FromTable, true)->Unit(benchmark::kMicrosecond);

// --- Models and validity ---

void NewModel(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(CostModel(Config(), DefaultCostTable()));
}
BENCHMARK(NewModel)->Unit(benchmark::kMicrosecond);

void Validity(benchmark::State& state) {
  const Config config;
  for (auto _ : state) benchmark::DoNotOptimize(BrokenRules(config));
}
BENCHMARK(Validity)->Unit(benchmark::kNanosecond);

void CountSpace(benchmark::State& state) {
  const HwSpace space = *FindHwSpace(state.range(0) == 0 ? "vta" : "vta-wide");
  for (auto _ : state) benchmark::DoNotOptimize(Count(space));
  state.SetLabel(space.name);
}
BENCHMARK(CountSpace)->DenseRange(0, 1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rhnas::hw

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  // Measured on one core of a machine of this kind (bench/results names it), each at its own task:
  // not the same work, so the ratio is no measure of quality.
  std::fputs(
      "\nOther models, one core, each at its own task and fidelity:\n"
      "  MAESTRO -O2             2,200 to 2,600 layers/s, one given mapping each: counts of "
      "reuse,\n"
      "                          no validity, DRAM energy absent\n"
      "  Timeloop 3.0.3 mapper   170 to 190 valid mappings/s of 970 tried: loop nests, capacities "
      "and\n"
      "                          fan-out, energy of each access\n"
      "  timeloop-model          69 mappings/s as a process\n"
      "  ZigZag                  0.41 layers/s with its mapping search (LOMA)\n"
      "  SCALE-Sim v3            0.09 layers/s, cycle by cycle: 11,000 simulated cycles/s\n"
      "Compare ClosedForm and CostOfTiling with the first three (a given mapping), "
      "BestTilingSearches\n"
      "with ZigZag, SimulatedInstructions with SCALE-Sim. Ours models one machine, VTA, with its\n"
      "double buffering, bus and fetch; the others model many.\n",
      stderr);
  return 0;
}
