// rhnas search: the joint search, its run folder, its progress.
#include <tuple>
#include <utility>

#include "engine/archive.h"
#include "hw/json.h"
#include "search/arguments.h"
#include "search/command.h"
#include "search/joint_search.h"
#include "search/progress.h"
#include "search/report_json.h"
#include "search/report_text.h"
#include "search/run_folder.h"
#include "search/search_flags.h"
#include "search/signals.h"
#include "search/suggest.h"
#include "search/trained.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

constexpr char kLogHeader[] =
    "epoch,phase,loss,accuracy,temperature,entropy,lambda,share_valid,reward,latency_cycles,"
    "energy_pj,edp,area,seconds";

std::string LogRow(const Progress& p, double seconds) {
  std::string row = Format("%d,%s", p.epoch, p.phase);
  for (double value :
       {p.loss, p.accuracy, p.temperature, p.entropy, p.lambda, p.share_valid, p.reward}) {
    row += "," + NumberText(value);
  }
  row += Format(",%lld", static_cast<long long>(p.current.latency_cycles));
  for (double value : {p.current.energy_pj, p.current.edp_pj_cycles, p.current.area_um2}) {
    row += "," + NumberText(value);
  }
  return row + Format(",%.2f", seconds);
}

// Prints progress and writes log.csv. A log that cannot be written does not stop the search: the
// checkpoint and the result matter more, and they report their own errors.
class SearchSink : public ProgressSink, public TraceSink {
 public:
  SearchSink(RunLog* log, double seconds_before, Console* console)
      : printer_(StandardErrorProgress()),
        log_(log),
        console_(console),
        started_(MonotonicSeconds() - seconds_before) {}

  void Report(const Progress& progress) override {
    printer_.Report(progress);
    if (!progress.epoch_end) return;
    const Status added = log_->Add(LogRow(progress, MonotonicSeconds() - started_));
    if (!added.ok() && status_.ok()) status_ = added;
  }
  void Line(const std::string& text) override {
    printer_.Finish();
    console_->json() ? console_->Note(text) : console_->Print(text + "\n");
  }
  void Finish() { printer_.Finish(); }
  const Status& status() const { return status_; }

 private:
  ProgressPrinter printer_;
  RunLog* log_;
  Console* console_;
  double started_;
  Status status_;
};

class SearchCommand : public Command {
 public:
  const char* name() const override { return "search"; }
  const char* summary() const override { return "design a network and an accelerator together"; }
  const char* usage() const override { return "[--out DIR | --resume DIR] [FLAGS]"; }
  const char* notes() const override {
    return "The run folder (default runs/SPACE-OBJECTIVE-sSEED, with -2, -3, .. when taken) holds\n"
           "config.json (every setting), log.csv (a row an epoch), result.json, vta_config.json, "
           "network.txt,\n"
           "last.weights (the network as trained, for rhnas eval and rhnas export), the "
           "checkpoint, "
           "and\n"
           "copies of the files given by --hw (hw_config.json) and "
           "--energy-table\n"
           "(energy_table.csv), which a resumed run works with. Ctrl-C saves; --resume DIR goes on "
           "to the same\n"
           "bits (only --threads, --data, --layer-table and --tensorboard may change). A second "
           "Ctrl-C ends at "
           "once.\n\n"
           "result.json: network, accelerator, hw, hw_name, valid, macs, params, latency_cycles,\n"
           "energy_pj, edp_pj_cycles, area_um2, dram_bytes, accuracy (test images), objective,\n"
           "limits (latency_met, accuracy_met; a limit not set is met), default (the same network\n"
           "on the default accelerator), ratio (latency, energy, edp: default / found, above 1 is\n"
           "better; area: found / default), proposals (total, valid, unmappable: valid, but the "
           "network\n"
           "cannot run there, by_rule), evaluations, seconds, seed.";
  }
  const char* examples() const override {
    return "  rhnas search --objective edp --seed 7 --out runs/first\n"
           "  rhnas search --space fbnet-cifar --width 0.5 --dataset cifar10 --data "
           "cifar-10-batches-bin\n"
           "  rhnas search --warmup-epochs 1 --trace";
  }

