// What C code asks of a board (nn/c_export.h), for people and for machines.
#pragma once

#include <string>

#include "hw/json.h"
#include "nn/c_export.h"

namespace rhnas::search {

// Lines "flash", "RAM", "peak".
std::string CReportText(const nn::CReport& report);
// Members of the object that is open: "memory": {flash_bytes, ram_bytes, and their parts}.
void AddCReport(const nn::CReport& report, hw::JsonWriter* json);

}  // namespace rhnas::search
