#include "search/report_json.h"

#include "search/layers.h"

namespace rhnas::search {

Ratios RatiosOf(const DesignCost& found, const DesignCost& default_cost) {
  Ratios ratios;
  ratios.latency =
      static_cast<double>(default_cost.latency_cycles) / static_cast<double>(found.latency_cycles);
  ratios.energy = default_cost.energy_pj / found.energy_pj;
  ratios.edp = default_cost.edp_pj_cycles / found.edp_pj_cycles;
  ratios.area = found.area_um2 / default_cost.area_um2;
  return ratios;
}

void AddCost(const DesignCost& cost, hw::JsonWriter* json) {
  json->Key("latency_cycles").Int(cost.latency_cycles);
  json->Key("energy_pj").Double(cost.energy_pj);
  json->Key("edp_pj_cycles").Double(cost.edp_pj_cycles);
  json->Key("area_um2").Double(cost.area_um2);
  json->Key("dram_bytes").Int(cost.dram_bytes);
}

void AddRatios(const DesignCost& found, const DesignCost& default_cost, hw::JsonWriter* json) {
  const Ratios ratios = RatiosOf(found, default_cost);
  json->Key("ratio").BeginObject();
  json->Key("latency").Double(ratios.latency).Key("energy").Double(ratios.energy);
  json->Key("edp").Double(ratios.edp).Key("area").Double(ratios.area);
  json->EndObject();
}

void AddProposals(const Proposals& proposals, const hw::Accelerator& accelerator,
                  hw::JsonWriter* json) {
  json->Key("proposals").BeginObject();
  json->Key("total").Int(proposals.total).Key("valid").Int(proposals.valid);
  json->Key("unmappable").Int(proposals.unmappable);
  AddByRule(accelerator, proposals.by_rule.data(), json);
  json->EndObject();
}

void AddVerdicts(const std::vector<hw::BrokenRule>& verdicts, hw::JsonWriter* json) {
  json->Key("verdicts").BeginArray();
  for (const hw::BrokenRule& verdict : verdicts) {
    json->BeginObject();
    json->Key("rule").String(verdict.name);
    json->Key("need").Double(verdict.need).Key("have").Double(verdict.have);
    json->Key("what").String(verdict.what).Key("text").String(verdict.ToString());
    json->EndObject();
  }
  json->EndArray();
}

void AddByRule(const hw::Accelerator& accelerator, const int64_t* by_rule, hw::JsonWriter* json) {
  json->Key("by_rule").BeginObject();
  for (const hw::RuleInfo& rule : accelerator.rules()) json->Key(rule.name).Int(*by_rule++);
  json->EndObject();
}

void AddEnergyParts(const hw::EnergyParts& parts, hw::JsonWriter* json) {
  json->Key("energy_parts").BeginObject();
  json->Key("mac_pj").Double(parts.mac_pj).Key("alu_pj").Double(parts.alu_pj);
  json->Key("sram_pj").Double(parts.sram_pj).Key("dram_pj").Double(parts.dram_pj);
  json->Key("control_pj").Double(parts.control_pj).Key("leakage_pj").Double(parts.leakage_pj);
  json->EndObject();
}

void AddLayers(const std::vector<hw::Layer>& layers, const hw::NetworkCost& cost,
               const hw::DesignModel& model, hw::JsonWriter* json) {
  json->Key("layers").BeginArray();
  size_t first = 0;  // layer of the program
  for (size_t i = 0; i < cost.layers.size() && i < layers.size(); ++i) {
    const hw::LayerCost& layer = cost.layers[i];
    json->BeginObject();
    json->Key("name").String(layers[i].name).Key("kind").String(LayerKindName(layers[i]));
    json->Key("macs").Int(layers[i].macs());
    json->Key("latency_cycles").Int(layer.latency_cycles);
    json->Key("energy_pj").Double(layer.energy_pj);
    json->Key("dram_bytes").Int(layer.dram_bytes);
    const bool fused = layer.chain == 0;  // its share is in the first layer's numbers
    if (!fused) first = i;
    json->Key("bound").String(fused ? "fused" : hw::BoundName(layer.bound));
    json->Key("tiling").String(fused ? "" : model.ScheduleText(layer));
    if (fused) json->Key("fused_into").String(layers[first].name);
    AddEnergyParts(layer.energy, json);
    json->EndObject();
  }
  json->EndArray();
}

std::string SearchResultJson(const SearchResult& result, const SearchOptions& options) {
  hw::JsonWriter json;
  json.BeginObject();
  json.Key("network").String(result.network);
  json.Key("accelerator").String(result.accelerator->name());
  json.Key("hw").Raw(result.hw->ToJson());
  json.Key("hw_name").String(result.hw->ShortName());
  json.Key("valid").Bool(result.verdicts.empty());
  json.Key("macs").Int(result.macs);
  json.Key("params").Int(result.params);
  AddCost(result.cost, &json);
  json.Key("accuracy").Double(result.accuracy);
  json.Key("objective").String(ObjectiveName(options.objective));
  json.Key("limits").BeginObject();
  json.Key("latency_met").Bool(result.latency_met);
  json.Key("accuracy_met").Bool(result.accuracy_met);
  json.EndObject();
  json.Key("default").BeginObject();
  AddCost(result.default_cost, &json);
  json.EndObject();
  AddRatios(result.cost, result.default_cost, &json);
  AddProposals(result.proposals, *result.accelerator, &json);
  json.Key("evaluations").Int(result.evaluations);
  json.Key("seconds").Double(result.seconds);
  json.Key("seed").Int(static_cast<int64_t>(options.seed));
  json.EndObject();
  return json.text() + "\n";
}

}  // namespace rhnas::search
