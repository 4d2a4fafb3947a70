// rhnas train: one network from scratch.
#include "engine/archive.h"
#include "hw/json.h"
#include "nn/nasbench201.h"
#include "search/arguments.h"
#include "search/command.h"
#include "search/progress.h"
#include "search/report_text.h"
#include "search/run_folder.h"
#include "search/search_flags.h"
#include "search/signals.h"
#include "search/train_run.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

constexpr char kLogHeader[] = "epoch,phase,loss,accuracy,seconds";

class TrainSink : public ProgressSink {
 public:
  TrainSink(RunLog* log, const TrainRun* run)
      : printer_(StandardErrorProgress()), log_(log), run_(run) {}

  void Report(const Progress& progress) override {
    printer_.Report(progress);
    if (!progress.epoch_end) return;
    const Status added = log_->Add(Format("%d,%s,%s,%s,%.2f", progress.epoch, progress.phase,
                                          NumberText(progress.loss).c_str(),
                                          NumberText(progress.accuracy).c_str(), run_->seconds()));
    if (!added.ok() && status_.ok()) status_ = added;
  }
  void Finish() { printer_.Finish(); }
  const Status& status() const { return status_; }

 private:
  ProgressPrinter printer_;
  RunLog* log_;
  const TrainRun* run_;
  Status status_;
};

class TrainCommand : public Command {
 public:
  const char* name() const override { return "train"; }
  const char* summary() const override { return "train a network from scratch"; }
  const char* usage() const override {
    return "--network NAME|FILE|GENOTYPE [--out DIR | --resume DIR] [FLAGS]";
  }
  const char* notes() const override {
    return "SGD with Nesterov momentum and a cosine schedule; the network takes input size, "
           "channels "
           "and\n"
           "classes from the data. Accuracy is that of the test images after each epoch; nothing "
           "is "
           "chosen by\n"
           "it. The run folder (default runs/train-SEED, with -2, -3, .. when taken) holds "
           "config.json,\n"
           "log.csv, network.txt, the checkpoint and result.json: network, dataset, macs, params, "
           "accuracy,\n"
           "loss, epochs, seconds, seed.";
  }
  const char* examples() const override {
    return "  rhnas train --network resnet20 --dataset cifar10 --data cifar-10-batches-bin "
           "--epochs 30\n"
           "  rhnas train --network runs/tiny-edp-s1 --epochs 20 --out runs/retrained";
  }

  void Declare(FlagSet* flags) override {
    flags->Group("Network");
    network_.Declare(flags, /*sized_by_data=*/true);
    flags->Group("Data");
    flags->Choice("dataset", &o_.dataset, nn::DataNames(), "data set; synth is made on the fly");
    flags->Text("data", "DIR", &o_.data_dir, "where the files of the data set stand").MayChange();
    flags->Int("train-size", &o_.train_size, 0, 100000000, "use so many training images; 0: all");
    flags->Int("test-size", &o_.test_size, 0, 100000000, "use so many test images; 0: all");
    flags->Int("cutout", &o_.cutout, 0, 4096, "side of the square that cutout hides; 0: none");
    flags->Group("Training");
    flags->Int("epochs", &o_.epochs, 0, 100000, "epochs");
    flags->Int("batch", &o_.batch, 1, 65536, "images a step");
    flags->Number("lr", &o_.learning_rate, 0, 100, "learning rate");
    flags->Number("momentum", &o_.momentum, 0, 1, "momentum");
    flags->Number("weight-decay", &o_.weight_decay, 0, 10, "weight decay");
    flags->Number("label-smoothing", &o_.label_smoothing, 0, 1, "label smoothing");
    flags->Group("Run");
    flags->Int64("seed", &o_.seed, "seed of all random numbers: same seed, same bits");
    flags
        ->Int("threads", &o_.threads, 0, 1024,
              "threads, without effect on the result; 0: all of the machine")
        .MayChange();
    flags->Text("out", "DIR", &out_, "run folder: a new or an empty one").NotStored();
    flags->Text("resume", "DIR", &resume_, "go on with the run in this folder").NotStored();
  }

  int Run(FlagSet* flags, const std::vector<std::string>& words, Console* console) override {
    if (!resume_.empty() && !out_.empty()) {
      return console->Fail(kExitUsage, "--resume DIR goes on in DIR, it does not go with --out");
    }
    InstallStopSignals();
    return resume_.empty() ? Start(*flags, words, console) : Resume(flags, console);
  }

 private:
  // Data and network; on failure the exit code is set and null returned.
  std::unique_ptr<TrainRun> Prepare(Console* console, int* exit_code) {
    // A misspelt name is told before the data is read.
    Argument<nn::Network> network = ResolveNetwork(network_);
    if (!network.value.ok()) {
      *exit_code = console->Fail(network.exit_code, network.value.status().message());
      return nullptr;
    }
    if (Status status = nn::CheckTrainable(network.value->space); !status.ok()) {
      *exit_code = console->Fail(kExitUsage, status.message());
      return nullptr;
    }
    Result<nn::DataPair> data =
        nn::OpenData({o_.dataset, o_.data_dir, o_.seed, o_.train_size, o_.test_size});
    if (!data.ok()) {
      *exit_code = console->Fail(data.status());
      return nullptr;
    }
    TrainRun::FitToData(*data, &network_.options);
    network = ResolveNetwork(network_);
    if (!network.value.ok()) {
      *exit_code = console->Fail(network.exit_code, network.value.status().message());
      return nullptr;
    }
    Result<std::unique_ptr<TrainRun>> run = TrainRun::Create(o_, std::move(*data), *network.value);
    if (!run.ok()) {
      *exit_code = console->Fail(run.status());
      return nullptr;
    }
    space_ = network.value->space;
    genotype_ = network.value->genotype;
    return std::move(*run);
  }

