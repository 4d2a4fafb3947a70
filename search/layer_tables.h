// Layer tables as searches use them: which layers a network space has, a table in front of a cost
// model, a memo where there is no table.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/status.h"
#include "hw/accelerator.h"
#include "hw/layer_table.h"
#include "nn/space.h"

namespace rhnas::search {

// Every layer of every candidate of every slot and every chain of them that may run as one program,
// equal shapes once, single layers first: a table's items.
std::vector<std::vector<hw::Layer>> TableItems(const nn::Space& space);

// Opens a table (binary, or a user's CSV) and checks it as a whole: checksums, and that it is of
// this family and, unless it is a user's, of this energy table and cost model. A user's table must
// have every single layer of `items` on every design that can be asked for (the first missing is
// named); of another one *note tells what has to be evaluated, empty when nothing has. Null, with a
// note: it is too large for this machine, everything has to be evaluated.
struct LayerTableQuestion {
  std::string path;
  const hw::Accelerator* accelerator = nullptr;
  const hw::DesignSpace* space = nullptr;  // names a CSV's configurations; null: CSVs are refused
  hw::Limits limits;
  bool whole_space = false;            // all of its valid points can be asked for,
  std::vector<hw::DesignPtr> designs;  // and these
  std::vector<std::vector<hw::Layer>> items;
  std::string networks;  // name of the items' space, for messages
  const hw::CostTable* prices = nullptr;
};
engine::Result<std::shared_ptr<const hw::LayerTable>> OpenLayerTable(
    const LayerTableQuestion& question, std::string* note);

// The tilings of layers on designs that were evaluated before, so that they need no second search.
// Bounded: 2^15 entries (512 KiB), a new one takes the place of an old one. Thread-safe; what it
// remembers never changes a result.
class LayerMemo {
 public:
  // False: not known.
  bool Find(uint64_t key, uint64_t* code);
  void Add(uint64_t key, uint64_t code);

 private:
  static constexpr size_t kEntries = size_t{1} << 15, kLocks = 16;
  struct Entry {
    uint64_t key = 0, code = 0;
  };
  std::vector<Entry> entries_ = std::vector<Entry>(kEntries);
  std::array<std::mutex, kLocks> locks_;
};

// `inner` behind a table and a memo, each of which may be null: the same answers, of a user's table
// its numbers (energy not split, activity unknown).
std::unique_ptr<hw::DesignModel> MakeTabulatedModel(const hw::Design& design,
                                                    std::unique_ptr<hw::DesignModel> inner,
                                                    std::shared_ptr<const hw::LayerTable> table,
                                                    std::shared_ptr<LayerMemo> memo);

}  // namespace rhnas::search
