#include "search/command_cost_layer.h"

#include <limits>

#include "hw/cost.h"
#include "hw/json.h"
#include "hw/parse_layer.h"
#include "search/explain.h"
#include "search/program_source.h"
#include "search/report_json.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

// The chain as a network of its own: the first layer has the cost, the others say so.
hw::NetworkCost AsNetwork(const hw::LayerCost& cost, size_t layers, double area_um2) {
  hw::NetworkCost network;
  network.latency_cycles = cost.latency_cycles;
  network.macs = cost.macs;
  network.dram_bytes = cost.dram_bytes;
  network.activity = cost.activity;
  network.energy = cost.energy;
  network.energy_pj = cost.energy_pj;
  network.edp_pj_cycles = static_cast<double>(cost.latency_cycles) * cost.energy_pj;
  network.area_um2 = area_um2;
  network.layers.resize(layers);
  for (hw::LayerCost& layer : network.layers) layer.chain = 0;
  network.layers[0] = cost;
  network.layers[0].chain = static_cast<int>(layers);
  return network;
}

}  // namespace

int CostLayer(const CostLayerOptions& options, const hw::Config& config, const hw::CostTable& table,
              const std::string& table_text, Console* console) {
  const Argument<std::vector<hw::Layer>> found = ResolveLayers(options.layer);
  if (!found.value.ok()) return console->Fail(found.exit_code, found.value.status().message());
  const std::vector<hw::Layer>& layers = *found.value;
  const hw::CostModel model(config, table);
  std::string why;
  std::optional<hw::LayerCost> cost;
  const auto count = static_cast<int>(layers.size());
  if (options.tiling.empty()) {
    cost = model.EvaluateChain(layers.data(), count, std::numeric_limits<int64_t>::max(), &why);
  } else {
    hw::Tiling tiling;
    if (!hw::ParseTiling(options.tiling, &tiling, &why)) {
      return console->Fail(kExitUsage, "--" + why);
    }
    why = "the chain with tiling " + tiling.ToString() + " does not fit";
    cost = count == 1 ? model.Evaluate(layers[0], tiling, &why)
                      : model.EvaluateChainAgain(layers.data(), count, tiling);
  }
  if (!cost) {
    return console->Fail(kExitFailure,
                         options.layer + " cannot run on " + hw::ShortName(config) + ": " + why);
  }
  const hw::NetworkCost network = AsNetwork(*cost, layers.size(), model.area_um2());
  const Explained explained{config, table, table_text, layers, network, model.prices()};
  if (console->json()) {
    hw::JsonWriter json;
    json.BeginObject().Key("layer").String(options.layer);
    json.Key("hw").Raw(hw::ToJson(config)).Key("hw_name").String(hw::ShortName(config));
    json.Key("tiling").String(cost->tiling.ToString()).Key("macs").Int(cost->macs);
    AddCost({network.latency_cycles, network.energy_pj, network.edp_pj_cycles, network.area_um2,
             network.dram_bytes},
            &json);
    AddEnergyParts(network.energy, &json);
    if (options.explain) AddExplanation(explained, &json);
    console->Print(json.EndObject().text() + "\n");
    return kExitOk;
  }
  std::string text = Format(
      "layer        %s\naccelerator  %s\ntiling       %s\nlatency      %s cycles (%.1f%% of the "
      "MAC "
      "array used)\nenergy       %s\narea         %s\nDRAM         %s bytes\n",
      options.layer.c_str(), hw::ShortName(config).c_str(), cost->tiling.ToString().c_str(),
      Grouped(cost->latency_cycles).c_str(),
      100 * static_cast<double>(cost->macs) /
          (static_cast<double>(cost->latency_cycles) * config.macs_per_cycle()),
      EnergyText(cost->energy_pj).c_str(), AreaText(network.area_um2).c_str(),
      Grouped(cost->dram_bytes).c_str());
  if (options.explain) text += "\n" + ExplainText(explained);
  console->Print(text);
  return kExitOk;
}

}  // namespace rhnas::search
