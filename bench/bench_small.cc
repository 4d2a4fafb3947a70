// Small graphs: the policy-gradient step of an MLP 4-64-64-2 (tanh), by hand through the public
// API: forward, forward and backward, and the whole step with Adam, at batch 1 and 32 on one
// thread. What it measures is what the tape costs when the arithmetic is next to nothing.
//
//   bench_small [--samples 300] [--batch N]
//
// Prints CSV as the peers' small programs do: engine,what,batch,us_med,us_best,us_p90. A sample is
// the mean of 50 steps.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/cpu.h"
#include "engine/ops.h"
#include "engine/optimizer.h"
#include "engine/random.h"

namespace {

using namespace rhnas::engine;

constexpr int kInputs = 4, kHidden = 64, kActions = 2;
constexpr int kWarmUp = 2000, kSteps = 50;  // as the peers' programs

class Agent {
 public:
  Agent() : pool_(1), tape_(pool_) {
    Rng rng(1);
    int in = kInputs;
    for (const int out : {kHidden, kHidden, kActions}) {
      const std::string layer = std::to_string(parameters_.size() / 2);
      Add("weight" + layer, Shape(in, out), rng);
      Add("bias" + layer, Shape(out), rng);
      in = out;
    }
    std::vector<Parameter*> pointers;
    for (const auto& parameter : parameters_) pointers.push_back(parameter.get());
    adam_ = std::make_unique<Adam>(pointers, AdamOptions());
  }

  void SetBatch(int batch) {
    Rng rng(2);
    batch_ = batch;
    observations_.clear();
    actions_.clear();
    weights_.clear();
    for (int i = 0; i < batch; ++i) {
      for (int j = 0; j < kInputs; ++j) observations_.push_back(rng.Uniform() - 0.5f);
      actions_.push_back(static_cast<int32_t>(rng.Below(kActions)));
      weights_.push_back((0.5f - rng.Uniform()) / static_cast<float>(batch));
    }
  }

  void Forward() {
    tape_.Reset();
    sink_ = tape_.value(Logits())[0];
  }

  void Backward() {
    tape_.Reset();
    adam_->ZeroGrad();
    const Var log_p = Pick(tape_, LogSoftmax(tape_, Logits()), actions_.data());
    const Var weights = tape_.Constant(Shape(batch_), weights_.data());
    tape_.Backward(Sum(tape_, Mul(tape_, log_p, weights)));
  }

  void Step() {
    Backward();
    adam_->Step(1e-3f, pool_);
  }

 private:
  void Add(const std::string& name, const Shape& shape, Rng& rng) {
    parameters_.push_back(std::make_unique<Parameter>(name, shape));
    Buffer& value = parameters_.back()->value;
    for (int64_t i = 0; i < value.size(); ++i) value[i] = 0.3f * (rng.Uniform() - 0.5f);
  }

  Var Logits() {
    Var x = tape_.Constant(Shape(batch_, kInputs), observations_.data());
    for (size_t i = 0; i < parameters_.size(); i += 2) {
      const Var weight = tape_.Leaf(*parameters_[i]), bias = tape_.Leaf(*parameters_[i + 1]);
      const bool last = i + 2 == parameters_.size();
      x = last ? Linear(tape_, x, weight, bias) : LinearTanh(tape_, x, weight, bias);
    }
    return x;
  }

  ThreadPool pool_;
  Tape tape_;
  std::vector<std::unique_ptr<Parameter>> parameters_;
  std::unique_ptr<Adam> adam_;
  int batch_ = 0;
  std::vector<float> observations_, weights_;
  std::vector<int32_t> actions_;
  volatile float sink_ = 0;
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "bench_small: %s\n", message.c_str());
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  size_t samples = 300;
  std::vector<int> batches = {1, 32};
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    const int value = i + 1 < argc ? std::atoi(argv[i + 1]) : 0;
    if (value < 1) Fail(flag + " needs a number of at least 1");
    if (flag == "--samples") {
      samples = static_cast<size_t>(value);
    } else if (flag == "--batch") {
      batches = {value};
    } else {
      Fail("unknown option " + flag);
    }
  }
  const Status status = InitTargetFromEnvironment();
  if (!status.ok()) Fail(status.message());
  struct What {
    const char* name;
    void (Agent::*run)();
  };
  const What whats[] = {{"forward", &Agent::Forward},
                        {"forward+backward", &Agent::Backward},
                        {"forward+backward+adam", &Agent::Step}};
  Agent agent;
  std::puts("engine,what,batch,us_med,us_best,us_p90");
  for (const int batch : batches) {
    agent.SetBatch(batch);
    for (const What& what : whats) {
      for (int i = 0; i < kWarmUp; ++i) (agent.*what.run)();
      std::vector<double> times;
      while (times.size() < samples) {
        const double start = Now();
        for (int i = 0; i < kSteps; ++i) (agent.*what.run)();
        times.push_back((Now() - start) / kSteps * 1e6);
      }
      std::sort(times.begin(), times.end());
      std::printf("rhnas,%s,%d,%.2f,%.2f,%.2f\n", what.name, batch, times[times.size() / 2],
                  times.front(), times[times.size() * 9 / 10]);
      std::fflush(stdout);
    }
  }
  return 0;
}
