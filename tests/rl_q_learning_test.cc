// Q-learning and random search on problems whose optimum is known exactly.
#include "rl/q_learning.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "engine/archive.h"
#include "rl/environments_tabular.h"
#include "rl/random_search.h"
#include "tests/rl_problems.h"

namespace rhnas::rl {
namespace {

std::vector<int> GreedyPolicy(const QLearning& agent, const TabularMdp& mdp) {
  std::vector<int> policy;
  for (int s = 0; s < mdp.states(); ++s) {
    std::vector<uint8_t> mask;
    bool any = false;
    for (int a = 0; a < mdp.actions(); ++a) {
      mask.push_back(mdp.Allowed(s, a) ? 1 : 0);
      any = any || mdp.Allowed(s, a);
    }
    policy.push_back(any ? agent.GreedyChoice(s, mask.data()) : -1);
  }
  return policy;
}

// Exact value, from the start, of the greedy policy after `steps` steps of learning.
double LearnedValue(const TabularMdp& mdp, int time_limit, AgentOptions options, int64_t steps,
                    double gamma) {
  TabularEnvironment environment(mdp, time_limit);
  options.gamma = static_cast<float>(gamma);
  QLearning agent(options, environment);
  engine::Rng rng(options.seed);
  for (int64_t used = 0; used < steps;) {
    used += agent.Round(environment, steps - used, rng).steps;
  }
  ValueIterationOptions solve;
  solve.gamma = gamma;
  solve.max_sweeps = 100000;
  return StartValue(mdp, PolicyValue(mdp, GreedyPolicy(agent, mdp), solve));
}

TEST(QLearning, SolvesDeterministicFrozenLakeExactly) {
  AgentOptions options;
  options.epsilon = options.epsilon_final = 0.3f;
  for (uint64_t seed : {1u, 2u, 3u}) {
    options.seed = seed;
    EXPECT_NEAR(LearnedValue(FrozenLake(4, false), 100, options, 20000, 0.99), std::pow(0.99, 5),
                1e-9);
  }
  // Random walks reach the far corner of the larger lake rarely: more exploration, more steps.
  options.epsilon = options.epsilon_final = 0.5f;
  EXPECT_NEAR(LearnedValue(FrozenLake(8, false), 200, options, 400000, 0.99), std::pow(0.99, 13),
              1e-9);
}

TEST(QLearning, ComesWithinTwoPercentOfOptimalOnSlipperyFrozenLake) {
  AgentOptions options;
  options.q_step = 0.02f;
  options.epsilon = 1;
  options.epsilon_final = 0.05f;
  options.anneal_steps = 200000;
  for (uint64_t seed : {1u, 2u, 3u}) {
    options.seed = seed;
    const double value = LearnedValue(FrozenLake(4, true), 100, options, 200000, 0.99);
    EXPECT_GT(value, 0.98 * 0.5420259320) << "seed " << seed;
    EXPECT_LE(value, 0.5420259320 + 1e-9);
  }
}

TEST(QLearning, WalksTheCliffAtMinusThirteen) {
  AgentOptions options;
  options.q_step = 0.5f;
  for (uint64_t seed : {1u, 2u, 3u}) {
    options.seed = seed;
    EXPECT_NEAR(LearnedValue(CliffWalking(), 0, options, 50000, 1), -13, 1e-9) << "seed " << seed;
  }
}

TEST(QLearning, NeverTakesAForbiddenActionAndSolvesTheCorridor) {
  // TabularEnvironment checks every action; V* has a closed form.
  const double best = std::pow(0.9, 8) - 0.01 * (1 - std::pow(0.9, 9)) / 0.1;
  AgentOptions options;
  EXPECT_NEAR(LearnedValue(Corridor(10, -0.01), 0, options, 20000, 0.9), best, 1e-9);
}

TEST(QLearning, FindsTheBestActionOfAMultiDiscreteOneStepProblem) {
  InvalidShare problem({4, 5, 3}, 0.5, 7);
  AgentOptions options;
  options.q_step = 1;
  options.epsilon = options.epsilon_final = 0.3f;
  QLearning agent(options, problem);
  engine::Rng rng(1);
  for (int round = 0; round < 100; ++round) agent.Round(problem, 1000, rng);
  EXPECT_DOUBLE_EQ(problem.RewardOf(agent.Greedy(problem)), problem.best_reward());
}

TEST(QLearning, ResumesBitForBit) {
  TabularEnvironment lake(FrozenLake(4, true), 100);
  AgentOptions options;
  options.anneal_steps = 3000;
  QLearning whole(options, lake), first(options, lake), second(options, lake);
  engine::Rng rng(5);
  for (int round = 0; round < 10; ++round) whole.Round(lake, 500, rng);
  engine::Rng again(5);
  for (int round = 0; round < 4; ++round) first.Round(lake, 500, again);
  const std::string path = testing::TempDir() + "rl_q_learning.ckpt";
  engine::ArchiveWriter writer;
  first.Save(writer, "agent/");
  ASSERT_TRUE(writer.Save(path).ok());
  auto reader = engine::ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  second.Load(*reader, "agent/");
  ASSERT_TRUE(reader->status().ok()) << reader->status().message();
  for (int round = 4; round < 10; ++round) second.Round(lake, 500, again);
  EXPECT_EQ(Fingerprint(whole, path), Fingerprint(second, path));
  EXPECT_NE(Fingerprint(whole, path), Fingerprint(first, path));
}

TEST(RandomSearch, IsUniformOverAllowedChoicesAndCountsEveryStep) {
  MaskedBandit bandit;
  AgentOptions options;
  options.batch = 100;
  RandomSearch agent(options);
  engine::Rng rng(2);
  for (int round = 0; round < 100; ++round) {
    const RoundStats stats = agent.Round(bandit, 1000, rng);
    EXPECT_EQ(stats.steps, 100);
    EXPECT_EQ(stats.episodes, 100);
  }
  // 10000 draws over 3 allowed of 5 choices: within 5 standard deviations.
  const double bound = 5 * std::sqrt(10000 * 2.0 / 9.0);
  for (int choice = 0; choice < 5; ++choice) {
    EXPECT_NEAR(bandit.taken[choice], MaskedBandit::kMask[choice] ? 10000 / 3.0 : 0,
                MaskedBandit::kMask[choice] ? bound : 0);
  }
  EXPECT_EQ(agent.Greedy(bandit), std::vector<int>{4});
  EXPECT_EQ(agent.Round(bandit, 7, rng).steps, 7);
}

}  // namespace
}  // namespace rhnas::rl
