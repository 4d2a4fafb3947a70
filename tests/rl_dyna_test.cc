// The pairwise policy against exact softmax gradients; model-based policy optimisation on problems
// whose optimum is known.
#include "rl/dyna.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/threads.h"
#include "rl/pair_policy.h"
#include "tests/rl_problems.h"

namespace rhnas::rl {
namespace {

// Counts distinct points, and forbids some by prefix where asked to.
class Counted : public SyntheticAccelerator {
 public:
  Counted(bool masks, double area_cap, int network = 0)
      : SyntheticAccelerator(network, area_cap, 1), masks_(masks) {}
  bool Admissible(const int* action) const override { return !masks_ || valid_[PointOf(action)]; }
  StepResult Act(const int* action, engine::Rng& rng) override {
    StepResult result = SyntheticAccelerator::Act(action, rng);
    result.valid = valid_[PointOf(action)];
    const bool fresh = seen.insert(PointOf(action)).second;
    repeats += fresh ? 0 : 1;
    if (result.valid) best = std::max(best, result.reward);
    return result;
  }
  void Observe(float* observation) const override { observation[0] = seen_network; }

  std::set<size_t> seen;
  int repeats = 0;
  double best = -1e9;
  float seen_network = 1;

 private:
  bool masks_;
};

// Gap to the optimum, natural logarithm, after so many evaluations.
double Gap(bool masks, double area_cap, int evaluations, uint64_t seed, int* repeats,
           const char* name = "dyna") {
  Counted problem(masks, area_cap);
  engine::ThreadPool pool(1);
  AgentOptions options;
  options.name = name;
  options.seed = seed;
  options.budget = evaluations;
  auto agent = MakeAgent(options, problem, pool);
  engine::Rng rng(seed, 3);
  while (static_cast<int>(problem.seen.size()) < evaluations) {
    (*agent)->Round(problem, evaluations - static_cast<int>(problem.seen.size()), rng);
  }
  *repeats = problem.repeats;
  return problem.best_reward() - problem.best;
}

TEST(PairPolicy, OneUpdateIsTheExactPolicyGradient) {
  SyntheticAccelerator problem;
  engine::Rng rng(1);
  SeenPoints seen;
  class Two : public MaskedBandit {
   public:
    bool Mask(uint8_t*) const override { return false; }
    const std::vector<int>& action_sizes() const override { return sizes_; }
    std::vector<int> sizes_ = {3};
  } bandit;
  PointPicker picker(bandit, seen, rng);
  PairPolicy policy({3});
  PairBatch batch;
  const int action = 0;
  policy.Append(picker, &action, &batch);
  batch.advantages = {1};
  policy.Update(batch, {1, 1.0, 0.2, 0});
  // From equal logits the gradient of log p(0) is (2/3, -1/3, -1/3): the odds of 0 against another
  // are exp(1). Half the gradient gives 9,036 zeros, twice as much 15,740.
  int counts[3] = {};
  batch.Clear();
  int drawn = 0;
  for (int i = 0; i < 20000; ++i) {
    policy.Sample(picker, &drawn, &batch);
    ++counts[drawn];
  }
  const double expected = 20000 / (1 + 2 * std::exp(-1.0));  // standard deviation 70
  EXPECT_NEAR(counts[0], expected, 250);
  EXPECT_NEAR(counts[1], (20000 - expected) / 2, 250);
}

TEST(PairPolicy, LearnsAChoiceThatDependsOnAnother) {
  class Match : public MaskedBandit {
   public:
    bool Mask(uint8_t*) const override { return false; }
    const std::vector<int>& action_sizes() const override { return sizes_; }
    std::vector<int> sizes_ = {4, 4};
  } match;
  engine::Rng rng(2);
  SeenPoints seen;
  PointPicker picker(match, seen, rng);
  PairPolicy policy({4, 4});
  PairBatch batch;
  int action[2];
  const auto share = [&](bool learn) {
    batch.Clear();
    double hits = 0;
    for (int i = 0; i < 64; ++i) {
      policy.Sample(picker, action, &batch);
      const bool hit = action[1] == 3 - action[0];
      hits += hit ? 1 : 0;
      batch.advantages.push_back(hit ? 1 : -0.33);
    }
    if (learn) policy.Update(batch, {3, 0.5, 0.2, 0});
    return hits / 64;
  };
  EXPECT_LT(share(false), 0.5);
  for (int i = 0; i < 60; ++i) share(true);
  EXPECT_GT(share(false), 0.9);
  // Not by giving up all but one first choice.
  std::set<int> firsts;
  for (int i = 0; i < 64; ++i) {
    policy.Sample(picker, action, &batch);
    firsts.insert(action[0]);
  }
  EXPECT_GE(firsts.size(), 2u);
}

TEST(Dyna, FindsTheOptimumWithinAHundredthOfThePoints) {
  for (double cap : {0.0, 1.0}) {
    std::vector<double> gaps;
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      int repeats = 0;
      gaps.push_back(Gap(true, cap, 100, seed, &repeats));
      EXPECT_EQ(repeats, 0) << "seed " << seed;
    }
    std::sort(gaps.begin(), gaps.end());
    EXPECT_LT(gaps[1], 0.01) << "area cap " << cap;
  }
}

TEST(Dyna, LearnsWhatCanBeBuiltWhereNobodyTellsIt) {
  // Rules of encoding alone. Where an area cap is hidden as well, some seeds stay in a local
  // optimum at its edge and the median of 5 is no better than that of random search
  // (docs/REPRODUCE.md).
  std::vector<double> gaps, random;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    int repeats = 0;
    gaps.push_back(Gap(false, 0, 60, seed, &repeats));
    random.push_back(Gap(false, 0, 60, seed, &repeats, "random"));
  }
  std::sort(gaps.begin(), gaps.end());
  std::sort(random.begin(), random.end());
  EXPECT_LT(gaps[2], 0.5 * random[2]);
}

