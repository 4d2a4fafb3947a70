// rhnas hw: search the accelerator for one network.
#include <algorithm>
#include <cmath>

#include "engine/archive.h"
#include "search/command.h"
#include "search/hardware_problem.h"
#include "search/progress.h"
#include "search/report_json.h"
#include "search/report_text.h"
#include "search/run_folder.h"
#include "search/search_flags.h"
#include "search/signals.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

constexpr uint64_t kDraws = 4;  // stream of the seed, as in rhnas compare
constexpr double kSaveSeconds = 2;
constexpr int64_t kQuicklyEvaluated = 20000;  // points

class HwCommand : public Command {
 public:
  const char* name() const override { return "hw"; }
  const char* summary() const override { return "search the accelerator for one network"; }
  const char* usage() const override {
    return "--network NAME|FILE|GENOTYPE [--agent A] [--evaluations N] [--exact] [--out DIR | "
           "--resume DIR] [FLAGS]";
  }
  const char* notes() const override {
    return "One search by one agent; rhnas compare has them all against each other. With --out "
           "the run can be\n"
           "interrupted and resumed, to the same bytes. JSON keys: network, notes, accelerator, "
           "hw, "
           "hw_name, valid, agent,\n"
           "latency_cycles, energy_pj, edp_pj_cycles, area_um2, dram_bytes, objective, default, "
           "ratio, proposals,\n"
           "evaluations, seed; with --exact also optimum, optimum_hw_name, regret.";
  }
  const char* examples() const override {
    return "  rhnas hw --network mobilenet_v2 --evaluations 129 --exact\n"
           "  rhnas hw --network model.onnx --unsupported host --latency-max 3000000\n"
           "  rhnas hw --network fbnet-c --agent genetic --area-max 1 --bus 128 --out runs/mine";
  }

  void Declare(FlagSet* flags) override {
    flags->Group("What");
    flags
        ->Text("network", "NAME|FILE|GENOTYPE", &options_.network,
               "the network, as rhnas cost takes it")
        .Needed();
    agent_.name = "dyna";  // the best of rhnas compare (docs/REPRODUCE.md)
    flags->Choice("agent", &agent_.name, rl::AgentNames(), "who proposes accelerators");
    flags->Int("evaluations", &evaluations_, 1, 100000000,
               "distinct accelerators that it may propose");
    flags->Number("area-max", &options_.area_max, 0, 1000,
                  "area cap relative to the default accelerator's area; 0: none");
    DeclareHardwareFlags(&options_, flags);
    flags
        ->Switch("exact", &exact_,
                 "evaluate the whole space too, and say how far from its optimum the search ended")
        .NotStored();
    flags->Group("Agent");
    DeclareAgentFlags(&agent_, flags);
    flags->Group("Run");
    flags->Int64("seed", &agent_.seed, "seed of all random numbers: same seed, same bits");
    flags->Text("out", "DIR", &out_, "folder of the run: a new or an empty one").NotStored();
    flags->Text("resume", "DIR", &resume_, "go on with the run in this folder").NotStored();
    flags->Int("threads", &threads_, 0, 1024, "threads, without effect on the result; 0: all")
        .MayChange();
  }

