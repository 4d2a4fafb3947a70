// The joint search's whole state, and the one step that moves it. Private to search/joint_*.cc.
//
// The search is a state machine: Step() does one unit of work (a weight step with its architecture
// step, or one round of the agent) and leaves everything in a state that can be saved. That is what
// makes a stop at any moment, and a resume to the same bits, simple.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/optimizer.h"
#include "nn/data.h"
#include "nn/train.h"
#include "rl/agent.h"
#include "search/joint_search.h"
#include "search/slot_costs.h"

namespace rhnas::search {

enum class Phase : int32_t {
  kWarmup,         // shared weights on uniformly drawn paths
  kSearch,         // weight and architecture steps
  kHardware,       // the agent, for the current network; then back to kSearch
  kFinalHardware,  // the agent, for the final network
  kTraining,       // the final network's weights
  kTest,
  kDone,
};
const char* PhaseName(Phase phase);

struct JointSearch::Impl {
  explicit Impl(const SearchOptions& search_options)
      : options(search_options), pool(search_options.threads), tape(pool) {}

  // Where the search stands.
  struct Cursor {
    Phase phase = Phase::kWarmup;
    int64_t step = 0;  // within the phase (kHardware keeps kSearch's)
    int64_t arch_steps = 0;
    int64_t proposals_left = 0;  // of the hardware round under way
    int64_t units_done = 0;      // for progress
    bool repaired = false;       // the final hardware round was repeated
  };

  engine::Status Init();
  engine::Status Run(ProgressSink& sink, const std::atomic<bool>& stop, const std::string& path);
  engine::Status Save(const std::string& path) const;
  engine::Status Load(const std::string& path);
  uint64_t Hash() const;

  // One unit of work; fills the parts of `progress` that it knows.
  engine::Status Step();
  engine::Status SearchStep();
  engine::Status HardwareStep();
  engine::Status TrainingStep();
  engine::Status LossNotFinite() const;
  engine::Status ArchitectureStep();
  void BeginHardware(Phase phase, int64_t proposals);
  engine::Status AdoptAccelerator();
  void EndEpoch();
  void Steer();
  bool RepairLatency();  // true: the final network changed
  void BeginTraining();
  void Finish();

  // --trace (search/joint_trace.cc).
  void TellWeightStep(const nn::Genotype& path, const nn::Batch& batch, const nn::StepStats& stats,
                      double tau, float rate, float weight_before);
  void TellArchitectureStep(const nn::ArchPass& pass, const ArchTrace& step);
  void TracedRound();
  void TellAdoption();

  int64_t warmup_steps() const;
  int64_t search_steps() const;
  int64_t training_steps() const;
  int64_t hardware_rounds() const;
  bool searches_hardware() const { return options.fixed_hw.empty(); }
  double temperature() const;
  std::vector<hw::Layer> LayersOfNetwork(const nn::Genotype& genotype) const;
  engine::Result<DesignCost> CostOf(const nn::Genotype& genotype, const hw::Design& design);
  // All settings that the result depends on, as one line.
  std::string Fingerprint() const;

  SearchOptions options;
  engine::ThreadPool pool;
  engine::Tape tape;

  hw::CostTable table;
  CostSource cost_source;
  std::string note;  // of the layer table
  const hw::Accelerator* accelerator = nullptr;
  hw::DesignPtr default_hw;  // the default accelerator on this platform's bus
  hw::Limits limits;
  nn::Space space;
  nn::DataPair data;
  std::unique_ptr<nn::Loader> weight_data, arch_data, validation_data, training_data, test_data;
  std::unique_ptr<nn::Supernet> net;
  std::unique_ptr<engine::Sgd> weight_optimizer, training_optimizer;
  std::unique_ptr<engine::Adam> arch_optimizer;
  std::unique_ptr<HardwareEnvironment> environment;
  std::unique_ptr<rl::Agent> agent;

  // What is saved, beside the objects above.
  Cursor cursor;
  engine::Rng path_rng{0}, arch_rng{0}, agent_rng{0};
  hw::DesignPtr current_hw;
  nn::Genotype hardware_network;  // what the agent last designed for
  nn::Genotype final_network;
  double lambda = 0;
  double seconds_before = 0;
  Progress progress;
  SearchResult result;

  // Derived.
  SlotCosts costs;
  CostScale scale;
  std::chrono::steady_clock::time_point started;
  bool epoch_ended = false;
  TraceSink* trace = nullptr;
  bool telling = false;  // this step
  bool steps_told = false, round_told = false, adoption_told = false;
};

}  // namespace rhnas::search
