// rhnas eval: what a trained network gets right, as trained and as the accelerator computes it.
#include <algorithm>
#include <cmath>

#include "hw/json.h"
#include "nn/inference.h"
#include "nn/int_program.h"
#include "search/command.h"
#include "search/progress.h"
#include "search/quantized.h"
#include "search/report_text.h"
#include "search/signals.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

constexpr int kBatch = 64;

const char* KindName(nn::NodeKind kind) {
  static constexpr const char* kNames[] = {"input",    "conv",        "dense", "max-pool",
                                           "avg-pool", "global-pool", "add",   "concat",
                                           "shuffle",  "subsample"};
  return kNames[static_cast<size_t>(kind)];
}

class EvalCommand : public Command {
 public:
  const char* name() const override { return "eval"; }
  const char* summary() const override { return "accuracy of a trained network, float and int8"; }
  const char* usage() const override { return "RUN [--int8] [FLAGS]"; }
  const char* notes() const override {
    return "RUN: a run folder (its best weights, else its last) or a weights file. Accuracy on the "
           "test images\n"
           "of its data set.\n"
           "\n"
           "--int8 adds what the accelerator will get: int8 weights and maps, 32-bit sums, shifts, "
           "clips, computed\n"
           "in exactly its arithmetic. Ranges are taken on training images, batch norm and the "
           "ranges of channels are\n"
           "folded into weights; --finetune-epochs trains on from there, through the rounding, to "
           "answer as the\n"
           "float network does. The result is kept as RUN/int8.weights: exports take it, and eval "
           "reads it until\n"
           "the weights are others or --calibration, --finetune-epochs or --fresh ask for a new "
           "one.\n"
           "\n"
           "JSON keys: network, dataset, source, images, float (correct, accuracy, seconds), int8 "
           "(correct,\n"
           "accuracy, loss_points, agreement, file, from_file, calibration, finetune_epochs, "
           "seconds), with --layers\n"
           "layers (name, kind, shift, multiplier, exponent, low, weight_max).";
  }
  const char* examples() const override {
    return "  rhnas eval runs/train-s1 --int8\n"
           "  rhnas eval runs/train-s1 --int8 --finetune-epochs 2 --layers";
  }

  void Declare(FlagSet* flags) override {
    flags->Positional("RUN", &words_);
    flags->Group("What");
    flags->Switch("int8", &int8_, "also as the accelerator computes");
    flags->Int("calibration", &o_.calibration, 1, 1000000,
               "training images that ranges are taken on");
    flags->Int("finetune-epochs", &o_.finetune_epochs, 0, 100000,
               "epochs over the training images that the integers learn");
    flags->Number("finetune-rate", &o_.finetune_rate, 0, 1,
                  "learning rate of that, in steps of an integer");
    flags->Switch("fresh", &o_.fresh, "make the integers anew though a file of them stands there");
    flags->Switch("layers", &layers_, "shift and exponent of each layer");
    flags->Group("Data");
    flags->Text("data", "DIR", &data_.dir,
                "where the files of the data set stand; default: as in the run");
    flags->Int("test-size", &data_.test_size, 0, 100000000,
               "use so many test images; 0: as in the run");
    flags->Group("Run");
    flags->Int("threads", &threads_, 0, 1024,
               "threads, without effect on the result; 0: all of the machine");
  }

  int Run(FlagSet* flags, const std::vector<std::string>&, Console* console) override {
    if (words_.size() != 1) {
      return console->Fail(kExitUsage,
                           Format("expected one run folder or weights file, got %d: rhnas eval RUN",
                                  static_cast<int>(words_.size())));
    }
    const bool anew = flags->given("calibration") || flags->given("finetune-epochs") || o_.fresh;
    if (!int8_ && (anew || layers_ || flags->given("finetune-rate"))) {
      return console->Fail(kExitUsage,
                           "--calibration, --finetune-epochs, --finetune-rate, --fresh and "
                           "--layers go with --int8");
    }
    o_.fresh = anew;
    o_.data_dir = data_.dir;
    const std::string& run = words_[0];
    Result<TrainedNetwork> trained = LoadTrained(run);
    if (!trained.ok()) return console->Fail(trained.status());
    if (!trained->note.empty()) console->Note("rhnas eval: " + trained->note);
    const Result<nn::DataPair> data = OpenRunData(run, *trained, data_);
    if (!data.ok()) return console->Fail(data.status());
    InstallStopSignals();
    engine::ThreadPool pool(threads_);
    ReadTestImages(*data->test);
    EvaluateFloat(*trained, *data->test, pool);
    if (int8_) {
      WatchFineTuning(console);
      Result<Int8Network> integers = LoadOrQuantize(run, &*trained, o_, pool);
      if (!integers.ok()) {
        return console->Fail(StopSignal() > 0 ? 128 + StopSignal() : kExitFailure,
                             integers.status().message());
      }
      integers_ = std::move(*integers);
      EvaluateIntegers(pool);
    }
    console->Print(console->json() ? Json(*trained) : Text(*trained));
    return kExitOk;
  }

