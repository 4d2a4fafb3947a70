// rhnas compare: methods against each other on a problem whose optimum is known.
#include <algorithm>
#include <cmath>

#include "engine/archive.h"
#include "search/command.h"
#include "search/compare_problems.h"
#include "search/compare_report.h"
#include "search/joint_gains.h"
#include "search/progress.h"
#include "search/run_folder.h"
#include "search/search_flags.h"
#include "search/signals.h"
#include "search/suggest.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

constexpr char kHardware[] = "hw:";
constexpr char kCurves[] = "curves.csv", kPicture[] = "regret.svg";
constexpr int kMaxSeeds = 100000;
constexpr int kMaxBudget = 100000000;
// Of the points that can be built: the budget that the comparison is published with.
constexpr double kBudgetShare = 0.02;
constexpr int64_t kJointBudget = 500;
constexpr int kMostJointBudget = 100000;

class CompareCommand : public Command {
 public:
  const char* name() const override { return "compare"; }
  const char* summary() const override {
    return "agents and rivals against each other, the optimum known";
  }
  const char* usage() const override {
    return "--problem P [--methods all|LIST] [--budget N] [--seeds S] [--out DIR | --resume DIR] "
           "[FLAGS]";
  }
  const char* notes() const override {
    return "Problems: hw:NETWORK (accelerator for one network: a name as hw:fbnet-c@imagenet, a "
           "genotype, a file),\n"
           "nb201:cifar10, nb201:cifar100, nb201:imagenet16, tiny (network and accelerator "
           "together).\n"
           "The folder holds result.json, curves.csv (a row an improvement), regret.svg, "
           "config.json and a\n"
           "checkpoint; finished runs are never run again, and --resume may have more --seeds or "
           "--methods.\n"
           "JSON keys: problem, optimum, budget, methods (name: regret_median, regret_q1, "
           "regret_q3, share_valid,\n"
           "evaluations_to_1pct, seconds, ..). docs/COMPARE.md explains each number.";
  }
  const char* examples() const override {
    return "  rhnas compare --problem hw:fbnet-c@imagenet --methods all --budget 129 --seeds 10\n"
           "  rhnas compare --problem hw:resnet18 --methods reinforce,genetic,random --area-max 1 "
           "--json\n"
           "  rhnas compare --problem nb201:cifar10 --gains --bus free";
  }

  void Declare(FlagSet* flags) override {
    hardware_.hw_space.clear();
    flags->Group("What");
    flags->Text("problem", "P", &problem_, "hw:NETWORK, nb201:DATASET or tiny").Needed();
    flags->Text("methods", "all|LIST", &methods_, "names with commas between").MayChange();
    flags->Int("budget", &budget_, 0, kMaxBudget,
               "evaluations of each run: distinct designs asked; 0: 2 % of the points that can "
               "be built, of joint problems 500");
    flags->Int("seeds", &seeds_, 1, kMaxSeeds, "runs of each method").MayChange();
    flags->Int64("seed", &seed_, "the first seed");
    flags->Group("Problem");
    flags->Number("area-max", &area_max_, -1, 1000,
                  "area cap relative to the default accelerator's area; 0: none; -1: the "
                  "problem's own (hw: none, joint: 1)");
    DeclareHardwareFlags(&hardware_, flags);
    flags->Number("accuracy-min", &accuracy_min_, -1, 1,
                  "accuracy floor of joint problems; -1: the problem's own");
    flags
        ->Text("data", "DIR|FILE", &data_,
               "where nb201 finds its accuracies; else in the folder that RHNAS_SHARED names")
        .MayChange();
    flags
        ->Switch("gains", &gains_,
                 "of a joint problem: no runs but what the exact best gives over the default "
                 "accelerator, by hardware, network and both, for area caps 1, 2, 4, 12 and none")
        .NotStored();
    flags->Text("reference", "NETWORK", &reference_, "with --gains: over this network too")
        .NotStored();
    flags->Group("Agents");
    DeclareAgentFlags(&agent_, flags);
    flags->Text("hw-agent", "NAME", &joint_agent_,
                "joint problems: who searches the accelerators; else each method's own");
    flags->Group("Run");
    flags->Text("out", "DIR", &out_, "folder of the results: a new or an empty one").NotStored();
    flags->Text("resume", "DIR", &resume_, "go on with the comparison in this folder").NotStored();
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
      if (!warning.empty()) console->Note("rhnas compare: " + warning);
    }
    const std::atomic<bool>& stop = InstallStopSignals();
    engine::ThreadPool pool(threads_);
    if (gains_) return TellGains(*flags, pool, console);
    if (!reference_.empty()) return console->Fail(kExitUsage, "--reference needs --gains");
    CommandSink sink;
    int code = kExitOk;
    const std::unique_ptr<CompareProblem> problem = Make(flags, pool, sink, stop, console, &code);
    sink.Finish();
    if (problem == nullptr) return code;

