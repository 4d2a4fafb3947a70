// Where a search's costs come from: every model that it asks is made here.
#pragma once

#include <memory>
#include <utility>

#include "hw/accelerator.h"
#include "search/layer_tables.h"

namespace rhnas::search {

struct CostSource {
  const hw::CostTable* table = nullptr;  // of energies and areas; must outlive the source
  // What stands in front of the model: a table of layer costs, a memo of what was evaluated.
  std::shared_ptr<const hw::LayerTable> layers;
  std::shared_ptr<LayerMemo> memo;

  std::unique_ptr<hw::DesignModel> Model(const hw::Design& design) const {
    std::unique_ptr<hw::DesignModel> model = design.Model(*table);
    if (layers == nullptr && memo == nullptr) return model;
    return MakeTabulatedModel(design, std::move(model), layers, memo);
  }
};

}  // namespace rhnas::search
