#include "hw/layer_table_rows.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <optional>

#include "hw/vta_accelerator.h"

namespace rhnas::hw {
namespace {

// The sizes that a tiling must fit into and that no time depends on. (The micro-op scratchpad is
// none of them: how loops are folded into micro-ops, and so their load, depends on its size.)
constexpr int Config::*kSizes[] = {&Config::log_inp_buff, &Config::log_wgt_buff,
                                   &Config::log_acc_buff};
constexpr size_t kSizeCount = 3;
using Sizes = std::array<int, kSizeCount>;

Sizes SizesOf(const Config& config) {
  Sizes sizes{};
  for (size_t i = 0; i < kSizeCount; ++i) sizes[i] = config.*kSizes[i];
  return sizes;
}

int Total(const Sizes& sizes) {
  int total = 0;
  for (const int size : sizes) total += size;
  return total;
}

bool Covers(const Sizes& larger, const Sizes& smaller) {
  for (size_t i = 0; i < kSizeCount; ++i) {
    if (larger[i] < smaller[i]) return false;
  }
  return true;
}

// What a search found, and where.
struct Found {
  Sizes sizes;
  std::optional<Tiling> tiling;  // empty: nothing fits
};

TableEntry EntryOf(const LayerCost& cost) {
  TableEntry entry;
  entry.latency_cycles = cost.latency_cycles;
  entry.energy_pj = cost.energy_pj;
  entry.dram_bytes = cost.dram_bytes;
  entry.tiling_code = PackTiling(cost.tiling);
  return entry;
}

// The entry of one item on one configuration, from an earlier search where it holds here too.
TableEntry EvaluateItem(const DesignModel& model, const Sizes& sizes,
                        const std::vector<Layer>& item, std::vector<Found>* found) {
  const int count = static_cast<int>(item.size());
  const Tiling* refused = nullptr;
  for (const Found& earlier : *found) {
    if (!Covers(earlier.sizes, sizes)) continue;
    if (!earlier.tiling) return TableEntry();
    if (refused != nullptr && PackTiling(*refused) == PackTiling(*earlier.tiling)) continue;
    if (const std::optional<LayerCost> cost =
            model.EvaluateChainAgain(item.data(), count, *earlier.tiling)) {
      return EntryOf(*cost);
    }
    refused = &*earlier.tiling;
  }
  const std::optional<LayerCost> cost =
      model.EvaluateChain(item.data(), count, std::numeric_limits<int64_t>::max());
  found->push_back({sizes, std::nullopt});
  if (!cost) return TableEntry();
  found->back().tiling = cost->tiling;
  return EntryOf(*cost);
}

}  // namespace

std::string SpaceText(const DesignSpace& space) {
  std::string text;
  for (const SpaceParameter& parameter : space.parameters()) {
    text += parameter.key;
    for (const int value : parameter.values) text += " " + std::to_string(value);
    text += "\n";
  }
  // What the parameters do not set shows in the points.
  if (space.points() == 0) return text;
  return text + space.AtPoint(0)->ToJson() + "\n" + space.AtPoint(space.points() - 1)->ToJson();
}

std::vector<TableConfiguration> ConfigurationsOf(const DesignSpace& space) {
  std::vector<TableConfiguration> configurations;
  std::map<std::string, int> seen;
  for (const int64_t point : space.ValidPoints(Limits())) {
    const DesignPtr design = space.AtPoint(point);
    configurations.push_back({design->Key(), point, design->ShortName()});
    ++seen[configurations.back().name];
  }
  if (seen.size() == configurations.size()) return configurations;
  for (TableConfiguration& configuration : configurations) {
    if (seen[configuration.name] > 1)
      configuration.name += "#" + std::to_string(configuration.point);
  }
  return configurations;
}

TableHead HeadOf(const Accelerator& family, const DesignSpace& space, const CostTable& prices,
                 const std::string& networks, const std::vector<std::vector<Layer>>& items) {
  TableHead head;
  head.accelerator = family.name();
  head.space = space.name();
  head.space_text = SpaceText(space);
  head.networks = networks;
  head.model = ModelFingerprint(family);
  head.prices = PricesFingerprint(prices);
  head.items = items;
  head.configurations = ConfigurationsOf(space);
  return head;
}

LayerTableRows::LayerTableRows(const DesignSpace& space, const CostTable& prices,
                               const TableHead& head)
    : space_(space), prices_(prices), head_(head), vta_(head.accelerator == Vta().name()) {
  std::map<uint64_t, size_t> group_of;
  std::vector<int> totals;
  for (size_t row = 0; row < head.configurations.size(); ++row) {
    if (!vta_) {
      groups_.push_back({row});
      continue;
    }
    Config config = VtaConfig(*space.AtPoint(head.configurations[row].point));
    totals.push_back(Total(SizesOf(config)));
    for (int Config::*size : kSizes) config.*size = 0;
    const auto [at, is_new] = group_of.emplace(ConfigurationKey(config), groups_.size());
    if (is_new) groups_.emplace_back();
    groups_[at->second].push_back(row);
  }
  // The larger ones first: a configuration comes after all that cover it.
  for (std::vector<size_t>& group : groups_) {
    std::stable_sort(group.begin(), group.end(),
                     [&totals](size_t a, size_t b) { return totals[a] > totals[b]; });
  }
}

bool LayerTableRows::Evaluate(size_t group, const std::atomic<bool>& stop,
                              std::vector<TableEntry>* entries) const {
  const std::vector<size_t>& rows = groups_[group];
  const size_t items = head_.items.size();
  entries->assign(rows.size() * items, TableEntry());
  std::vector<std::unique_ptr<DesignModel>> models;
  std::vector<Sizes> sizes;
  for (const size_t row : rows) {
    const DesignPtr design = space_.AtPoint(head_.configurations[row].point);
    models.push_back(design->Model(prices_));
    sizes.push_back(vta_ ? SizesOf(VtaConfig(*design)) : Sizes{});
  }
  std::vector<Found> found;
  for (size_t item = 0; item < items; ++item) {
    found.clear();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (stop.load(std::memory_order_relaxed)) return false;
      (*entries)[i * items + item] = EvaluateItem(*models[i], sizes[i], head_.items[item], &found);
    }
  }
  return true;
}

}  // namespace rhnas::hw
