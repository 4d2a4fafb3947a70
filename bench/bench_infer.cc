// Inference of fixed networks with batch norm folded, on random images and weights.
//
//   bench_infer THREADS NAME[:side]:batch ... [--secs 2]
//
// NAME: a network of the catalogue (resnet20, mobilenet_v2_cifar, mobilenet_v2, resnet18, ...).
// Prints CSV: median, best and 90th percentile of the time of a run; the time to build the network
// and its plan; the peak resident set of the whole process.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/cpu.h"
#include "engine/random.h"
#include "nn/inference.h"

namespace {

using namespace rhnas;

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "bench_infer: %s\n", message.c_str());
  std::exit(2);
}

double Milliseconds() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Bench(const std::string& argument, int threads, double secs) {
  const size_t last = argument.rfind(':'), first = argument.find(':');
  if (last == std::string::npos) Fail(argument + ": expected NAME:side:batch or NAME:batch");
  const std::string name = argument.substr(0, first);
  const int batch = std::atoi(argument.c_str() + last + 1);
  if (batch < 1) Fail(argument + ": the batch is at least 1");
  nn::SpaceOptions options;
  if (first != last) options.resolution = std::atoi(argument.c_str() + first + 1);

  const double before = Milliseconds();
  const engine::Result<nn::Network> network = nn::ParseNetwork(name, options);
  if (!network.ok()) Fail(network.status().message());
  const nn::Space& space = network->space;
  auto net = std::make_unique<nn::Supernet>(space, engine::Rng(1));
  const nn::InferencePlan plan(*net, network->genotype);
  net.reset();
  engine::ThreadPool pool(threads);
  const double load = Milliseconds() - before;

  std::vector<float> images(static_cast<size_t>(batch) * static_cast<size_t>(space.h * space.w) *
                            static_cast<size_t>(space.c));
  engine::Rng rng(7);
  for (float& x : images) x = rng.Uniform() - 0.5f;
  std::vector<float> logits(static_cast<size_t>(batch) * static_cast<size_t>(space.classes));
  const auto run = [&] { plan.Run(images.data(), batch, logits.data(), pool); };
  for (int i = 0; i < 5; i++) run();
  std::vector<double> times;
  const double end = Milliseconds() + secs * 1e3;
  while (times.size() < 11 || Milliseconds() < end) {
    const double start = Milliseconds();
    run();
    times.push_back(Milliseconds() - start);
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf("rhnas-%s,%s,%d,%d,%d,%.3f,%.3f,%.3f,%.1f,%.1f,%ld\n",
              engine::TargetName(engine::ActiveTarget()), name.c_str(), space.h, batch, threads,
              median, times[0], times[times.size() * 9 / 10], batch / median * 1e3, load,
              usage.ru_maxrss / 1024);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const engine::Status status = engine::InitTargetFromEnvironment();
  if (!status.ok()) Fail(status.message());
  double secs = 2;
  std::vector<std::string> networks;
  for (int i = 2; i < argc; i++) {
    const std::string argument = argv[i];
    if (argument == "--secs" && i + 1 < argc) {
      secs = std::atof(argv[++i]);
    } else {
      networks.push_back(argument);
    }
  }
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  if (threads < 1 || networks.empty()) Fail("usage: THREADS NAME:side:batch ... [--secs 2]");
  const char* header = std::getenv("HEADER");
  if (header == nullptr || std::string(header) != "0") {
    std::printf(
        "engine,model,side,batch,threads,ms_med,ms_best,ms_p90,img_s_med,load_ms,rss_mib\n");
  }
  for (const std::string& network : networks) Bench(network, threads, secs);
}
