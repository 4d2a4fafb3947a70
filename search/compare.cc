#include "search/compare.h"

#include <algorithm>
#include <mutex>

#include "engine/archive.h"
#include "search/progress.h"
#include "search/suggest.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

constexpr double kSaveSeconds = 1;

std::vector<std::string> NamesOf(const std::vector<CompareMethod>& methods) {
  std::vector<std::string> names;
  for (const CompareMethod& method : methods) names.push_back(method.name);
  return names;
}

}  // namespace

bool Comparison::finished() const {
  for (const CompareMethod& method : methods) {
    for (int i = 0; i < seeds; ++i) {
      if (runs.count({method.name, first_seed + static_cast<uint64_t>(i)}) == 0) return false;
    }
  }
  return true;
}

Result<std::vector<CompareMethod>> ChooseMethods(const CompareProblem& problem,
                                                 const std::string& list, int64_t budget,
                                                 std::string* note) {
  const std::vector<CompareMethod> known = problem.methods();
  std::vector<CompareMethod> chosen;
  if (list == "all") {
    for (const CompareMethod& method : known) {
      const Status fits = problem.Check(method);
      if (fits.ok()) {
        chosen.push_back(method);
      } else {
        *note += (note->empty() ? "left out: " : "; ") + fits.message();
      }
    }
  } else {
    for (size_t begin = 0; begin <= list.size();) {
      const size_t end = std::min(list.find(',', begin), list.size());
      const std::string name = list.substr(begin, end - begin);
      begin = end + 1;
      if (name == "all") {
        return Status::Error("--methods: \"all\" has every method and stands alone, found \"%s\"",
                             list.c_str());
      }
      const auto named = [&name](const CompareMethod& method) { return method.name == name; };
      const auto found = std::find_if(known.begin(), known.end(), named);
      if (found == known.end()) {
        const std::string nearest = Nearest(name, NamesOf(known));
        return Status::Error("--methods: unknown method \"%s\"%s; expected all, or some of %s",
                             name.c_str(),
                             nearest.empty() ? "" : (", did you mean \"" + nearest + "\"?").c_str(),
                             JoinWords(NamesOf(known)).c_str());
      }
      if (std::any_of(chosen.begin(), chosen.end(), named)) {
        return Status::Error("--methods: \"%s\" comes twice", name.c_str());
      }
      const Status fits = problem.Check(*found);
      if (!fits.ok()) return Status::Error("--methods: %s", fits.message().c_str());
      chosen.push_back(*found);
    }
  }
  for (const CompareMethod& method : chosen) {
    if (method.minimum <= budget) continue;
    return Status::Error(
        "--budget %lld is below the %lld evaluations that %s needs at least; give "
        "more, or --methods without it",
        static_cast<long long>(budget), static_cast<long long>(method.minimum),
        method.name.c_str());
  }
  return chosen;
}

Status RunComparison(Comparison* comparison, engine::ThreadPool& pool, ProgressSink& sink,
                     const std::atomic<bool>& stop, const std::string& checkpoint) {
  struct Task {
    const CompareMethod* method;
    uint64_t seed;
  };
  std::vector<Task> tasks;
  for (int i = 0; i < comparison->seeds; ++i) {
    const uint64_t seed = comparison->first_seed + static_cast<uint64_t>(i);
    for (const CompareMethod& method : comparison->methods) {
      if (comparison->runs.count({method.name, seed}) == 0) tasks.push_back({&method, seed});
    }
  }
  std::atomic<bool> failed{false};
  std::mutex mutex;  // of what follows, and of the runs
  Status status;
  Progress progress;
  progress.phase = "compare";
  progress.unit = "runs";
  progress.total = static_cast<int64_t>(tasks.size());
  sink.Report(progress);
  double saved_at = MonotonicSeconds();
  pool.ParallelFor(progress.total, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin; at < end && !stop && !failed; ++at) {
      const Task& task = tasks[static_cast<size_t>(at)];
      CompareRun run;
      const double started = MonotonicSeconds();
      const Result<bool> complete =
          comparison->problem->Run(*task.method, task.seed, comparison->budget, stop, &run);
      const double now = MonotonicSeconds();
      run.seconds = now - started;
      const std::lock_guard<std::mutex> lock(mutex);
      if (!complete.ok()) {
        if (status.ok()) status = complete.status();
        failed = true;
      }
      if (!complete.ok() || !*complete) continue;
      comparison->runs[{task.method->name, task.seed}] = std::move(run);
      ++progress.done;
      sink.Report(progress);
      if (checkpoint.empty() || now - saved_at < kSaveSeconds || !status.ok()) continue;
      saved_at = now;
      status = SaveComparison(*comparison, checkpoint);
      if (!status.ok()) failed = true;
    }
  });
  if (status.ok() && !checkpoint.empty()) status = SaveComparison(*comparison, checkpoint);
  return status;
}

