// A run folder as its report needs it: what it recorded, and what is computed anew from that (the
// network's layers on its accelerator and on the default).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "hw/accelerator.h"
#include "hw/json.h"
#include "hw/tables.h"

namespace rhnas::search {

// Columns with names, rows of text. What cannot be read as a number is none.
struct DataTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;

  int Column(const char* name) const;  // -1: there is none
  // Empty where there is no such column.
  const std::string& Text(size_t row, int column) const;
  // NaN where it is no number.
  double Number(size_t row, int column) const;
  std::vector<double> Numbers(const char* column) const;  // a NaN a row where it is missing
  bool empty() const { return rows.empty(); }
  std::string Csv() const;
  // {"columns": [..], "rows": [[..], ..]}, a row a line; numbers as numbers, empty fields null.
  std::string ToJson() const;
};
// RFC 4180 with a line of names first; shorter rows are filled up, a last line without an end (a
// run that is being written) is dropped.
DataTable ParseDataTable(const std::string& csv);

struct ReportRun {
  std::string folder, name;  // name: the folder's last part
  std::string command;       // "search"
  bool finished = false;
  hw::Json config, result, state;  // null where the folder has none
  DataTable log, designs, proposals, epochs, arch, curves;

  // Computed anew; null or empty with `note` where that cannot be.
  const hw::Accelerator* family = nullptr;
  hw::CostTable table;
  std::string network;
  hw::DesignPtr design, reference;
  std::vector<hw::Layer> layers;
  std::unique_ptr<hw::DesignModel> model, reference_model;
  std::optional<hw::NetworkCost> cost, reference_cost;
  std::string note;

  // Of result.json, or else state.json; null where neither has it.
  const hw::Json* Find(const char* key) const;
  // "default.energy_pj" of result.json; NaN where there is no such number.
  double Result(const char* keys) const;
  // The same of the default accelerator.
  double Default(const char* key) const;
  // A setting as text; empty where there is none.
  std::string Setting(const char* setting) const;
};

// Errors: no run folder, a damaged config.json or result.json. A folder of a run under way or
// stopped is no error.
engine::Result<ReportRun> LoadReportRun(const std::string& folder);

}  // namespace rhnas::search
