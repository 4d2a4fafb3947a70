// Where a search's costs come from: every model that it asks is made here.
#pragma once

#include <memory>

#include "hw/accelerator.h"

namespace rhnas::search {

struct CostSource {
  const hw::CostTable* table = nullptr;  // of energies and areas; must outlive the source

  std::unique_ptr<hw::DesignModel> Model(const hw::Design& design) const {
    return design.Model(*table);
  }
};

}  // namespace rhnas::search
