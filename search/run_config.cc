// config.json of a run folder (search/run_folder.h).
#include "engine/archive.h"
#include "hw/json.h"
#include "search/run_folder.h"
#include "search/signals.h"
#include "search/version.h"

namespace rhnas::search {

using engine::Format;
using engine::Status;

namespace {

// A member's value as the text a flag parses.
std::string FlagText(const hw::Json& value) {
  switch (value.type) {
    case hw::Json::Type::kBool:
      return value.boolean ? "true" : "false";
    case hw::Json::Type::kNumber:
      if (value.integer) return Format("%lld", static_cast<long long>(value.integer_value));
      return NumberText(value.number);
    case hw::Json::Type::kString:
      return value.string;
    default:
      return value.TypeName();
  }
}

}  // namespace

std::string ConfigText(const FlagSet& flags, const std::string& command,
                       const std::vector<std::string>& command_line, uint64_t seed) {
  hw::JsonWriter json;
  json.BeginObject();
  json.Key("program").String("rhnas").Key("version").String(kVersion);
  json.Key("commit").String(kCommit);
  json.Key("command").String(command);
  json.Key("command_line").BeginArray();
  for (const std::string& word : command_line) json.String(word);
  json.EndArray();
  json.Key("seed").Int(static_cast<int64_t>(seed));
  json.Key("settings").BeginObject();
  for (const Flag& flag : flags.flags()) {
    if (flag.storage == Flag::Storage::kNone) continue;
    json.Key(flag.name);
    switch (flag.kind) {
      case Flag::Kind::kSwitch:
      case Flag::Kind::kInt:
      case Flag::Kind::kNumber:
        json.Raw(flag.get());  // already a JSON token, in its shortest form
        break;
      default:
        json.String(flag.get());
    }
  }
  json.EndObject();
  json.EndObject();
  return json.text() + "\n";
}

Status ApplyConfig(const std::string& text, const std::string& path, const std::string& command,
                   FlagSet* flags, std::string* warning, bool* misuse) {
  *misuse = false;
  const hw::Result<hw::Json> json = hw::ParseJson(text, path);
  if (!json.ok()) return Status::Error("%s", json.error().c_str());
  const hw::Json* settings = json->Find("settings");
  const hw::Json* written_by = json->Find("command");
  const hw::Json* version = json->Find("version");
  if (settings == nullptr || written_by == nullptr || version == nullptr) {
    return Status::Error(
        "%s: expected \"version\", \"command\" and \"settings\" as a run writes them",
        path.c_str());
  }
  if (written_by->string != command) {
    return Status::Error("%s: is a run of \"rhnas %s\", resume it with that command", path.c_str(),
                         written_by->string.c_str());
  }
  if (version->string != kVersion) {
    *warning = Format("%s was written by version %s, this is %s: results may differ in their bits",
                      path.c_str(), version->string.c_str(), kVersion);
  }
  for (const auto& [name, value] : settings->members) {
    const Flag* flag = flags->Find(name);
    if (flag != nullptr && flag->storage == Flag::Storage::kKept && flag->given) continue;
    const std::string given = flag != nullptr ? flag->get() : std::string();
    if (Status status = flags->Set(name, FlagText(value)); !status.ok()) {
      return Status::Error("%s:%d: %s", path.c_str(), value.line, status.message().c_str());
    }
    if (flag->given && flag->get() != given) {
      *misuse = true;
      return Status::Error(
          "--%s is %s in %s, not %s: a resumed run keeps its settings; leave the "
          "flag away or start a new run",
          name.c_str(), flag->get().empty() ? "not set" : flag->get().c_str(), path.c_str(),
          given.c_str());
    }
  }
  for (const Flag& flag : flags->flags()) {
    const bool stored = settings->Find(flag.name) != nullptr;
    if (flag.storage == Flag::Storage::kFixed && flag.given && !stored) {
      *misuse = true;
      return Status::Error("--%s is not set in %s: a resumed run keeps its settings",
                           flag.name.c_str(), path.c_str());
    }
  }
  return Status::Ok();
}

engine::Result<RunFolder> OpenRun(const std::string& path, const std::string& command,
                                  FlagSet* flags, std::string* warning, bool* misuse) {
  *misuse = false;
  IgnoreWriteSignals();
  engine::Result<RunFolder> folder = RunFolder::Open(path);
  if (!folder.ok()) return folder;
  const std::string config_path = folder->File(RunFolder::kConfig);
  const engine::Result<std::string> config = engine::ReadFile(config_path);
  if (!config.ok()) return config.status();
  const Status applied = ApplyConfig(*config, config_path, command, flags, warning, misuse);
  if (!applied.ok()) return applied;
  return folder;
}

}  // namespace rhnas::search
