// How long a program of ours takes to start, and to its first training step.
//
//   bench_start [--program build/rhnas] [--runs 20]
//
// Prints CSV: what,ms_med,ms_best,ms_p90. Each run is a new process, timed from outside, from its
// launch to its end: `PROGRAM --version`, and this program itself with one step (forward, loss,
// backward, Adam) of a small classifier. The peers beside it: bench/compare.
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/optimizer.h"
#include "engine/random.h"

extern char** environ;

namespace {

using namespace rhnas::engine;

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "bench_start: %s\n", message.c_str());
  std::exit(2);
}

int FirstStep() {
  constexpr int kRows = 32, kInputs = 16, kHidden = 64, kClasses = 10;
  ThreadPool pool(1);
  Tape tape(pool);
  Rng rng(1);
  Parameter w1("w1", Shape(kInputs, kHidden)), b1("b1", Shape(kHidden));
  Parameter w2("w2", Shape(kHidden, kClasses)), b2("b2", Shape(kClasses));
  const std::vector<Parameter*> parameters = {&w1, &b1, &w2, &b2};
  for (Parameter* p : parameters) {
    for (int64_t i = 0; i < p->value.size(); ++i) p->value[i] = 0.1f * rng.Normal();
  }
  Adam adam(parameters, AdamOptions());
  std::vector<float> x(kRows * kInputs);
  for (float& v : x) v = rng.Normal();
  const std::vector<int32_t> labels(kRows, 3);
  Var y = tape.Constant(Shape(kRows, kInputs), x.data());
  y = LinearTanh(tape, y, tape.Leaf(w1), tape.Leaf(b1));
  y = Linear(tape, y, tape.Leaf(w2), tape.Leaf(b2));
  const Var loss = CrossEntropy(tape, y, labels.data());
  const float before = tape.value(loss)[0];
  tape.Backward(loss);
  adam.Step(1e-3f, pool);
  return before > 0 ? 0 : 1;
}

double MillisecondsOf(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1 /* O_WRONLY */, 0);
  const auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  int status = 0;
  if (posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ) != 0 ||
      waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    Fail("cannot run " + words[0]);
  }
  posix_spawn_file_actions_destroy(&actions);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

int main(int argc, char** argv) {
  std::string program = "build/rhnas";
  int runs = 20;
  if (argc == 2 && std::string(argv[1]) == "--step") return FirstStep();
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc) Fail(flag + " needs a value");
    if (flag == "--program") {
      program = argv[i + 1];
    } else if (flag == "--runs") {
      runs = std::max(1, std::atoi(argv[i + 1]));
    } else {
      Fail("unknown option " + flag);
    }
  }
  struct What {
    const char* name;
    std::vector<std::string> words;
  };
  const What whats[] = {{"version", {program, "--version"}}, {"first_step", {argv[0], "--step"}}};
  std::puts("what,ms_med,ms_best,ms_p90");
  for (const What& what : whats) {
    std::vector<double> times;
    for (int i = 0; i < runs; ++i) times.push_back(MillisecondsOf(what.words));
    std::sort(times.begin(), times.end());
    std::printf("%s,%.2f,%.2f,%.2f\n", what.name, times[times.size() / 2], times.front(),
                times[times.size() * 9 / 10]);
  }
  return 0;
}
