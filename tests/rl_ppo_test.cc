// What is particular to proximal policy optimisation: the clipped surrogate and its gradient, the
// clipped value, epochs and their early end. That it learns: tests/rl_agents_test.cc,
// tests/rl_proposals_test.cc, tests/rl_control_test.cc.
#include "rl/ppo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "rl/environments_tabular.h"
#include "tests/rl_problems.h"

namespace rhnas::rl {
namespace {

TEST(Ppo, SurrogateIsClippedWhereItWouldGainFromGoingFurther) {
  struct Case {
    double ratio, advantage, weight;
    bool clipped;
  };
  for (const Case& c : {Case{1, 2, 2, false}, Case{1.1, 2, 2.2, false}, Case{1.3, 2, 0, true},
                        Case{0.7, 2, 1.4, true}, Case{0.7, -2, 0, true}, Case{1.3, -2, -2.6, true},
                        Case{0.9, -2, -1.8, false}, Case{1.3, 0, 0, true}}) {
    const ClippedRow row = ClipSurrogate(c.ratio, c.advantage, 0.2);
    EXPECT_DOUBLE_EQ(row.weight, c.weight) << c.ratio << ", " << c.advantage;
    EXPECT_EQ(row.clipped, c.clipped) << c.ratio << ", " << c.advantage;
  }
}

TEST(Ppo, WeightIsTheSlopeOfTheSurrogate) {
  // d/d(log ratio) of min(r A, clip(r) A), by central differences, away from the kinks.
  engine::Rng rng(3);
  auto surrogate = [](double log_ratio, double advantage) {
    const double ratio = std::exp(log_ratio);
    return std::min(ratio * advantage, std::clamp(ratio, 0.8, 1.2) * advantage);
  };
  int clipped = 0, tested = 0;
  for (int i = 0; i < 500; ++i) {
    const double log_ratio = 0.3 * static_cast<double>(rng.Normal());
    const double advantage = static_cast<double>(rng.Normal());
    const double ratio = std::exp(log_ratio);
    if (std::fabs(ratio - 0.8) < 1e-3 || std::fabs(ratio - 1.2) < 1e-3) continue;
    const double slope =
        (surrogate(log_ratio + 1e-6, advantage) - surrogate(log_ratio - 1e-6, advantage)) / 2e-6;
    const double weight = ClipSurrogate(ratio, advantage, 0.2).weight;
    EXPECT_NEAR(weight, slope, 1e-6) << "draw " << i << ": ratio " << ratio << ", " << advantage;
    clipped += weight == 0 ? 1 : 0;
    ++tested;
  }
  EXPECT_GT(clipped, 50);
  EXPECT_GT(tested - clipped, 200);
}

TEST(Ppo, ValuesMoveAsFarAsTheClip) {
  EXPECT_TRUE(ValueMoves(5, 0, 10, 0));      // no clip
  EXPECT_TRUE(ValueMoves(0.1, 0, 10, 0.2));  // within
  EXPECT_FALSE(ValueMoves(5, 0, 10, 0.2));   // far enough towards the target
  EXPECT_TRUE(ValueMoves(-5, 0, 10, 0.2));   // far off, on the wrong side: back
  EXPECT_TRUE(ValueMoves(25, 0, 10, 0.2));   // beyond the target: back
}

std::vector<float> Parameters(const Agent& agent, const char* name) {
  const std::string path = testing::TempDir() + "rl_ppo.ckpt";
  engine::ArchiveWriter writer;
  agent.Save(writer, "");
  EXPECT_TRUE(writer.Save(path).ok());
  auto reader = engine::ArchiveReader::Open(path);
  EXPECT_TRUE(reader.ok());
  std::vector<float> values;
  reader->GetVector(name, &values);
  EXPECT_FALSE(values.empty()) << name;
  return values;
}

AgentOptions Sequential() {
  AgentOptions options;
  options.advantage = AdvantageScale::kScaled;
  options.entropy_weight = 0.01f;
  return options;
}

TEST(Ppo, OneEpochOfOneMinibatchIsTheActorCriticsUpdate) {
  engine::ThreadPool pool(1);
  TabularEnvironment first(FrozenLake(4, true), 100), second(FrozenLake(4, true), 100);
  PpoOptions once;
  once.epochs = 1;
  once.minibatch = 1 << 20;
  Ppo ppo(Sequential(), once, first, pool);
  ActorCritic a2c(Sequential(), second, pool);
  engine::Rng rng(4), same(4);
  const RoundStats stats = ppo.Round(first, 1000, rng);
  a2c.Round(second, 1000, same);
  // The policy has not moved when its only step is computed.
  EXPECT_NEAR(stats.kl, 0, 1e-9);
  EXPECT_EQ(stats.clip_fraction, 0);
  for (const char* name : {"policy/weight0", "policy/weight2", "critic/weight1"}) {
    const std::vector<float> ours = Parameters(ppo, name), theirs = Parameters(a2c, name);
    ASSERT_EQ(ours.size(), theirs.size());
    double furthest = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
      furthest = std::max(furthest, std::fabs(static_cast<double>(ours[i] - theirs[i])));
    }
    // Rows are added up in another order; Adam's first step is 4e-3 an entry.
    EXPECT_LT(furthest, 1e-4) << name;
  }
}

RoundStats FirstRound(const PpoOptions& ppo, float learning_rate) {
  engine::ThreadPool pool(1);
  TabularEnvironment lake(FrozenLake(4, true), 100);
  AgentOptions options = Sequential();
  options.learning_rate = learning_rate;
  options.rollout = 256;
  options.batch = 1;
  options.entropy_weight = 0;  // or it counts less an epoch where there are more
  Ppo agent(options, ppo, lake, pool);
  engine::Rng rng(6);
  return agent.Round(lake, 256, rng);
}

TEST(Ppo, ClipHoldsThePolicyBackAndIsReported) {
  PpoOptions tight, loose;
  tight.epochs = loose.epochs = 20;
  tight.clip = 0.05f;
  loose.clip = 10;
  const RoundStats held = FirstRound(tight, 3e-3f), free = FirstRound(loose, 3e-3f);
  EXPECT_EQ(held.steps, 256);
  EXPECT_GT(held.kl, 0);
  EXPECT_GT(free.kl, 3 * held.kl);
  EXPECT_GT(held.clip_fraction, 0.05);
  EXPECT_EQ(free.clip_fraction, 0);
}

TEST(Ppo, TargetEndsTheEpochsOfAnUpdate) {
  PpoOptions all, stopped, one;
  all.epochs = stopped.epochs = 20;
  one.epochs = 1;
  all.clip = stopped.clip = one.clip = 10;
  stopped.target_kl =
      1e-9f;  // exceeded by the first epoch, whose later minibatches see a new policy
  const RoundStats first = FirstRound(one, 3e-3f), last = FirstRound(all, 3e-3f);
  EXPECT_EQ(FirstRound(stopped, 3e-3f).kl, first.kl);
  EXPECT_GT(last.kl, 3 * first.kl);
}

TEST(Ppo, ProposesDesignsInOneStep) {
  // Nothing has a value beyond: the critic learns the mean reward of its proposals.
  engine::ThreadPool pool(1);
  InvalidShare problem({5, 7, 7, 4, 4, 4}, 0.5, 3);
  AgentOptions options;
  Ppo agent(options, PpoOptions(), problem, pool);
  engine::Rng rng(2);
  RoundStats stats;
  for (int round = 0; round < 150; ++round) {
    stats = agent.Round(problem, 1000, rng);
    EXPECT_EQ(stats.steps, options.batch);
    EXPECT_EQ(stats.episodes, options.batch);
  }
  EXPECT_NEAR(agent.Value(nullptr), stats.mean_return, 0.4);
  EXPECT_GT(problem.RewardOf(agent.Greedy(problem)), problem.best_reward() - 0.4);
}

}  // namespace
}  // namespace rhnas::rl
