#include "search/table_build.h"

#include <mutex>

#include "hw/layer_table_write.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

Result<TableBuilt> BuildTable(const TableBuild& build, engine::ThreadPool& pool, ProgressSink& sink,
                              const std::atomic<bool>& stop) {
  const double started = MonotonicSeconds();
  const hw::TableHead& head = *build.head;
  const size_t items = head.items.size();
  hw::Result<hw::LayerTableWriter> writer =
      hw::LayerTableWriter::Create(build.path, head, build.resume);
  if (!writer.ok()) return Status::Error("%s", writer.error().c_str());
  const hw::LayerTableRows rows(*build.space, *build.prices, head);

  TableBuilt built;
  built.rows_before = writer->rows_done();
  std::mutex mutex;  // of what follows
  std::string error;
  Progress progress;
  progress.phase = "table";
  progress.unit = "entries";
  progress.total = static_cast<int64_t>((head.configurations.size() - built.rows_before) * items);
  sink.Report(progress);
  std::atomic<bool> leave{false};
  pool.ParallelFor(static_cast<int64_t>(rows.groups()), 1, [&](int64_t begin, int64_t end, int) {
    std::vector<hw::TableEntry> entries;
    for (int64_t at = begin; at < end; ++at) {
      const std::vector<size_t>& group = rows.rows(static_cast<size_t>(at));
      size_t left = 0;
      for (const size_t row : group) left += writer->done(row) ? 0 : 1;
      if (left == 0 || leave || stop) continue;
      if (!rows.Evaluate(static_cast<size_t>(at), stop, &entries)) continue;
      std::string why;
      for (size_t i = 0; i < group.size() && why.empty(); ++i) {
        if (!writer->done(group[i])) writer->Write(group[i], entries.data() + i * items, &why);
      }
      const std::lock_guard<std::mutex> lock(mutex);
      if (!why.empty()) {
        leave = true;
        if (error.empty()) error = why;
        continue;
      }
      progress.done += static_cast<int64_t>(left * items);
      sink.Report(progress);
    }
  });
  if (!error.empty()) {
    return Status::Error("%s; what is done is kept, go on with --resume", error.c_str());
  }
  built.rows = writer->rows_done();
  built.entries = progress.done;
  built.finished = built.rows == head.configurations.size();
  if (built.finished && !writer->Finish(&error)) return Status::Error("%s", error.c_str());
  built.seconds = MonotonicSeconds() - started;
  return built;
}

}  // namespace rhnas::search
