// Whole training steps (forward, cross-entropy, backward, SGD) and forward passes of the networks
// that the peers' programs time, on random images of the network's size.
//
//   bench_train --net NAME [--mode train|infer] [--batch 64] [--threads 1] [--secs 6] [--steps N]
//               [--paths FILE]
//
// NAME: resnet20, mobilenet_v2_cifar (mbv2), any other network of the catalogue, or fbnet (one of
// nine candidates in each of 22 slots, drawn anew each step) or fbnet_full (the Gumbel-weighted sum
// of all nine, gradients to all). FILE: lines of 22 choices, one line a step, for fbnet. Prints CSV
// as the peers' bench_train.py does; the peak resident set is of the whole process. As there, steps
// in which the threads waited for a processor are left out where five are clean and no number of
// steps was given.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench/waited.h"
#include "engine/cpu.h"
#include "nn/supernet.h"
#include "nn/train.h"

namespace {

using namespace rhnas;
using engine::Rng;
using engine::Tape;
using engine::Var;

struct Options {
  std::string net = "mbv2", mode = "train", paths;
  int batch = 64, threads = 1, steps = 0;
  double secs = 6;
};

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "bench_train: %s\n", message.c_str());
  std::exit(2);
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc) Fail(flag + " needs a value");
    const std::string value = argv[i + 1];
    if (flag == "--net") {
      options.net = value;
    } else if (flag == "--mode") {
      options.mode = value;
    } else if (flag == "--paths") {
      options.paths = value;
    } else if (flag == "--batch") {
      options.batch = std::atoi(value.c_str());
    } else if (flag == "--threads") {
      options.threads = std::atoi(value.c_str());
    } else if (flag == "--steps") {
      options.steps = std::atoi(value.c_str());
    } else if (flag == "--secs") {
      options.secs = std::atof(value.c_str());
    } else {
      Fail("unknown option " + flag);
    }
  }
  if (options.batch < 1 || options.threads < 1) Fail("--batch and --threads are at least 1");
  if (options.mode != "train" && options.mode != "infer") Fail("--mode is train or infer");
  return options;
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

nn::Network FindNetwork(const std::string& name) {
  if (name == "fbnet" || name == "fbnet_full") {
    nn::Network network;
    network.space = *nn::FindSpace("fbnet-cifar");
    for (nn::Slot& slot : network.space.slots) {
      // The peers' expansion-1 block has its leading 1x1 only when it is grouped.
      for (nn::Block& block : slot.candidates) block.always_pointwise = block.groups > 1;
    }
    network.genotype.choice.assign(network.space.searchable().size(), 0);
    return network;
  }
  auto network = nn::ParseNetwork(name == "mbv2" ? "mobilenet_v2_cifar" : name);
  if (!network.ok()) Fail(network.status().message());
  return *network;
}

std::vector<nn::Genotype> ReadPaths(const std::string& file, size_t slots, const Rng& seed) {
  std::vector<nn::Genotype> paths;
  if (file.empty()) {
    Rng rng = seed;
    for (int i = 0; i < 16; ++i) {
      nn::Genotype path;
      for (size_t j = 0; j < slots; ++j) path.choice.push_back(static_cast<int>(rng.Below(9)));
      paths.push_back(path);
    }
    return paths;
  }
  std::ifstream in(file);
  if (!in) Fail("cannot read " + file);
  std::string line;
  while (std::getline(in, line)) {
    nn::Genotype path;
    std::istringstream words(line);
    for (int choice = 0; words >> choice;) path.choice.push_back(choice);
    if (path.choice.size() != slots) Fail(file + ": expected 22 choices in each line");
    paths.push_back(path);
  }
  if (paths.empty()) Fail(file + " has no line");
  return paths;
}

// Every candidate of every slot, weighted by a Gumbel softmax: the step of a full relaxation.
class AllPaths {
 public:
  explicit AllPaths(const nn::Space& space) {
    for (size_t i = 0; i < space.slots.size(); ++i) {
      Slot slot;
      for (size_t j = 0; j < space.slots[i].candidates.size(); ++j) {
        slot.candidates.push_back(nn::MakeModule(space.slots[i], space.slots[i].candidates[j],
                                                 std::to_string(i) + "/" + std::to_string(j),
                                                 Rng(1).Split(i).Split(j)));
      }
      slot.logits = std::make_unique<engine::Parameter>(
          "logits", engine::Shape(static_cast<int>(slot.candidates.size())));
      slots_.push_back(std::move(slot));
    }
  }

  std::vector<engine::Parameter*> weights() {
    std::vector<engine::Parameter*> weights;
    std::vector<nn::NamedBuffer> statistics;
    for (Slot& slot : slots_) {
      for (auto& candidate : slot.candidates) candidate->Collect(&weights, &statistics);
      if (slot.candidates.size() > 1) weights.push_back(slot.logits.get());
    }
    return weights;
  }

  Var Forward(Tape& tape, Var x, Rng& rng) {
    const nn::Pass pass;
    for (Slot& slot : slots_) {
      std::vector<Var> values;
      for (auto& candidate : slot.candidates) values.push_back(candidate->Forward(tape, x, pass));
      if (values.size() == 1) {
        x = values[0];
        continue;
      }
      std::vector<float> noise(values.size());
      for (float& g : noise) g = rng.Gumbel();
      const Var p = engine::GumbelSoftmax(tape, tape.Leaf(*slot.logits), noise.data(), 5.0f, false);
      x = engine::WeightedSum(tape, values.data(), static_cast<int>(values.size()), p);
    }
    return x;
  }