  void Declare(FlagSet* flags) override {
    DeclareSearchFlags(&options_, flags);
    DeclareTensorBoardFlag(&tensorboard_, flags);
    flags
        ->Switch("trace", &trace_,
                 "tell one whole iteration of the search with its numbers; docs/WALKTHROUGH.md has "
                 "their equations")
        .NotStored();
    flags->Text("out", "DIR", &out_, "run folder: a new or an empty one").NotStored();
    flags->Text("resume", "DIR", &resume_, "go on with the run in this folder").NotStored();
  }

  int Run(FlagSet* flags, const std::vector<std::string>& words, Console* console) override {
    if (!resume_.empty() && !out_.empty()) {
      return console->Fail(kExitUsage, "--resume DIR goes on in DIR, it does not go with --out");
    }
    return resume_.empty() ? Start(*flags, words, console) : Resume(flags, console);
  }

 private:
  const hw::Accelerator& family() const { return FamilyOf(options_.accelerator, ""); }

  // The family of accelerators follows from its space or from --hw, and the space from the family.
  Status ChooseFamily(const FlagSet& flags) {
    const hw::Accelerator* of_space = nullptr;
    if (flags.given("hw-space")) {
      of_space = hw::FindAcceleratorOfSpace(options_.hw_space);
      if (of_space == nullptr) of_space = &FamilyOf("vta", "");  // a file that describes a space
    }
    if (options_.accelerator.empty()) {
      options_.accelerator =
          of_space != nullptr ? of_space->name() : FamilyOf("", options_.fixed_hw).name();
    }
    if (of_space == nullptr) {
      options_.hw_space = family().SpaceNames().front();
    } else if (of_space != &family()) {
      return Status::Error("--hw-space %s is no space of --accelerator %s, which has %s",
                           options_.hw_space.c_str(), options_.accelerator.c_str(),
                           JoinWords(family().SpaceNames()).c_str());
    }
    return Status::Ok();
  }

  // The text of the files that settings name.
  struct Copies {
    std::string fixed_hw, energy_table, hw_space;
  };

  // The settings with the run folder's copies in place of the files that they name.
  SearchOptions OnCopies(const RunFolder& folder) const {
    SearchOptions options = options_;
    if (!options.fixed_hw.empty() && IsHardwareFile(family(), options.fixed_hw)) {
      options.fixed_hw = folder.File(RunFolder::kFixedHardware);
    }
    if (!options.energy_table.file.empty()) {
      options.energy_table.file = folder.File(RunFolder::kEnergyTable);
    }
    if (IsSpaceFile(options.hw_space)) options.hw_space = folder.File(RunFolder::kHwSpace);
    return options;
  }

  Status WriteCopies(const Copies& copies, const SearchOptions& on_copies) const {
    Status status;
    if (on_copies.fixed_hw != options_.fixed_hw) {
      status = engine::WriteFileAtomically(on_copies.fixed_hw, copies.fixed_hw);
    }
    if (status.ok() && on_copies.energy_table.file != options_.energy_table.file) {
      status = engine::WriteFileAtomically(on_copies.energy_table.file, copies.energy_table);
    }
    if (status.ok() && on_copies.hw_space != options_.hw_space) {
      status = engine::WriteFileAtomically(on_copies.hw_space, copies.hw_space);
    }
    return status;
  }

  Status CheckCopies(const RunFolder& folder, const SearchOptions& on_copies) const {
    for (const auto& [copy, original, name] :
         {std::tuple(on_copies.fixed_hw, options_.fixed_hw, RunFolder::kFixedHardware),
          std::tuple(on_copies.energy_table.file, options_.energy_table.file,
                     RunFolder::kEnergyTable),
          std::tuple(on_copies.hw_space, options_.hw_space, RunFolder::kHwSpace)}) {
      if (copy == original || folder.Has(name)) continue;
      return Status::Error("%s: holds no %s, the copy of %s that its run works with",
                           folder.path().c_str(), name, original.c_str());
    }
    return Status::Ok();
  }