  int Run(FlagSet* flags, const std::vector<std::string>& words, Console* console) override {
    if (!resume_.empty() && !out_.empty()) {
      return console->Fail(kExitUsage, "--resume DIR goes on in DIR, it does not go with --out");
    }
    RunFolder folder;
    if (!resume_.empty()) {
      std::string warning;
      bool misuse = false;
      Result<RunFolder> opened = OpenRun(resume_, name(), flags, &warning, &misuse);
      if (!opened.ok()) {
        return console->Fail(misuse ? kExitUsage : kExitFailure, opened.status().message());
      }
      folder = std::move(*opened);
      if (!warning.empty()) console->Note("rhnas hw: " + warning);
    }
    if (options_.network.empty()) return console->Fail(kExitUsage, "--network is needed");
    for (const rl::AgentInfo& info : rl::Agents()) {
      if (agent_.name != info.name || info.minimum <= evaluations_) continue;
      return console->Fail(kExitUsage,
                           Format("--evaluations %d is below the %lld that %s needs at least",
                                  evaluations_, static_cast<long long>(info.minimum), info.name));
    }
    const std::atomic<bool>& stop = InstallStopSignals();
    engine::ThreadPool pool(threads_);
    const Argument<std::shared_ptr<HardwareProblem>> made = MakeHardwareProblem(options_, pool);
    if (!made.value.ok()) return console->Fail(made.exit_code, made.value.status().message());
    HardwareProblem& problem = **made.value;
    if (!problem.note.empty()) console->Note("rhnas hw: " + problem.note);
    problem.costs.memo = std::make_shared<LayerMemo>();

    HardwareEnvironment environment(problem.Setup(), pool);
    environment.SetNetwork(problem.layers);
    agent_.budget = evaluations_;
    Result<std::unique_ptr<rl::Agent>> agent = rl::MakeAgent(agent_, environment, pool);
    if (!agent.ok()) return console->Fail(kExitUsage, agent.status().message());
    engine::Rng rng(agent_.seed, kDraws);
    int64_t acts = 0;
    const std::string checkpoint = folder.path().empty() ? "" : folder.File(RunFolder::kCheckpoint);
    if (!resume_.empty()) {
      Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(checkpoint);
      if (!archive.ok()) return console->Fail(archive.status());
      engine::Rng::State state{};
      archive->Get("rng", &state);
      archive->Get("acts", &acts);
      if (Status status = environment.Load(*archive, "environment/"); !status.ok()) {
        return console->Fail(status);
      }
      (*agent)->Load(*archive, "agent/");
      if (!archive->status().ok()) return console->Fail(archive->status());
      rng.set_state(state);
    } else if (!out_.empty()) {
      Result<RunFolder> created = RunFolder::Create(out_);
      if (!created.ok()) return console->Fail(created.status());
      folder = std::move(*created);
      Status status =
          folder.Write(RunFolder::kConfig, ConfigText(*flags, name(), words, agent_.seed));
      if (status.ok()) status = Save(environment, **agent, rng, acts, folder);
      if (!status.ok()) {
        folder.Discard();
        return console->Fail(status);
      }
    }

    CommandSink sink;
    Progress progress;
    progress.phase = "hardware";
    progress.unit = "evaluations";
    progress.total = evaluations_;
    double saved_at = MonotonicSeconds();
    // There is no more to ask than the space has.
    const int64_t most = std::min<int64_t>(evaluations_, problem.space->points());
    const auto going = [&] {
      return environment.evaluations() < most && acts < kActsPerEvaluation * most &&
             !(*agent)->Done();
    };
    while (going() && !stop) {
      const int64_t before = environment.proposals().total;
      (*agent)->Round(environment, most - environment.evaluations(), rng);
      const int64_t made_now = environment.proposals().total - before;
      acts += made_now;
      if (made_now == 0) break;
      progress.done = environment.evaluations();
      progress.reward = environment.best_reward();
      const Proposals& proposals = environment.proposals();
      progress.share_valid =
          static_cast<double>(proposals.valid) / static_cast<double>(proposals.total);
      sink.Report(progress);
      if (folder.path().empty() || MonotonicSeconds() - saved_at < kSaveSeconds) continue;
      saved_at = MonotonicSeconds();
      if (Status status = Save(environment, **agent, rng, acts, folder); !status.ok()) {
        sink.Finish();
        return console->Fail(status);
      }
    }
    sink.Finish();
    if (!folder.path().empty()) {
      const Status status = Save(environment, **agent, rng, acts, folder);
      if (!status.ok()) return console->Fail(status);
    }
    if (stop && going()) {
      if (!folder.path().empty()) return console->Stopped(folder.path());
      console->Note("rhnas hw: stopped; with --out DIR a run can be resumed");
      return 128 + StopSignal();
    }
    const bool latency_met =
        options_.latency_max <= 0 ||
        (environment.has_best() &&
         static_cast<double>(environment.best_cost().latency_cycles) <= options_.latency_max);
    // Whether a limit that was not met can be met at all is worth a second.
    if (exact_ || (!latency_met && problem.space->points() <= kQuicklyEvaluated)) {
      const Status built = AddLandscape(&problem, pool, &sink, stop);
      sink.Finish();
      if (!built.ok()) return console->Fail(built);
      if (problem.landscape == nullptr) {
        return folder.path().empty() ? 128 + StopSignal() : console->Stopped(folder.path());
      }
    }
    if (!latency_met) return LatencyNotMet(problem, environment, console);
    return Report(problem, environment, folder, console);
  }

 private:
  static Status Save(const HardwareEnvironment& environment, const rl::Agent& agent,
                     const engine::Rng& rng, int64_t acts, const RunFolder& folder) {
    engine::ArchiveWriter archive;
    archive.Put("rng", rng.state());
    archive.Put("acts", acts);
    environment.Save(archive, "environment/");
    agent.Save(archive, "agent/");
    return archive.Save(folder.File(RunFolder::kCheckpoint));
  }

