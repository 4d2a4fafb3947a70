#include "search/search_flags.h"

#include <cstdlib>
#include <limits>

#include "nn/data.h"
#include "rl/agent.h"
#include "search/arguments.h"

namespace rhnas::search {

namespace {

constexpr int kMaxEpochs = 100000;
constexpr int kMaxImages = 100000000;
constexpr int kMaxEvaluations = 100000000;
constexpr int kMaxThreads = 1024;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Below this a softmax over logits of ordinary size is one-hot to the last bit of a float.
constexpr double kMinTemperature = 1e-3;

constexpr char kProxyHard[] = "proxy-hard", kStraightThrough[] = "straight-through";

}  // namespace

// Widths of the VTA shell's memory bus (extended VTA, shell/Configs.scala).
std::vector<std::string> BusChoices() { return {"64", "128", "256", "512", "free"}; }
int BusBits(const std::string& choice) {
  return choice == "free" ? 0 : static_cast<int>(std::strtol(choice.c_str(), nullptr, 10));
}
std::string BusChoice(int bits) { return bits == 0 ? "free" : std::to_string(bits); }

engine::Status CheckDataFlags(const std::string& dataset, const std::string& dir) {
  if (dataset == "synth" || !dir.empty()) return engine::Status::Ok();
  return engine::Status::Error("--dataset %s needs --data DIR, the folder that holds its files",
                               dataset.c_str());
}

void DeclareBoardFlag(std::string* board, FlagSet* flags) {
  std::vector<std::string> boards = {"none"};
  for (const std::string& name : hw::BoardNames()) boards.push_back(name);
  flags->Choice(
      "board", boards, "none",
      [board](const std::string& text) { *board = text == "none" ? "" : text; },
      [board] { return board->empty() ? std::string("none") : *board; },
      "the accelerator must fit this board too");
}

void DeclareTensorBoardFlag(bool* tensorboard, FlagSet* flags) {
  flags
      ->Switch("tensorboard", tensorboard,
               "write log.csv's numbers as event files too: tensorboard --logdir runs")
      .MayChange();
}

void DeclareInvalidFlag(InvalidHandling* invalid, FlagSet* flags) {
  flags->Choice(
      "invalid", InvalidHandlingNames(), InvalidHandlingName(*invalid),
      [invalid](const std::string& text) {
        const std::vector<std::string> names = InvalidHandlingNames();
        for (size_t i = 0; i < names.size(); ++i) {
          if (names[i] == text) *invalid = static_cast<InvalidHandling>(i);
        }
      },
      [invalid] { return std::string(InvalidHandlingName(*invalid)); },
      "what the agent does about accelerators that cannot be built: learn from penalties, draw "
      "again, or never propose them (mask: exact; static-mask: by bounds of single parameters)");
}

void DeclareSearchFlags(SearchOptions* o, FlagSet* flags) {
  flags->Group("Network space");
  Flag& space = flags->Text("space", "NAME", &o->space,
                            "network space, options after @ as in fbnet-cifar@w0.5");
  space.choices = nn::SpaceNames();
  space.set = [o](const std::string& text) {
    const engine::Result<nn::Space> found = nn::FindSpace(text);
    if (!found.ok()) return engine::Status::Error("--space: %s", found.status().message().c_str());
    o->space = text;
    return engine::Status::Ok();
  };
  flags->Number("width", &o->width, 0.05, 8, "multiplies the channels of the space");
  flags->Switch("always-pw", &o->always_pw,
                "blocks of expansion 1 have a leading pointwise convolution");

  flags->Group("Accelerator space");
  DeclareAcceleratorFlag(&o->accelerator, flags);
  flags
      ->Text("hw-space", "NAME|FILE", &o->hw_space,
             "accelerator space, or a file with one of your own for VTA (lines of PARAMETER: "
             "values); vta-wide always searches the bus; systolic-bus waits for memory, systolic "
             "never does")
      .choices = AllHwSpaces();
  flags->Choice(
      "bus", BusChoices(), BusChoice(o->bus_bits),
      [o](const std::string& text) { o->bus_bits = BusBits(text); },
      [o] { return BusChoice(o->bus_bits); },
      "the platform's memory bus in bits; free searches it (in vta-wide it is always searched, and "
      "this is the default accelerator's bus alone)");
  flags->Text(
      "hw", "NAME|FILE", &o->fixed_hw,
      "keep this accelerator and search the network only (a preset, a file of its family as "
      "vta_config.json, or a run folder)");

  flags->Group("Objective and constraints");
  flags->Choice(
      "objective", {"latency", "energy", "edp"}, ObjectiveName(o->objective),
      [o](const std::string& text) {
        const engine::Result<Objective> parsed = ParseObjective(text);
        if (parsed.ok()) o->objective = *parsed;
      },
      [o] { return std::string(ObjectiveName(o->objective)); }, "what is minimised");
  flags->Number("area-max", &o->area_max, 0, 1000,
                "area cap relative to the default accelerator's area; 0: none");
  DeclareBoardFlag(&o->board, flags);
  flags->Number("latency-max", &o->latency_max, 0, kInfinity, "latency limit in cycles; 0: none");
  flags->Number("accuracy-min", &o->accuracy_min, 0, 1,
                "accuracy floor that lambda is steered by; 0: none");
  DeclareTableFlags(&o->energy_table, flags);
  flags
      ->Text("layer-table", "FILE", &o->layer_table,
             "read layer costs from a table of rhnas table build, or a CSV of your own")
      .MayChange();

  flags->Group("Data");
  flags->Choice("dataset", &o->dataset, nn::DataNames(), "data set; synth is made on the fly");
  flags->Text("data", "DIR", &o->data_dir, "where the files of the data set stand").MayChange();
  flags->Int("train-size", &o->train_size, 0, kMaxImages, "use so many training images; 0: all");
  flags->Int("test-size", &o->test_size, 0, kMaxImages, "use so many test images; 0: all");

  flags->Group("Budget");
  flags->Int("warmup-epochs", &o->warmup_epochs, 0, kMaxEpochs, "epochs of shared weights only");
  flags->Int("epochs", &o->search_epochs, 0, kMaxEpochs, "epochs of the search");
  flags->Int("final-epochs", &o->final_epochs, 0, kMaxEpochs,
             "epochs of training for the network found");
  flags->Int("batch", &o->batch, 1, 65536, "images a step");
  flags->Int("arch-every", &o->arch_every, 1, 1000000, "weight steps between architecture steps");
  flags->Int("hw-every", &o->hw_every, 0, 100000000,
             "architecture steps between hardware rounds; 0: two rounds an epoch");
  flags->Int("hw-evaluations", &o->hw_evaluations, 1, kMaxEvaluations,
             "accelerators proposed in each hardware round");
  flags->Int("hw-final-evaluations", &o->hw_final_evaluations, 1, kMaxEvaluations,
             "accelerators proposed for the final network");

  flags->Group("Network search");
  flags->Number("lambda", &o->lambda, 0, 1e6, "weight of the expected cost in the loss");
  flags->Choice(
      "arch-gradient", {kProxyHard, kStraightThrough},
      o->arch_gradient == nn::ArchGradient::kProxyHard ? kProxyHard : kStraightThrough,
      [o](const std::string& text) {
        o->arch_gradient =
            text == kProxyHard ? nn::ArchGradient::kProxyHard : nn::ArchGradient::kStraightThrough;
      },
      [o] {
        return std::string(o->arch_gradient == nn::ArchGradient::kProxyHard ? kProxyHard
                                                                            : kStraightThrough);
      },
      "how gradients reach the architecture");
  flags->Number("weight-lr", &o->weight_lr, 0, 100, "learning rate of the weights");
  flags->Number("weight-decay", &o->weight_decay, 0, 10, "weight decay");
  flags->Number("arch-lr", &o->arch_lr, 0, 100, "learning rate of the architecture");
  flags->Number("temperature", &o->temperature, kMinTemperature, 1000,
                "temperature of the samples at the start");
  flags->Number("temperature-final", &o->temperature_final, kMinTemperature, 1000,
                "temperature at the end");

  flags->Group("Hardware search");
  flags->Choice("agent", &o->agent, rl::AgentNames(), "who proposes accelerators");
  DeclareInvalidFlag(&o->invalid, flags);

  flags->Group("Run");
  flags->Int64("seed", &o->seed, "seed of all random numbers: same seed, same bits");
  flags
      ->Int("threads", &o->threads, 0, kMaxThreads,
            "threads, without effect on the result; 0: all of the machine")
      .MayChange();
}

}  // namespace rhnas::search
