// vta_config.json in and out.
#include <string>
#include <vector>

#include "hw/config.h"
#include "hw/config_keys.h"
#include "hw/number.h"

namespace rhnas::hw {
namespace {

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
  std::vector<std::string> names;
  for (const ConfigKey& key : ConfigKeys()) names.emplace_back(key.name);
  names.emplace_back(kVthreadNameKey);
  const std::string near = Nearest(name, names.data(), static_cast<int>(names.size()));
  std::string message = "unknown key \"" + name + "\"";
  if (name == "LOG_BLOCK") {
    // The stock VTA has square arrays only.
    message += ", write LOG_BLOCK_IN and LOG_BLOCK_OUT instead";
  } else if (!near.empty()) {
    message += ", did you mean \"" + near + "\"?";
  }
  return message;
}

}  // namespace

Result<Config> ParseConfig(const std::string& text, const std::string& path) {
  const Result<Json> json = ParseJson(text, path);
  if (!json.ok()) return Error{json.error()};
  if (json->type != Json::Type::kObject) {
    return Error{At(path, json->line) + "found " + json->TypeName() +
                 ", expected an object of VTA keys"};
  }
  Config config;
  for (const auto& member : json->members) {
    const Json& value = member.second;
    if (member.first == kVthreadNameKey) {
      if (value.type != Json::Type::kString) {
        return Error{At(path, value.line) + kVthreadNameKey + ": found " + Found(value) +
                     ", expected a string"};
      }
      config.vthread_name = value.string;
      continue;
    }
    const ConfigKey* key = FindConfigKey(member.first);
    if (key == nullptr) return Error{At(path, value.line) + UnknownKey(member.first)};
    if (!value.integer || value.integer_value < key->lowest || value.integer_value > key->highest) {
      const std::string range = key->lowest == key->highest
                                    ? std::to_string(key->lowest)
                                    : "an integer from " + std::to_string(key->lowest) + " to " +
                                          std::to_string(key->highest);
      return Error{At(path, value.line) + member.first + ": found " + Found(value) + ", expected " +
                   range};
    }
    if (key->number != nullptr) {
      config.*key->number = static_cast<int>(value.integer_value);
    } else {
      config.*key->flag = value.integer_value == 1;
    }
  }
  std::string missing;
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.required && json->Find(key.name) == nullptr) missing += std::string(" ") + key.name;
  }
  if (json->Find(kVthreadNameKey) == nullptr) missing += std::string(" ") + kVthreadNameKey;
  if (!missing.empty()) return Error{At(path, json->line) + "missing key:" + missing};
  return config;
}

std::string ToJson(const Config& config) {
  const Config defaults;
  JsonWriter writer;
  writer.BeginObject();
  for (const ConfigKey& key : ConfigKeys()) {
    const int value = key.number != nullptr ? config.*key.number : (config.*key.flag ? 1 : 0);
    const int usual = key.number != nullptr ? defaults.*key.number : (defaults.*key.flag ? 1 : 0);
    if (key.required || value != usual) writer.Key(key.name).Int(value);
  }
  writer.Key(kVthreadNameKey).String(config.vthread_name).EndObject();
  return writer.text() + "\n";
}

}  // namespace rhnas::hw
