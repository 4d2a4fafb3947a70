#include "search/report_run.h"

#include <cmath>
#include <limits>

#include "engine/archive.h"
#include "hw/number.h"
#include "search/arguments.h"
#include "search/design_record.h"
#include "search/run_folder.h"
#include "search/search_flags.h"
#include "search/table_flags.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// A parsed value as text again.
void Write(const hw::Json& value, hw::JsonWriter* json) {
  switch (value.type) {
    case hw::Json::Type::kNull:
      json->Null();
      break;
    case hw::Json::Type::kBool:
      json->Bool(value.boolean);
      break;
    case hw::Json::Type::kNumber:
      if (value.integer) {
        json->Int(value.integer_value);
      } else {
        json->Double(value.number);
      }
      break;
    case hw::Json::Type::kString:
      json->String(value.string);
      break;
    case hw::Json::Type::kArray:
      json->BeginArray();
      for (const hw::Json& item : value.items) Write(item, json);
      json->EndArray();
      break;
    case hw::Json::Type::kObject:
      json->BeginObject();
      for (const auto& [key, member] : value.members) Write(member, &json->Key(key));
      json->EndObject();
      break;
  }
}

// Null where there is no such file.
Result<hw::Json> ReadJson(const std::string& path) {
  const Result<std::string> text = engine::ReadFile(path);
  if (!text.ok()) return hw::Json();
  hw::Result<hw::Json> json = hw::ParseJson(*text, path);
  if (!json.ok()) return Status::Error("%s", json.error().c_str());
  return std::move(*json);
}

DataTable ReadTable(const std::string& path) {
  const Result<std::string> text = engine::ReadFile(path);
  return text.ok() ? ParseDataTable(*text) : DataTable();
}

// What a search prices may come from a user's own table of layers: then the model's numbers are
// others, and showing them would contradict the result.
bool Agrees(const ReportRun& run, const char* key, const hw::NetworkCost& cost) {
  const double cycles = run.Result(key);
  return std::isnan(cycles) || cycles == static_cast<double>(cost.latency_cycles);
}

// Network, accelerator, default and their costs; a reason where that cannot be.
std::string Remake(ReportRun* run) {
  TableChoice choice;
  FlagSet flags;
  DeclareTableFlags(&choice, &flags);
  for (const Flag& flag : flags.flags()) {
    const std::string value = run->Setting(flag.name.c_str());
    if (value.empty()) continue;
    if (Status set = flags.Set(flag.name, value); !set.ok()) return set.message();
  }
  const std::string copy = run->folder + "/" + RunFolder::kEnergyTable;
  if (!choice.file.empty() && engine::ReadFile(copy).ok()) choice.file = copy;
  Result<hw::CostTable> table = LoadCostTable(choice);
  if (!table.ok()) return table.status().message();
  run->table = std::move(*table);

  const hw::Json* network = run->Find("network");
  if (network != nullptr) run->network = network->string;
  NetworkArgument argument;
  // A run of rhnas hw was given a name or a file, and so is its network resolved here.
  argument.text = run->command == "hw" ? run->Setting("network") : run->network;
  if (argument.text.empty()) argument.text = run->folder;
  if (const std::string unsupported = run->Setting("unsupported"); !unsupported.empty()) {
    argument.unsupported = unsupported;
  }
  Argument<NetworkLayers> resolved = ResolveNetworkLayers(argument);
  if (!resolved.value.ok()) return resolved.value.status().message();
  if (run->network.empty()) run->network = resolved.value->name;
  run->layers = std::move(resolved.value->layers);

  const hw::Json* family = run->Find("accelerator");
  run->family =
      family == nullptr ? hw::Accelerators().front() : hw::FindAccelerator(family->string);
  if (run->family == nullptr) return "accelerator " + family->string + " is not compiled in";
  const hw::Result<hw::DesignPtr> published = run->family->Find("default");
  if (!published.ok()) return published.error();
  if (const hw::Json* design = run->Find("hw"); design != nullptr) {
    hw::JsonWriter json;
    Write(*design, &json);
    hw::Result<hw::DesignPtr> parsed = run->family->Parse(json.text(), run->folder);
    if (!parsed.ok()) return parsed.error();
    run->design = *parsed;
  }

  std::string why;
  // The default on the platform of the found one; a search of the bus compares with the published.
  std::vector<hw::DesignPtr> references = {*published};
  if (run->design != nullptr) {
    references.insert(references.begin(), run->family->DefaultBeside(*run->design));
  }
  for (const hw::DesignPtr& reference : references) {
    std::unique_ptr<hw::DesignModel> model = reference->Model(run->table);
    std::optional<hw::NetworkCost> cost = model->Evaluate(run->layers, &why);
    if (!cost || !Agrees(*run, "default.latency_cycles", *cost)) continue;
    run->reference = reference;
    run->reference_model = std::move(model);
    run->reference_cost = std::move(cost);
    break;
  }
  if (run->design != nullptr) {
    run->model = run->design->Model(run->table);
    run->cost = run->model->Evaluate(run->layers, &why);
    if (run->cost && !Agrees(*run, "latency_cycles", *run->cost)) run->cost.reset();
  }
  if (!run->reference_cost || (run->design != nullptr && !run->cost)) {
    run->cost.reset();
    run->reference_cost.reset();
    return why.empty() ? "the run priced layers by a table of its own or by another version of the "
                         "model"
                       : why;
  }
  return "";
}

}  // namespace

