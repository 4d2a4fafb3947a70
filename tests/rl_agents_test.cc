// The learning agents on problems with exact values, the factory, resume and determinism.
#include "rl/agent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "rl/actor_critic.h"
#include "rl/environments_tabular.h"
#include "rl/reinforce.h"
#include "tests/rl_problems.h"

namespace rhnas::rl {
namespace {

// For problems of many steps whose mean return matters: no ranks, no elites, less entropy.
AgentOptions SequentialOptions(const std::string& name) {
  AgentOptions options;
  options.name = name;
  options.advantage = AdvantageScale::kScaled;
  options.elites = 0;
  options.learning_rate = 3e-3f;
  options.entropy_weight = 0.01f;
  return options;
}

std::unique_ptr<Agent> Make(const AgentOptions& options, const Environment& environment,
                            engine::ThreadPool& pool) {
  auto agent = MakeAgent(options, environment, pool);
  EXPECT_TRUE(agent.ok()) << agent.status().message();
  return std::move(*agent);
}

// Undiscounted return of the greedy policy from one start.
double GreedyReturn(Agent& agent, Environment& environment, int max_steps, uint64_t seed) {
  engine::Rng rng(seed);
  environment.Reset(rng);
  double sum = 0;
  for (int step = 0; step < max_steps; ++step) {
    const StepResult result = environment.Act(agent.Greedy(environment).data(), rng);
    sum += result.reward;
    if (result.terminal || result.truncated) break;
  }
  return sum;
}

TEST(MakeAgent, MakesEveryAgentAndKnowsItsName) {
  engine::ThreadPool pool(1);
  MaskedBandit bandit;
  for (const std::string& name : AgentNames()) {
    AgentOptions options;
    options.name = name;
    EXPECT_EQ(Make(options, bandit, pool)->name(), name);
  }
}

TEST(MakeAgent, UnknownAgentListsThemAndSuggestsTheNearest) {
  engine::ThreadPool pool(1);
  MaskedBandit bandit;
  AgentOptions options;
  options.name = "reinfroce";
  const auto agent = MakeAgent(options, bandit, pool);
  ASSERT_FALSE(agent.ok());
  const std::string& message = agent.status().message();
  EXPECT_NE(message.find("did you mean \"reinforce\""), std::string::npos) << message;
  for (const std::string& name : AgentNames()) {
    EXPECT_NE(message.find(name), std::string::npos) << message;
  }
}

TEST(MakeAgent, RefusesOptionsOutOfRangeByName) {
  engine::ThreadPool pool(1);
  MaskedBandit bandit;
  struct Case {
    const char* name;
    void (*set)(AgentOptions&);
  };
  const Case cases[] = {
      {"hidden", [](AgentOptions& o) { o.hidden = 0; }},
      {"layers", [](AgentOptions& o) { o.layers = -1; }},
      {"batch", [](AgentOptions& o) { o.batch = 0; }},
      {"learning_rate",
       [](AgentOptions& o) { o.learning_rate = std::numeric_limits<float>::quiet_NaN(); }},
      {"entropy_weight", [](AgentOptions& o) { o.entropy_weight = -1; }},
      {"baseline_decay", [](AgentOptions& o) { o.baseline_decay = 1; }},
      {"gamma", [](AgentOptions& o) { o.gamma = 1.5f; }},
      {"clip_norm", [](AgentOptions& o) { o.clip_norm = 0; }},
      {"elites", [](AgentOptions& o) { o.elites = -1; }},
      {"epsilon", [](AgentOptions& o) { o.epsilon = 2; }},
  };
  for (const Case& c : cases) {
    AgentOptions options;
    c.set(options);
    const auto agent = MakeAgent(options, bandit, pool);
    ASSERT_FALSE(agent.ok()) << c.name;
    EXPECT_NE(agent.status().message().find(std::string("option ") + c.name + " is"),
              std::string::npos)
        << agent.status().message();
  }
  class Huge : public MaskedBandit {
    const std::vector<int>& action_sizes() const override { return sizes_; }
    std::vector<int> sizes_ = std::vector<int>(40, 9);
  } huge;
  AgentOptions options;
  options.name = "qlearning";
  EXPECT_FALSE(MakeAgent(options, huge, pool).ok());
}

TEST(Reinforce, BaselineIsATrueMovingAverage) {
  // Rewards of 1 (mean of a batch) forever: the average is 1 from the first batch on, not
  // 1 - decay^n; then a jump moves it by (1 - decay) of the gap, weighted for its start.
  class Constant : public MaskedBandit {
   public:
    StepResult Act(const int*, engine::Rng&) override {
      StepResult result;
      result.reward = reward;
      result.terminal = true;
      return result;
    }
    double reward = 1;
  } environment;
  engine::ThreadPool pool(1);
  AgentOptions options;
  options.baseline_decay = 0.9f;
  auto agent = Make(options, environment, pool);
  engine::Rng rng(1);
  EXPECT_NEAR(agent->Round(environment, 100, rng).baseline, 1, 1e-6);
  EXPECT_NEAR(agent->Round(environment, 100, rng).baseline, 1, 1e-6);
  environment.reward = 3;
  EXPECT_NEAR(agent->Round(environment, 100, rng).baseline, 1, 1e-6);
  // (0.1 * 3 + 0.19 * 0.9 * 1) / 0.271 after three batches.
  EXPECT_NEAR(agent->Round(environment, 100, rng).baseline, (0.3 + 0.171) / 0.271, 1e-5);
}

TEST(PolicyAgents, LearnTheMaskedBandit) {
  engine::ThreadPool pool(1);
  for (const char* name : {"reinforce", "a2c", "ppo"}) {
    MaskedBandit bandit;
    auto agent = Make(SequentialOptions(name), bandit, pool);
    engine::Rng rng(3);
    for (int round = 0; round < 150; ++round) agent->Round(bandit, 1000, rng);
    EXPECT_EQ(agent->Greedy(bandit), std::vector<int>{4}) << name;
    EXPECT_EQ(bandit.taken[0] + bandit.taken[3], 0) << name;
  }
}

TEST(PolicyAgents, WalkTheCorridorToItsExactReturn) {
  engine::ThreadPool pool(1);
  for (const char* name : {"reinforce", "a2c", "ppo"}) {
    TabularEnvironment corridor(Corridor(6, -0.05), 50);
    auto agent = Make(SequentialOptions(name), corridor, pool);
    engine::Rng rng(2);
    for (int round = 0; round < 200; ++round) agent->Round(corridor, 2000, rng);
    EXPECT_NEAR(GreedyReturn(*agent, corridor, 50, 1), 1 - 5 * 0.05, 1e-12) << name;
  }
}

TEST(PolicyAgents, ReachTheGoalOfTheFrozenLake) {
  engine::ThreadPool pool(1);
  TabularEnvironment lake(FrozenLake(4, false), 100);
  for (const char* name : {"reinforce", "a2c", "ppo"}) {
    AgentOptions options = SequentialOptions(name);
    options.entropy_weight = 0.02f;
    auto agent = Make(options, lake, pool);
    engine::Rng rng(5);
    for (int round = 0; round < 300; ++round) agent->Round(lake, 2000, rng);
    EXPECT_DOUBLE_EQ(GreedyReturn(*agent, lake, 100, 1), 1) << name;
  }
}

TEST(ActorCritic, CriticLearnsTheValueOfTheCorridor) {
  engine::ThreadPool pool(1);
  TabularEnvironment corridor(Corridor(6, -0.05), 50);
  AgentOptions options = SequentialOptions("a2c");
  options.gamma = 0.9f;
  options.anneal_steps = 20000;
  options.entropy_final = 0;
  ActorCritic agent(options, corridor, pool);
  engine::Rng rng(2);
  RoundStats stats;
  for (int round = 0; round < 400; ++round) stats = agent.Round(corridor, 2000, rng);
  double expected = std::pow(0.9, 4);
  for (int t = 0; t < 5; ++t) expected -= 0.05 * std::pow(0.9, t);
  std::vector<float> observation(6);
  corridor.SetState(0);
  corridor.Observe(observation.data());
  EXPECT_NEAR(agent.Value(observation.data()), expected, 0.02);
  EXPECT_GT(stats.explained_variance, 0.9);
}

TEST(ActorCritic, BootstrapsWhatATimeLimitCutsOff) {
  // One reward a step forever, discount 0.9: worth 10, though no episode sees more than 5 steps.
  TabularMdp endless(1, 2);
  endless.AddStart(0, 1);
  endless.AddOutcome(0, 0, {1, 0, 1, false});
  endless.AddOutcome(0, 1, {1, 0, 1, false});
  TabularEnvironment environment(endless, 5);
  engine::ThreadPool pool(1);
  AgentOptions options = SequentialOptions("a2c");
  options.gamma = 0.9f;
  options.learning_rate = 0.01f;
  ActorCritic agent(options, environment, pool);
  engine::Rng rng(1);
  for (int round = 0; round < 600; ++round) agent.Round(environment, 1000, rng);
  const float observation = 1;
  EXPECT_NEAR(agent.Value(&observation), 10, 0.1);
}

// A problem with observation, masks and several steps; a one-step one like the hardware's.
class Resume : public testing::TestWithParam<std::string> {};

TEST_P(Resume, RoundsSaveLoadRoundsIsBitForBit) {
  engine::ThreadPool pool(1);
  TabularEnvironment corridor(Corridor(8, -0.1), 20);
  SyntheticAccelerator accelerator(0, 1.0, 8);
  for (Environment* environment :
       {static_cast<Environment*>(&corridor), static_cast<Environment*>(&accelerator)}) {
    AgentOptions options;
    options.name = GetParam();
    options.anneal_steps = 300;
    options.rollout = 16;
    auto whole = Make(options, *environment, pool), first = Make(options, *environment, pool);
    options.seed = 99;  // what is loaded must replace what was initialised
    auto second = Make(options, *environment, pool);
    engine::Rng rng(5), again(5);
    // 37 steps cut episodes of the corridor in the middle.
    for (int round = 0; round < 9; ++round) whole->Round(*environment, 37, rng);
    for (int round = 0; round < 4; ++round) first->Round(*environment, 37, again);
    const std::string path = testing::TempDir() + "rl_resume_" + GetParam() + ".ckpt";
    engine::ArchiveWriter writer;
    first->Save(writer, "a/");
    ASSERT_TRUE(writer.Save(path).ok());
    auto reader = engine::ArchiveReader::Open(path);
    ASSERT_TRUE(reader.ok()) << reader.status().message();
    second->Load(*reader, "a/");
    ASSERT_TRUE(reader->status().ok()) << reader->status().message();
    for (int round = 4; round < 9; ++round) second->Round(*environment, 37, again);
    EXPECT_EQ(Fingerprint(*whole, path), Fingerprint(*second, path));
    // Random search only remembers its best, which may have come early.
    if (GetParam() != "random") {
      EXPECT_NE(Fingerprint(*whole, path), Fingerprint(*first, path));
    }
    environment->Reset(rng);
    EXPECT_EQ(whole->Greedy(*environment), second->Greedy(*environment));
  }
}
INSTANTIATE_TEST_SUITE_P(EveryAgent, Resume, testing::ValuesIn(AgentNames()),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(PolicyAgents, SameBitsForAnyNumberOfThreads) {
  for (const char* name : {"reinforce", "a2c", "ppo"}) {
    std::set<uint64_t> fingerprints;
    for (int threads : {1, 2, 3, 7}) {
      engine::ThreadPool pool(threads);
      SyntheticAccelerator accelerator(0, 1.0, 8);
      AgentOptions options;
      options.name = name;
      options.batch = 200;
      options.hidden = 128;
      auto agent = Make(options, accelerator, pool);
      engine::Rng rng(5);
      for (int round = 0; round < 5; ++round) agent->Round(accelerator, 1000, rng);
      fingerprints.insert(Fingerprint(*agent, testing::TempDir() + "rl_threads.ckpt"));
    }
    EXPECT_EQ(fingerprints.size(), 1u) << name;
  }
}

TEST(AgentsDeathTest, ARewardThatIsNotFiniteIsTheCallersMistake) {
  class Broken : public MaskedBandit {
    StepResult Act(const int*, engine::Rng&) override {
      StepResult result;
      result.reward = std::numeric_limits<double>::infinity();
      result.terminal = true;
      return result;
    }
  } broken;
  engine::ThreadPool pool(1);
  for (const std::string& name : AgentNames()) {
    AgentOptions options;
    options.name = name;
    auto agent = Make(options, broken, pool);
    engine::Rng rng(1);
    EXPECT_DEATH(agent->Round(broken, 10, rng), "rewards must be finite") << name;
  }
}

}  // namespace
}  // namespace rhnas::rl