TEST(Dyna, GivesUpAModelThatPredictsNothing) {
  class Noise : public MaskedBandit {
   public:
    bool Mask(uint8_t*) const override { return false; }
    const std::vector<int>& action_sizes() const override { return sizes_; }
    StepResult Act(const int* action, engine::Rng&) override {
      StepResult result;
      result.terminal = true;
      uint64_t hash = 0x9e3779b97f4a7c15ull;
      for (int h = 0; h < 4; ++h) {
        hash = (hash ^ static_cast<uint64_t>(action[h] + 1)) * 0xff51afd7ed558ccdull;
        hash ^= hash >> 29;
      }
      result.reward = static_cast<double>(hash % 1000) / 1000;
      return result;
    }
    std::vector<int> sizes_ = {8, 8, 8, 8};
  } noise;
  AgentOptions options;
  Dyna agent(options, noise);
  engine::Rng rng(4);
  int distrusted = 0;
  for (int i = 0; i < 60; ++i) {
    agent.Round(noise, 1, rng);
    distrusted += agent.trusts_model() ? 0 : 1;
  }
  EXPECT_GT(distrusted, 0);
}

TEST(Dyna, ProposesThePolicysArgmaxUnderTheMasksOnOffer) {
  // Before anything is learned all choices are equal: the first that is allowed, not the best
  // found.
  MaskedBandit masked;
  Dyna fresh(AgentOptions(), masked);
  EXPECT_EQ(fresh.Proposal(masked), std::vector<int>{1});
  Counted problem(true, 1.0);
  AgentOptions options;
  options.budget = 60;
  Dyna agent(options, problem);
  engine::Rng rng(5);
  int others = 0;
  for (int i = 0; i < 60; ++i) {
    agent.Round(problem, 1, rng);
    others += agent.Proposal(problem) != agent.Greedy(problem) ? 1 : 0;
  }
  EXPECT_GT(others, 0);
}

TEST(Dyna, CarriesOverToTheNextProblem) {
  // The same accelerator space for another network: what the first search has learned helps.
  double with = 0, without = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    AgentOptions options;
    options.seed = seed;
    for (bool carried : {true, false}) {
      engine::Rng rng(seed, 8);
      Counted first(true, 1.0, 0), second(true, 1.0, 1);
      Dyna agent(options, first);
      for (int i = 0; carried && i < 3; ++i) agent.Round(first, 16, rng);
      second.seen_network = 2;
      agent.Round(second, 12, rng);
      (carried ? with : without) += second.best_reward() - second.best;
    }
  }
  EXPECT_LT(with, without);
}

}  // namespace
}  // namespace rhnas::rl
