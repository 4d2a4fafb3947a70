// The rivals that search points: exact optima of small problems, all ways of knowing what is valid,
// degenerate problems, resume, and whether they are worth being called rivals.
#include "rl/black_box.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include "engine/threads.h"
#include "rl/exhaustive.h"
#include "tests/rl_masked_problem.h"

namespace rhnas::rl {
namespace {

const char* const kRivals[] = {"exhaustive", "evolution", "genetic",   "annealing",
                               "coordinate", "cmaes",     "antcolony", "gp"};
// What must live with anything and resume, besides: a learning agent on the same base.
const char* const kOnPoints[] = {"exhaustive", "evolution", "genetic", "annealing", "coordinate",
                                 "cmaes",      "antcolony", "gp",      "dyna"};
const Offer kOffers[] = {Offer::kNothing, Offer::kAdmissible, Offer::kStatic, Offer::kPrefix};

std::unique_ptr<Agent> Make(const std::string& name, const Environment& environment,
                            int64_t budget) {
  static engine::ThreadPool pool(1);
  AgentOptions options;
  options.name = name;
  options.budget = budget;
  auto agent = MakeAgent(options, environment, pool);
  EXPECT_TRUE(agent.ok()) << agent.status().message();
  return std::move(*agent);
}

// Proposes until so many distinct points were evaluated, or the agent has no more.
template <class Problem>
double Search(Problem& problem, Agent& agent, int64_t budget, uint64_t seed) {
  engine::Rng rng(seed);
  while (problem.distinct() < budget && problem.steps() < 50 * budget && !agent.Done()) {
    const RoundStats stats = agent.Round(problem, budget - problem.distinct(), rng);
    EXPECT_GE(stats.steps, 1) << agent.name();
    EXPECT_TRUE(std::isfinite(stats.mean_return) && std::isfinite(stats.best_return))
        << agent.name();
  }
  return problem.best_reward() - problem.found();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

TEST(BlackBox, FindTheOptimumOfASmallProblem) {
  // 72 points with random rewards: whoever looks at all of them finds it, whoever leaves some out
  // does not.
  engine::Rng draws(5);
  std::vector<double> rewards;
  for (int i = 0; i < 72; ++i) rewards.push_back(static_cast<double>(draws.Uniform()));
  for (const char* name : kRivals) {
    for (uint64_t seed : {1u, 2u, 3u}) {
      Masked<Listed> problem(Offer::kNothing, std::vector<int>{2, 1, 4, 9}, rewards,
                             std::vector<bool>());
      auto agent = Make(name, problem, 72);
      EXPECT_EQ(Search(problem, *agent, 72, seed), 0) << name << ", seed " << seed;
      EXPECT_EQ(problem.distinct(), 72) << name << ", seed " << seed;
      EXPECT_EQ(problem.RewardOf(agent->Greedy(problem)), problem.best_reward()) << name;
    }
  }
}

TEST(BlackBox, NeverRepeatWhileAFewDrawsFindSomethingNew) {
  for (const char* name : kRivals) {
    for (Offer offer : kOffers) {
      Masked<SyntheticAccelerator> problem(offer, 1, 1.0);
      const int64_t budget = std::string(name) == "gp" ? 40 : 150;
      auto agent = Make(name, problem, budget);
      Search(problem, *agent, budget, 3);
      EXPECT_EQ(problem.distinct(), problem.steps()) << name << ", offer " << int(offer);
    }
  }
}

TEST(BlackBox, ObeyWhatIsOnOffer) {
  for (double invalid : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999}) {
    for (const char* name : kRivals) {
      for (Offer offer : kOffers) {
        Masked<InvalidShare> problem(offer, std::vector<int>{5, 7, 7, 4, 4, 4}, invalid,
                                     uint64_t{3});
        std::vector<uint8_t> mask(31, 1);
        problem.Mask(mask.data());
        const int64_t budget = std::string(name) == "gp" ? 20 : 60;
        auto agent = Make(name, problem, budget);
        Search(problem, *agent, budget, 11);
        // 1,024 draws miss all of one valid point in a thousand in one case of three.
        if (offer == Offer::kPrefix || (offer == Offer::kAdmissible && invalid < 0.999)) {
          EXPECT_EQ(problem.share_valid(), 1) << name << " at " << invalid;
        }
        for (size_t p = 0; p < problem.points(); ++p) {
          if (!problem.Seen(p)) continue;
          const std::vector<int> action = problem.Action(p);
          size_t offset = 0;
          for (size_t h = 0; h < action.size(); ++h) {
            EXPECT_NE(mask[offset + static_cast<size_t>(action[h])], 0) << name << " head " << h;
            offset += static_cast<size_t>(problem.action_sizes()[h]);
          }
        }
      }
    }
  }
}

TEST(BlackBox, LiveWithNothingAllowedAndWithOnePoint) {
  const std::vector<int> sizes = {3, 4, 2};
  std::vector<double> rewards(24, -4.0);
  for (int only : {-1, 13}) {
    std::vector<bool> valid(24, false);
    if (only >= 0) valid[static_cast<size_t>(only)] = true;
    for (const char* name : kOnPoints) {
      for (Offer offer : kOffers) {
        // A mask must leave a choice: with nothing valid there is none to give.
        if (only < 0 && (offer == Offer::kStatic || offer == Offer::kPrefix)) continue;
        for (int64_t budget : {1, 2, 30}) {
          Masked<Listed> problem(offer, sizes, rewards, valid);
          auto agent = Make(name, problem, budget);
          Search(problem, *agent, budget, 7);
          EXPECT_GE(problem.steps(), 1) << name;
          if (only >= 0 && offer != Offer::kNothing) {
            EXPECT_TRUE(problem.Seen(13)) << name << ", offer " << int(offer);
          }
        }
      }
    }
  }
}

TEST(BlackBox, ResumeToTheBit) {
  for (const char* name : kOnPoints) {
    const std::string path = testing::TempDir() + "rival_" + name;
    Masked<SyntheticAccelerator> one(Offer::kAdmissible, 0, 1.0), two(Offer::kAdmissible, 0, 1.0);
    auto whole = Make(name, one, 90), first = Make(name, two, 90);
    engine::Rng rng(21), again(21);
    for (int round = 0; round < 9; ++round) whole->Round(one, 10, rng);
    for (int round = 0; round < 4; ++round) first->Round(two, 10, again);
    engine::ArchiveWriter writer;
    first->Save(writer, "a/");
    ASSERT_TRUE(writer.Save(path).ok());
    auto second = Make(name, two, 90);
    auto reader = engine::ArchiveReader::Open(path);
    ASSERT_TRUE(reader.ok());
    second->Load(*reader, "a/");
    ASSERT_TRUE(reader->status().ok()) << reader->status().message();
    for (int round = 4; round < 9; ++round) second->Round(two, 10, again);
    EXPECT_EQ(Fingerprint(*whole, path), Fingerprint(*second, path)) << name;
    EXPECT_NE(Fingerprint(*whole, path), Fingerprint(*first, path)) << name;
    std::remove(path.c_str());
  }
}

TEST(BlackBox, ProposeTheBestAnewWhenTheProblemChanges) {
  // The reward turns round with the observation: what was best is worst, and has to be noticed.
  class Turning : public Listed {
   public:
    Turning() : Listed({8, 8}, std::vector<double>(64), {}) { Turn(1); }
    void Turn(double sign) {
      sign_ = sign;
      for (int p = 0; p < 64; ++p) reward_[static_cast<size_t>(p)] = sign * (p / 8 + p % 8);
    }
    int observation_size() const override { return 1; }
    void Observe(float* observation) const override { *observation = static_cast<float>(sign_); }

   private:
    double sign_ = 1;
  };
  for (const char* name : kOnPoints) {
    Turning problem;
    auto agent = Make(name, problem, 0);
    engine::Rng rng(2);
    for (int i = 0; i < 10; ++i) agent->Round(problem, 64, rng);
    EXPECT_EQ(problem.RewardOf(agent->Greedy(problem)), 14) << name;
    problem.Turn(-1);
    const RoundStats first = agent->Round(problem, 1, rng);
    EXPECT_EQ(first.best_return, -14) << name << ": the best of before, proposed first";
    for (int i = 0; i < 20; ++i) agent->Round(problem, 64, rng);
    EXPECT_GE(problem.RewardOf(agent->Greedy(problem)), -1) << name;
  }
}

TEST(BlackBox, BeatRandomSearchAtEqualEvaluations) {
  // Smooth and rugged, 11,520 points, medians of 9 seeds (gp: 5). Exhaustive is left out: it sees
  // the first 120 in order.
  for (double noise : {0.0, 0.15}) {
    std::vector<double> random;
    std::vector<std::vector<double>> rivals(std::size(kRivals));
    for (uint64_t seed = 1; seed <= 9; ++seed) {
      const std::vector<int> sizes = {6, 8, 6, 8, 5};
      Masked<Bowl> problem(Offer::kNothing, sizes, noise, seed);
      random.push_back(Search(problem, *Make("random", problem, 120), 120, seed));
      for (size_t r = 1; r < std::size(kRivals); ++r) {
        if (std::string(kRivals[r]) == "gp" && seed > 5) continue;
        Masked<Bowl> again(Offer::kNothing, sizes, noise, seed);
        rivals[r].push_back(Search(again, *Make(kRivals[r], again, 120), 120, seed));
      }
    }
    for (size_t r = 1; r < std::size(kRivals); ++r) {
      EXPECT_LT(Median(rivals[r]), 0.75 * Median(random)) << kRivals[r] << ", noise " << noise;
    }
  }
}

TEST(Exhaustive, WalksAllAllowedPointsInOrderAndSaysDone) {
  const std::vector<int> sizes = {3, 1, 5, 4};
  for (Offer offer : kOffers) {
    Masked<InvalidShare> problem(offer, sizes, 0.7, uint64_t{9});
    auto agent = Make("exhaustive", problem, 0);
    engine::Rng rng(1);
    std::vector<uint8_t> mask(13, 1);
    const bool masked = problem.Mask(mask.data());
    while (!agent->Done()) agent->Round(problem, 1, rng);
    size_t expected = 0;
    for (size_t p = 0; p < problem.points(); ++p) {
      const std::vector<int> action = problem.Action(p);
      bool allowed = problem.Admissible(action.data());
      if (masked) {
        allowed = mask[static_cast<size_t>(action[0])] != 0 && mask[3] != 0 &&
                  mask[static_cast<size_t>(4 + action[2])] != 0 &&
                  mask[static_cast<size_t>(9 + action[3])] != 0;
      }
      if (offer == Offer::kPrefix) {
        allowed =
            std::binary_search(problem.valid_numbers().begin(), problem.valid_numbers().end(), p);
      }
      expected += allowed;
      EXPECT_EQ(problem.Seen(p), allowed) << "point " << p << ", offer " << int(offer);
    }
    EXPECT_EQ(static_cast<size_t>(problem.steps()), expected) << "each once";
    agent->Round(problem, 3, rng);
    EXPECT_EQ(static_cast<size_t>(problem.distinct()), expected) << "then only the best again";
  }
}

TEST(Exhaustive, RefusesWhatItCannotWalk) {
  class Huge : public MaskedBandit {
    const std::vector<int>& action_sizes() const override { return sizes_; }
    std::vector<int> sizes_ = std::vector<int>(13, 4);
  } huge;
  engine::ThreadPool pool(1);
  AgentOptions options;
  options.name = "exhaustive";
  const auto agent = MakeAgent(options, huge, pool);
  ASSERT_FALSE(agent.ok());
  EXPECT_NE(agent.status().message().find("16777216"), std::string::npos)
      << agent.status().message();
}

}  // namespace
}  // namespace rhnas::rl