  // A message about a copy tells the file that the user gave.
  std::string NamingOriginals(std::string message, const SearchOptions& on_copies) const {
    for (const auto& [copy, original] :
         {std::pair(on_copies.fixed_hw, options_.fixed_hw),
          std::pair(on_copies.energy_table.file, options_.energy_table.file),
          std::pair(on_copies.hw_space, options_.hw_space)}) {
      const size_t at = copy.empty() ? std::string::npos : message.find(copy);
      if (at != std::string::npos) message.replace(at, copy.size(), original);
    }
    return message;
  }

  int Start(const FlagSet& flags, const std::vector<std::string>& words, Console* console) {
    InstallStopSignals();
    if (Status status = CheckDataFlags(options_.dataset, options_.data_dir); !status.ok()) {
      return console->Fail(kExitUsage, status.message());
    }
    if (Status status = ChooseFamily(flags); !status.ok()) {
      return console->Fail(kExitUsage, status.message());
    }
    Copies copies;
    if (!options_.fixed_hw.empty()) {
      options_.fixed_hw = HardwareFile(family(), options_.fixed_hw);
      const Argument<hw::DesignPtr> fixed = ResolveDesign(family(), options_.fixed_hw, 0);
      if (!fixed.value.ok()) return console->Fail(fixed.exit_code, fixed.value.status().message());
      copies.fixed_hw = (*fixed.value)->ToJson() + "\n";
    }
    if (!options_.energy_table.file.empty()) {
      Result<std::string> table = engine::ReadFile(options_.energy_table.file);
      if (!table.ok()) return console->Fail(table.status());
      copies.energy_table = std::move(*table);
    }
    if (Result<hw::CostTable> table = LoadCostTable(options_.energy_table); !table.ok()) {
      return console->Fail(TableExitCode(options_.energy_table), table.status().message());
    }
    if (IsSpaceFile(options_.hw_space)) {
      hw::SpaceOptions space_options;
      space_options.bus_bits = options_.bus_bits;
      const Argument<hw::HwSpace> space = ResolveHwSpace(options_.hw_space, space_options);
      if (!space.value.ok()) return console->Fail(space.exit_code, space.value.status().message());
      Result<std::string> text = engine::ReadFile(options_.hw_space);
      if (!text.ok()) return console->Fail(text.status());
      copies.hw_space = std::move(*text);
    }
    const std::string base =
        Format("runs/%s-%s-s%llu", options_.space.c_str(), ObjectiveName(options_.objective),
               static_cast<unsigned long long>(options_.seed));
    Result<RunFolder> folder = RunFolder::Create(out_.empty() ? RunFolder::FirstFree(base) : out_);
    if (!folder.ok()) return console->Fail(folder.status());
    const SearchOptions on_copies = OnCopies(*folder);
    if (Status status = WriteCopies(copies, on_copies); !status.ok()) {
      folder->Discard();
      return console->Fail(status);
    }
    Result<std::unique_ptr<JointSearch>> search = JointSearch::Create(on_copies);
    if (!search.ok()) {
      folder->Discard();
      return console->Fail(kExitFailure, NamingOriginals(search.status().message(), on_copies));
    }
    std::vector<std::string> command_line = {"rhnas", name()};
    command_line.insert(command_line.end(), words.begin(), words.end());
    Status status =
        folder->Write(RunFolder::kConfig, ConfigText(flags, name(), command_line, options_.seed));
    // The first checkpoint is written before any work: it shows whether the disk holds it, and a
    // run that dies early can still be resumed. Later ones need the room of two more, the one
    // before and the one being written.
    if (status.ok()) status = (*search)->Save(folder->File(RunFolder::kCheckpoint));
    if (status.ok()) status = folder->RequireSpace(2 * folder->FileSize(RunFolder::kCheckpoint));
    if (!status.ok()) {
      folder->Discard();
      return console->Fail(status);
    }
    return Go(search->get(), *folder, 0, console);
  }

