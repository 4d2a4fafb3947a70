// What an export consists of: files as bytes, to be written by whoever asked for them.
#pragma once

#include <string>

namespace rhnas::nn {

struct ExportFile {
  std::string name;   // relative to the export's folder, "model.c"
  std::string bytes;  // all of it
};

}  // namespace rhnas::nn
