#include "search/layer_tables.h"

#include <limits>
#include <utility>

#include "hw/chain.h"
#include "hw/fnv.h"
#include "hw/layer_table_csv.h"
#include "hw/layer_table_rows.h"
#include "hw/layer_text.h"
#include "search/layers.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;
using hw::Layer;
using hw::LayerCost;
using hw::NetworkCost;

namespace {

constexpr int64_t kAnyCycles = std::numeric_limits<int64_t>::max();

// What a memo keeps instead of a tiling: nothing below so many cycles was found. No tiling's code:
// the width of its tile is 0.
constexpr uint64_t kNothingBelow = 1, kSizesMask = (uint64_t{1} << 24) - 1;
constexpr int64_t kMostKept = (int64_t{1} << 40) - 1;  // for: cannot run at all

uint64_t ItemKey(uint64_t key, const Layer* layers, int count) {
  hw::Fnv fnv;
  fnv.Add(static_cast<int64_t>(key));
  for (int i = 0; i < count; ++i) {
    const Layer& l = layers[i];
    for (const int value : {static_cast<int>(l.kind), l.n, l.h, l.w, l.c, l.k, l.r, l.s, l.stride,
                            l.pad, l.groups, l.bias ? 1 : 0, l.relu ? 1 : 0}) {
      fnv.Add(value);
    }
  }
  return fnv.value();
}

class TabulatedModel final : public hw::DesignModel {
 public:
  TabulatedModel(const hw::Design& design, std::unique_ptr<hw::DesignModel> inner,
                 std::shared_ptr<const hw::LayerTable> table, std::shared_ptr<LayerMemo> memo)
      : inner_(std::move(inner)),
        table_(std::move(table)),
        memo_(std::move(memo)),
        key_(design.Key()),
        row_(table_ == nullptr ? -1 : table_->FindRow(key_)) {}

  double area_um2() const override { return inner_->area_um2(); }
  std::string design_name() const override { return inner_->design_name(); }
  const hw::EnergyPrices& prices() const override { return inner_->prices(); }
  std::string ScheduleText(const LayerCost& cost) const override {
    return given() ? "" : inner_->ScheduleText(cost);
  }
  bool RunsNetworks(std::string* why) const override {
    return given() || inner_->RunsNetworks(why);
  }

  std::optional<LayerCost> Evaluate(const Layer& layer, std::string* why) const override {
    return EvaluateChain(&layer, 1, kAnyCycles, why);
  }

  std::optional<LayerCost> EvaluateChain(const Layer* layers, int count, int64_t below_cycles,
                                         std::string* why) const override {
    const int item = row_ < 0 ? -1 : table_->FindItem(layers, count);
    if (item < 0) {
      return given() ? Missing(layers, count, why) : Remembered(layers, count, below_cycles, why);
    }
    const hw::TableEntry entry = table_->At(static_cast<size_t>(row_))[static_cast<size_t>(item)];
    if (entry.runs() && entry.latency_cycles >= below_cycles) return std::nullopt;
    if (given()) return Given(layers, count, entry, why);
    if (entry.runs() && entry.tiling_code != 0) {
      return inner_->EvaluateChainAgain(layers, count, hw::UnpackTiling(entry.tiling_code));
    }
    if (!entry.runs() && why == nullptr) return std::nullopt;
    return Inner(layers, count, below_cycles, why);
  }

  bool ChainNumbers(const Layer* layers, int count, int64_t below_cycles,
                    Numbers* numbers) const override {
    const int item = row_ < 0 ? -1 : table_->FindItem(layers, count);
    if (item < 0) return DesignModel::ChainNumbers(layers, count, below_cycles, numbers);
    const hw::TableEntry entry = table_->At(static_cast<size_t>(row_))[static_cast<size_t>(item)];
    if (!entry.runs() || entry.latency_cycles >= below_cycles) return false;
    *numbers = {entry.latency_cycles, entry.dram_bytes, entry.energy_pj};
    return true;
  }

  std::optional<NetworkCost> Evaluate(const std::vector<Layer>& layers,
                                      std::string* why) const override {
    std::optional<NetworkCost> total = hw::SumOfChains(*this, hw::ChainSet(layers), why);
    if (!given() || !total) return total;
    // Nothing is known of what a user's energies are made of: their sum it is.
    total->energy = hw::EnergyParts();
    total->energy_pj = 0;
    for (const LayerCost& cost : total->layers) total->energy_pj += cost.energy_pj;
    total->edp_pj_cycles = static_cast<double>(total->latency_cycles) * total->energy_pj;
    return total;
  }

 private:
  bool given() const { return table_ != nullptr && table_->head().given; }

