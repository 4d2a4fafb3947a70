// A hardware search for one network: what flags say, resolved and checked. Shared by rhnas hw and
// rhnas compare.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/status.h"
#include "engine/threads.h"
#include "hw/valid_set.h"
#include "rl/agent.h"
#include "search/arguments.h"
#include "search/hardware_environment.h"
#include "search/landscape.h"
#include "search/table_flags.h"

namespace rhnas::search {

struct HardwareOptions {
  std::string network;  // as --network of rhnas cost
  std::string unsupported = "fail";
  std::string hw_space = "vta";
  int bus_bits = 64;  // 0: searched
  Objective objective = Objective::kEdp;
  double area_max = 0;     // relative to the default's area; 0: no cap
  double latency_max = 0;  // cycles; 0: none
  std::string board;
  TableChoice energy_table;
  std::string layer_table;
  InvalidHandling invalid = InvalidHandling::kMask;
};
// All but the network and --area-max, whose default is the command's.
void DeclareHardwareFlags(HardwareOptions* options, FlagSet* flags);
// What an agent learns with; agents that do not know an option ignore it.
void DeclareAgentFlags(rl::AgentOptions* options, FlagSet* flags);

// An agent that proposes so often for each evaluation of its budget only repeats itself: it has
// converged.
inline constexpr int64_t kActsPerEvaluation = 50;

struct HardwareProblem {
  HardwareOptions options;
  NetworkLayers network;
  hw::CostTable table;
  const hw::Accelerator* accelerator = nullptr;
  std::shared_ptr<const hw::DesignSpace> space;
  hw::Limits limits;        // of `table`
  hw::DesignPtr reference;  // the default on the platform's bus
  double reference_area_um2 = 0;
  DesignCost reference_cost;
  std::vector<hw::Layer> layers;  // of the network
  CostSource costs;
  std::shared_ptr<const hw::ValidSet> valid;   // that can be built and run networks
  std::shared_ptr<const Landscape> landscape;  // null until it is built
  std::string note;                            // what the user should know; empty: nothing

  // An environment on this problem; with a landscape it looks costs up.
  HardwareEnvironment::Setup Setup() const;
  // "area at most 1.00x the default's, latency at most 2000000 cycles"; "none".
  std::string LimitsText() const;
};

// Errors, with the exit code: unknown names, files, a network that the default cannot run, limits
// that no design of the space meets (which rule, and the nearest that can be built).
Argument<std::shared_ptr<HardwareProblem>> MakeHardwareProblem(const HardwareOptions& options,
                                                               engine::ThreadPool& pool);
// Evaluates the whole space. Errors: no design runs the network, or none within the latency limit
// (the nearest is named). *stop: leaves the landscape null.
engine::Status AddLandscape(HardwareProblem* problem, engine::ThreadPool& pool, ProgressSink* sink,
                            const std::atomic<bool>& stop);

}  // namespace rhnas::search
