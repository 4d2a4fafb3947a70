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
#include "search/trained.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

constexpr char kLogHeader[] =
    "epoch,phase,loss,accuracy,validation_loss,validation_accuracy,learning_rate,seconds";

class TrainSink : public ProgressSink {
 public:
  TrainSink(RunLog* log, const TrainRun* run)
      : printer_(StandardErrorProgress()), log_(log), run_(run) {}

  void Report(const Progress& progress) override {
    printer_.Report(progress);
    if (!progress.epoch_end) return;
    const TrainEpoch& e = run_->last_epoch();
    std::string validation = ",";
    if (e.validation.images > 0) {
      validation = NumberText(e.validation.loss) + "," + NumberText(e.validation.accuracy);
    }
    const Status added =
        log_->Add(Format("%d,%s,%s,%s,%s,%s,%.2f", e.epoch, progress.phase,
                         NumberText(e.loss).c_str(), NumberText(e.accuracy).c_str(),
                         validation.c_str(), NumberText(e.learning_rate).c_str(), run_->seconds()));
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
    return "SGD with Nesterov momentum, warm-up and a cosine to 0. The network takes input size, "
           "channels and\n"
           "classes from the data. What is validated, saved and tested is a running average of the "
           "weights.\n"
           "Validation images are held out of the training images; by them the best epoch is "
           "chosen. The test\n"
           "images are looked at once, at the end. --validation 0 trains on all; then the last "
           "epoch is the best.\n"
           "\n"
           "Recipes (what is not given):\n"
           "  cifar10, cifar100     60 epochs of batches of 128, lr 0.1, label smoothing 0.05, "
           "average 0.999\n"
           "  mnist, fashion-mnist  20 epochs of batches of 128, lr 0.1, label smoothing 0.05, "
           "average 0.999\n"
           "  synth, folder         10 epochs of batches of 64, lr 0.05, label smoothing 0.1, "
           "average 0.99\n"
           "  all                   random crops after padding by an eighth (mnist, "
           "fashion-mnist: by 1),\n"
           "                        mirrored (not mnist), 10% held out\n"
           "\n"
           "The run folder (default runs/train-SEED, with -2, -3, .. when taken) holds "
           "config.json, "
           "log.csv,\n"
           "network.txt, the checkpoint, best.weights and last.weights (for rhnas eval and rhnas "
           "export) and\n"
           "result.json: network, dataset, macs, params, accuracy and loss (the best epoch's "
           "weights on the test\n"
           "images), last_accuracy, validation_accuracy, best_epoch, epochs, images, seconds, "
           "seed.";
  }
  const char* examples() const override {
    return "  rhnas train --network resnet20 --dataset cifar10 --data cifar-10-batches-bin "
           "--validation 0\n"
           "  rhnas train --network lenet5 --dataset fashion-mnist --data fashion-mnist --epochs "
           "15\n"
           "  rhnas train --network runs/tiny-edp-s1 --epochs 20 --out runs/retrained\n"
           "  rhnas train --resume runs/train-s1";
  }

