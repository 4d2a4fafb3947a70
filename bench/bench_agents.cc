// How fast the agents are, and how many evaluations they need.
//
// Time: one policy-gradient step of an MLP 4-64-64-2 (forward, log-probabilities, backward, Adam)
// on 1 and 32 rows; one REINFORCE round of 16 proposals of six heads.
// Evaluations: until the best proposal is within 5 % and 1 % of the best design of the synthetic
// accelerator (tests/rl_problems.h), in the product of latency and energy; median over 20 seeds,
// as counters to_5pct and to_1pct (the budget of 4000 where most seeds do not get there).
// Arguments: network, area cap (0: none).
// Control: seconds to train and score on CartPole-v1 (solved: 475) and Acrobot-v1 (-100).
//
// Build: g++ -std=c++17 -O2 -I. bench/bench_agents.cc build/librhnas.a -lbenchmark -pthread
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/optimizer.h"
#include "engine/tape.h"
#include "engine/threads.h"
#include "rl/agent.h"
#include "rl/policy.h"
#include "rl/policy_gradient.h"
#include "tests/rl_control_agents.h"
#include "tests/rl_problems.h"

namespace rhnas::rl {
namespace {

void PolicyGradientStep(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0));
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  engine::Rng rng(1);
  CartPole environment;
  Policy policy(environment, PolicyOptions(), rng);
  engine::Adam adam(policy.parameters(), engine::AdamOptions());
  std::vector<float> observations;
  std::vector<int32_t> actions;
  std::vector<double> advantages;
  for (int row = 0; row < rows; ++row) {
    for (int i = 0; i < 4; ++i) observations.push_back(rng.Normal());
    actions.push_back(static_cast<int32_t>(rng.Below(2)));
    advantages.push_back(static_cast<double>(rng.Normal()));
  }
  for (auto _ : state) {
    tape.Reset();
    adam.ZeroGrad();
    const ActionTerms terms =
        policy.Evaluate(tape, observations.data(), rows, nullptr, actions.data());
    tape.Backward(PolicyLoss(tape, terms, advantages, 0.01f));
    engine::ClipGradNorm(adam.parameters(), 0.5f);
    adam.Step(1e-6f, pool);
  }
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(PolicyGradientStep)->Arg(1)->Arg(32);

void ReinforceRound(benchmark::State& state) {
  engine::ThreadPool pool(1);
  SyntheticAccelerator problem(0, 1.0, 8);
  auto agent = MakeAgent(AgentOptions(), problem, pool);
  engine::Rng rng(1);
  int64_t proposals = 0;
  for (auto _ : state) proposals += (*agent)->Round(problem, 16, rng).steps;
  state.SetItemsProcessed(proposals);
}
BENCHMARK(ReinforceRound);

void EvaluationsNeeded(benchmark::State& state, const std::string& name) {
  constexpr int kSeeds = 20;
  constexpr int64_t kBudget = 4000, kPerRound = 400;
  engine::ThreadPool pool(1);
  SyntheticAccelerator problem(static_cast<int>(state.range(0)),
                               static_cast<double>(state.range(1)), 8);
  const double best = problem.best_reward();
  std::vector<int64_t> to_5pct, to_1pct;
  for (auto _ : state) {
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      AgentOptions options;
      options.name = name;
      options.seed = seed;
      auto agent = MakeAgent(options, problem, pool);
      engine::Rng rng(seed + 1000);
      problem.ForgetCounts();
      int64_t within_5pct = kBudget, within_1pct = kBudget;
      while (problem.steps() < kBudget) {
        (*agent)->Round(problem, kPerRound - problem.steps() % kPerRound, rng);
        // Rewards are minus the logarithm of the product.
        if (problem.found() >= best - 0.05) within_5pct = std::min(within_5pct, problem.steps());
        if (problem.found() >= best - 0.01) within_1pct = std::min(within_1pct, problem.steps());
      }
      to_5pct.push_back(within_5pct);
      to_1pct.push_back(within_1pct);
    }
  }
  std::sort(to_5pct.begin(), to_5pct.end());
  std::sort(to_1pct.begin(), to_1pct.end());
  state.counters["to_5pct"] = static_cast<double>(to_5pct[to_5pct.size() / 2]);
  state.counters["to_1pct"] = static_cast<double>(to_1pct[to_1pct.size() / 2]);
  state.counters["valid_points"] = static_cast<double>(problem.valid_points());
}
void Problems(benchmark::internal::Benchmark* bench) {
  bench->Args({0, 0})->Args({0, 1})->Args({1, 0})->Args({1, 1})->Args({1, 2})->Iterations(1)->Unit(
      benchmark::kMillisecond);
}
BENCHMARK_CAPTURE(EvaluationsNeeded, reinforce, std::string("reinforce"))->Apply(Problems);
BENCHMARK_CAPTURE(EvaluationsNeeded, a2c, std::string("a2c"))->Apply(Problems);
BENCHMARK_CAPTURE(EvaluationsNeeded, ppo, std::string("ppo"))->Apply(Problems);
BENCHMARK_CAPTURE(EvaluationsNeeded, sarsa, std::string("sarsa"))->Apply(Problems);
BENCHMARK_CAPTURE(EvaluationsNeeded, expected_sarsa, std::string("expected-sarsa"))
    ->Apply(Problems);
BENCHMARK_CAPTURE(EvaluationsNeeded, softmax, std::string("softmax"))->Apply(Problems);
BENCHMARK_CAPTURE(EvaluationsNeeded, qlearning, std::string("qlearning"))->Apply(Problems);
BENCHMARK_CAPTURE(EvaluationsNeeded, random, std::string("random"))->Apply(Problems);

// Training to the published scores of the control problems, seed as argument: mean return of 100
// episodes of the greedy policy, and its deviation over episodes.
template <class Problem>
void Control(benchmark::State& state, const std::string& name, const std::string& problem) {
  Score score;
  for (auto _ : state) {
    Problem environment;
    score = TrainAndScore(ControlAgentFor(name, problem), environment,
                          static_cast<uint64_t>(state.range(0)));
  }
  state.counters["score"] = score.mean;
  state.counters["deviation"] = score.deviation;
}
void Seeds(benchmark::internal::Benchmark* bench) {
  bench->DenseRange(1, 5)->Iterations(1)->Unit(benchmark::kSecond);
}
void CartPoleScore(benchmark::State& state, const std::string& name) {
  Control<CartPole>(state, name, "cartpole");
}
void AcrobotScore(benchmark::State& state, const std::string& name) {
  Control<Acrobot>(state, name, "acrobot");
}
BENCHMARK_CAPTURE(CartPoleScore, ppo, std::string("ppo"))->Apply(Seeds);
BENCHMARK_CAPTURE(CartPoleScore, a2c, std::string("a2c"))->Apply(Seeds);
BENCHMARK_CAPTURE(AcrobotScore, ppo, std::string("ppo"))->Apply(Seeds);
BENCHMARK_CAPTURE(AcrobotScore, a2c, std::string("a2c"))->Apply(Seeds);

}  // namespace
}  // namespace rhnas::rl

BENCHMARK_MAIN();
