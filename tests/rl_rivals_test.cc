// What makes each rival the method it is named after.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "rl/annealing.h"
#include "rl/ant_colony.h"
#include "rl/coordinate.h"
#include "rl/double_math.h"
#include "rl/evolution.h"
#include "rl/genetic.h"
#include "tests/rl_masked_problem.h"

namespace rhnas::rl {
namespace {

std::vector<int> RowOf(const PointStore& store, int row, int heads) {
  return std::vector<int>(store.action(row), store.action(row) + heads);
}

TEST(RegularizedEvolution, TheOldestDiesHoweverGood) {
  // The first point proposed is by far the best: as parent it has all children, but it dies.
  class FirstIsBest : public Bowl {
   public:
    FirstIsBest() : Bowl({6, 6, 6}, 0, 1) {}
    StepResult Act(const int* action, engine::Rng& rng) override {
      StepResult result = Bowl::Act(action, rng);
      result.reward = steps() == 1 ? 100 : static_cast<double>(-steps());
      return result;
    }
  } problem;
  AgentOptions options;
  EvolutionOptions evolution;
  evolution.population = 10;
  evolution.sample_share = 1;
  RegularizedEvolution agent(options, problem, evolution);
  engine::Rng rng(4);
  agent.Round(problem, 1, rng);
  const std::vector<int> first = agent.Greedy(problem);
  while (problem.steps() < 10) agent.Round(problem, 1, rng);
  ASSERT_EQ(agent.population().size(), 10);
  EXPECT_EQ(RowOf(agent.population(), 0, 3), first);
  agent.Round(problem, 1, rng);
  ASSERT_EQ(agent.population().size(), 10);
  for (int row = 0; row < 10; ++row) EXPECT_NE(RowOf(agent.population(), row, 3), first);
  // Its last child differs from it in one head.
  const std::vector<int> child = RowOf(agent.population(), 9, 3);
  int changed = 0;
  for (size_t h = 0; h < 3; ++h) changed += child[h] != first[h];
  // Ten draws of ten with replacement miss the best in one case of three; the seed is one that
  // hits.
  EXPECT_EQ(changed, 1);
  EXPECT_EQ(agent.Greedy(problem), first) << "the search forgets it, the agent does not";
  for (int i = 0; i < 9; ++i) {
    // In the order of birth: rewards fall with every step.
    EXPECT_GT(agent.population().reward(i), agent.population().reward(i + 1));
  }
}

TEST(RegularizedEvolution, APopulationIsAShareOfTheBudget) {
  Bowl problem({4, 4}, 0, 1);
  AgentOptions options;
  auto size = [&](int64_t budget) {
    options.budget = budget;
    return RegularizedEvolution(options, problem).population_size();
  };
  EXPECT_EQ(size(0), 100);  // the paper's
  EXPECT_EQ(size(20000), 100);
  EXPECT_LE(size(128) * EvolutionOptions().population_share, 128);
  EXPECT_EQ(size(1), EvolutionOptions::kFewest);
}

TEST(Genetic, TheBestOfAGenerationAndTheEliteAreParents) {
  Masked<Bowl> problem(Offer::kNothing, std::vector<int>{9, 9, 9}, 0.3, uint64_t{2});
  AgentOptions options;
  Genetic agent(options, problem);
  engine::Rng rng(3);
  std::vector<double> before;
  for (int generation = 0; generation < 6; ++generation) {
    std::vector<double> rewards = before;
    rewards.resize(std::min<size_t>(rewards.size(), 1));  // elite: 1
    while (static_cast<int>(rewards.size()) < 20 + (before.empty() ? 0 : 1)) {
      rewards.push_back(agent.Round(problem, 1, rng).mean_return);
    }
    std::sort(rewards.begin(), rewards.end(), std::greater<double>());
    rewards.resize(8);
    EXPECT_EQ(agent.parents().rewards(), rewards) << "generation " << generation;
    before = rewards;
  }
}

TEST(Annealing, AcceptsAsMetropolisAndCoolsGeometrically) {
  EXPECT_EQ(Annealing::AcceptProbability(0.5, 1), 1);
  EXPECT_EQ(Annealing::AcceptProbability(0, 0), 1);
  EXPECT_EQ(Annealing::AcceptProbability(-0.1, 0), 0);
  EXPECT_NEAR(Annealing::AcceptProbability(-2, 4), std::exp(-0.5), 1e-15);
  EXPECT_EQ(Annealing::AcceptProbability(-1e300, 1e-300), 0);
  EXPECT_NEAR(Annealing::Temperature(8, 2, 0, 10), 8, 1e-13);
  EXPECT_NEAR(Annealing::Temperature(8, 2, 5, 10), 4, 1e-13);
  EXPECT_NEAR(Annealing::Temperature(8, 2, 10, 10), 2, 1e-13);
  EXPECT_NEAR(Annealing::Temperature(8, 2, 99, 10), 2, 1e-13) << "no colder than the end";
  EXPECT_EQ(Annealing::Temperature(0, 0, 5, 10), 0) << "all first points alike";
}

TEST(CoordinateDescent, EndsWhereNoSingleChangeHelpsAndStartsAgain) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Masked<Bowl> problem(Offer::kNothing, std::vector<int>{7, 6, 8, 5}, 0.5, seed);
    AgentOptions options;
    CoordinateDescent agent(options, problem);
    engine::Rng rng(seed);
    std::vector<int> end;  // of the first descent
    while (agent.restarts() < 2) {
      if (agent.restarts() == 1) end = agent.Greedy(problem);
      agent.Round(problem, 1, rng);
    }
    for (size_t h = 0; h < end.size(); ++h) {
      for (int v = 0; v < problem.action_sizes()[h]; ++v) {
        std::vector<int> other = end;
        other[h] = v;
        EXPECT_LE(problem.RewardOf(other), problem.RewardOf(end))
            << "seed " << seed << ", head " << h << ", value " << v;
      }
    }
    EXPECT_EQ(problem.distinct(), problem.steps()) << "seed " << seed;
  }
}

TEST(AntColony, LaysWhatEvaporates) {
  const std::vector<int> sizes = {5, 1, 7, 3};
  Masked<Bowl> problem(Offer::kNothing, sizes, 0.1, uint64_t{3});
  AgentOptions options;
  AntColonyOptions colony;
  AntColony agent(options, problem, colony);
  engine::Rng rng(5);
  for (int i = 0; i < 60; ++i) {
    if (agent.Done()) break;
    agent.Round(problem, 1, rng);
    size_t at = 0;
    for (int size : sizes) {
      double sum = 0, least = 1;
      for (int v = 0; v < size; ++v) {
        const double strength = agent.pheromones()[at++];
        sum += strength;
        least = std::min(least, strength);
      }
      EXPECT_NEAR(sum, 1, 1e-12) << "after " << i + 1;
      EXPECT_GE(least, colony.least / size * (1 - 1e-12)) << "after " << i + 1;
    }
  }
  // The best point's choices are the strongest.
  const std::vector<int> best = agent.Greedy(problem);
  size_t at = 0;
  for (size_t h = 0; h < sizes.size(); at += static_cast<size_t>(sizes[h++])) {
    const auto first = agent.pheromones().begin() + static_cast<std::ptrdiff_t>(at);
    EXPECT_EQ(std::max_element(first, first + sizes[h]) - first, best[h]) << "head " << h;
  }
}

}  // namespace
}  // namespace rhnas::rl
