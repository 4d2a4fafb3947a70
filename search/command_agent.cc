// rhnas agent: an agent that is trained on random networks of a space and proposes hardware for
// networks it has never seen.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "engine/archive.h"
#include "hw/json.h"
#include "search/arguments.h"
#include "search/command.h"
#include "search/layers.h"
#include "search/pretrain.h"
#include "search/progress.h"
#include "search/report_json.h"
#include "search/search_flags.h"
#include "search/signals.h"
#include "search/suggest.h"
#include "search/table_flags.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

// The quantiles that a test tells.
constexpr double kWithin = 0.05;

class AgentCommand : public Command {
 public:
  const char* name() const override { return "agent"; }
  const char* summary() const override {
    return "train an agent that proposes hardware for networks it never saw";
  }
  const char* usage() const override { return "train | test FILE | propose FILE [FLAGS]"; }
  const char* notes() const override {
    return "train    on random networks of --space under random area caps, into --out. Ctrl-C "
           "saves, --resume goes\n"
           "         on to the same bits.\n"
           "test     on --networks random networks that no training sees: the gap of the one "
           "design "
           "proposed to\n"
           "         the exact optimum among all designs allowed.\n"
           "propose  for --network, in one forward pass.\n\n"
           "JSON keys: file, space, hw_space, bus, objective, steps; of train seconds; of test "
           "area_max, networks,\n"
           "gap_median, gap_q90, gap_worst, share_within_5pct; of propose hw, point, cost, "
           "default_cost.";
  }
  const char* examples() const override {
    return "  rhnas agent train --space fbnet-cifar --hw-space vta --out fbnet-cifar.agent\n"
           "  rhnas agent test fbnet-cifar.agent --networks 1000 --area-max 1";
  }

  void Declare(FlagSet* flags) override {
    flags->Positional("ACTION [FILE]", &words_);
    flags->Group("Training");
    flags->Text("space", "NAME", &head_.networks, "network space, options after @").choices =
        nn::SpaceNames();
    flags->Text("hw-space", "NAME|FILE", &head_.hw_space, "accelerator space");
    flags->Choice("bus", &bus_, BusChoices(), "the platform's memory bus in bits");
    flags->Choice("objective", &objective_, {"latency", "energy", "edp"}, "what it minimises");
    flags->Int("steps", &steps_, 1, 10000000, "updates, of 16 networks each");
    flags->Int("hidden", &head_.hidden, 1, 4096, "units of each of two layers");
    flags->Choice("gradient", &gradient_, {"exact", "sampled"},
                  "policy gradient: over all designs, or REINFORCE on draws");
    flags->Int64("seed", &head_.seed, "random seed");
    flags->Text("out", "FILE", &out_, "the agent");
    flags->Switch("resume", &resume_, "go on with the training of --out");
    flags->Group("Test and proposal");
    flags->Int("networks", &networks_, 1, 10000000, "unseen networks to test on");
    flags->Number("area-max", &area_max_, 0, 1000,
                  "area cap relative to the default accelerator's; 0: none");
    network_.Declare(flags, /*sized_by_data=*/false);
    flags->Group("Run");
    DeclareTableFlags(&energy_table_, flags);
    flags->Int("threads", &threads_, 0, 1024, "threads, without effect on results; 0: all");
  }

