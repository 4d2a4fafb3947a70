// Methods against each other on a problem whose best answer is known: every method with every seed
// at the same budget of evaluations. docs/COMPARE.md tells what the numbers mean.
//
// Runs are independent, so they go in parallel and in any order; what one gives depends on the
// problem, the method, the seed and the budget alone. What is finished is kept in a checkpoint and
// never run again.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/json.h"
#include "search/joint_search.h"

namespace rhnas::search {

struct CompareMethod {
  std::string name;
  const char* summary = "";
  int64_t minimum = 1;  // evaluations
  // Has a model that proposes a design of its own accord (a policy, relaxed choices): how often
  // that cannot be built is counted.
  bool proposes = false;
};

// A better answer was found. Plain data: checkpoints hold its bytes.
struct CurvePoint {
  int64_t evaluation = 0;  // used when it was found; 0: what every method starts from
  double objective = 0;
  double accuracy = 0;  // joint problems
  int64_t valid = 0;    // evaluations so far that could be built and run
};

// One method with one seed.
struct CompareRun {
  std::vector<CurvePoint> curve;  // objective falls; not empty
  int64_t evaluations = 0;        // distinct designs (pairs) asked
  int64_t valid = 0;              // of them, those that can be built and run the network
  // What the model alone would build, asked after every round: how often, how often that cannot be
  // built, and which rules the last one breaks (bit i: rule i, kCannotRun: the network).
  int64_t proposals = 0, proposals_broken = 0;
  uint64_t final_broken = 0;
  double hypervolume = 0;  // joint problems: share of the exact front's
  double seconds = 0;
};
inline constexpr uint64_t kCannotRun = uint64_t{1} << 63;

class CompareProblem {
 public:
  virtual ~CompareProblem() = default;
  virtual const std::string& name() const = 0;
  virtual std::vector<CompareMethod> methods() const = 0;
  // An error: the method cannot work on this problem at all.
  virtual engine::Status Check(const CompareMethod& method) const = 0;
  virtual double optimum() const = 0;  // least objective that any answer has, > 0
  virtual bool joint() const { return false; }
  // Of every cost that a run can see: tells another problem of the same name.
  virtual uint64_t fingerprint() const = 0;
  virtual std::string RuleName(int rule) const = 0;
  // What the problem is, as lines and as members of the open object.
  virtual std::string Text() const = 0;
  virtual void AddJson(hw::JsonWriter* json) const = 0;
  // Thread-safe. False: *stop became true, the run is not complete. Errors: the method cannot be
  // made.
  virtual engine::Result<bool> Run(const CompareMethod& method, uint64_t seed, int64_t budget,
                                   const std::atomic<bool>& stop, CompareRun* run) const = 0;
};

struct Comparison {
  const CompareProblem* problem = nullptr;
  std::vector<CompareMethod> methods;
  uint64_t first_seed = 1;
  int seeds = 10;
  int64_t budget = 0;
  std::map<std::pair<std::string, uint64_t>, CompareRun> runs;  // by method and seed

  bool finished() const;
  const CompareRun& run(const CompareMethod& method, int i) const {
    return runs.at({method.name, first_seed + static_cast<uint64_t>(i)});
  }
};

// "all", or names with commas between. Errors: an unknown name (the list and the nearest), one that
// comes twice, a method whose minimum is above the budget. "all" leaves those out that cannot work
// on the problem, and says so in *note.
engine::Result<std::vector<CompareMethod>> ChooseMethods(const CompareProblem& problem,
                                                         const std::string& list, int64_t budget,
                                                         std::string* note);

// Runs what is missing, on the pool's threads. With a path, saves there about once a second and at
// the end; a stop is no error. Errors (of a run, or a save that failed): no further run begins.
engine::Status RunComparison(Comparison* comparison, engine::ThreadPool& pool, ProgressSink& sink,
                             const std::atomic<bool>& stop, const std::string& checkpoint);
engine::Status SaveComparison(const Comparison& comparison, const std::string& path);
// Errors: another problem's or another budget's, a damaged file.
engine::Status LoadComparison(const std::string& path, Comparison* comparison);

}  // namespace rhnas::search
