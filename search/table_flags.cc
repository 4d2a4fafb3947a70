#include "search/table_flags.h"

#include "engine/archive.h"
#include "hw/number.h"
#include "search/console.h"

namespace rhnas::search {

using engine::Status;

namespace {

constexpr double kSlowestMhz = 0.001, kFastestMhz = 100000;

bool FileAndOptions(const TableChoice& choice) {
  return !choice.file.empty() && !(choice.options == hw::TableOptions());
}

}  // namespace

void DeclareTableFlags(TableChoice* choice, FlagSet* flags) {
  flags->Text("energy-table", "FILE", &choice->file,
              "CSV of energies and areas instead of the built-in one (rhnas cost --print-table "
              "writes one to start from)");
  hw::TableOptions* options = &choice->options;
  flags->Int("node", &options->node_nm, hw::kSmallestSramNm, hw::kLargestSramNm,
             "technology node in nanometres of the built-in table");
  flags->Choice(
      "process", {hw::ProcessName(hw::Process::kHp), hw::ProcessName(hw::Process::kLop)},
      hw::ProcessName(options->process),
      [options](const std::string& text) {
        options->process =
            text == hw::ProcessName(hw::Process::kHp) ? hw::Process::kHp : hw::Process::kLop;
      },
      [options] { return std::string(hw::ProcessName(options->process)); },
      "SRAM of high performance (hp) or low operating power (lop)");
  const std::vector<std::string>& names = hw::DramNames();
  flags->Choice(
      "dram", names, names[static_cast<size_t>(options->dram)],
      [options, &names](const std::string& text) {
        for (size_t i = 0; i < names.size(); ++i) {
          if (names[i] == text) options->dram = static_cast<hw::Dram>(i);
        }
      },
      [options, &names] { return names[static_cast<size_t>(options->dram)]; },
      "kind of DRAM: energy of its bytes");
  flags->Number("clock", &options->clock_mhz, kSlowestMhz, kFastestMhz,
                "clock in MHz: how long a cycle leaks");
}

engine::Result<hw::CostTable> LoadCostTable(const TableChoice& choice) {
  if (FileAndOptions(choice)) {
    return Status::Error(
        "--energy-table %s has all rows: it does not go with --node, --process, --dram or --clock",
        choice.file.c_str());
  }
  if (choice.file.empty()) {
    hw::Result<hw::CostTable> table = hw::BuiltInCostTable(choice.options);
    if (!table.ok()) return Status::Error("%s", table.error().c_str());
    return *table;
  }
  engine::Result<std::string> text = engine::ReadFile(choice.file);
  if (!text.ok()) return text.status();
  hw::Result<hw::CostTable> table = hw::ParseCostTable(*text, choice.file);
  if (!table.ok()) return Status::Error("%s", table.error().c_str());
  return *table;
}

int TableExitCode(const TableChoice& choice) {
  return FileAndOptions(choice) ? kExitUsage : kExitFailure;
}

std::string TableText(const TableChoice& choice) {
  if (!choice.file.empty()) return "table " + choice.file;
  const hw::TableOptions& options = choice.options;
  return engine::Format("built-in table: %d nm %s, %s, %s MHz", options.node_nm,
                        hw::ProcessName(options.process),
                        hw::DramNames()[static_cast<size_t>(options.dram)].c_str(),
                        hw::FormatShort(options.clock_mhz).c_str());
}

}  // namespace rhnas::search