  int Run(FlagSet* flags, const std::vector<std::string>& /*words*/, Console* console) override {
    const std::vector<std::string> actions = {"train", "test", "propose"};
    if (words_.empty())
      return console->Fail(kExitUsage, "an action is needed: train, test, propose");
    const std::string action = words_[0];
    if (std::find(actions.begin(), actions.end(), action) == actions.end()) {
      return console->Fail(kExitUsage, UnknownWord("action", action, actions));
    }
    const bool train = action == "train";
    if (words_.size() != (train ? 1u : 2u)) {
      return console->Fail(kExitUsage, train ? "train takes no file, it writes --out FILE"
                                             : action + " takes one file");
    }
    Result<hw::CostTable> prices = LoadCostTable(energy_table_);
    if (!prices.ok()) return console->Fail(TableExitCode(energy_table_), prices.status().message());
    prices_ = std::move(*prices);
    if (train) return Train(*flags, console);
    file_ = words_[1];
    Result<Proposer::Head> head = Proposer::LoadHead(file_);
    if (!head.ok()) return console->Fail(head.status());
    head_ = *head;
    if (head_.prices != hw::PricesFingerprint(prices_)) return OtherPrices(console);
    if (const int code = MakeSpaces(console); code != kExitOk) return code;
    engine::ThreadPool pool(threads_);
    Result<std::unique_ptr<Proposer>> agent = Proposer::Load(file_, *space_, pool);
    if (!agent.ok()) return console->Fail(agent.status());
    return action == "test" ? Test(**agent, pool, console) : Propose(**agent, pool, console);
  }

 private:
  int OtherPrices(Console* console) const {
    return console->Fail(
        kExitUsage, file_ +
                        ": trained with another energy table: give the same one (--energy-table, "
                        "--node, --dram, --clock), or train an agent for this one");
  }

  int MakeSpaces(Console* console) {
    Result<nn::Space> found = nn::FindSpace(head_.networks);
    if (!found.ok()) return console->Fail(kExitUsage, "--space: " + found.status().message());
    space_of_networks_ = std::move(*found);
    family_ = hw::FindAcceleratorOfSpace(head_.hw_space);
    if (family_ == nullptr) family_ = hw::Accelerators().front();
    hw::SpaceOptions options;
    options.bus_bits = head_.bus_bits;
    options.derived_tags = true;  // as in searches
    hw::Result<std::unique_ptr<hw::DesignSpace>> space =
        family_->FindSpace(head_.hw_space, options);
    if (!space.ok()) return console->Fail(kExitUsage, "--hw-space: " + space.error());
    space_ = std::move(*space);
    return kExitOk;
  }

  // Null: *code says how it ended.
  std::shared_ptr<const SpaceCosts> Price(engine::ThreadPool& pool, CommandSink& sink,
                                          const std::atomic<bool>& stop, Console* console,
                                          int* code) {
    const Result<std::shared_ptr<const SpaceCosts>> costs =
        SpaceCosts::Build({family_, space_, &prices_, &space_of_networks_}, pool, &sink, stop);
    sink.Finish();
    if (!costs.ok()) {
      *code = console->Fail(costs.status());
      return nullptr;
    }
    if (*costs == nullptr) {
      console->Note("stopped before anything was learned");
      *code = 128 + StopSignal();
    }
    return *costs;
  }

  // Minutes of training must not end with a file that cannot be written, nor with another one lost.
  Status CheckOut() const {
    if (const Status out = engine::CheckOutput(out_); resume_ || !out.ok()) return out;
    std::FILE* file = std::fopen(out_.c_str(), "rb");
    if (file != nullptr) {
      std::fclose(file);
      return Status::Error("%s: exists: give --out another name, or --resume to go on with it",
                           out_.c_str());
    }
    if (errno != ENOENT) {
      return Status::Error("%s: cannot be written: %s", out_.c_str(), std::strerror(errno));
    }
    const Status tried = engine::WriteFileAtomically(out_, "");
    std::remove(out_.c_str());
    return tried;
  }

