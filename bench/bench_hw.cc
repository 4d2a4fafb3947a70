// Speed of the accelerator model: one closed-form evaluation, one best-tiling search, a network,
// validity and the counts of a space.
#include <benchmark/benchmark.h>

#include "hw/cost.h"
#include "hw/schedule.h"
#include "hw/space.h"
#include "hw/tiling_search.h"

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

void BestTilingSearch(benchmark::State& state) {
  const CostModel model(Config(), DefaultCostTable());
  const Layer& layer = kLayers[state.range(0)];
  for (auto _ : state) benchmark::DoNotOptimize(model.Evaluate(layer));
  state.SetLabel(model.Evaluate(layer)->tiling.ToString());
}
BENCHMARK(BestTilingSearch)->DenseRange(0, 5)->Unit(benchmark::kMicrosecond);

void OneTiling(benchmark::State& state) {
  Work work;
  MakeWork(kLayers[state.range(0)], Config(), &work, nullptr);
  const Machine machine(work, Config(), MemoryModel::kQueued);
  BestTiling best;
  FindTiling(machine, &best, nullptr);
  const PixelCut rows = CutRows(work, best.tiling.th);
  const PixelCut cols = CutCols(work, best.tiling.tw);
  Schedule schedule;
  for (auto _ : state) {
    BuildSchedule(machine, best.tiling, rows, cols, MakePixelTiles(machine, rows, cols), &schedule);
    benchmark::DoNotOptimize(LatencyCycles(machine, best.tiling, schedule));
  }
}
BENCHMARK(OneTiling)->DenseRange(0, 5)->Unit(benchmark::kNanosecond);

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

BENCHMARK_MAIN();
