// The exact solvers against values measured with plain value iteration on Gymnasium's tables, and
// against closed forms.
#include "rl/tabular_mdp.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/random.h"
#include "rl/environments_tabular.h"

namespace rhnas::rl {
namespace {

double OptimalStartValue(const TabularMdp& mdp, double gamma) {
  ValueIterationOptions options;
  options.gamma = gamma;
  return StartValue(mdp, ValueIteration(mdp, options).value);
}

constexpr double kClose = 1e-9;

TEST(TabularMdp, FrozenLake4x4Slippery) {
  const TabularMdp lake = FrozenLake(4, true);
  EXPECT_NEAR(OptimalStartValue(lake, 1), 14.0 / 17.0, kClose);
  EXPECT_NEAR(OptimalStartValue(lake, 0.99), 0.5420259320, kClose);
  EXPECT_NEAR(OptimalStartValue(lake, 0.95), 0.1804715784, kClose);
  EXPECT_NEAR(OptimalStartValue(lake, 0.9), 0.0688909049, kClose);
  EXPECT_NEAR(StartValue(lake, FiniteHorizonValue(lake, 100, 1)), 0.7441902878, kClose);
}

TEST(TabularMdp, FrozenLake8x8Slippery) {
  const TabularMdp lake = FrozenLake(8, true);
  EXPECT_NEAR(OptimalStartValue(lake, 1), 1.0, kClose);
  EXPECT_NEAR(OptimalStartValue(lake, 0.99), 0.4146403618, kClose);
  EXPECT_NEAR(OptimalStartValue(lake, 0.95), 0.0482502041, kClose);
  EXPECT_NEAR(StartValue(lake, FiniteHorizonValue(lake, 200, 1)), 0.9132201502, kClose);
}

TEST(TabularMdp, FrozenLakeDeterministic) {
  // 6 and 14 steps to the goal; the reward of the last step is discounted one time less.
  EXPECT_NEAR(OptimalStartValue(FrozenLake(4, false), 0.99), std::pow(0.99, 5), kClose);
  EXPECT_NEAR(OptimalStartValue(FrozenLake(8, false), 0.99), std::pow(0.99, 13), kClose);
  EXPECT_NEAR(OptimalStartValue(FrozenLake(8, false), 0.99), 0.8775210230, kClose);
}

TEST(TabularMdp, CliffWalking) {
  const TabularMdp cliff = CliffWalking();
  EXPECT_NEAR(OptimalStartValue(cliff, 1), -13, kClose);
  EXPECT_NEAR(OptimalStartValue(cliff, 0.99), -12.2478977001, kClose);
  EXPECT_NEAR(OptimalStartValue(cliff, 0.9), -7.4581341717, kClose);
}

TEST(TabularMdp, Taxi) {
  const TabularMdp taxi = Taxi();
  ValueIterationOptions options;
  options.gamma = 1;
  const Solution best = ValueIteration(taxi, options);
  EXPECT_NEAR(StartValue(taxi, best.value), 7.93, 1e-12);
  const std::vector<double> start = taxi.StartDistribution();
  int starts = 0;
  double lowest = 100, highest = -100, steps = 0;
  TabularEnvironment environment(taxi);
  engine::Rng rng(1);
  for (int s = 0; s < taxi.states(); ++s) {
    if (start[static_cast<size_t>(s)] <= 0) continue;
    ++starts;
    lowest = std::fmin(lowest, best.value[static_cast<size_t>(s)]);
    highest = std::fmax(highest, best.value[static_cast<size_t>(s)]);
    environment.SetState(s);
    double collected = 0;
    for (bool done = false; !done; ++steps) {
      const StepResult step =
          environment.Act(&best.policy[static_cast<size_t>(environment.state())], rng);
      collected += step.reward;
      done = step.terminal;
    }
    EXPECT_DOUBLE_EQ(collected, best.value[static_cast<size_t>(s)]) << "start state " << s;
  }
  EXPECT_EQ(starts, 300);
  EXPECT_DOUBLE_EQ(lowest, 3);
  EXPECT_DOUBLE_EQ(highest, 15);
  EXPECT_NEAR(steps / starts, 13.07, 1e-12);
  EXPECT_NEAR(OptimalStartValue(taxi, 0.99), 6.327464, 1e-6);
}

TEST(TabularMdp, CorridorMatchesItsClosedForm) {
  for (double gamma : {1.0, 0.9}) {
    double expected = std::pow(gamma, 6);
    for (int t = 0; t < 7; ++t) expected += std::pow(gamma, t) * -0.05;
    EXPECT_NEAR(OptimalStartValue(Corridor(8, -0.05), gamma), expected, 1e-12);
  }
}

TEST(TabularMdp, ValueOfTheOptimalPolicyIsOptimal) {
  const TabularMdp lake = FrozenLake(8, true);
  ValueIterationOptions options;
  const Solution best = ValueIteration(lake, options);
  EXPECT_NEAR(StartValue(lake, PolicyValue(lake, best.policy, options)), 0.4146403618, kClose);
}

TEST(TabularEnvironment, SamplesTheTransitionProbabilities) {
  TabularEnvironment lake(FrozenLake(4, true));
  engine::Rng rng(3);
  const int right = 2;
  int next[16] = {};
  constexpr int kDraws = 30000;
  for (int i = 0; i < kDraws; ++i) {
    lake.SetState(0);
    lake.Act(&right, rng);
    ++next[lake.state()];
  }
  // Right slips down or up; up keeps the corner. 5 standard deviations of a third.
  const double bound = 5 * std::sqrt(kDraws * 2.0 / 9.0);
  EXPECT_NEAR(next[0], kDraws / 3.0, bound);
  EXPECT_NEAR(next[1], kDraws / 3.0, bound);
  EXPECT_NEAR(next[4], kDraws / 3.0, bound);
}

TEST(TabularEnvironment, TruncatesAtTheTimeLimitAndMasksForbiddenActions) {
  TabularEnvironment corridor(Corridor(5, 0), 2);
  engine::Rng rng(1);
  corridor.Reset(rng);
  uint8_t mask[2] = {9, 9};
  ASSERT_TRUE(corridor.Mask(mask));
  EXPECT_EQ(mask[0], 0);
  EXPECT_EQ(mask[1], 1);
  const int right = 1;
  EXPECT_FALSE(corridor.Act(&right, rng).truncated);
  const StepResult second = corridor.Act(&right, rng);
  EXPECT_TRUE(second.truncated);
  EXPECT_FALSE(second.terminal);
  std::vector<float> observation(5);
  corridor.Observe(observation.data());
  EXPECT_EQ(observation, (std::vector<float>{0, 0, 1, 0, 0}));
}

}  // namespace
}  // namespace rhnas::rl