  int Train(const FlagSet& flags, Console* console) {
    if (out_.empty())
      return console->Fail(kExitUsage, "--out FILE is needed: where the agent goes");
    file_ = out_;
    head_.bus_bits = BusBits(bus_);
    head_.all_steps = steps_;
    const Result<Objective> objective = ParseObjective(objective_);
    if (!objective.ok()) return console->Fail(kExitUsage, objective.status().message());
    head_.objective = *objective;
    head_.prices = hw::PricesFingerprint(prices_);
    if (gradient_ == "sampled") head_.gradient = PretrainGradient::kSampled;
    if (resume_) {
      for (const char* fixed :
           {"space", "hw-space", "bus", "objective", "hidden", "gradient", "seed", "steps"}) {
        if (flags.given(fixed)) {
          return console->Fail(kExitUsage, Format("--%s is kept in %s: leave it away with --resume",
                                                  fixed, out_.c_str()));
        }
      }
      const Result<Proposer::Head> head = Proposer::LoadHead(out_);
      if (!head.ok()) return console->Fail(head.status());
      head_ = *head;
      if (head_.prices != hw::PricesFingerprint(prices_)) return OtherPrices(console);
    }
    if (const int code = MakeSpaces(console); code != kExitOk) return code;
    if (space_of_networks_.searchable().empty()) {
      return console->Fail(kExitUsage, "--space " + head_.networks +
                                           " holds a single network: there is nothing to train on");
    }
    if (const Status out = CheckOut(); !out.ok()) return console->Fail(out);
    engine::ThreadPool pool(threads_);
    std::unique_ptr<Proposer> agent = std::make_unique<Proposer>(head_, *space_, pool);
    if (resume_) {
      Result<std::unique_ptr<Proposer>> loaded = Proposer::Load(out_, *space_, pool);
      if (!loaded.ok()) return console->Fail(loaded.status());
      agent = std::move(*loaded);
    }
    const std::atomic<bool>& stop = InstallStopSignals();
    CommandSink sink;
    int code = kExitOk;
    const std::shared_ptr<const SpaceCosts> costs = Price(pool, sink, stop, console, &code);
    if (costs == nullptr) return code;
    Pretrain(*agent, space_of_networks_, *costs, {}, &sink, stop);
    sink.Finish();
    if (const Status saved = agent->Save(out_); !saved.ok()) return console->Fail(saved);
    if (agent->head.steps < agent->head.all_steps) {
      console->Note(Format("stopped after %lld of %lld steps, saved in %s; go on with --resume",
                           static_cast<long long>(agent->head.steps),
                           static_cast<long long>(agent->head.all_steps), out_.c_str()));
      return 128 + StopSignal();
    }
    return Test(*agent, *costs, console);
  }

  int Test(Proposer& agent, engine::ThreadPool& pool, Console* console) {
    CommandSink sink;
    int code = kExitOk;
    const std::shared_ptr<const SpaceCosts> costs =
        Price(pool, sink, InstallStopSignals(), console, &code);
    return costs == nullptr ? code : Test(agent, *costs, console);
  }

  void AddHead(const Proposer& agent, hw::JsonWriter* json) const {
    json->Key("file").String(file_).Key("space").String(head_.networks);
    json->Key("hw_space").String(head_.hw_space).Key("bus").Int(head_.bus_bits);
    json->Key("objective")
        .String(ObjectiveName(head_.objective))
        .Key("steps")
        .Int(agent.head.steps);
  }

  int Test(Proposer& agent, const SpaceCosts& costs, Console* console) {
    const ProposalGaps result =
        TestProposer(agent, space_of_networks_, costs, area_max_, networks_, head_.seed);
    if (result.gaps.empty()) {
      return console->Fail(kExitFailure,
                           Format("--area-max %g: no point of %s that runs networks is that small; "
                                  "the smallest takes %.3f",
                                  area_max_, head_.hw_space.c_str(),
                                  *std::min_element(costs.areas().begin(), costs.areas().end())));
    }
    if (console->json()) {
      hw::JsonWriter json;
      json.BeginObject();
      AddHead(agent, &json);
      json.Key("area_max").Double(area_max_);
      json.Key("networks").Int(static_cast<int64_t>(result.gaps.size()));
      json.Key("gap_median").Double(result.quantile(0.5));
      json.Key("gap_q90").Double(result.quantile(0.9));
      json.Key("gap_worst").Double(result.gaps.back());
      json.Key("share_within_5pct").Double(result.share_within(kWithin));
      json.EndObject();
      console->Print(json.text() + "\n");
      return kExitOk;
    }
    console->Print(
        Format("agent        %s: %s on %s, %s, %lld steps\n"
               "unseen       %zu random networks, %s\n"
               "gap          median %.2f%%, 90%% %.2f%%, worst %.2f%% above the exact optimum\n"
               "within 5%%    %.1f%% of the networks, in one forward pass\n",
               file_.c_str(), head_.networks.c_str(), head_.hw_space.c_str(),
               ObjectiveName(head_.objective), static_cast<long long>(agent.head.steps),
               result.gaps.size(),
               area_max_ > 0 ? Format("area cap %g", area_max_).c_str() : "no area cap",
               100 * result.quantile(0.5), 100 * result.quantile(0.9), 100 * result.gaps.back(),
               100 * result.share_within(kWithin)));
    return kExitOk;
  }

