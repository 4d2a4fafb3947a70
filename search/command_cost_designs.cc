#include "search/command_cost_designs.h"

#include <optional>
#include <vector>

#include "engine/archive.h"
#include "hw/json.h"
#include "hw/layer_file.h"
#include "hw/number.h"
#include "hw/systolic_topology.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

long long Long(int64_t value) { return static_cast<long long>(value); }

}  // namespace

int CostLayersOnDesign(const std::string& path, bool csv, const hw::Design& design,
                       const hw::CostTable& table, Console* console) {
  const engine::Result<std::string> text = engine::ReadFile(path);
  if (!text.ok()) return console->Fail(text.status());
  const hw::Result<hw::LayerFile> file =
      hw::IsTopology(*text) ? hw::ParseTopology(*text, path) : hw::ParseLayerFile(*text, path);
  if (!file.ok()) return console->Fail(kExitFailure, file.error());

  const std::unique_ptr<hw::DesignModel> model = design.Model(table);
  hw::JsonWriter json;
  json.BeginObject().Key("hw_name").String(design.ShortName()).Key("layers").BeginArray();
  std::string lines = "id,kind,macs,latency_cycles,energy_pj,dram_bytes,bound,schedule,cycles\n";
  std::string people = Format("%-16s %-11s %15s %13s %10s %13s  %-8s %s\n", "layer", "kind", "MACs",
                              "cycles", "energy", "DRAM bytes", "bound", "schedule");
  int64_t cycles = 0, macs = 0, dram_bytes = 0, measured = 0, equal = 0;
  double energy_pj = 0;
  for (const hw::LayerRow& row : file->rows) {
    std::string why;
    const std::optional<hw::LayerCost> cost = model->Evaluate(row.layer, &why);
    if (!cost) {
      return console->Fail(kExitFailure, Format("%s:%d: cannot run on %s: %s", path.c_str(),
                                                row.line, design.ShortName().c_str(), why.c_str()));
    }
    const char* kind = hw::LayerKindText(row.layer);
    const std::string schedule = model->ScheduleText(*cost);
    json.BeginObject().Key("id").String(row.layer.name).Key("kind").String(kind);
    json.Key("macs").Int(cost->macs).Key("latency_cycles").Int(cost->latency_cycles);
    json.Key("energy_pj").Double(cost->energy_pj).Key("dram_bytes").Int(cost->dram_bytes);
    json.Key("bound").String(hw::BoundName(cost->bound)).Key("schedule").String(schedule);
    if (row.measured_cycles > 0) json.Key("cycles").Int(row.measured_cycles);
    json.EndObject();
    lines +=
        Format("%s,%s,%lld,%lld,%s,%lld,%s,%s,", row.layer.name.c_str(), kind, Long(cost->macs),
               Long(cost->latency_cycles), hw::FormatDouble(cost->energy_pj).c_str(),
               Long(cost->dram_bytes), hw::BoundName(cost->bound), schedule.c_str());
    if (row.measured_cycles > 0) lines += std::to_string(row.measured_cycles);
    lines += "\n";
    people += Format("%-16s %-11s %15s %13s %10s %13s  %-8s %s\n", row.layer.name.c_str(), kind,
                     Grouped(cost->macs).c_str(), Grouped(cost->latency_cycles).c_str(),
                     EnergyText(cost->energy_pj).c_str(), Grouped(cost->dram_bytes).c_str(),
                     hw::BoundName(cost->bound), schedule.c_str());
    cycles += row.count * cost->latency_cycles;
    macs += row.count * cost->macs;
    dram_bytes += row.count * cost->dram_bytes;
    energy_pj += static_cast<double>(row.count) * cost->energy_pj;
    measured += row.measured_cycles > 0 ? 1 : 0;
    equal += row.measured_cycles == cost->latency_cycles ? 1 : 0;
  }
  json.EndArray().Key("latency_cycles").Int(cycles).Key("macs").Int(macs);
  json.Key("energy_pj").Double(energy_pj).Key("dram_bytes").Int(dram_bytes).EndObject();
  people +=
      Format("\n%s: %zu layers, %s cycles, %s MACs, %s, %s bytes of DRAM\n",
             design.ShortName().c_str(), file->rows.size(), Grouped(cycles).c_str(),
             Grouped(macs).c_str(), EnergyText(energy_pj).c_str(), Grouped(dram_bytes).c_str());
  if (measured > 0) {
    people +=
        Format("%lld of %lld layers have the cycles of the file\n", Long(equal), Long(measured));
  }
  console->Print(console->json() ? json.text() + "\n" : csv ? lines : people);
  return kExitOk;
}

}  // namespace rhnas::search