 private:
  struct Answers {
    std::vector<int> label;  // of each image
    int correct = 0;
    double seconds = 0;
  };

  void ReadTestImages(const nn::DataSet& test) {
    image_bytes_ = static_cast<size_t>(test.height() * test.width() * test.channels());
    labels_.resize(static_cast<size_t>(test.size()));
    images_.resize(image_bytes_ * labels_.size());
    for (size_t i = 0; i < labels_.size(); ++i) {
      labels_[i] = test.Get(static_cast<int>(i), images_.data() + i * image_bytes_);
    }
  }

  // Normalised as the loader does it.
  void EvaluateFloat(const TrainedNetwork& trained, const nn::DataSet& test,
                     engine::ThreadPool& pool) {
    const double start = MonotonicSeconds();
    nn::Loader::Options how;
    for (int i = 0; i < test.size(); ++i) how.indices.push_back(i);
    how.batch = kBatch;
    how.shuffle = how.drop_last = false;
    nn::Loader loader(test, trained.mean, trained.stddev, how);
    const nn::InferencePlan plan(*trained.net, trained.path);
    const int classes = trained.network.space.classes;
    std::vector<float> logits(static_cast<size_t>(kBatch * classes));
    for (int batches = loader.batches_per_epoch(); batches > 0; --batches) {
      const nn::Batch batch = loader.Next();
      plan.Run(batch.images, batch.shape.dim[0], logits.data(), pool);
      for (int i = 0; i < batch.shape.dim[0]; ++i) {
        int best = 0;
        const float* row = logits.data() + i * classes;
        for (int k = 1; k < classes; ++k) best = row[k] > row[best] ? k : best;
        Add(best, &float_);
      }
    }
    float_.seconds = MonotonicSeconds() - start;
  }

  void EvaluateIntegers(engine::ThreadPool& pool) {
    const double start = MonotonicSeconds();
    nn::IntProgram program(integers_.graph);
    const int classes = integers_.graph.classes();
    std::vector<int8_t> outputs(static_cast<size_t>(kBatch * classes));
    for (size_t begin = 0; begin < labels_.size(); begin += kBatch) {
      const int count = static_cast<int>(std::min<size_t>(kBatch, labels_.size() - begin));
      program.Run(images_.data() + begin * image_bytes_, count, outputs.data(), pool);
      for (int i = 0; i < count; ++i) Add(nn::ArgMax(outputs.data() + i * classes, classes), &int_);
    }
    int_.seconds = MonotonicSeconds() - start;
    for (size_t i = 0; i < labels_.size(); ++i) agree_ += int_.label[i] == float_.label[i] ? 1 : 0;
  }

  void Add(int answer, Answers* answers) const {
    answers->correct += answer == labels_[answers->label.size()] ? 1 : 0;
    answers->label.push_back(answer);
  }

  void WatchFineTuning(Console* console) {
    const std::atomic<bool>& stop = InstallStopSignals();
    o_.progress = [this, console, &stop](int64_t step, int64_t steps, double loss) {
      fine_loss_ += loss;
      const int64_t report = std::max<int64_t>(1, steps / (10 * o_.finetune_epochs));
      if (step % report == 0) {
        console->Note(Format("fine-tuning  step %lld of %lld, loss %.4f",
                             static_cast<long long>(step), static_cast<long long>(steps),
                             fine_loss_ / static_cast<double>(report)));
        fine_loss_ = 0;
      }
      return !stop.load();
    };
  }