  // With a landscape the limit can be met (AddLandscape).
  int LatencyNotMet(const HardwareProblem& problem, const HardwareEnvironment& environment,
                    Console* console) const {
    std::string text = Format(
        "none of the %lld accelerators that %s proposed meets --latency-max "
        "%.0f",
        static_cast<long long>(environment.evaluations()), agent_.name.c_str(),
        options_.latency_max);
    if (environment.has_best()) {
      text += Format("; the best of them, %s, takes %lld cycles",
                     environment.best()->ShortName().c_str(),
                     static_cast<long long>(environment.best_cost().latency_cycles));
    }
    if (problem.landscape != nullptr) {
      const int64_t best = problem.landscape->Best(options_.objective, options_.latency_max);
      text += Format("; %s would, with %lld: raise --evaluations",
                     problem.space->AtPoint(best)->ShortName().c_str(),
                     static_cast<long long>(problem.landscape->cost(best).latency_cycles));
    } else {
      text += ": raise --latency-max, --area-max, --bus or --evaluations";
    }
    return console->Fail(kExitFailure, text);
  }

  int Report(const HardwareProblem& problem, const HardwareEnvironment& environment,
             const RunFolder& folder, Console* console) const {
    if (!environment.has_best()) {
      return console->Fail(
          kExitFailure,
          Format("none of the %lld accelerators that %s proposed can be built under the limits "
                 "(%s), and the default breaks them: raise --evaluations or --area-max",
                 static_cast<long long>(environment.evaluations()), agent_.name.c_str(),
                 problem.LimitsText().c_str()));
    }
    const DesignCost& found = environment.best_cost();
    double optimum = 0, regret = 0;
    std::string optimum_name;
    if (problem.landscape != nullptr) {
      const int64_t best = problem.landscape->Best(options_.objective, options_.latency_max);
      optimum = ObjectiveValue(options_.objective, problem.landscape->cost(best));
      optimum_name = problem.space->AtPoint(best)->ShortName();
      // In a space of a user's the default may lie outside, and be better than all that is in it.
      regret = std::max(0.0, ObjectiveValue(options_.objective, found) / optimum - 1);
    }
    hw::JsonWriter json;
    json.BeginObject();
    json.Key("network").String(problem.network.name);
    json.Key("notes").BeginArray();
    for (const std::string& note : problem.network.notes) json.String(note);
    json.EndArray();
    json.Key("accelerator").String(problem.accelerator->name());
    json.Key("hw").Raw(environment.best()->ToJson());
    json.Key("hw_name").String(environment.best()->ShortName());
    json.Key("valid").Bool(environment.best()->Valid(problem.limits));
    json.Key("agent").String(agent_.name);
    AddCost(found, &json);
    json.Key("objective").String(ObjectiveName(options_.objective));
    json.Key("limits").BeginObject().Key("latency_met").Bool(true).EndObject();
    json.Key("default").BeginObject();
    AddCost(environment.reference_cost(), &json);
    json.EndObject();
    AddRatios(found, environment.reference_cost(), &json);
    AddProposals(environment.proposals(), *problem.accelerator, &json);
    json.Key("evaluations").Int(environment.evaluations());
    json.Key("seed").Int(static_cast<int64_t>(agent_.seed));
    if (!optimum_name.empty()) {
      json.Key("optimum").Double(optimum).Key("optimum_hw_name").String(optimum_name);
      json.Key("regret").Double(regret);
    }
    json.EndObject();
    Status status;
    if (!folder.path().empty()) {
      status = folder.Write(problem.accelerator->file_name(), environment.best()->ToJson() + "\n");
      if (status.ok()) status = folder.Write(RunFolder::kResult, json.text() + "\n");
    }
    if (console->json()) {
      console->Print(json.text() + "\n");
    } else {
      std::string text = "network      " + problem.network.name + "\n";
      for (const std::string& note : problem.network.notes) text += "note         " + note + "\n";
      text += Format("accelerator  %s, by %s, least %s, limits: %s\n\n",
                     environment.best()->ShortName().c_str(), agent_.name.c_str(),
                     ObjectiveName(options_.objective), problem.LimitsText().c_str());
      text += ComparedCostText(found, environment.reference_cost());
      text += ProposalsText(environment.proposals(), *problem.accelerator);
      text += Format("evaluations  %s of %d\n", Grouped(environment.evaluations()).c_str(),
                     evaluations_);
      if (!optimum_name.empty()) {
        text += Format("optimum      %s: %.6g; regret %.3f%%\n", optimum_name.c_str(), optimum,
                       100 * regret);
      }
      if (!folder.path().empty()) text += "run folder   " + folder.path() + "\n";
      console->Print(text);
    }
    if (status.ok()) return kExitOk;
    console->Note("rhnas hw: " + status.message());
    return kExitFailure;
  }

  HardwareOptions options_;
  rl::AgentOptions agent_;
  std::string out_, resume_;
  int evaluations_ = 129;  // 2 % of what can be built in vta at 64 bits
  bool exact_ = false;
  int threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeHwCommand() { return std::make_unique<HwCommand>(); }

}  // namespace rhnas::search
