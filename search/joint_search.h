// The joint search after RHNAS (arXiv 2106.09180): differentiable search picks the network,
// reinforcement learning picks the accelerator, each under the other's current choice.
//
// Phases: warm-up (shared weights only) - search (weight step, architecture step; every `hw_every`
// steps the hardware agent proposes configurations for the current argmax network and the best
// valid one becomes the current accelerator) - final hardware (the agent once more, on the final
// network) - final training of that network from its supernet weights - test. docs/ARCHITECTURE.md
// gives the equations.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/accelerator.h"
#include "nn/space.h"
#include "nn/supernet.h"
#include "search/hardware_environment.h"
#include "search/objective.h"
#include "search/table_flags.h"
#include "search/trace.h"

namespace rhnas::search {

struct SearchOptions {
  // What to search.
  std::string space = "tiny";
  double width = 1.0;
  bool always_pw = true;
  std::string accelerator;  // the family's name; empty: vta
  // A family that is not compiled in; null: found by its name. Must outlive the search.
  const hw::Accelerator* own_accelerator = nullptr;
  std::string hw_space = "vta";  // a name, or a file of the user's (hw/space_text.cc)
  int bus_bits = 64;             // 0: searched ("free")
  // Fixes the accelerator to this preset or file: network search only (the baseline run). Empty:
  // search it.
  std::string fixed_hw;
  Objective objective = Objective::kEdp;
  double area_max = 1.0;     // relative to the default's area; 0: no cap
  std::string board;         // budget of a board as well; empty: none
  double latency_max = 0;    // cycles; 0: none
  double accuracy_min = 0;   // 0..1; 0: none
  TableChoice energy_table;  // CSV file or built in
  std::string layer_table;   // layer costs, a table or a CSV; empty: evaluated
  // Data.
  std::string dataset = "synth", data_dir;
  int train_size = 0, test_size = 0;
  // Budget.
  int warmup_epochs = 6, search_epochs = 10, final_epochs = 12;
  int batch = 64;
  int arch_every = 2;        // weight steps between architecture steps
  int hw_every = 0;          // architecture steps between hardware rounds; 0: twice an epoch
  int hw_evaluations = 400;  // proposals in each hardware round
  int hw_final_evaluations = 2000;
  // Network search.
  double lambda = 0.05;  // weight of the expected cost relative to the default accelerator's
  nn::ArchGradient arch_gradient = nn::ArchGradient::kProxyHard;
  float weight_lr = 0.1f, weight_decay = 5e-4f, arch_lr = 0.03f;
  float temperature = 5.0f, temperature_final = 0.5f;
  // Hardware search.
  std::string agent = "reinforce";
  InvalidHandling invalid = InvalidHandling::kPenalty;
  // Everything else.
  uint64_t seed = 1;
  int threads = 0;
};

struct SearchResult {
  std::string network;  // genotype text
  const hw::Accelerator* accelerator = nullptr;
  hw::DesignPtr hw;
  std::vector<hw::BrokenRule> verdicts;  // of hw under the limits: empty
  int64_t macs = 0, params = 0;
  DesignCost cost, default_cost;  // the same network on the default accelerator
  double accuracy = 0;            // test set, after the final training
  double validation_accuracy = 0;
  Proposals proposals;
  int64_t evaluations = 0;  // cost-model evaluations of whole designs
  double seconds = 0;
  bool latency_met = true, accuracy_met = true;
};

// A point of progress; the receiver decides what to print.
struct Progress {
  const char* phase = "";               // "warm-up", "search", "hardware", "training", "test"
  int64_t done = 0, total = 0;          // steps over the whole run
  const char* unit = "steps";           // what they are
  double loss = 0, accuracy = 0;        // of the last step
  double temperature = 0, entropy = 0;  // of the architecture
  double lambda = 0;
  double reward = 0;  // best of the last hardware round
  double share_valid = 0;
  DesignCost current;      // argmax network on the current accelerator
  bool epoch_end = false;  // a row for log.csv
  int epoch = 0;
};

class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  virtual void Report(const Progress& progress) = 0;
};

class JointSearch {
 public:
  // Opens the data and checks every option: an infeasible constraint is an error that names the
  // rule and the nearest feasible point.
  static engine::Result<std::unique_ptr<JointSearch>> Create(const SearchOptions& options);
  ~JointSearch();

  // What the user should know before it runs, one line; empty: nothing.
  const std::string& note() const;
  // Continues from a checkpoint written by Save of a search with the same options.
  engine::Status Load(const std::string& checkpoint_path);
  engine::Status Save(const std::string& checkpoint_path) const;

  // Runs until done or *stop becomes true (then returns at the next step; finished() is false).
  // With a checkpoint path, saves there at every epoch end and when stopped.
  engine::Status Run(ProgressSink& sink, const std::atomic<bool>& stop,
                     const std::string& checkpoint_path);
  // Tells the first whole iteration of the search phase line by line (search/trace.h); null: no
  // more. The result's bits are the same. The sink must outlive Run.
  void SetTrace(TraceSink* sink);
  bool finished() const;
  // REQUIRES: finished().
  const SearchResult& result() const;
  // The final network with its trained weights (search/trained.h). REQUIRES: finished().
  engine::Status SaveWeights(const std::string& path) const;
  // FNV-1a over all weights, logits and the result: the determinism test's golden value.
  uint64_t Hash() const;

 private:
  JointSearch();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rhnas::search
