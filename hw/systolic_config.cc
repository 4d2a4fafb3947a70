// A systolic design's file form, name and presets.
#include <algorithm>
#include <cstdio>

#include "hw/json.h"
#include "hw/number.h"
#include "hw/systolic.h"

namespace rhnas::hw {
namespace {

struct Key {
  const char* name;
  int SystolicConfig::*number;
  bool SystolicConfig::*flag;
  int lowest, highest;  // what can be a size at all
  bool required;
};
using C = SystolicConfig;
constexpr Key kKeys[] = {
    {"meshRows", &C::mesh_rows, nullptr, 1, 1024, true},
    {"meshColumns", &C::mesh_columns, nullptr, 1, 1024, true},
    {"tileRows", &C::tile_rows, nullptr, 1, 64, false},
    {"tileColumns", &C::tile_columns, nullptr, 1, 64, false},
    {"inputType", &C::input_bits, nullptr, 1, 64, false},
    {"accType", &C::acc_bits, nullptr, 1, 64, false},
    {"sp_banks", &C::sp_banks, nullptr, 1, 64, false},
    {"sp_capacity", &C::sp_capacity_kb, nullptr, 1, 65536, true},
    {"acc_banks", &C::acc_banks, nullptr, 1, 64, false},
    {"acc_capacity", &C::acc_capacity_kb, nullptr, 1, 65536, true},
    {"acc_singleported", nullptr, &C::acc_singleported, 0, 1, false},
    {"acc_sub_banks", &C::acc_sub_banks, nullptr, -1, 64, false},
    {"mvin_scale_shared", nullptr, &C::mvin_scale_shared, 0, 1, false},
    {"mvin_scale_args", &C::mvin_scale_bits, nullptr, 0, 64, false},
    {"mvin_scale_acc_args", &C::mvin_scale_acc_bits, nullptr, 0, 64, false},
    {"dma_maxbytes", &C::dma_maxbytes, nullptr, 1, 4096, false},
    {"dma_buswidth", &C::dma_buswidth, nullptr, 8, 4096, false},
    {"max_in_flight_mem_reqs", &C::max_in_flight_mem_reqs, nullptr, 1, 1024, false},
};
// The keys that hold words.
constexpr char kDataflow[] = "dataflow";
constexpr char kBandwidth[] = "InterfaceBandwidth";

std::string At(const std::string& path, int line) {
  return path + ":" + std::to_string(line) + ": ";
}

std::string Found(const Json& value) {
  if (value.type == Json::Type::kNumber) return FormatDouble(value.number);
  if (value.type == Json::Type::kString) return "\"" + value.string + "\"";
  if (value.type == Json::Type::kBool) return value.boolean ? "true" : "false";
  return value.TypeName();
}

std::string UnknownKey(const std::string& name) {
  std::vector<std::string> names = {kDataflow, kBandwidth};
  for (const Key& key : kKeys) names.emplace_back(key.name);
  const std::string near = Nearest(name, names.data(), static_cast<int>(names.size()));
  return "unknown key \"" + name + "\"" +
         (near.empty() ? ", expected a systolic array's" : ", did you mean \"" + near + "\"?");
}

// Empty: the member was taken.
std::string Take(const std::string& name, const Json& value, SystolicConfig* config) {
  if (name == kDataflow) {
    if (value.string == "WS") return "";
    return name + ": found " + Found(value) + ", expected \"WS\" (weight-stationary)";
  }
  if (name == kBandwidth) {
    config->bound_by_bus = value.string == "USER";
    if (config->bound_by_bus || value.string == "CALC") return "";
    return name + ": found " + Found(value) + ", expected \"CALC\" or \"USER\"";
  }
  for (const Key& key : kKeys) {
    if (name != key.name) continue;
    if (key.flag != nullptr) {
      config->*key.flag = value.boolean;
      if (value.type == Json::Type::kBool) return "";
      return name + ": found " + Found(value) + ", expected true or false";
    }
    if (value.integer && value.integer_value >= key.lowest && value.integer_value <= key.highest) {
      config->*key.number = static_cast<int>(value.integer_value);
      return "";
    }
    return name + ": found " + Found(value) + ", expected an integer from " +
           std::to_string(key.lowest) + " to " + std::to_string(key.highest);
  }
  return UnknownKey(name);
}

}  // namespace

Result<SystolicConfig> ParseSystolic(const std::string& text, const std::string& path) {
  const Result<Json> json = ParseJson(text, path);
  if (!json.ok()) return Error{json.error()};
  if (json->type != Json::Type::kObject) {
    return Error{At(path, json->line) + "found " + json->TypeName() +
                 ", expected an object of a systolic array's keys"};
  }
  SystolicConfig config;
  for (const auto& member : json->members) {
    const std::string wrong = Take(member.first, member.second, &config);
    if (!wrong.empty()) return Error{At(path, member.second.line) + wrong};
  }
  std::string missing;
  for (const Key& key : kKeys) {
    if (key.required && json->Find(key.name) == nullptr) missing += std::string(" ") + key.name;
  }
  if (!missing.empty()) return Error{At(path, json->line) + "missing key:" + missing};
  return config;
}

bool IsSystolicKey(const std::string& key) {
  for (const Key& known : kKeys) {
    if (key == known.name) return true;
  }
  return key == kDataflow || key == kBandwidth;
}

std::string ToJson(const SystolicConfig& config) {
  JsonWriter writer;
  writer.BeginObject();
  writer.Key(kDataflow).String("WS");
  writer.Key(kBandwidth).String(config.bound_by_bus ? "USER" : "CALC");
  for (const Key& key : kKeys) {
    writer.Key(key.name);
    if (key.flag != nullptr) {
      writer.Bool(config.*key.flag);
    } else {
      writer.Int(config.*key.number);
    }
  }
  return writer.EndObject().text() + "\n";
}

std::string ShortName(const SystolicConfig& c) {
  char name[160];
  std::snprintf(name, sizeof name, "ws%dx%d_t%dx%d_sp%dx%d_acc%dx%d_b%d%s", c.rows(), c.cols(),
                c.tile_rows, c.tile_columns, c.sp_banks, c.sp_capacity_kb, c.acc_banks,
                c.acc_capacity_kb, c.dma_buswidth, c.bound_by_bus ? "_user" : "");
  return name;
}

}  // namespace rhnas::hw