  std::optional<LayerCost> Inner(const Layer* layers, int count, int64_t below_cycles,
                                 std::string* why) const {
    return count == 1 ? inner_->Evaluate(layers[0], why)
                      : inner_->EvaluateChain(layers, count, below_cycles, why);
  }

  std::optional<LayerCost> Missing(const Layer* layers, int count, std::string* why) const {
    if (why != nullptr) {
      *why = table_->path() + ": has no entry of layer " +
             hw::ChainText(std::vector<Layer>(layers, layers + count)) + " on configuration " +
             design_name();
    }
    return std::nullopt;
  }

  std::optional<LayerCost> Given(const Layer* layers, int count, const hw::TableEntry& entry,
                                 std::string* why) const {
    if (!entry.runs()) {
      if (why != nullptr) {
        *why = "layer " + layers[0].name + " cannot run there, says " + table_->path();
      }
      return std::nullopt;
    }
    LayerCost cost;
    cost.latency_cycles = entry.latency_cycles;
    cost.energy_pj = entry.energy_pj;
    cost.dram_bytes = entry.dram_bytes;
    for (int i = 0; i < count; ++i) cost.macs += layers[i].macs();
    return cost;
  }

  std::optional<LayerCost> Remembered(const Layer* layers, int count, int64_t below_cycles,
                                      std::string* why) const {
    if (memo_ == nullptr) return Inner(layers, count, below_cycles, why);
    const uint64_t key = ItemKey(key_, layers, count);
    uint64_t code = 0;
    if (memo_->Find(key, &code)) {
      if ((code & kSizesMask) != kNothingBelow) {
        std::optional<LayerCost> cost =
            inner_->EvaluateChainAgain(layers, count, hw::UnpackTiling(code));
        if (cost && cost->latency_cycles < below_cycles) return cost;
        return std::nullopt;
      }
      const int64_t limit = static_cast<int64_t>(code >> 24);
      if (why == nullptr && (limit == kMostKept || below_cycles <= limit)) return std::nullopt;
    }
    std::optional<LayerCost> cost = Inner(layers, count, below_cycles, why);
    if (cost) {
      code = hw::PackTiling(cost->tiling);
    } else if (below_cycles == kAnyCycles) {
      code = kNothingBelow | static_cast<uint64_t>(kMostKept) << 24;
    } else {
      const bool fits = below_cycles >= 0 && below_cycles < kMostKept;
      code = fits ? kNothingBelow | static_cast<uint64_t>(below_cycles) << 24 : 0;
    }
    if (code != 0) memo_->Add(key, code);
    return cost;
  }

  std::unique_ptr<hw::DesignModel> inner_;
  std::shared_ptr<const hw::LayerTable> table_;
  std::shared_ptr<LayerMemo> memo_;
  uint64_t key_;
  int64_t row_;
};

Status Missing(const LayerTableQuestion& q, const std::string& what, size_t count, size_t of,
               const std::string& first) {
  return Status::Error("%s: has no entries of %zu of the %zu %s, the first is %s", q.path.c_str(),
                       count, of, what.c_str(), first.c_str());
}

// What the table lacks: an error of a user's, a note of another one.
Status CheckCoverage(const LayerTableQuestion& q, const hw::LayerTable& table, std::string* note) {
  size_t singles = 0, layers_missing = 0, designs_missing = 0;
  std::string first_layer, first_design;
  for (const std::vector<Layer>& item : q.items) {
    if (item.size() > 1) continue;
    ++singles;
    if (table.FindItem(item.data(), 1) >= 0) continue;
    if (layers_missing++ == 0) first_layer = hw::LayerText(item[0]);
  }
  std::vector<hw::DesignPtr> designs = q.designs;
  if (q.whole_space) {
    for (const int64_t point : q.space->ValidPoints(q.limits)) {
      designs.push_back(q.space->AtPoint(point));
    }
  }
  for (const hw::DesignPtr& design : designs) {
    if (table.FindRow(design->Key()) >= 0) continue;
    if (designs_missing++ == 0) first_design = design->ShortName();
  }
  if (table.head().given) {
    if (layers_missing > 0) {
      return Missing(q, "layers of " + q.networks, layers_missing, singles, first_layer);
    }
    if (designs_missing > 0) {
      return Missing(q, "configurations that can be asked for", designs_missing, designs.size(),
                     first_design);
    }
  } else if (layers_missing + designs_missing > 0) {
    *note = engine::Format(
        "%s: covers %zu of %zu layers and %zu of %zu configurations; the rest is evaluated",
        q.path.c_str(), singles - layers_missing, singles, designs.size() - designs_missing,
        designs.size());
  }
  return Status::Ok();
}

}  // namespace