  int Propose(Proposer& agent, engine::ThreadPool& pool, Console* console) {
    if (network_.text.empty()) {
      return console->Fail(kExitUsage, "propose needs --network NAME|FILE|GENOTYPE");
    }
    const Argument<NetworkLayers> network = ResolveNetworkLayers(network_);
    if (!network.value.ok()) {
      return console->Fail(network.exit_code, network.value.status().message());
    }
    hw::Limits limits;
    limits.area_table = &prices_;
    const hw::DesignPtr reference = space_->Reference();
    if (area_max_ > 0) limits.area_max_um2 = area_max_ * reference->AreaUm2(prices_);
    const std::vector<int64_t> points = space_->NetworkPoints(limits);
    if (points.empty()) {
      return console->Fail(kExitFailure, Format("--area-max %g: no point of %s can be built",
                                                area_max_, head_.hw_space.c_str()));
    }
    const std::vector<hw::Layer>& layers = network.value->layers;
    for (const std::string& note : network.value->notes) console->Note("rhnas agent: " + note);
    const int64_t point = agent.Propose(layers, area_max_, points);
    const hw::DesignPtr design = space_->AtPoint(point);
    const CostSource source{&prices_, nullptr, nullptr};
    const Workload workload(layers);
    std::string why;
    const std::optional<DesignCost> cost = Evaluate(*source.Model(*design), workload, pool, &why);
    const std::optional<DesignCost> usual =
        Evaluate(*source.Model(*reference), workload, pool, cost ? &why : nullptr);
    if (!cost || !usual) {
      if (cost) {
        return console->Fail(kExitFailure, "the default accelerator, " + reference->ShortName() +
                                               ", which the proposed one is compared with, cannot "
                                               "run the network: " +
                                               why);
      }
      return console->Fail(
          kExitFailure, "the proposed " + design->ShortName() + " cannot run the network: " + why);
    }
    if (console->json()) {
      hw::JsonWriter json;
      json.BeginObject();
      AddHead(agent, &json);
      json.Key("hw").String(design->ShortName()).Key("point").Int(point);
      json.Key("cost").BeginObject();
      AddCost(*cost, &json);
      json.EndObject();
      json.Key("default_cost").BeginObject();
      AddCost(*usual, &json);
      json.EndObject();
      json.EndObject();
      console->Print(json.text() + "\n");
      return kExitOk;
    }
    const Ratios ratios = RatiosOf(*cost, *usual);
    console->Print(Format(
        "%s\ndefault / proposed: latency %.3f, energy %.3f, EDP %.3f; area %.3f of "
        "the default's\n",
        design->ShortName().c_str(), ratios.latency, ratios.energy, ratios.edp, ratios.area));
    return kExitOk;
  }

  std::vector<std::string> words_;
  Proposer::Head head_{"fbnet-cifar", "vta"};
  std::string bus_ = "64", objective_ = "edp", gradient_ = "exact", out_, file_;
  int steps_ = 2000, networks_ = 1000, threads_ = 0;
  double area_max_ = 0;
  bool resume_ = false;
  NetworkArgument network_;
  TableChoice energy_table_;
  hw::CostTable prices_;
  nn::Space space_of_networks_;
  const hw::Accelerator* family_ = nullptr;
  std::shared_ptr<const hw::DesignSpace> space_;
};

}  // namespace

std::unique_ptr<Command> MakeAgentCommand() { return std::make_unique<AgentCommand>(); }

}  // namespace rhnas::search
