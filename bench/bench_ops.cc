// Speed of every operation, forward and forward with backward, from the operation table
// (tests/op_table.h). Google Benchmark.
//
//   bench_ops [--threads=N] [--benchmark_filter=BatchNorm ...]
//
// Bytes a second count each input and the output once (forward), and their gradients once more
// (backward): a streaming operation at the machine's limit shows the memory's bandwidth.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/cpu.h"
#include "tests/op_table.h"

namespace rhnas::engine {
namespace {

void RunRow(benchmark::State& state, const OpRow& row, bool backward, ThreadPool& pool) {
  Tape tape(pool);
  const auto values = DrawInputs(row, Rng(1));
  std::vector<std::unique_ptr<Parameter>> inputs;
  for (size_t i = 0; i < values.size(); ++i) {
    inputs.push_back(std::make_unique<Parameter>("input", row.inputs[i].shape));
    std::copy(values[i].begin(), values[i].end(), inputs[i]->value.data());
  }
  std::vector<Var> vars(inputs.size());
  int64_t elements = 0;
  for (auto _ : state) {
    tape.Reset();
    for (size_t i = 0; i < inputs.size(); ++i) vars[i] = tape.Leaf(*inputs[i]);
    const Var out = row.build(tape, vars);
    if (backward) {
      // A sum stands for what follows; its share is what the row "Sum" shows.
      tape.Backward(tape.shape(out).size() == 1 ? out : Sum(tape, out));
    }
    benchmark::DoNotOptimize(tape.value(out));
    elements = tape.shape(out).size();
  }
  for (const auto& input : inputs) elements += input->value.size();
  const int64_t passes = backward ? 2 : 1;
  state.SetBytesProcessed(state.iterations() * elements * passes *
                          static_cast<int64_t>(sizeof(float)));
}

}  // namespace
}  // namespace rhnas::engine

int main(int argc, char** argv) {
  using namespace rhnas::engine;
  int threads = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--threads=", 10) == 0) {
      threads = std::atoi(argv[i] + 10);
      argv[i--] = argv[--argc];
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const Status status = InitTargetFromEnvironment();
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
  }
  ThreadPool pool(threads);
  benchmark::AddCustomContext("target", TargetName(ActiveTarget()));
  benchmark::AddCustomContext("threads", std::to_string(pool.size()));
  for (const OpRow& row : OpRows(OpSize::kBench)) {
    for (bool backward : {false, true}) {
      const std::string name =
          row.name + "/" + row.variant + (backward ? "/forward+backward" : "/forward");
      benchmark::RegisterBenchmark(
          name.c_str(),
          [row, backward, &pool](benchmark::State& state) { RunRow(state, row, backward, pool); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