std::vector<std::vector<Layer>> TableItems(const nn::Space& space) {
  // As the slot costs see a space: all candidates of all slots as one list; what comes again is one
  // item, and so is a chain that crosses from a slot without a choice into the next.
  std::vector<Layer> layers;
  std::vector<nn::LayerShape> shapes;
  for (size_t i = 0; i < space.slots.size(); ++i) {
    const bool joins = !space.slots[i].searchable() && i + 1 < space.slots.size() &&
                       !space.slots[i + 1].searchable();
    for (const nn::Block& block : space.slots[i].candidates) {
      nn::AppendLayers(space, static_cast<int>(i), block, &shapes);
      if (joins) continue;
      for (const nn::LayerShape& shape : shapes) layers.push_back(ToHardwareLayer(shape));
      shapes.clear();
    }
  }
  const hw::ChainSet chains(layers);
  std::vector<std::vector<Layer>> items;
  for (const hw::ChainSet::Item& item : chains.items()) {
    const Layer* first = chains.layers_of(item);
    items.emplace_back(first, first + item.length);
  }
  return items;
}

Result<std::shared_ptr<const hw::LayerTable>> OpenLayerTable(const LayerTableQuestion& q,
                                                             std::string* note) {
  const hw::TableKind kind = hw::KindOfTable(q.path);
  const bool binary = kind != hw::TableKind::kOther;
  if (kind == hw::TableKind::kBuilt) {
    // It is there, it can be read: what refuses is this machine's memory.
    if (const auto mapped = hw::MappedFile::Open(q.path); !mapped.ok()) {
      *note = mapped.error() + "; costs are evaluated instead";
      return std::shared_ptr<const hw::LayerTable>();
    }
  }
  if (!binary && q.space == nullptr) {
    // A file that cannot be read says so.
    hw::Result<hw::LayerTable> opened = hw::LayerTable::Open(q.path);
    return Status::Error("%s; of a CSV make one with rhnas table import",
                         opened.ok() ? q.path.c_str() : opened.error().c_str());
  }
  hw::TableHead expected;
  if (!binary) {
    expected.accelerator = q.accelerator->name();
    expected.space = q.space->name();
    expected.networks = q.networks;
    expected.items = q.items;
    expected.configurations = hw::ConfigurationsOf(*q.space);
  }
  hw::Result<hw::LayerTable> opened =
      binary ? hw::LayerTable::Open(q.path) : hw::ReadLayerTableCsv(q.path, expected);
  if (!opened.ok()) return Status::Error("%s", opened.error().c_str());
  auto table = std::make_shared<hw::LayerTable>(std::move(*opened));
  const hw::TableHead& head = table->head();
  const char* path = q.path.c_str();
  if (head.accelerator != q.accelerator->name()) {
    return Status::Error("%s: is of accelerator %s, expected %s", path, head.accelerator.c_str(),
                         q.accelerator->name());
  }
  std::string why;
  if (binary && !hw::CheckLayerTable(*table, &why)) return Status::Error("%s", why.c_str());
  if (!head.given) {
    if (head.prices != hw::PricesFingerprint(*q.prices)) {
      return Status::Error(
          "%s: was built with another energy table; give that one with --energy-table, or build it "
          "again with rhnas table build",
          path);
    }
    if (head.model != hw::ModelFingerprint(*q.accelerator)) {
      return Status::Error(
          "%s: was built with another version of the cost model; build it again with rhnas table "
          "build",
          path);
    }
  }
  if (Status status = CheckCoverage(q, *table, note); !status.ok()) return status;
  return std::shared_ptr<const hw::LayerTable>(std::move(table));
}

bool LayerMemo::Find(uint64_t key, uint64_t* code) {
  const size_t at = static_cast<size_t>(key % kEntries);
  const std::lock_guard<std::mutex> lock(locks_[at % kLocks]);
  if (entries_[at].key != key || entries_[at].code == 0) return false;
  *code = entries_[at].code;
  return true;
}

void LayerMemo::Add(uint64_t key, uint64_t code) {
  const size_t at = static_cast<size_t>(key % kEntries);
  const std::lock_guard<std::mutex> lock(locks_[at % kLocks]);
  entries_[at] = {key, code};
}

std::unique_ptr<hw::DesignModel> MakeTabulatedModel(const hw::Design& design,
                                                    std::unique_ptr<hw::DesignModel> inner,
                                                    std::shared_ptr<const hw::LayerTable> table,
                                                    std::shared_ptr<LayerMemo> memo) {
  return std::make_unique<TabulatedModel>(design, std::move(inner), std::move(table),
                                          std::move(memo));
}

}  // namespace rhnas::search
