#include "search/report_text.h"

#include <algorithm>
#include <cmath>

#include "search/layers.h"
#include "search/progress.h"
#include "search/report_json.h"

namespace rhnas::search {

using engine::Format;

namespace {

std::string Row(const char* name, const std::string& found, const std::string& by_default,
                const std::string& ratio) {
  return Format("  %-10s %22s %22s %12s\n", name, found.c_str(), by_default.c_str(), ratio.c_str());
}

std::string Better(double ratio) {
  return std::isfinite(ratio) ? Format("%.2fx", ratio) : std::string("-");
}

}  // namespace

std::string Grouped(int64_t value) {
  std::string text = Format("%lld", static_cast<long long>(value));
  const size_t first = text[0] == '-' ? 1 : 0;
  for (size_t i = text.size(); i > first + 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::string EnergyText(double picojoule) {
  if (picojoule < 1e6) return Format("%.4g nJ", picojoule * 1e-3);
  if (picojoule < 1e9) return Format("%.4g uJ", picojoule * 1e-6);
  return Format("%.4g mJ", picojoule * 1e-9);
}

std::string AreaText(double square_micrometre) {
  return Format("%.4g mm2", square_micrometre * 1e-6);
}

std::string ProposalsText(const Proposals& proposals, const hw::Accelerator& accelerator) {
  if (proposals.total == 0) return "proposals    none: the accelerator was given\n";
  std::string text =
      Format("proposals    %s, valid %s (%.1f%%)\n", Grouped(proposals.total).c_str(),
             Grouped(proposals.valid).c_str(),
             100 * static_cast<double>(proposals.valid) / static_cast<double>(proposals.total));
  for (size_t i = 0; i < proposals.by_rule.size(); ++i) {
    if (proposals.by_rule[i] == 0) continue;
    text += Format("  %-10s %10s  e.g. %s\n", accelerator.rules()[i].name,
                   Grouped(proposals.by_rule[i]).c_str(), proposals.sample[i].c_str());
  }
  if (proposals.unmappable > 0) {
    text += Format("  %-10s %10s  valid, but the network cannot run there\n", "unmappable",
                   Grouped(proposals.unmappable).c_str());
  }
  return text;
}

std::string ComparedCostText(const DesignCost& found, const DesignCost& base) {
  const Ratios ratios = RatiosOf(found, base);
  std::string text = Row("", "found", "default accelerator", "ratio");
  text += Row("latency", Grouped(found.latency_cycles) + " cyc",
              Grouped(base.latency_cycles) + " cyc", Better(ratios.latency));
  text +=
      Row("energy", EnergyText(found.energy_pj), EnergyText(base.energy_pj), Better(ratios.energy));
  text += Row("EDP", Format("%.4g pJ cyc", found.edp_pj_cycles),
              Format("%.4g pJ cyc", base.edp_pj_cycles), Better(ratios.edp));
  text +=
      Row("area", AreaText(found.area_um2), AreaText(base.area_um2), Format("%.3f", ratios.area));
  text += Row("DRAM", Grouped(found.dram_bytes) + " B", Grouped(base.dram_bytes) + " B", "");
  text += "  (ratio: default / found, above 1 is better; area: found / default)\n\n";
  return text;
}

std::string SearchResultText(const SearchResult& result, const SearchOptions& options) {
  const DesignCost& found = result.cost;
  const DesignCost& base = result.default_cost;
  std::string text = "network      " + result.network + "\n";
  text += Format("             %s MACs, %s parameters\n", Grouped(result.macs).c_str(),
                 Grouped(result.params).c_str());
  text += Format("accelerator  %s, %s\n", result.hw->ShortName().c_str(),
                 result.verdicts.empty() ? "valid" : "NOT VALID");
  for (const hw::BrokenRule& verdict : result.verdicts) {
    text += "             " + verdict.ToString() + "\n";
  }
  text += Format("accuracy     %.2f%% on the test images\n\n", 100 * result.accuracy);

  text += ComparedCostText(found, base);

  if (options.latency_max > 0) {
    text += Format("limit        latency %s of %.6g cycles: %s\n",
                   Grouped(found.latency_cycles).c_str(), options.latency_max,
                   result.latency_met ? "met" : "NOT MET");
  }
  if (options.accuracy_min > 0) {
    text += Format("limit        validation accuracy %.2f%% of %.2f%%: %s\n",
                   100 * result.validation_accuracy, 100 * options.accuracy_min,
                   result.accuracy_met ? "met" : "NOT MET");
  }
  text += ProposalsText(result.proposals, *result.accelerator);
  text += Format("evaluations  %s of whole designs\n", Grouped(result.evaluations).c_str());
  text += Format("time         %.1f s (%s)\n", result.seconds, ClockText(result.seconds).c_str());
  return text;
}

std::string LayerTable(const std::vector<hw::Layer>& layers, const hw::NetworkCost& cost,
                       const hw::DesignModel& model) {
  size_t width = 5;
  for (const hw::Layer& layer : layers) width = std::max(width, layer.name.size());
  std::string text =
      Format("%-*s %-11s %13s %13s %10s %12s  %-8s %s\n", static_cast<int>(width), "layer", "kind",
             "MACs", "cycles", "energy", "DRAM bytes", "bound", "tiling");
  size_t first = 0;  // layer of the program
  for (size_t i = 0; i < layers.size() && i < cost.layers.size(); ++i) {
    const hw::LayerCost& layer = cost.layers[i];
    const std::string head =
        Format("%-*s %-11s %13s", static_cast<int>(width), layers[i].name.c_str(),
               LayerKindName(layers[i]), Grouped(layers[i].macs()).c_str());
    if (layer.chain == 0) {
      text += Format("%s %13s %10s %12s  %-8s with %s\n", head.c_str(), "-", "-", "-", "fused",
                     layers[first].name.c_str());
      continue;
    }
    first = i;
    text +=
        Format("%s %13s %10s %12s  %-8s %s\n", head.c_str(), Grouped(layer.latency_cycles).c_str(),
               EnergyText(layer.energy_pj).c_str(), Grouped(layer.dram_bytes).c_str(),
               hw::BoundName(layer.bound), model.ScheduleText(layer).c_str());
  }
  return text;
}

}  // namespace rhnas::search
