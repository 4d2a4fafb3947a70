// Which energy and area table a command works with: the built-in one for a node, process, DRAM and
// clock, or a CSV file of the user's.
#pragma once

#include <string>

#include "engine/status.h"
#include "hw/tables.h"
#include "search/flags.h"

namespace rhnas::search {

struct TableChoice {
  std::string file;  // CSV; empty: built in, as the options say
  hw::TableOptions options;
};

// --energy-table FILE, --node NM, --process hp|lop, --dram NAME, --clock MHZ.
void DeclareTableFlags(TableChoice* choice, FlagSet* flags);
// An error: a file that cannot be read or is no table; a file together with options, because it has
// all rows already.
engine::Result<hw::CostTable> LoadCostTable(const TableChoice& choice);
// The exit code of that error: a combination that makes no sense is the usage's.
int TableExitCode(const TableChoice& choice);
// "built-in table: 45 nm lop, lpddr4, 100 MHz", "table my.csv".
std::string TableText(const TableChoice& choice);

}  // namespace rhnas::search
