#include "search/c_report.h"

#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

std::string CReportText(const nn::CReport& report) {
  const nn::CConstants& parts = report.constants;
  std::string text = Format(
      "flash        %s bytes and 2 to 4 KB of code: filters %s, biases %s, table of image bytes "
      "%s, "
      "shapes %s\n",
      Grouped(report.flash_bytes()).c_str(), Grouped(parts.filter_bytes).c_str(),
      Grouped(parts.bias_bytes).c_str(), Grouped(parts.table_bytes).c_str(),
      Grouped(parts.layer_bytes).c_str());
  text += Format("RAM          %s bytes: arena %s, image %s, logits %s\n",
                 Grouped(report.ram_bytes()).c_str(), Grouped(report.arena_bytes).c_str(),
                 Grouped(report.image_bytes).c_str(), Grouped(report.logits_bytes).c_str());
  text += Format("peak         %s bytes of maps alive at %s:", Grouped(report.peak_bytes).c_str(),
                 report.peak_node.c_str());
  for (const nn::CReport::Map& map : report.peak_maps) {
    text += Format("%s %s %s", &map == &report.peak_maps[0] ? "" : ",", map.name.c_str(),
                   Grouped(map.bytes).c_str());
  }
  return text + Format(
                    "\n             (all maps %s; the arena is smaller where outputs stand on rows "
                    "already read)\n",
                    Grouped(report.unshared_bytes).c_str());
}

void AddCReport(const nn::CReport& report, hw::JsonWriter* json) {
  const nn::CConstants& parts = report.constants;
  const struct {
    const char* key;
    int64_t value;
  } members[] = {{"flash_bytes", report.flash_bytes()},     {"filter_bytes", parts.filter_bytes},
                 {"bias_bytes", parts.bias_bytes},          {"table_bytes", parts.table_bytes},
                 {"shape_bytes", parts.layer_bytes},        {"ram_bytes", report.ram_bytes()},
                 {"arena_bytes", report.arena_bytes},       {"image_bytes", report.image_bytes},
                 {"logits_bytes", report.logits_bytes},     {"peak_bytes", report.peak_bytes},
                 {"all_maps_bytes", report.unshared_bytes}, {"macs", parts.macs}};
  json->Key("memory").BeginObject();
  for (const auto& member : members) json->Key(member.key).Int(member.value);
  json->Key("peak_layer").String(report.peak_node).Key("peak_maps").BeginArray();
  for (const nn::CReport::Map& map : report.peak_maps) {
    json->BeginObject().Key("name").String(map.name).Key("bytes").Int(map.bytes);
    json->Key("offset").Int(map.offset).EndObject();
  }
  json->EndArray().EndObject();
}

}  // namespace rhnas::search
