// Computing the rows of a layer table: every item at its best on every valid point of a space.
//
// VTA configurations that differ in the sizes of the input, weight and accumulator scratchpads
// alone share searches: what is best with larger scratchpads is best here too if it fits here (the
// tilings that fit here all fit there, and a tiling takes the same time in both). The result is the
// one a search of its own would give, see the total order in hw/tiling_search.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "hw/accelerator.h"
#include "hw/layer_table.h"

namespace rhnas::hw {

// Parameters, values and two points of a space as text: equal texts, equal spaces.
std::string SpaceText(const DesignSpace& space);

// The valid points of a space, in order. Names are ShortName, with "#point" behind where another
// point has that name too.
std::vector<TableConfiguration> ConfigurationsOf(const DesignSpace& space);

// What a table of these items on a space says of itself.
TableHead HeadOf(const Accelerator& family, const DesignSpace& space, const CostTable& prices,
                 const std::string& networks, const std::vector<std::vector<Layer>>& items);

class LayerTableRows {
 public:
  // REQUIRES: the three outlive this; head is HeadOf the space.
  LayerTableRows(const DesignSpace& space, const CostTable& prices, const TableHead& head);

  // Rows that share searches: the unit of work. Groups differ in size; together they hold each row
  // once.
  size_t groups() const { return groups_.size(); }
  const std::vector<size_t>& rows(size_t group) const { return groups_[group]; }
  // Entries of all items on the group's rows: [row in rows(group)][item]. Pure and thread-safe;
  // takes about 40 bytes an entry. False: *stop became true, the entries are not complete.
  bool Evaluate(size_t group, const std::atomic<bool>& stop,
                std::vector<TableEntry>* entries) const;

 private:
  const DesignSpace& space_;
  const CostTable& prices_;
  const TableHead& head_;
  bool vta_;
  std::vector<std::vector<size_t>> groups_;
};

}  // namespace rhnas::hw