namespace {

// A run but its curve; plain data.
struct RunRecord {
  int64_t evaluations, valid, proposals, proposals_broken;
  uint64_t final_broken, seed;
  double hypervolume, seconds;
};

}  // namespace

Status SaveComparison(const Comparison& comparison, const std::string& path) {
  engine::ArchiveWriter archive;
  archive.PutString("problem", comparison.problem->name());
  archive.Put("fingerprint", comparison.problem->fingerprint());
  archive.Put("budget", comparison.budget);
  archive.Put("runs", static_cast<int64_t>(comparison.runs.size()));
  int64_t at = 0;
  for (const auto& [key, run] : comparison.runs) {
    const std::string prefix = std::to_string(at++) + "/";
    archive.PutString(prefix + "method", key.first);
    archive.Put(prefix + "run",
                RunRecord{run.evaluations, run.valid, run.proposals, run.proposals_broken,
                          run.final_broken, key.second, run.hypervolume, run.seconds});
    archive.PutVector(prefix + "curve", run.curve);
  }
  return archive.Save(path);
}

Status LoadComparison(const std::string& path, Comparison* comparison) {
  Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(path);
  if (!archive.ok()) return archive.status();
  std::string problem;
  uint64_t fingerprint = 0;
  int64_t budget = 0, runs = 0;
  archive->GetString("problem", &problem);
  archive->Get("fingerprint", &fingerprint);
  archive->Get("budget", &budget);
  archive->Get("runs", &runs);
  if (!archive->status().ok()) return archive->status();
  if (problem != comparison->problem->name()) {
    return Status::Error("%s: is of problem %s, not %s: give another --out", path.c_str(),
                         problem.c_str(), comparison->problem->name().c_str());
  }
  if (budget != comparison->budget) {
    return Status::Error("%s: is of budget %lld, not %lld: give another --out", path.c_str(),
                         static_cast<long long>(budget),
                         static_cast<long long>(comparison->budget));
  }
  if (fingerprint != comparison->problem->fingerprint()) {
    return Status::Error(
        "%s: the costs of %s are not those that its runs saw: a file that its settings name has "
        "changed, or the program; start anew with another --out",
        path.c_str(), problem.c_str());
  }
  for (int64_t i = 0; i < runs; ++i) {
    const std::string prefix = std::to_string(i) + "/";
    std::string method;
    RunRecord record{};
    CompareRun run;
    archive->GetString(prefix + "method", &method);
    archive->Get(prefix + "run", &record);
    archive->GetVector(prefix + "curve", &run.curve);
    if (!archive->status().ok()) return archive->status();
    if (run.curve.empty()) return Status::Error("%s: a run without a curve", path.c_str());
    run.evaluations = record.evaluations;
    run.valid = record.valid;
    run.proposals = record.proposals;
    run.proposals_broken = record.proposals_broken;
    run.final_broken = record.final_broken;
    run.hypervolume = record.hypervolume;
    run.seconds = record.seconds;
    comparison->runs[{method, record.seed}] = std::move(run);
  }
  return Status::Ok();
}

}  // namespace rhnas::search
