#include "search/hardware_problem.h"

#include <cmath>
#include <limits>

#include "search/console.h"
#include "search/feasibility.h"
#include "search/layers.h"
#include "search/search_flags.h"
#include "search/suggest.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

void DeclareHardwareFlags(HardwareOptions* o, FlagSet* flags) {
  flags
      ->Text("hw-space", "NAME|FILE", &o->hw_space,
             o->hw_space.empty() ? "accelerator space, or a file with one of your own for VTA; "
                                   "unless given the problem's own: vta, of tiny vta-small"
                                 : "accelerator space, or a file with one of your own for VTA")
      .choices = AllHwSpaces();
  flags->Choice(
      "bus", BusChoices(), BusChoice(o->bus_bits),
      [o](const std::string& text) { o->bus_bits = BusBits(text); },
      [o] { return BusChoice(o->bus_bits); },
      "the platform's memory bus in bits; free searches it (vta-wide always does)");
  flags->Choice(
      "objective", {"latency", "energy", "edp"}, ObjectiveName(o->objective),
      [o](const std::string& text) {
        const Result<Objective> parsed = ParseObjective(text);
        if (parsed.ok()) o->objective = *parsed;
      },
      [o] { return std::string(ObjectiveName(o->objective)); }, "what is minimised");
  flags->Number("latency-max", &o->latency_max, 0, std::numeric_limits<double>::infinity(),
                "latency limit in cycles; 0: none");
  DeclareBoardFlag(&o->board, flags);
  DeclareTableFlags(&o->energy_table, flags);
  flags
      ->Text("layer-table", "FILE", &o->layer_table,
             "read layer costs from a table of rhnas table build, or a CSV of your own")
      .MayChange();
  DeclareInvalidFlag(&o->invalid, flags);
  DeclareUnsupportedFlag(&o->unsupported, flags);
}

void DeclareAgentFlags(rl::AgentOptions* o, FlagSet* flags) {
  flags->Int("agent-batch", &o->batch, 1, 1000000, "proposals an update");
  flags->Int("hidden", &o->hidden, 1, 4096, "width of the policy's hidden layers");
  flags->Int("hidden-layers", &o->layers, 0, 16, "hidden layers of the policy");
  flags->Number("learning-rate", &o->learning_rate, 0, 1, "step of the policy's optimiser");
  flags->Number("entropy", &o->entropy_weight, 0, 1e6, "weight of the policy's entropy");
  flags->Choice(
      "heads", rl::HeadNames(), rl::HeadNames()[static_cast<size_t>(o->heads)],
      [o](const std::string& text) { rl::SetHeads(text, o); },
      [o] { return rl::HeadNames()[static_cast<size_t>(o->heads)]; },
      "policies choose parameters apart, or each one knowing those before it");
  flags->Choice(
      "baseline", rl::BaselineNames(), "ranks",
      [o](const std::string& text) { rl::SetBaseline(text, o); },
      [o] {
        if (o->advantage == rl::AdvantageScale::kRanked) return std::string("ranks");
        return std::string(o->baseline == rl::Baseline::kBatch ? "batch" : "moving");
      },
      "what reinforce weighs a proposal by: ranks in the batch, or return less a moving or the "
      "batch's mean");
  flags->Int("elites", &o->elites, 0, 4096, "best proposals that reinforce learns from again");
}

HardwareEnvironment::Setup HardwareProblem::Setup() const {
  HardwareEnvironment::Setup setup;
  setup.accelerator = accelerator;
  setup.space = space;
  setup.limits = limits;
  setup.reference = reference;
  setup.costs = costs;
  setup.objective = options.objective;
  setup.latency_max = options.latency_max;
  setup.landscape = landscape;
  setup.valid = valid;
  setup.invalid = options.invalid;
  return setup;
}

std::string HardwareProblem::LimitsText() const {
  std::string text;
  const auto add = [&text](const std::string& limit) {
    text += (text.empty() ? "" : ", ") + limit;
  };
  if (options.area_max > 0) add(Format("area at most %.4gx the default's", options.area_max));
  if (!options.board.empty()) add("board " + options.board);
  if (options.latency_max > 0) add(Format("latency at most %.0f cycles", options.latency_max));
  return text.empty() ? "none" : text;
}

