#include "search/landscape.h"

#include <algorithm>
#include <mutex>

#include "hw/layer_table_rows.h"
#include "search/joint_search.h"
#include "search/progress.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

// Points that one task checks against the rules.
constexpr int64_t kGrain = 512;
// Progress is news only of what takes longer.
constexpr double kQuietSeconds = 2;

// One task's thread asks a pool of its own: pools do not nest.
std::optional<DesignCost> EvaluateAlone(const hw::DesignModel& model, const Workload& workload) {
  engine::ThreadPool alone(1);
  return Evaluate(model, workload, alone);
}

}  // namespace

ItemPrices PricesOfEntries(const hw::ChainSet& chains, const hw::TableEntry* entries) {
  const size_t items = chains.items().size();
  ItemPrices prices;
  prices.latency_cycles.assign(items, -1);
  prices.energy_pj.assign(items, 0);
  prices.dram_bytes.assign(items, 0);
  for (size_t i = 0; i < items; ++i) {
    const hw::TableEntry& entry = entries[i];
    if (!entry.runs()) continue;
    if (entry.latency_cycles >= chains.Limit(static_cast<int>(i), prices.latency_cycles)) continue;
    prices.latency_cycles[i] = entry.latency_cycles;
    prices.energy_pj[i] = entry.energy_pj;
    prices.dram_bytes[i] = entry.dram_bytes;
  }
  return prices;
}

Result<std::shared_ptr<const Landscape>> Landscape::Build(const Question& q,
                                                          engine::ThreadPool& pool,
                                                          ProgressSink* sink,
                                                          const std::atomic<bool>* stop) {
  const hw::DesignSpace& space = *q.space;
  const int64_t points = space.points();
  if (points > kMostPoints) {
    return Status::Error(
        "hardware space %s has %lld points: at most %lld can be evaluated as a whole",
        space.name().c_str(), static_cast<long long>(points), static_cast<long long>(kMostPoints));
  }
  const std::atomic<bool> never{false};
  const std::atomic<bool>& stopped = stop != nullptr ? *stop : never;
  const Workload workload(q.layers);
  const bool single = q.layers.size() == 1;  // runs where networks do not
  auto landscape = std::make_shared<Landscape>();
  std::vector<Place>& places = landscape->places_;
  places.resize(static_cast<size_t>(points));

  // Which points can be built, and which of them may run networks.
  pool.ParallelFor(points, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t point = begin; point < end && !stopped; ++point) {
      const hw::DesignPtr design = space.AtPoint(point);
      Place& place = places[static_cast<size_t>(point)];
      for (const hw::BrokenRule& rule : design->CheckAll(q.limits)) {
        place.broken |= uint32_t{1} << rule.rule;
        place.severity += rule.severity;
      }
      if (place.broken != 0) continue;
      place.at = kNoRun;
      if (single || q.costs.Model(*design)->RunsNetworks(nullptr)) place.at = 0;
    }
  });
  if (stopped) return std::shared_ptr<const Landscape>();

  // Their costs: with a table of layers each asks it; otherwise configurations share searches.
  hw::TableHead head;
  head.accelerator = q.accelerator->name();
  for (const hw::ChainSet::Item& item : workload.chains.items()) {
    const hw::Layer* first = workload.chains.layers_of(item);
    head.items.emplace_back(first, first + item.length);
  }
  for (int64_t point = 0; point < points; ++point) {
    Place& place = places[static_cast<size_t>(point)];
    if (place.at == kBroken) ++landscape->invalid_;
    if (place.at < 0) continue;
    place.at = static_cast<int32_t>(head.configurations.size());
    head.configurations.push_back({0, point, std::string()});
  }
  const size_t rows = head.configurations.size();
  std::vector<DesignCost> costs(rows);
  std::vector<uint8_t> runs(rows, 0);
  std::mutex mutex;  // of progress
  Progress progress;
  progress.phase = "points";
  progress.unit = "points";
  progress.total = static_cast<int64_t>(rows);
  const double started = MonotonicSeconds();
  const auto keep = [&](size_t row, const std::optional<DesignCost>& cost) {
    if (!cost) return;
    costs[row] = *cost;
    runs[row] = 1;
  };
  const auto report = [&](size_t done) {
    const std::lock_guard<std::mutex> lock(mutex);
    progress.done += static_cast<int64_t>(done);
    if (sink != nullptr && MonotonicSeconds() - started > kQuietSeconds) sink->Report(progress);
  };
  if (q.costs.layers != nullptr) {
    pool.ParallelFor(static_cast<int64_t>(rows), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end && !stopped; ++row) {
        const auto at = static_cast<size_t>(row);
        const hw::DesignPtr design = space.AtPoint(head.configurations[at].point);
        keep(at, EvaluateAlone(*q.costs.Model(*design), workload));
        report(1);
      }
    });
  } else {
    const hw::LayerTableRows table(space, *q.costs.table, head);
    const int layers = static_cast<int>(q.layers.size());
    pool.ParallelFor(static_cast<int64_t>(table.groups()), 1, [&](int64_t begin, int64_t end, int) {
      std::vector<hw::TableEntry> entries;
      for (int64_t group = begin; group < end; ++group) {
        if (!table.Evaluate(static_cast<size_t>(group), stopped, &entries)) return;
        const std::vector<size_t>& members = table.rows(static_cast<size_t>(group));
        for (size_t i = 0; i < members.size(); ++i) {
          const hw::DesignPtr design = space.AtPoint(head.configurations[members[i]].point);
          const ItemPrices prices =
              PricesOfEntries(workload.chains, entries.data() + i * head.items.size());
          keep(members[i], SumOf(*q.costs.Model(*design), workload.chains, 0, layers, prices));
        }
        report(members.size());
      }
    });
  }
  if (stopped) return std::shared_ptr<const Landscape>();

  std::vector<DesignCost>& kept = landscape->costs_;
  for (Place& place : places) {
    if (place.at < 0) continue;
    const auto row = static_cast<size_t>(place.at);
    place.at = runs[row] != 0 ? static_cast<int32_t>(kept.size()) : kNoRun;
    if (runs[row] != 0) kept.push_back(costs[row]);
  }
  return std::shared_ptr<const Landscape>(std::move(landscape));
}

int64_t Landscape::Best(Objective objective, double latency_max) const {
  int64_t best = -1;
  double least = 0;
  for (int64_t point = 0; point < points(); ++point) {
    if (state(point) != State::kRuns) continue;
    const DesignCost& here = cost(point);
    if (latency_max > 0 && static_cast<double>(here.latency_cycles) > latency_max) continue;
    const double value = ObjectiveValue(objective, here);
    if (best >= 0 && value >= least) continue;
    best = point;
    least = value;
  }
  return best;
}

int64_t Landscape::Worst(Objective objective) const {
  int64_t worst = -1;
  double most = 0;
  for (int64_t point = 0; point < points(); ++point) {
    if (state(point) != State::kRuns) continue;
    const double value = ObjectiveValue(objective, cost(point));
    if (worst >= 0 && value <= most) continue;
    worst = point;
    most = value;
  }
  return worst;
}

}  // namespace rhnas::search
