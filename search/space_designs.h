// rhnas space --hw-space for any family of accelerators: what a space holds, which files are valid.
// (VTA's own answers, with its encoding rules and boards, are in search/command_space.cc.)
#pragma once

#include <string>
#include <vector>

#include "hw/accelerator.h"
#include "search/console.h"

namespace rhnas::search {

struct DesignSpaceQuestion {
  const hw::Accelerator* family = nullptr;
  std::string space;
  hw::SpaceOptions options;
  double area_max = 0;  // relative to the family's default; 0: none
  const hw::CostTable* table = nullptr;
  bool count = false;
  std::vector<std::string> files;  // to check; without, and without count: describe
};

// Prints the answer and returns the exit code: 1 where a file is invalid or unreadable.
int AnswerAboutDesigns(const DesignSpaceQuestion& question, Console* console);

}  // namespace rhnas::search