Argument<std::shared_ptr<HardwareProblem>> MakeHardwareProblem(const HardwareOptions& o,
                                                               engine::ThreadPool& pool) {
  auto problem = std::make_shared<HardwareProblem>();
  problem->options = o;
  NetworkArgument network;
  network.text = o.network;
  network.unsupported = o.unsupported;
  Argument<NetworkLayers> resolved = ResolveNetworkLayers(network);
  if (!resolved.value.ok()) return {resolved.value.status(), resolved.exit_code};
  problem->network = std::move(*resolved.value);
  Result<hw::CostTable> table = LoadCostTable(o.energy_table);
  if (!table.ok()) return {table.status(), TableExitCode(o.energy_table)};
  problem->table = std::move(*table);
  problem->costs.table = &problem->table;

  hw::SpaceOptions space_options;
  space_options.bus_bits = o.bus_bits;
  space_options.derived_tags = true;  // as in searches
  const hw::Accelerator* family = hw::FindAcceleratorOfSpace(o.hw_space);
  if (family == nullptr) {
    family = hw::Accelerators().front();
    const Argument<hw::HwSpace> file = ResolveHwSpace(o.hw_space, space_options);
    if (!file.value.ok()) return {file.value.status(), file.exit_code};
  }
  problem->accelerator = family;
  hw::Result<std::unique_ptr<hw::DesignSpace>> space = family->FindSpace(o.hw_space, space_options);
  if (!space.ok()) return {Status::Error("%s", space.error().c_str()), kExitUsage};
  problem->space = std::move(*space);

  problem->reference = problem->space->Reference();
  problem->reference_area_um2 = problem->reference->AreaUm2(problem->table);
  problem->limits.area_table = &problem->table;
  if (o.area_max > 0) problem->limits.area_max_um2 = o.area_max * problem->reference_area_um2;
  if (!o.board.empty()) {
    if (!family->fits_boards()) {
      return {Status::Error("--board %s: what accelerator %s takes of a board is not known: leave "
                            "--board away",
                            o.board.c_str(), family->name()),
              kExitUsage};
    }
    hw::Result<hw::Board> board = hw::FindBoard(o.board);
    if (!board.ok()) return {Status::Error("%s", board.error().c_str()), kExitUsage};
    problem->limits.board = *board;
  }

  problem->layers = problem->network.layers;
  if (!o.layer_table.empty()) {
    LayerTableQuestion asked;
    asked.path = o.layer_table;
    asked.accelerator = family;
    asked.space = problem->space.get();
    asked.limits = problem->limits;
    asked.whole_space = true;
    asked.designs = {problem->reference};
    for (const hw::Layer& layer : problem->layers) asked.items.push_back({layer});
    asked.networks = problem->network.name;
    asked.prices = &problem->table;
    Result<std::shared_ptr<const hw::LayerTable>> layers = OpenLayerTable(asked, &problem->note);
    if (!layers.ok()) return {layers.status(), kExitFailure};
    problem->costs.layers = std::move(*layers);
  }

  FeasibilityQuestion question;
  question.space = problem->space.get();
  question.reference = problem->reference;
  question.limits = problem->limits;
  question.area_max = o.area_max;
  question.default_area_um2 = problem->reference_area_um2;
  question.costs = problem->costs;
  const Status feasible = CheckFeasible(question, pool);
  if (!feasible.ok()) return {feasible, kExitFailure};
  // A user's own table of costs says itself what runs.
  const bool given = problem->costs.layers != nullptr && problem->costs.layers->head().given;
  problem->valid = std::make_shared<hw::ValidSet>(*problem->space, problem->limits, !given);
  if (problem->valid->points().empty()) {
    return {Status::Error("no accelerator of %s that can be built under the limits (%s) runs "
                          "networks: raise --area-max or choose another --hw-space",
                          problem->space->name().c_str(), problem->LimitsText().c_str()),
            kExitFailure};
  }
  std::string why;
  const std::optional<DesignCost> cost =
      Evaluate(*problem->costs.Model(*problem->reference), Workload(problem->layers), pool, &why);
  if (!cost) {
    return {Status::Error("%s cannot run on the default accelerator, which designs are compared "
                          "with: %s",
                          problem->network.name.c_str(), why.c_str()),
            kExitFailure};
  }
  problem->reference_cost = *cost;
  return {problem, kExitOk};
}

Status AddLandscape(HardwareProblem* p, engine::ThreadPool& pool, ProgressSink* sink,
                    const std::atomic<bool>& stop) {
  const Landscape::Question question{p->accelerator, p->space, p->limits, p->costs, p->layers};
  Result<std::shared_ptr<const Landscape>> built = Landscape::Build(question, pool, sink, &stop);
  if (!built.ok()) return built.status();
  if (*built == nullptr) return Status::Ok();
  const Landscape& landscape = **built;
  const int64_t fastest = landscape.Best(Objective::kLatency);
  if (fastest < 0) {
    return Status::Error(
        "none of the %lld accelerators of %s that can be built under the limits (%s) runs %s: "
        "raise --area-max or choose another --hw-space",
        static_cast<long long>(landscape.valid()), p->space->name().c_str(),
        p->LimitsText().c_str(), p->network.name.c_str());
  }
  const int64_t cycles = landscape.cost(fastest).latency_cycles;
  if (p->options.latency_max > 0 && static_cast<double>(cycles) > p->options.latency_max) {
    return Status::Error(
        "--latency-max %.0f is infeasible: the fastest accelerator, %s, takes %lld cycles: raise "
        "--latency-max to at least that, or --area-max or --bus",
        p->options.latency_max, p->space->AtPoint(fastest)->ShortName().c_str(),
        static_cast<long long>(cycles));
  }
  p->landscape = std::move(*built);
  return Status::Ok();
}

}  // namespace rhnas::search