  double Share(int count) const {
    return labels_.empty() ? 0 : static_cast<double>(count) / static_cast<double>(labels_.size());
  }
  // Percentage points that int8 costs.
  double Loss() const { return 100 * (Share(float_.correct) - Share(int_.correct)); }

  std::string Json(const TrainedNetwork& trained) const {
    hw::JsonWriter json;
    json.BeginObject();
    json.Key("network").String(trained.network.name).Key("dataset").String(trained.dataset);
    json.Key("source").String(trained.source);
    json.Key("images").Int(static_cast<int64_t>(labels_.size()));
    json.Key("float").BeginObject();
    json.Key("correct").Int(float_.correct).Key("accuracy").Double(Share(float_.correct));
    json.Key("seconds").Double(float_.seconds).EndObject();
    if (int8_) {
      json.Key("int8").BeginObject();
      json.Key("correct").Int(int_.correct).Key("accuracy").Double(Share(int_.correct));
      json.Key("loss_points").Double(Loss()).Key("agreement").Double(Share(agree_));
      json.Key("file").String(integers_.file).Key("from_file").Bool(integers_.from_file);
      json.Key("calibration").Int(integers_.calibration);
      json.Key("finetune_epochs").Int(integers_.finetune_epochs);
      json.Key("seconds").Double(int_.seconds).EndObject();
    }
    if (layers_) {
      json.Key("layers").BeginArray();
      for (const nn::IntNode& node : integers_.graph.nodes) {
        json.BeginObject();
        json.Key("name").String(node.node.name).Key("kind").String(KindName(node.node.kind));
        json.Key("shift").Int(node.shift).Key("multiplier").Int(node.multiplier);
        json.Key("exponent").Int(node.exponent).Key("low").Int(node.low);
        json.Key("weight_max").Int(LargestWeight(node)).EndObject();
      }
      json.EndArray();
    }
    json.EndObject();
    return json.text() + "\n";
  }

  static int LargestWeight(const nn::IntNode& node) {
    int most = 0;
    for (int8_t weight : node.filter) most = std::max(most, std::abs(int{weight}));
    return most;
  }

  std::string Text(const TrainedNetwork& trained) const {
    std::string text = "network      " + trained.network.name + "\n";
    text += "weights      " + trained.source + "\n";
    text += Format("float        %.2f%% of %d test images of %s (%.1f s)\n",
                   100 * Share(float_.correct), static_cast<int>(labels_.size()),
                   trained.dataset.c_str(), float_.seconds);
    if (!int8_) return text;
    text += Format("int8         %.2f%%, %.2f points %s; the same answer on %.2f%% (%.1f s)\n",
                   100 * Share(int_.correct), std::fabs(Loss()), Loss() < 0 ? "more" : "less",
                   100 * Share(agree_), int_.seconds);
    text += Format(
        "             %s %s: calibrated on %d training images, %d epochs of "
        "fine-tuning\n",
        integers_.from_file ? "read from" : "written to", integers_.file.c_str(),
        integers_.calibration, integers_.finetune_epochs);
    if (!layers_) return text;
    text += Format("\n%-32s %-11s %5s %10s %8s %4s %11s\n", "layer", "kind", "shift", "multiplier",
                   "exponent", "low", "largest |w|");
    for (const nn::IntNode& node : integers_.graph.nodes) {
      text += Format("%-32s %-11s %5d %10d %8d %4d %11s\n", node.node.name.c_str(),
                     KindName(node.node.kind), node.shift, node.multiplier, node.exponent, node.low,
                     node.filter.empty() ? "" : Format("%d", LargestWeight(node)).c_str());
    }
    return text;
  }

  std::vector<std::string> words_;
  bool int8_ = false, layers_ = false;
  Int8Options o_;
  RunDataOptions data_;
  int threads_ = 0;

  size_t image_bytes_ = 0;
  std::vector<uint8_t> images_;
  std::vector<int> labels_;
  Answers float_, int_;
  int agree_ = 0;
  double fine_loss_ = 0;
  Int8Network integers_;
};

}  // namespace

std::unique_ptr<Command> MakeEvalCommand() { return std::make_unique<EvalCommand>(); }

}  // namespace rhnas::search