  void Declare(FlagSet* flags) override {
    flags->Group("Network");
    network_.Declare(flags, /*sized_by_data=*/true);
    flags->Group("Data");
    flags->Choice("dataset", &o_.dataset, nn::DataNames(), "data set; synth is made on the fly");
    flags->Text("data", "DIR", &o_.data_dir, "where the files of the data set stand").MayChange();
    flags->Int("train-size", &o_.train_size, 0, 100000000, "use so many training images; 0: all");
    flags->Int("test-size", &o_.test_size, 0, 100000000, "use so many test images; 0: all");
    flags->Number("validation", &o_.validation, 0, 100000000,
                  "training images held out to choose the best epoch: below 1 a share, else a "
                  "count; 0: none");
    flags->Group("Augmentation");
    ByData(flags->Int(
        "crop", &o_.crop, -1, 4096,
        "zero padding around images before the random crop; -1: an eighth of their height"));
    flags->Switch("flip", &o_.flip,
                  "mirror every other image, by chance; not of mnist unless given");
    flags->Int("cutout", &o_.cutout, 0, 4096, "side of the square that cutout hides; 0: none");
    flags->Number("mixup", &o_.mixup, 0, 1, "mix images with shares from Beta(N, N); 0: none");
    flags->Group("Training");
    ByData(flags->Int("epochs", &o_.epochs, 0, 100000, "epochs"));
    ByData(flags->Int("batch", &o_.batch, 1, 65536, "images a step"));
    ByData(flags->Number("lr", &o_.learning_rate, 0, 100, "learning rate after warm-up"));
    flags->Number("warmup", &o_.warmup, 0, 100000,
                  "epochs of rising learning rate, at most a tenth of the run");
    flags->Number("momentum", &o_.momentum, 0, 1, "momentum");
    flags->Number("weight-decay", &o_.weight_decay, 0, 10,
                  "weight decay, not of batch norm and biases");
    ByData(flags->Number("label-smoothing", &o_.label_smoothing, 0, 1, "label smoothing"));
    ByData(flags->Number("average", &o_.average, 0, 0.999999,
                         "decay of the running average of weights and statistics; 0: none"));
    flags->Number("clip-norm", &o_.clip_norm, 0, 1e9, "largest norm of the gradient; 0: any");
    flags->Group("Run");
    flags->Int64("seed", &o_.seed, "seed of all random numbers: same seed, same bits");
    flags
        ->Int("threads", &o_.threads, 0, 1024,
              "threads, without effect on the result; 0: all of the machine")
        .MayChange();
    DeclareTensorBoardFlag(&tensorboard_, flags);
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
  static void ByData(Flag& flag) { flag.fallback = "as the data set's recipe"; }

  // What was not given is the recipe's.
  void TakeRecipe(const FlagSet& flags) {
    const TrainOptions recipe = RecipeFor(o_.dataset);
    if (!flags.given("crop")) o_.crop = recipe.crop;
    if (!flags.given("flip")) o_.flip = recipe.flip;
    if (!flags.given("epochs")) o_.epochs = recipe.epochs;
    if (!flags.given("batch")) o_.batch = recipe.batch;
    if (!flags.given("lr")) o_.learning_rate = recipe.learning_rate;
    if (!flags.given("label-smoothing")) o_.label_smoothing = recipe.label_smoothing;
    if (!flags.given("average")) o_.average = recipe.average;
  }

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
    TakeRecipe(flags);
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
    if (tensorboard_) {
      if (Status status = log->MirrorToTensorBoard(); !status.ok()) return console->Fail(status);
    }
    console->Note("run folder   " + folder.path());
    TrainSink sink(&*log, run);
    const Status status = run->Run(sink, InstallStopSignals(),
                                   {folder.File(RunFolder::kCheckpoint), folder.File(kBestWeights),
                                    folder.File(kLastWeights)});
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
    json.Key("last_accuracy").Double(run.test_of_last().accuracy);
    json.Key("validation_accuracy").Double(run.best_epoch().validation.accuracy);
    json.Key("best_epoch").Int(run.best_epoch().epoch);
    json.Key("train_images").Int(run.train_images());
    json.Key("validation_images").Int(run.best_epoch().validation.images);
    json.Key("test_images").Int(run.test().images);
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
    const TrainEpoch& best = run.best_epoch();
    if (best.validation.images > 0) {
      text += Format("             epoch %d of %d, the best by %d validation images (%.2f%%)\n",
                     best.epoch, o_.epochs, best.validation.images, 100 * best.validation.accuracy);
      text +=
          Format("             %.2f%% after the last epoch\n", 100 * run.test_of_last().accuracy);
    }
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
  bool tensorboard_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeTrainCommand() { return std::make_unique<TrainCommand>(); }

}  // namespace rhnas::search