int DataTable::Column(const char* name) const {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] == name) return static_cast<int>(i);
  }
  return -1;
}

const std::string& DataTable::Text(size_t row, int column) const {
  static const std::string none;
  return column < 0 ? none : rows[row][static_cast<size_t>(column)];
}

double DataTable::Number(size_t row, int column) const {
  double value = 0;
  return hw::ParseDouble(Text(row, column), &value) ? value : kNone;
}

std::vector<double> DataTable::Numbers(const char* column) const {
  std::vector<double> numbers;
  const int at = Column(column);
  for (size_t row = 0; row < rows.size(); ++row) numbers.push_back(Number(row, at));
  return numbers;
}

std::string DataTable::Csv() const {
  std::string text;
  const auto line = [&text](const std::vector<std::string>& fields) {
    for (size_t i = 0; i < fields.size(); ++i) text += (i > 0 ? "," : "") + CsvField(fields[i]);
    text += "\n";
  };
  line(columns);
  for (const std::vector<std::string>& row : rows) line(row);
  return text;
}

std::string DataTable::ToJson() const {
  const auto quoted = [](const std::string& text) {
    hw::JsonWriter json;
    return json.String(text).text();
  };
  std::string text = "{\"columns\": [";
  for (size_t i = 0; i < columns.size(); ++i) text += (i > 0 ? ", " : "") + quoted(columns[i]);
  text += "],\n\"rows\": [";
  for (size_t i = 0; i < rows.size(); ++i) {
    text += i > 0 ? ",\n[" : "\n[";
    for (size_t k = 0; k < rows[i].size(); ++k) {
      const std::string& field = rows[i][k];
      double value = 0;
      if (k > 0) text += ", ";
      text += field.empty()                    ? "null"
              : hw::ParseDouble(field, &value) ? hw::FormatDouble(value)
                                               : quoted(field);
    }
    text += "]";
  }
  return text + "]}\n";
}

DataTable ParseDataTable(const std::string& csv) {
  DataTable table;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false;
  for (size_t i = 0; i < csv.size(); ++i) {
    const char c = csv[i];
    if (c == '"' && quoted && i + 1 < csv.size() && csv[i + 1] == '"') {
      field += csv[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (quoted || (c != ',' && c != '\n' && c != '\r')) {
      field += c;
    } else if (c != '\r') {
      row.push_back(std::move(field));
      field.clear();
      if (c != '\n') continue;
      if (table.columns.empty()) {
        table.columns = std::move(row);
      } else {
        row.resize(table.columns.size());
        table.rows.push_back(std::move(row));
      }
      row.clear();
    }
  }
  return table;
}

const hw::Json* ReportRun::Find(const char* key) const {
  const hw::Json* value = result.Find(key);
  return value != nullptr ? value : state.Find(key);
}

double ReportRun::Result(const char* keys) const {
  const std::string path = keys;
  const size_t dot = path.find('.');
  const hw::Json* value = result.Find(path.substr(0, dot));
  if (value != nullptr && dot != std::string::npos) value = value->Find(path.substr(dot + 1));
  return value != nullptr && value->type == hw::Json::Type::kNumber ? value->number : kNone;
}

double ReportRun::Default(const char* key) const {
  return Result((std::string("default.") + key).c_str());
}

std::string ReportRun::Setting(const char* setting) const {
  const hw::Json* settings = config.Find("settings");
  const hw::Json* value = settings != nullptr ? settings->Find(setting) : nullptr;
  if (value == nullptr) return "";
  if (value->type == hw::Json::Type::kString) return value->string;
  hw::JsonWriter json;
  Write(*value, &json);
  return json.text();
}

Result<ReportRun> LoadReportRun(const std::string& folder) {
  ReportRun run;
  run.folder = folder;
  while (run.folder.size() > 1 && run.folder.back() == '/') run.folder.pop_back();
  run.name = run.folder.substr(run.folder.rfind('/') + 1);
  const std::string prefix = run.folder + "/";
  const std::string config_path = prefix + RunFolder::kConfig;
  if (Result<std::string> text = engine::ReadFile(config_path); !text.ok()) {
    return Status::Error("%s: holds no config.json that can be read, so it is not a run folder",
                         folder.c_str());
  }
  for (const auto& [json, name] :
       {std::pair(&run.config, RunFolder::kConfig), std::pair(&run.result, RunFolder::kResult),
        std::pair(&run.state, "state.json")}) {
    Result<hw::Json> read = ReadJson(prefix + name);
    if (!read.ok()) return read.status();
    *json = std::move(*read);
  }
  const hw::Json* command = run.config.Find("command");
  if (command == nullptr || run.config.Find("settings") == nullptr) {
    return Status::Error("%s: expected \"command\" and \"settings\" as a run writes them",
                         config_path.c_str());
  }
  run.command = command->string;
  run.finished = run.result.type == hw::Json::Type::kObject;
  for (const auto& [table, name] :
       {std::pair(&run.log, "log.csv"), std::pair(&run.designs, "designs.csv"),
        std::pair(&run.proposals, "proposals.csv"), std::pair(&run.epochs, "epochs.csv"),
        std::pair(&run.arch, "arch.csv"), std::pair(&run.curves, "curves.csv")}) {
    *table = ReadTable(prefix + name);
  }
  if (run.command != "compare") {
    run.note = Remake(&run);
    if (!run.cost) run.design = nullptr;
  }
  return run;
}

}  // namespace rhnas::search
