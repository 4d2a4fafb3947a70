// Building a layer table with all cores: groups of rows on a pool's threads, each written as soon
// as it is there. The bytes of the table depend on neither threads nor interruptions.
#pragma once

#include <atomic>
#include <string>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/layer_table_rows.h"
#include "search/progress.h"

namespace rhnas::search {

struct TableBuild {
  const hw::DesignSpace* space = nullptr;
  const hw::CostTable* prices = nullptr;
  const hw::TableHead* head = nullptr;  // hw::HeadOf the space
  std::string path;
  bool resume = false;
};
struct TableBuilt {
  bool finished = false;  // false: *stop became true; what is done is kept
  size_t rows = 0, rows_before = 0;
  int64_t entries = 0;  // computed now
  double seconds = 0;
};
// Memory: 40 bytes an entry of the groups under way, one a thread (in vta 64 configurations, 2 KB a
// layer).
engine::Result<TableBuilt> BuildTable(const TableBuild& build, engine::ThreadPool& pool,
                                      ProgressSink& sink, const std::atomic<bool>& stop);

}  // namespace rhnas::search
