#include "search/command_cost_layers.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "engine/status.h"
#include "hw/cost.h"
#include "hw/json.h"
#include "hw/layer_file.h"
#include "hw/number.h"
#include "hw/simulate_layer.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

struct TimedLayer {
  hw::LayerRow row;
  hw::LayerCost cost;  // the closed form's
  hw::SimulatedTime time;
  int64_t instructions = 0;

  double Error(int64_t cycles) const {
    return 100 * (static_cast<double>(cycles) / static_cast<double>(row.measured_cycles) - 1);
  }
};

// Against measured cycles: absolute errors in percent, Spearman's rank correlation, and measured
// over modelled as the geometric mean of its ratios.
struct Errors {
  double mean = 0, p95 = 0, worst = 0, rank_correlation = 0, ratio = 0;
  int layers = 0;
};

// Places from 0, equal values share the mean of theirs.
std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&values](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t i = 0, end = 0; i < order.size(); i = end) {
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t j = i; j < end; ++j) ranks[order[j]] = 0.5 * static_cast<double>(i + end - 1);
  }
  return ranks;
}

double Correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto count = static_cast<double>(a.size());
  double sum_a = 0, sum_b = 0, ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum_a += a[i];
    sum_b += b[i];
  }
  for (size_t i = 0; i < a.size(); ++i) {
    const double da = a[i] - sum_a / count, db = b[i] - sum_b / count;
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

Errors ErrorsOf(const std::vector<double>& measured, const std::vector<double>& modelled) {
  Errors errors;
  errors.layers = static_cast<int>(measured.size());
  if (measured.empty()) return errors;
  std::vector<double> percent;
  for (size_t i = 0; i < measured.size(); ++i) {
    percent.push_back(100 * (modelled[i] / measured[i] - 1));
    errors.ratio += std::log(measured[i] / modelled[i]);
  }
  errors.ratio = std::exp(errors.ratio / static_cast<double>(measured.size()));
  errors.rank_correlation = Correlation(Ranks(measured), Ranks(modelled));
  for (double& p : percent) errors.mean += p = std::abs(p);
  errors.mean /= static_cast<double>(percent.size());
  std::sort(percent.begin(), percent.end());
  // The smallest value that 95 % of the layers do not exceed.
  errors.p95 = percent[(percent.size() * 95 + 99) / 100 - 1];
  errors.worst = percent.back();
  return errors;
}

struct Summary {
  int64_t simulated = 0, closed_form = 0, macs = 0, dram_bytes = 0;
  double energy_pj = 0;
  Errors simulated_error, closed_error;
};

Summary Summarize(const std::vector<TimedLayer>& layers) {
  Summary sum;
  std::vector<double> measured, simulated, closed;
  for (const TimedLayer& l : layers) {
    const int64_t count = l.row.count;
    sum.simulated += count * l.time.cycles;
    sum.closed_form += count * l.cost.latency_cycles;
    sum.macs += count * l.cost.macs;
    sum.dram_bytes += count * l.cost.dram_bytes;
    sum.energy_pj += static_cast<double>(count) * l.cost.energy_pj;
    if (l.row.measured_cycles == 0) continue;
    measured.push_back(static_cast<double>(l.row.measured_cycles));
    simulated.push_back(static_cast<double>(l.time.cycles));
    closed.push_back(static_cast<double>(l.cost.latency_cycles));
  }
  sum.simulated_error = ErrorsOf(measured, simulated);
  sum.closed_error = ErrorsOf(measured, closed);
  return sum;
}

const char* ModelName(hw::MemoryModel memory) {
  return memory == hw::MemoryModel::kPipelined ? "pipelined" : "tsim";
}

// One value of a row, in the order of the CSV's columns.
struct Cell {
  const char* name;
  std::string text;
  bool number = true;
};

std::vector<Cell> Cells(const TimedLayer& l, int latency) {
  const auto whole = [](const char* name, int64_t value) {
    return Cell{name, std::to_string(value)};
  };
  const hw::Layer& layer = l.row.layer;
  const hw::Tiling& tiling = l.cost.tiling;
  std::vector<Cell> cells = {
      {"id", layer.name, false},
      {"kind", hw::LayerKindText(layer), false},
      whole("batch", layer.n),
      whole("c_in", layer.c),
      whole("c_out", layer.k),
      whole("height", layer.h),
      whole("width", layer.w),
      whole("kernel", layer.r),
      whole("stride", layer.stride),
      whole("pad", layer.pad),
      whole("groups", layer.groups),
      whole("bias", layer.bias ? 1 : 0),
      whole("relu", layer.relu ? 1 : 0),
      whole("tile_h", tiling.th),
      whole("tile_w", tiling.tw),
      whole("tile_co", tiling.tco),
      whole("tile_ci", tiling.tci),
      whole("vthreads", tiling.vthreads),
      {"loop_order", hw::StationaryText(tiling.stationary), false},
      whole("on_alu", tiling.on_alu ? 1 : 0),
      whole("split_rows", tiling.split_rows ? 1 : 0),
      whole("mem_latency", latency),
      {"mem_model", ModelName(l.row.memory), false},
      whole("count", l.row.count),
      whole("simulated_cycles", l.time.cycles),
      whole("closed_form_cycles", l.cost.latency_cycles),
      whole("load_busy_cycles", l.time.load_busy),
      whole("compute_busy_cycles", l.time.compute_busy),
      whole("store_busy_cycles", l.time.store_busy),
      whole("instruction_count", l.instructions),
      whole("bus_read_beats", l.time.read_beats),
      whole("bus_write_beats", l.time.write_beats),
      whole("mac_count", l.cost.macs),
      {"energy_pj", hw::FormatShort(l.cost.energy_pj)},
      whole("dram_bytes", l.cost.dram_bytes),
      {"bound", hw::BoundName(l.cost.bound), false},
  };
  if (l.row.measured_cycles > 0) {
    cells.push_back(whole("cycles", l.row.measured_cycles));
    cells.push_back({"simulated_error_percent", Format("%.3f", l.Error(l.time.cycles))});
    cells.push_back({"closed_form_error_percent", Format("%.3f", l.Error(l.cost.latency_cycles))});
  }
  return cells;
}

class Layers {
 public:
  Layers(const CostLayersOptions& options, const hw::Config& config, const hw::CostTable& table)
      : options_(options), config_(config), table_(table) {}

  // False: `why` is the line to show.
  bool Time(const hw::LayerFile& file, std::string* why) {
    for (const hw::LayerRow& row : file.rows) {
      TimedLayer timed;
      timed.row = row;
      if (!TimeOne(&timed, why)) {
        *why = Format("%s:%d: layer %s on %s: %s", options_.path.c_str(), row.line,
                      row.layer.name.c_str(), hw::ShortName(config_).c_str(), why->c_str());
        return false;
      }
      layers_.push_back(std::move(timed));
    }
    return true;
  }

  std::string Csv() const {
    // A row without measured cycles leaves those columns empty.
    const auto widest = std::max_element(
        layers_.begin(), layers_.end(), [](const TimedLayer& a, const TimedLayer& b) {
          return (a.row.measured_cycles > 0) < (b.row.measured_cycles > 0);
        });
    const std::vector<Cell> names = Cells(*widest, 0);
    std::string text;
    for (const Cell& cell : names) text += (text.empty() ? "" : ",") + std::string(cell.name);
    text += "\n";
    for (const TimedLayer& layer : layers_) {
      const std::vector<Cell> cells = Cells(layer, Latency(layer.row));
      for (size_t i = 0; i < names.size(); ++i) {
        if (i > 0) text += ",";
        if (i < cells.size()) text += cells[i].text;
      }
      text += "\n";
    }
    return text;
  }

  std::string Json() const {
    hw::JsonWriter json;
    json.BeginObject();
    json.Key("hw").Raw(hw::ToJson(config_)).Key("hw_name").String(hw::ShortName(config_));
    json.Key("layers").BeginArray();
    for (const TimedLayer& layer : layers_) {
      json.BeginObject();
      for (const Cell& cell : Cells(layer, Latency(layer.row))) {
        json.Key(cell.name);
        if (cell.number) {
          json.Raw(cell.text);
        } else {
          json.String(cell.text);
        }
      }
      json.EndObject();
    }
    json.EndArray();
    const Summary sum = Summarize(layers_);
    json.Key("simulated_cycles").Int(sum.simulated).Key("closed_form_cycles").Int(sum.closed_form);
    json.Key("mac_count").Int(sum.macs).Key("dram_bytes").Int(sum.dram_bytes);
    json.Key("energy_pj").Double(sum.energy_pj);
    if (sum.simulated_error.layers > 0) {
      json.Key("simulated_against_measured");
      AddErrors(sum.simulated_error, &json);
      json.Key("closed_form_against_measured");
      AddErrors(sum.closed_error, &json);
    }
    json.EndObject();
    return json.text() + "\n";
  }

  std::string Text() const {
    std::string text = Format("accelerator  %s, bursts of %d beats\n\n",
                              hw::ShortName(config_).c_str(), 1 << config_.dpi_len_bits);
    text += Format("%-12s %-11s %-30s %-22s %12s %12s %12s %8s %8s\n", "layer", "kind", "shape",
                   "tiling", "simulated", "closed form", "measured", "sim. err", "form err");
    for (const TimedLayer& l : layers_) text += Line(l);
    const Summary sum = Summarize(layers_);
    text += Format(
        "\ncycles       %s simulated, %s by the closed form (%.1f%% of the MAC array used)\n",
        Grouped(sum.simulated).c_str(), Grouped(sum.closed_form).c_str(),
        100 * static_cast<double>(sum.macs) /
            (static_cast<double>(sum.simulated) * config_.macs_per_cycle()));
    text += "energy       " + EnergyText(sum.energy_pj) + "\n";
    text += Format("DRAM         %s bytes\n", Grouped(sum.dram_bytes).c_str());
    if (sum.simulated_error.layers > 0) {
      text += ErrorLine("simulated", sum.simulated_error);
      text += ErrorLine("closed form", sum.closed_error);
    }
    return text;
  }

 private:
  int Latency(const hw::LayerRow& row) const {
    return row.mem_latency > 0 ? row.mem_latency : config_.dpi_delay;
  }

  bool TimeOne(TimedLayer* timed, std::string* why) {
    const hw::LayerRow& row = timed->row;
    hw::Config config = config_;
    config.dpi_delay = Latency(row);
    const bool pipelined = row.memory == hw::MemoryModel::kPipelined;
    const auto key = std::make_pair(config.dpi_delay, pipelined);
    auto model = models_.find(key);
    if (model == models_.end()) {
      model = models_.emplace(key, hw::CostModel(config, table_, pipelined)).first;
    }
    const std::optional<hw::LayerCost> cost =
        row.tiled ? model->second.Evaluate(row.layer, row.tiling, why)
                  : model->second.Evaluate(row.layer, why);
    if (!cost) return false;
    timed->cost = *cost;
    hw::SimulateOptions simulate;
    simulate.unpipelined_gemm = options_.unpipelined_gemm;
    simulate.unpipelined_alu = options_.unpipelined_alu;
    return hw::SimulateLayer(row.layer, config, row.memory, cost->tiling, simulate, &timed->time,
                             &timed->instructions, why);
  }

  static std::string Line(const TimedLayer& l) {
    const hw::Layer& layer = l.row.layer;
    std::string shape = Format("%dx%dx%d", layer.c, layer.h, layer.w);
    if (layer.k != layer.c) shape += Format(" -> %d", layer.k);
    if (layer.r > 1) shape += Format(" k%d", layer.r);
    if (layer.stride > 1) shape += Format(" s%d", layer.stride);
    if (l.row.count > 1) shape += Format(" (%lld times)", static_cast<long long>(l.row.count));
    std::string line =
        Format("%-12s %-11s %-30s %-22s %12s %12s", layer.name.c_str(), hw::LayerKindText(layer),
               shape.c_str(), l.cost.tiling.ToString().c_str(), Grouped(l.time.cycles).c_str(),
               Grouped(l.cost.latency_cycles).c_str());
    if (l.row.measured_cycles > 0) {
      line += Format(" %12s %+7.2f%% %+7.2f%%", Grouped(l.row.measured_cycles).c_str(),
                     l.Error(l.time.cycles), l.Error(l.cost.latency_cycles));
    }
    return line + "\n";
  }

  static void AddErrors(const Errors& errors, hw::JsonWriter* json) {
    json->BeginObject();
    json->Key("layers").Int(errors.layers);
    json->Key("mean_error_percent").Double(errors.mean);
    json->Key("p95_error_percent").Double(errors.p95);
    json->Key("worst_error_percent").Double(errors.worst);
    json->Key("rank_correlation").Double(errors.rank_correlation);
    json->Key("measured_over_modelled").Double(errors.ratio);
    json->EndObject();
  }

  static std::string ErrorLine(const char* name, const Errors& errors) {
    return Format(
        "%-12s |error| against %d measured: mean %.3f%%, 95%% of layers within %.3f%%, "
        "worst %.3f%%\n"
        "             rank correlation %.4f, measured / %s %.4f\n",
        name, errors.layers, errors.mean, errors.p95, errors.worst, errors.rank_correlation, name,
        errors.ratio);
  }

  const CostLayersOptions& options_;
  const hw::Config config_;
  const hw::CostTable& table_;
  std::map<std::pair<int, bool>, hw::CostModel> models_;
  std::vector<TimedLayer> layers_;
};

}  // namespace

int CostLayers(const CostLayersOptions& options, const hw::Config& config,
               const hw::CostTable& table, Console* console) {
  const engine::Result<std::string> text = engine::ReadFile(options.path);
  if (!text.ok()) return console->Fail(text.status());
  const hw::Result<hw::LayerFile> file = hw::ParseLayerFile(*text, options.path);
  if (!file.ok()) return console->Fail(kExitFailure, file.error());
  Layers layers(options, config, table);
  std::string why;
  if (!layers.Time(*file, &why)) return console->Fail(kExitFailure, why);
  console->Print(console->json() ? layers.Json() : options.csv ? layers.Csv() : layers.Text());
  return kExitOk;
}

}  // namespace rhnas::search