  int Start(const FlagSet& flags, const std::vector<std::string>& words, Console* console) {
    if (Status status = CheckDataFlags(o_.dataset, o_.data_dir); !status.ok()) {
      return console->Fail(kExitUsage, status.message());
    }
    const std::string base = Format("runs/train-s%llu", static_cast<unsigned long long>(o_.seed));
    Result<RunFolder> folder = RunFolder::Create(out_.empty() ? RunFolder::FirstFree(base) : out_);
    if (!folder.ok()) return console->Fail(folder.status());
    int exit_code = kExitOk;
    const std::unique_ptr<TrainRun> run = Prepare(console, &exit_code);
    if (run == nullptr) {
      folder->Discard();
      return exit_code;
    }
    // The settings name the network itself, not the file it came from, which may change.
    network_.text = nn::ToText(space_, genotype_);
    std::vector<std::string> command_line = {"rhnas", name()};
    command_line.insert(command_line.end(), words.begin(), words.end());
    Status status =
        folder->Write(RunFolder::kConfig, ConfigText(flags, name(), command_line, o_.seed));
    if (status.ok()) status = folder->Write(RunFolder::kNetwork, network_.text + "\n");
    if (status.ok()) status = run->Save(folder->File(RunFolder::kCheckpoint));
    if (status.ok()) status = folder->RequireSpace(2 * folder->FileSize(RunFolder::kCheckpoint));
    if (!status.ok()) {
      folder->Discard();
      return console->Fail(status);
    }
    return Go(run.get(), *folder, console);
  }

  int Resume(FlagSet* flags, Console* console) {
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
    if (!warning.empty()) console->Note("rhnas train: " + warning);
    int exit_code = kExitOk;
    const std::unique_ptr<TrainRun> run = Prepare(console, &exit_code);
    if (run == nullptr) return exit_code;
    const Status loaded = run->Load(folder->File(RunFolder::kCheckpoint));
    if (!loaded.ok()) return console->Fail(loaded);
    return Go(run.get(), *folder, console);
  }

  int Go(TrainRun* run, const RunFolder& folder, Console* console) {
    Result<RunLog> log = RunLog::Open(folder.File(RunFolder::kLog), kLogHeader);
    if (!log.ok()) return console->Fail(log.status());
    console->Note("run folder   " + folder.path());
    TrainSink sink(&*log, run);
    const Status status = run->Run(sink, InstallStopSignals(), folder.File(RunFolder::kCheckpoint));
    sink.Finish();
    if (!status.ok()) {
      return console->Fail(kExitFailure, status.message() + "; what was saved last is in " +
                                             folder.File(RunFolder::kCheckpoint));
    }
    if (!run->finished()) return console->Stopped(folder.path());
    return Report(*run, folder, sink.status(), console);
  }

  int Report(const TrainRun& run, const RunFolder& folder, Status status, Console* console) const {
    const int64_t macs = nn::Macs(space_, genotype_), params = nn::Params(space_, genotype_);
    hw::JsonWriter json;
    json.BeginObject();
    json.Key("network").String(nn::ToText(space_, genotype_)).Key("dataset").String(o_.dataset);
    json.Key("macs").Int(macs).Key("params").Int(params);
    json.Key("accuracy").Double(run.test().accuracy).Key("loss").Double(run.test().loss);
    json.Key("epochs").Int(o_.epochs).Key("seconds").Double(run.seconds());
    json.Key("seed").Int(static_cast<int64_t>(o_.seed));
    json.EndObject();
    const Status written = folder.Write(RunFolder::kResult, json.text() + "\n");
    if (!written.ok() && status.ok()) status = written;
    std::string text = "\nnetwork      " + nn::ToText(space_, genotype_) + "\n";
    text += Format("             %s MACs, %s parameters\n", Grouped(macs).c_str(),
                   Grouped(params).c_str());
    text += Format("accuracy     %.2f%% on %d test images of %s\n", 100 * run.test().accuracy,
                   run.test().images, o_.dataset.c_str());
    text += Format("time         %.1f s (%s)\n", run.seconds(), ClockText(run.seconds()).c_str());
    text += "run folder   " + folder.path() + "\n";
    console->Print(console->json() ? json.text() + "\n" : text);
    if (status.ok()) return kExitOk;
    console->Note("rhnas train: " + status.message());
    return kExitFailure;
  }

  TrainOptions o_;
  NetworkArgument network_;
  nn::Space space_;
  nn::Genotype genotype_;
  std::string out_, resume_;
};

}  // namespace

std::unique_ptr<Command> MakeTrainCommand() { return std::make_unique<TrainCommand>(); }

}  // namespace rhnas::search