  int Resume(FlagSet* flags, Console* console) {
    InstallStopSignals();
    Result<RunFolder> folder = RunFolder::Open(resume_);
    if (!folder.ok()) return console->Fail(folder.status());
    const std::string config_path = folder->File(RunFolder::kConfig);
    const Result<std::string> config = engine::ReadFile(config_path);
    if (!config.ok()) return console->Fail(config.status());
    std::string warning;
    bool misuse = false;
    if (Status status = ApplyConfig(*config, config_path, name(), flags, &warning, &misuse);
        !status.ok()) {
      return console->Fail(misuse ? kExitUsage : kExitFailure, status.message());
    }
    if (!warning.empty()) console->Note("rhnas search: " + warning);

    const SearchOptions on_copies = OnCopies(*folder);
    if (Status status = CheckCopies(*folder, on_copies); !status.ok()) {
      return console->Fail(status);
    }
    Result<std::unique_ptr<JointSearch>> search = JointSearch::Create(on_copies);
    if (!search.ok()) return console->Fail(search.status());
    const std::string checkpoint = folder->File(RunFolder::kCheckpoint);
    double seconds = 0;
    {
      Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(checkpoint);
      if (!archive.ok()) return console->Fail(archive.status());
      if (archive->used_previous()) {
        console->Note("rhnas search: " + checkpoint +
                      " is damaged; going on from the one before, " + checkpoint + ".prev");
      }
      archive->Get("seconds", &seconds);
    }
    if (Status status = (*search)->Load(checkpoint); !status.ok()) return console->Fail(status);
    return Go(search->get(), *folder, seconds, console);
  }

  int Go(JointSearch* search, const RunFolder& folder, double seconds, Console* console) {
    Result<RunLog> log = RunLog::Open(folder.File(RunFolder::kLog), kLogHeader);
    if (!log.ok()) return console->Fail(log.status());
    if (tensorboard_) {
      if (Status status = log->MirrorToTensorBoard(); !status.ok()) return console->Fail(status);
    }
    console->Note("run folder   " + folder.path());
    if (!search->note().empty()) console->Note("rhnas search: " + search->note());
    SearchSink sink(&*log, seconds, console);
    if (trace_) search->SetTrace(&sink);
    const std::atomic<bool>& stop = InstallStopSignals();
    const Status status = search->Run(sink, stop, folder.File(RunFolder::kCheckpoint));
    sink.Finish();
    if (!status.ok()) {
      return console->Fail(kExitFailure, status.message() + "; what was saved last is in " +
                                             folder.File(RunFolder::kCheckpoint));
    }
    if (!search->finished()) return console->Stopped(folder.path());
    Status written = sink.status();
    const Status weights = search->SaveWeights(folder.File(kLastWeights));
    if (written.ok()) written = weights;
    return Report(search->result(), folder, written, console);
  }

  int Report(const SearchResult& result, const RunFolder& folder, const Status& log_status,
             Console* console) const {
    const std::string json = SearchResultJson(result, options_);
    Status status = log_status;
    const auto write = [&](const char* file, const std::string& text) {
      const Status written = folder.Write(file, text);
      if (!written.ok() && status.ok()) status = written;
    };
    write(result.accelerator->file_name(), result.hw->ToJson() + "\n");
    write(RunFolder::kNetwork, result.network + "\n");
    write(RunFolder::kResult, json);
    console->Print(console->json() ? json
                                   : "\n" + SearchResultText(result, options_) + "run folder   " +
                                         folder.path() + "\n");
    if (status.ok()) return kExitOk;
    // The result stands on standard output already, which with --json holds one document.
    console->Note("rhnas search: " + status.message());
    return kExitFailure;
  }

  SearchOptions options_;
  std::string out_, resume_;
  bool tensorboard_ = false, trace_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeSearchCommand() { return std::make_unique<SearchCommand>(); }

}  // namespace rhnas::search
