#include "search/space_costs.h"

#include <algorithm>
#include <mutex>

#include "hw/chain.h"
#include "hw/layer_table_rows.h"
#include "rl/double_math.h"
#include "search/layers.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

// Layers of one candidate, or of all slots without a choice that follow each other.
struct Span {
  int begin, end;
  size_t column;
};

// All candidates as one list of layers, as search/slot_costs.cc has them.
std::vector<hw::Layer> LayersOfAll(const nn::Space& space, std::vector<Span>* spans,
                                   std::vector<int>* offsets, size_t* columns) {
  std::vector<hw::Layer> layers;
  std::vector<nn::LayerShape> shapes;
  *columns = 1;
  for (size_t i = 0; i < space.slots.size(); ++i) {
    const nn::Slot& slot = space.slots[i];
    const bool joins =
        !slot.searchable() && i + 1 < space.slots.size() && !space.slots[i + 1].searchable();
    if (slot.searchable()) offsets->push_back(static_cast<int>(*columns));
    for (const nn::Block& block : slot.candidates) {
      nn::AppendLayers(space, static_cast<int>(i), block, &shapes);
      if (joins) continue;
      const int begin = static_cast<int>(layers.size());
      for (const nn::LayerShape& shape : shapes) layers.push_back(ToHardwareLayer(shape));
      spans->push_back(
          {begin, static_cast<int>(layers.size()), slot.searchable() ? (*columns)++ : 0});
      shapes.clear();
    }
  }
  return layers;
}

}  // namespace

Result<std::shared_ptr<const SpaceCosts>> SpaceCosts::Build(const Question& q,
                                                            engine::ThreadPool& pool,
                                                            ProgressSink* sink,
                                                            const std::atomic<bool>& stop) {
  auto costs = std::make_shared<SpaceCosts>();
  std::vector<Span> spans;
  const hw::ChainSet chains(LayersOfAll(*q.networks, &spans, &costs->offsets_, &costs->columns_));
  const size_t columns = costs->columns_;
  costs->points_ = q.space->NetworkPoints({});
  const size_t rows = costs->points_.size();
  if (rows == 0) {
    return Status::Error("no point of hardware space %s runs networks", q.space->name().c_str());
  }
  if (static_cast<int64_t>(rows * columns) > kMostEntries) {
    return Status::Error(
        "hardware space %s has %zu points that run networks, times %zu candidates: too many to "
        "price; take a smaller space",
        q.space->name().c_str(), rows, columns);
  }
  costs->areas_.resize(rows);
  costs->latency_.assign(rows * columns, 0);
  costs->energy_.assign(rows * columns, 0);
  hw::TableHead head;
  head.accelerator = q.accelerator->name();
  for (const hw::ChainSet::Item& item : chains.items()) {
    const hw::Layer* first = chains.layers_of(item);
    head.items.emplace_back(first, first + item.length);
  }
  for (int64_t point : costs->points_) head.configurations.push_back({0, point, std::string()});
  const double reference_area = q.space->Reference()->AreaUm2(*q.prices);
  const hw::LayerTableRows table(*q.space, *q.prices, head);
  std::mutex mutex;  // of progress
  Progress progress;
  progress.phase = "pricing";
  progress.unit = "points";
  progress.total = static_cast<int64_t>(rows);
  pool.ParallelFor(static_cast<int64_t>(table.groups()), 1, [&](int64_t begin, int64_t end, int) {
    std::vector<hw::TableEntry> entries;
    for (int64_t group = begin; group < end; ++group) {
      if (!table.Evaluate(static_cast<size_t>(group), stop, &entries)) return;
      const std::vector<size_t>& members = table.rows(static_cast<size_t>(group));
      for (size_t i = 0; i < members.size(); ++i) {
        const size_t row = members[i];
        const auto model = q.space->AtPoint(costs->points_[row])->Model(*q.prices);
        costs->areas_[row] = model->area_um2() / reference_area;
        const ItemPrices prices = PricesOfEntries(chains, entries.data() + i * head.items.size());
        for (const Span& span : spans) {
          const std::optional<DesignCost> cost =
              SumOf(*model, chains, span.begin, span.end, prices);
          double& latency = costs->latency_[row * columns + span.column];
          if (!cost || latency < 0) {
            latency = -1;
            continue;
          }
          latency += static_cast<double>(cost->latency_cycles);
          costs->energy_[row * columns + span.column] += cost->energy_pj;
        }
      }
      const std::lock_guard<std::mutex> lock(mutex);
      progress.done += static_cast<int64_t>(members.size());
      if (sink != nullptr) sink->Report(progress);
    }
  });
  if (stop) return std::shared_ptr<const SpaceCosts>();
  return std::shared_ptr<const SpaceCosts>(std::move(costs));
}

void SpaceCosts::Landscape(const std::vector<int>& choice, Objective objective,
                           std::vector<double>* logs, std::vector<uint8_t>* runs) const {
  logs->assign(points_.size(), 0);
  runs->assign(points_.size(), 1);
  for (size_t row = 0; row < points_.size(); ++row) {
    const double* latency = &latency_[row * columns_];
    const double* energy = &energy_[row * columns_];
    double cycles = latency[0], pj = energy[0];
    bool fits = latency[0] >= 0;
    for (size_t slot = 0; slot < choice.size(); ++slot) {
      const size_t column = static_cast<size_t>(offsets_[slot] + choice[slot]);
      fits = fits && latency[column] >= 0;
      cycles += latency[column];
      pj += energy[column];
    }
    DesignCost cost;
    cost.latency_cycles = static_cast<int64_t>(cycles);
    cost.energy_pj = pj;
    cost.edp_pj_cycles = cycles * pj;
    (*runs)[row] = fits ? 1 : 0;
    if (fits) (*logs)[row] = rl::Log(ObjectiveValue(objective, cost));
  }
}

}  // namespace rhnas::search