    Comparison comparison;
    comparison.problem = problem.get();
    comparison.first_seed = seed_;
    comparison.seeds = seeds_;
    comparison.budget = budget_ > 0 ? budget_ : default_budget_;
    std::string note;
    // A budget that nobody gave is one that every method can work with.
    Result<std::vector<CompareMethod>> methods = ChooseMethods(
        *problem, methods_, budget_ > 0 ? comparison.budget : int64_t{kMaxBudget}, &note);
    if (methods.ok() && budget_ == 0) {
      for (const CompareMethod& method : *methods) {
        comparison.budget = std::max(comparison.budget, method.minimum);
      }
    }
    if (!methods.ok()) return console->Fail(kExitUsage, methods.status().message());
    if (!note.empty()) console->Note("rhnas compare: " + note);
    comparison.methods = std::move(*methods);

    if (!resume_.empty()) {
      const Status loaded = LoadComparison(folder.File(RunFolder::kCheckpoint), &comparison);
      if (!loaded.ok()) return console->Fail(loaded);
    } else if (Status status = Create(*flags, words, comparison, &folder); !status.ok()) {
      return console->Fail(status);
    }
    console->Note("run folder   " + folder.path());
    const Status ran =
        RunComparison(&comparison, pool, sink, stop, folder.File(RunFolder::kCheckpoint));
    sink.Finish();
    if (!ran.ok()) return console->Fail(ran);
    if (!comparison.finished()) return console->Stopped(folder.path());
    return Report(comparison, folder, console);
  }

 private:
  // Null: *code, and the console has said why.
  std::unique_ptr<CompareProblem> Make(const FlagSet* flags, engine::ThreadPool& pool,
                                       CommandSink& sink, const std::atomic<bool>& stop,
                                       Console* console, int* code) {
    const auto fail = [&](int with, const std::string& message) {
      sink.Finish();
      *code = console->Fail(with, message);
      return nullptr;
    };
    if (problem_.empty()) {
      return fail(kExitUsage, "--problem is needed: " + ProblemsText());
    }
    if (const std::string wrong = NegativeText(); !wrong.empty()) return fail(kExitUsage, wrong);
    if (problem_.compare(0, sizeof kHardware - 1, kHardware) != 0) {
      const std::vector<std::string> names = JointProblemNames();
      if (std::find(names.begin(), names.end(), problem_) == names.end()) {
        const std::string nearest = Nearest(problem_, names);
        return fail(kExitUsage,
                    Format("--problem: unknown problem \"%s\"%s; %s", problem_.c_str(),
                           nearest.empty() ? "" : (", did you mean \"" + nearest + "\"?").c_str(),
                           ProblemsText().c_str()));
      }
      return MakeJoint(*flags, pool, fail);
    }
    for (const char* flag : {"accuracy-min", "data", "hw-agent"}) {
      if (!flags->given(flag)) continue;
      return fail(kExitUsage, Format("--%s is for joint problems (%s), not for %s", flag,
                                     JoinWords(JointProblemNames()).c_str(), problem_.c_str()));
    }
    hardware_.network = problem_.substr(sizeof kHardware - 1);
    if (hardware_.network.empty()) {
      return fail(kExitUsage, "--problem hw: lacks its network, as in hw:fbnet-c@imagenet");
    }
    if (hardware_.hw_space.empty()) hardware_.hw_space = HardwareOptions().hw_space;
    hardware_.area_max = std::max(area_max_, 0.0);
    const Argument<std::shared_ptr<HardwareProblem>> made = MakeHardwareProblem(hardware_, pool);
    if (!made.value.ok()) return fail(made.exit_code, made.value.status().message());
    for (const std::string& note : (*made.value)->network.notes) {
      console->Note("rhnas compare: " + note);
    }
    if (!(*made.value)->note.empty()) console->Note("rhnas compare: " + (*made.value)->note);
    const Status built = AddLandscape(made.value->get(), pool, &sink, stop);
    if (!built.ok()) return fail(kExitFailure, built.message());
    if ((*made.value)->landscape == nullptr) {
      sink.Finish();
      console->Note("rhnas compare: stopped before the first run");
      *code = 128 + StopSignal();
      return nullptr;
    }
    const double valid = static_cast<double>((*made.value)->landscape->valid());
    default_budget_ = std::max<int64_t>(1, std::llround(kBudgetShare * valid));
    return MakeHardwareComparison(*made.value, agent_);
  }

  template <typename Fail>
  std::unique_ptr<CompareProblem> MakeJoint(const FlagSet& flags, engine::ThreadPool& pool,
                                            const Fail& fail) {
    for (const char* flag : {"board", "latency-max", "layer-table"}) {
      if (!flags.given(flag)) continue;
      return fail(kExitUsage,
                  Format("--%s is for hw:NETWORK problems, not for %s", flag, problem_.c_str()));
    }
    const std::vector<std::string> agents = rl::AgentNames();
    if (!joint_agent_.empty() &&
        std::find(agents.begin(), agents.end(), joint_agent_) == agents.end()) {
      const std::string nearest = Nearest(joint_agent_, agents);
      return fail(kExitUsage,
                  Format("--hw-agent: unknown agent \"%s\"%s; expected %s", joint_agent_.c_str(),
                         nearest.empty() ? "" : (", did you mean \"" + nearest + "\"?").c_str(),
                         JoinWords(agents).c_str()));
    }
    if (budget_ > kMostJointBudget) {
      return fail(kExitUsage, Format("--budget %d: a run of %s remembers every pair that it asked; "
                                     "at most %d",
                                     budget_, problem_.c_str(), kMostJointBudget));
    }
    const InvalidHandling invalid = hardware_.invalid;
    if (invalid != InvalidHandling::kMask && invalid != InvalidHandling::kPenalty) {
      return fail(kExitUsage, Format("--invalid %s is for hw:NETWORK problems; %s takes mask or "
                                     "penalty",
                                     InvalidHandlingName(invalid), problem_.c_str()));
    }
    Result<std::unique_ptr<JointProblem>> made = MakeJointProblem(problem_, JointOptions(), pool);
    if (!made.ok()) return fail(kExitFailure, made.status().message());
    const std::shared_ptr<const JointProblem> problem = std::move(*made);
    if (!problem->Optimum(problem->goal())) {
      // The networks that accurate run on no design under the cap: the nearest is below the floor.
      JointGoal open = problem->goal();
      open.accuracy_min = 0;
      const std::vector<JointPair> front = problem->ParetoFront(open);
      return fail(kExitFailure,
                  front.empty()
                      ? Format("--area-max %.4g is infeasible: no network of %s runs on a design "
                               "that small: raise --area-max",
                               open.area_max, problem_.c_str())
                      : Format("--accuracy-min %.4g is infeasible with --area-max %.4g: the most "
                               "accurate network that runs there is %s with %.4f: lower "
                               "--accuracy-min to at most that, or raise --area-max",
                               problem->goal().accuracy_min, open.area_max,
                               problem->NetworkText(front.back().network.data()).c_str(),
                               std::floor(front.back().accuracy * 1e4 + 1e-9) / 1e4));
    }
    return MakeJointComparison(problem, joint_agent_, invalid == InvalidHandling::kMask);
  }

  // -1 stands for the problem's own; anything else below 0 is nothing. Empty: right.
  std::string NegativeText() const {
    for (const auto& [flag, value] :
         {std::make_pair("area-max", area_max_), std::make_pair("accuracy-min", accuracy_min_)}) {
      if (value >= 0 || value == -1) continue;
      return Format("--%s: expected a number of at least 0, or -1 for the problem's own, found %g",
                    flag, value);
    }
    return "";
  }

  JointProblemOptions JointOptions() const {
    JointProblemOptions options;
    options.data = data_;
    options.hw_space = hardware_.hw_space;
    options.bus_bits = hardware_.bus_bits;
    options.objective = hardware_.objective;
    if (area_max_ >= 0) options.area_max = area_max_;
    options.accuracy_min = accuracy_min_;
    options.energy_table = hardware_.energy_table;
    return options;
  }

  int TellGains(const FlagSet& flags, engine::ThreadPool& pool, Console* console) const {
    if (problem_.compare(0, sizeof kHardware - 1, kHardware) == 0) {
      return console->Fail(kExitUsage, "--gains is for joint problems (" +
                                           JoinWords(JointProblemNames()) + "), not for " +
                                           problem_);
    }
    if (const std::string wrong = NegativeText(); !wrong.empty()) {
      return console->Fail(kExitUsage, wrong);
    }
    for (const char* flag : {"area-max", "objective", "resume", "out", "budget", "methods"}) {
      if (!flags.given(flag)) continue;
      return console->Fail(kExitUsage, Format("--gains takes both objectives and all caps and "
                                              "runs nothing: it does not go with --%s",
                                              flag));
    }
    JointProblemOptions options = JointOptions();
    options.area_max = 0;
    const Result<std::unique_ptr<JointProblem>> made = MakeJointProblem(problem_, options, pool);
    if (!made.ok()) return console->Fail(kExitFailure, made.status().message());
    std::vector<int> own;
    if (!reference_.empty()) {
      const Result<std::vector<int>> read = (*made)->ParseNetwork(reference_);
      if (!read.ok()) return console->Fail(kExitUsage, "--reference: " + read.status().message());
      own = *read;
    }
    console->Print(console->json() ? GainsJson(**made, own) : GainsText(**made, own));
    return kExitOk;
  }

  static std::string ProblemsText() {
    return "expected hw:NETWORK as hw:fbnet-c@imagenet, " + JoinWords(JointProblemNames());
  }

  Status Create(const FlagSet& flags, const std::vector<std::string>& words,
                const Comparison& comparison, RunFolder* folder) const {
    std::string path = out_;
    if (path.empty()) {
      std::string problem = problem_.substr(0, 80);
      for (char& c : problem) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '_' || c == '.';
        if (!plain) c = '-';
      }
      path = RunFolder::FirstFree("runs/compare-" + problem);
    }
    Result<RunFolder> created = RunFolder::Create(path);
    if (!created.ok()) return created.status();
    *folder = std::move(*created);
    Status status =
        folder->Write(RunFolder::kConfig, ConfigText(flags, name(), words, comparison.first_seed));
    if (status.ok()) status = SaveComparison(comparison, folder->File(RunFolder::kCheckpoint));
    if (!status.ok()) folder->Discard();
    return status;
  }

  static int Report(const Comparison& comparison, const RunFolder& folder, Console* console) {
    const std::vector<MethodSummary> summaries = Summarise(comparison);
    const std::string json = ComparisonJson(comparison, summaries);
    Status status = folder.Write(kCurves, ComparisonCsv(comparison));
    if (status.ok()) status = folder.Write(kPicture, ComparisonSvg(comparison, summaries));
    if (status.ok()) status = folder.Write(RunFolder::kResult, json);
    console->Print(console->json() ? json
                                   : "\n" + ComparisonTable(comparison, summaries) +
                                         "run folder   " + folder.path() + "\n");
    if (status.ok()) return kExitOk;
    console->Note("rhnas compare: " + status.message());
    return kExitFailure;
  }

  std::string problem_, methods_ = "all", data_, joint_agent_, out_, resume_, reference_;
  HardwareOptions hardware_;
  rl::AgentOptions agent_;
  double area_max_ = -1, accuracy_min_ = -1;
  int64_t default_budget_ = kJointBudget;
  uint64_t seed_ = 1;
  int budget_ = 0, seeds_ = 10, threads_ = 0;
  bool gains_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeCompareCommand() { return std::make_unique<CompareCommand>(); }

}  // namespace rhnas::search