 private:
  struct Slot {
    std::vector<std::unique_ptr<nn::Module>> candidates;
    std::unique_ptr<engine::Parameter> logits;
  };
  std::vector<Slot> slots_;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  const engine::Status status = engine::InitTargetFromEnvironment();
  if (!status.ok()) Fail(status.message());
  engine::ThreadPool pool(options.threads);
  Tape tape(pool);
  const nn::Network network = FindNetwork(options.net);
  const nn::Space& space = network.space;
  const bool train = options.mode == "train", full = options.net == "fbnet_full";
  const bool sampled = options.net == "fbnet";

  Rng rng(1);
  engine::Buffer images(int64_t{options.batch} * space.h * space.w * space.c);
  for (int64_t i = 0; i < images.size(); ++i) images[i] = rng.Normal();
  std::vector<int32_t> labels(static_cast<size_t>(options.batch));
  for (int32_t& label : labels) {
    label = static_cast<int32_t>(rng.Below(static_cast<uint32_t>(space.classes)));
  }
  nn::Batch batch;
  batch.images = images.data();
  batch.labels = labels.data();
  batch.shape = engine::Shape(options.batch, space.h, space.w, space.c);

  std::unique_ptr<nn::Supernet> net;
  std::unique_ptr<AllPaths> all;
  std::vector<engine::Parameter*> weights;
  if (full) {
    all = std::make_unique<AllPaths>(space);
    weights = all->weights();
  } else {
    net = std::make_unique<nn::Supernet>(space, Rng(1));
    weights = net->weights();
  }
  engine::SgdOptions sgd;
  sgd.weight_decay = 5e-4f;
  engine::Sgd optimizer(weights, sgd);
  nn::WeightStepOptions how;
  how.learning_rate = 0.05f;
  how.clip_norm = 0;

  std::vector<nn::Genotype> paths = {network.genotype};
  if (sampled) paths = ReadPaths(options.paths, space.searchable().size(), Rng(7));
  size_t next = 0;
  const auto step = [&] {
    const nn::Genotype& path = paths[next++ % paths.size()];
    if (!train && !full) {
      nn::Pass pass;
      pass.training = false;
      pass.constant_weights = true;
      tape.Reset();
      net->Forward(tape, tape.Alias(batch.shape, batch.images), path, pass);
    } else if (!full) {
      nn::WeightStep(*net, path, batch, optimizer, how, tape);
    } else {
      tape.Reset();
      const Var logits = all->Forward(tape, tape.Alias(batch.shape, batch.images), rng);
      const Var loss = engine::CrossEntropy(tape, logits, batch.labels);
      optimizer.ZeroGrad();
      tape.Backward(loss);
      optimizer.Step(0.05f, pool);
    }
  };
  const double start = Now();
  step();
  const double first = Now() - start;
  for (int i = 0; i < 2; ++i) step();
  next = 0;
  std::vector<double> times, clean;
  const double begin = Now();
  while (options.steps > 0 ? static_cast<int>(times.size()) < options.steps
                           : Now() - begin < options.secs || times.size() < 5) {
    const double waited = bench::WaitedSeconds(), t = Now();
    step();
    times.push_back(Now() - t);
    if (bench::WaitedSeconds() - waited < bench::kCleanShare * times.back()) {
      clean.push_back(times.back());
    }
  }
  const int steps = static_cast<int>(times.size()), clean_steps = static_cast<int>(clean.size());
  double mean = 0;
  for (double t : times) mean += t / static_cast<double>(times.size());
  if (options.steps == 0 && clean.size() >= 5) times = clean;
  std::sort(times.begin(), times.end());
  const auto quantile = [&](double q) {
    return times[std::min(times.size() - 1,
                          static_cast<size_t>(q * static_cast<double>(times.size())))];
  };
  // Steps of a drawn path differ: their mean counts.
  const double typical = options.steps > 0 ? mean : quantile(0.5);
  int64_t macs = 0;
  for (const nn::Genotype& path : paths) macs += nn::Macs(space, path);
  const double macs_image = static_cast<double>(macs) / static_cast<double>(paths.size());
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "net,mode,layout,batch,threads,tag,img_s_med,img_s_best,img_s_p90,ms_med,steps,clean,"
      "fwd_MMAC_per_img,conv_gflops_eff,import_s,first_step_s,rss_mib\n");
  std::printf("%s,%s,nhwc,%d,%d,%s,%.1f,%.1f,%.1f,%.2f,%d,%d,%.2f,%.1f,0,%.3f,%.0f\n",
              options.net.c_str(), options.mode.c_str(), options.batch, options.threads,
              engine::TargetName(engine::ActiveTarget()), options.batch / typical,
              options.batch / times[0], options.batch / quantile(0.9), typical * 1e3, steps,
              clean_steps, full ? 0 : macs_image / 1e6,
              full ? 0 : (train ? 6 : 2) * macs_image * options.batch / typical * 1e-9, first,
              static_cast<double>(usage.ru_maxrss) / 1024);
}
