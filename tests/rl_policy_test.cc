// Factorised categorical policies: sampling, masked probability, entropy and gradient against exact
// values, and the arithmetic of returns, advantages and rank scores.
#include "rl/policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/ops.h"
#include "engine/tape.h"
#include "rl/elites.h"
#include "rl/mlp.h"
#include "rl/policy_gradient.h"
#include "rl/rollout.h"
#include "tests/rl_control.h"
#include "tests/rl_problems.h"

namespace rhnas::rl {
namespace {

using engine::Parameter;
using engine::Shape;
using engine::Tape;
using engine::Var;

// Gradient of minus the loss with respect to `logits` [rows, total], for weighted actions.
void PolicyGradient(const HeadLayout& layout, Parameter& logits, const uint8_t* masks,
                    const std::vector<int32_t>& actions, const std::vector<double>& weights,
                    float entropy_weight) {
  engine::ThreadPool pool(1);
  Tape tape(pool);
  logits.ZeroGrad();
  const ActionTerms terms = EvaluateActions(tape, layout, tape.Leaf(logits), masks, actions.data());
  tape.Backward(PolicyLoss(tape, terms, weights, entropy_weight));
}

TEST(Policy, BanditGradientIsExact) {
  // Every action once, weighted by its probability: the expectation itself. Any baseline cancels.
  const HeadLayout layout({3});
  for (double baseline : {0.0, 1.0 / 3.0, -5.0}) {
    Parameter logits("logits", Shape(3, 3));
    std::vector<double> weights;
    for (double reward : {1.0, 0.0, 0.0}) weights.push_back(3 * (reward - baseline) / 3);
    PolicyGradient(layout, logits, nullptr, {0, 1, 2}, weights, 0);
    double gradient[3] = {};
    for (int i = 0; i < 9; ++i) gradient[i % 3] -= static_cast<double>(logits.grad[i]);
    EXPECT_NEAR(gradient[0], 2.0 / 9, 1e-6) << "baseline " << baseline;
    EXPECT_NEAR(gradient[1], -1.0 / 9, 1e-6);
    EXPECT_NEAR(gradient[2], -1.0 / 9, 1e-6);
  }
}

TEST(Policy, ReinforceEstimateOfTheBanditGradientIsUnbiased) {
  const HeadLayout layout({3});
  constexpr int kSamples = 30000;
  engine::Rng rng(11);
  for (double baseline : {0.0, 1.0 / 3.0}) {
    Parameter logits("logits", Shape(kSamples, 3));
    std::vector<int32_t> actions;
    std::vector<double> weights;
    for (int i = 0; i < kSamples; ++i) {
      int action = 0;
      SampleAction(layout, logits.value.data(), nullptr, rng, &action);
      actions.push_back(action);
      weights.push_back((action == 0 ? 1 : 0) - baseline);
    }
    PolicyGradient(layout, logits, nullptr, actions, weights, 0);
    for (int arm = 0; arm < 3; ++arm) {
      double sum = 0, squares = 0;  // of single-sample estimates
      for (int i = 0; i < kSamples; ++i) {
        const double g = -static_cast<double>(logits.grad[3 * i + arm]) * kSamples;
        sum += g;
        squares += g * g;
      }
      const double mean = sum / kSamples;
      const double error = std::sqrt((squares / kSamples - mean * mean) / kSamples);
      EXPECT_NEAR(mean, arm == 0 ? 2.0 / 9 : -1.0 / 9, 5 * error + 1e-7) << "arm " << arm;
    }
  }
}

TEST(Policy, GumbelMaxSamplesTheSoftmaxAndNeverTheMasked) {
  const HeadLayout layout({4, 3});
  const float logits[7] = {0.5f, -1.0f, 2.0f, 0.0f, 1.0f, 1.0f, 50.0f};
  const uint8_t mask[7] = {1, 1, 0, 1, 1, 1, 0};
  const double z = std::exp(0.5) + std::exp(-1.0) + 1;
  const double p[7] = {std::exp(0.5) / z, std::exp(-1.0) / z, 0, 1 / z, 0.5, 0.5, 0};
  int count[7] = {};
  constexpr int kDraws = 40000;
  engine::Rng rng(4);
  for (int i = 0; i < kDraws; ++i) {
    int action[2];
    SampleAction(layout, logits, mask, rng, action);
    ++count[action[0]];
    ++count[4 + action[1]];
  }
  for (int i = 0; i < 7; ++i) {
    EXPECT_NEAR(count[i], kDraws * p[i], 5 * std::sqrt(kDraws * p[i] * (1 - p[i]))) << i;
  }
  int greedy[2];
  GreedyAction(layout, logits, mask, greedy);
  EXPECT_EQ(greedy[0], 0);
  EXPECT_EQ(greedy[1], 0);
}

TEST(Policy, GumbelMaxDoesNotDependOnTheTemperature) {
  engine::ThreadPool pool(1);
  Tape tape(pool);
  engine::Rng rng(8);
  const HeadLayout layout({5});
  std::vector<float> logits, noise;
  for (int i = 0; i < 5; ++i) logits.push_back(rng.Normal());
  for (int draw = 0; draw < 200; ++draw) {
    tape.Reset();
    engine::Rng same = rng.Split(static_cast<uint64_t>(draw));
    engine::Rng copy = same;
    int action = 0;
    SampleAction(layout, logits.data(), nullptr, copy, &action);
    noise.clear();
    for (int i = 0; i < 5; ++i) noise.push_back(same.Gumbel());
    for (float temperature : {0.01f, 1.0f, 100.0f}) {
      const Var hard = engine::GumbelSoftmax(tape, tape.Constant(Shape(1, 5), logits.data()),
                                             noise.data(), temperature, true);
      EXPECT_EQ(tape.value(hard)[action], 1.0f) << "temperature " << temperature;
    }
  }
}

TEST(Policy, MaskedEntropyIsThatOfTheRenormalisedDistribution) {
  engine::ThreadPool pool(1);
  Tape tape(pool);
  const HeadLayout layout({4, 3});
  const float logits[14] = {0.3f,  -1, 80,    0.9f,  2, -0.5f, 0.1f,  //
                            -0.2f, 1,  0.25f, -3.0f, 0, -60,   0.75f};
  const uint8_t mask[14] = {1, 1, 0, 1, 0, 1, 1,  //
                            0, 0, 1, 0, 1, 1, 1};
  double expected = 0;
  std::vector<double> log_p(14, 0.0);
  for (int row = 0; row < 2; ++row) {
    for (int head = 0; head < 2; ++head) {
      const int begin = 7 * row + layout.offsets[static_cast<size_t>(head)];
      const int end = begin + layout.sizes[static_cast<size_t>(head)];
      double z = 0;
      for (int i = begin; i < end; ++i) {
        if (mask[i]) z += std::exp(static_cast<double>(logits[i]));
      }
      for (int i = begin; i < end; ++i) {
        if (!mask[i]) continue;
        log_p[static_cast<size_t>(i)] = static_cast<double>(logits[i]) - std::log(z);
        const double lp = log_p[static_cast<size_t>(i)];
        expected -= std::exp(lp) * lp / 2;  // mean of two rows
      }
    }
  }
  const int32_t actions[4] = {3, 1, 2, 2};
  const ActionTerms terms =
      EvaluateActions(tape, layout, tape.Constant(Shape(2, 7), logits), mask, actions);
  EXPECT_NEAR(static_cast<double>(tape.value(terms.entropy)[0]), expected, 1e-6);
  EXPECT_NEAR(static_cast<double>(tape.value(terms.log_prob)[0]), log_p[3] + log_p[5], 1e-5);
  EXPECT_NEAR(static_cast<double>(tape.value(terms.log_prob)[1]), log_p[9] + log_p[13], 1e-5);
}

TEST(Policy, MaskedLogitsGetExactlyNoGradient) {
  const HeadLayout layout({4, 3});
  Parameter logits("logits", Shape(2, 7));
  engine::Rng rng(1);
  for (int i = 0; i < 14; ++i) logits.value[i] = 3 * rng.Normal();
  logits.value[2] = 1e4f;  // where a large negative number instead of a mask would still leak
  const uint8_t mask[14] = {1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1};
  PolicyGradient(layout, logits, mask, {3, 1, 2, 2}, {1.5, -2.0}, 0.3f);
  double any = 0;
  for (int i = 0; i < 14; ++i) {
    if (!mask[i]) {
      EXPECT_EQ(logits.grad[i], 0.0f) << i;
    }
    any += std::fabs(static_cast<double>(logits.grad[i]));
  }
  // A single allowed choice has probability 1: no gradient either.
  EXPECT_EQ(logits.grad[9], 0.0f);
  EXPECT_GT(any, 0.1);
}

TEST(Policy, EntropyGradientMatchesFiniteDifferences) {
  const HeadLayout layout({4});
  Parameter logits("logits", Shape(1, 4));
  const double x[4] = {0.3, -1, 0.7, 1.2};
  for (int i = 0; i < 4; ++i) logits.value[i] = static_cast<float>(x[i]);
  const uint8_t mask[4] = {1, 0, 1, 1};
  PolicyGradient(layout, logits, mask, {0}, {0.0}, 1);
  auto entropy = [&](int moved, double by) {
    double z = 0, h = 0;
    for (int i = 0; i < 4; ++i) z += mask[i] ? std::exp(x[i] + (i == moved ? by : 0)) : 0;
    for (int i = 0; i < 4; ++i) {
      if (!mask[i]) continue;
      const double p = std::exp(x[i] + (i == moved ? by : 0)) / z;
      h -= p * std::log(p);
    }
    return h;
  };
  for (int i = 0; i < 4; ++i) {
    const double slope = (entropy(i, 1e-5) - entropy(i, -1e-5)) / 2e-5;
    EXPECT_NEAR(-static_cast<double>(logits.grad[i]), slope, 1e-5) << i;
  }
}

TEST(Policy, StartsNearlyUniformAndOrthogonal) {
  CartPole environment;
  engine::Rng rng(3);
  Policy policy(environment, PolicyOptions(), rng);
  const std::vector<Parameter*> parameters = policy.parameters();
  ASSERT_EQ(parameters.size(), 6u);
  // 4 x 64: orthogonal rows of length sqrt(2).
  const Parameter& first = *parameters[0];
  for (int a = 0; a < 4; ++a) {
    for (int b = 0; b < 4; ++b) {
      double dot = 0;
      for (int k = 0; k < 64; ++k) {
        dot += static_cast<double>(first.value[a * 64 + k]) *
               static_cast<double>(first.value[b * 64 + k]);
      }
      EXPECT_NEAR(dot, a == b ? 2 : 0, 1e-5);
    }
  }
  engine::ThreadPool pool(1);
  Tape tape(pool);
  const float observation[4] = {1, -1, 2, 0.5f};
  const Var logits = policy.Trunk(tape, observation, 1);
  EXPECT_LT(std::fabs(tape.value(logits)[0] - tape.value(logits)[1]), 0.2f);
}

TEST(Rollout, ReturnsAndAdvantagesFollowTheirDefinitions) {
  Rollout rollout;
  rollout.rows = 5;
  rollout.rewards = {1, 2, 3, 4, 5};
  rollout.ends = {StepEnd::kGoesOn, StepEnd::kTerminal, StepEnd::kTruncated, StepEnd::kGoesOn,
                  StepEnd::kCut};
  rollout.reached_rows = 2;
  const std::vector<double> go = ReturnsToGo(rollout, 0.5);
  EXPECT_EQ(go, (std::vector<double>{2, 2, 3, 6.5, 5}));
  const std::vector<double> value = {10, 20, 30, 40, 50}, reached = {7, 9};
  const std::vector<double> gae = GeneralizedAdvantages(rollout, value, reached, 0.5, 0.5);
  // delta: 1+10-10, 2-20, 3+3.5-30, 4+25-40, 5+4.5-50
  const std::vector<double> expected = {1 + 0.25 * -18, -18, -23.5, -11 + 0.25 * -40.5, -40.5};
  for (size_t i = 0; i < 5; ++i) EXPECT_DOUBLE_EQ(gae[i], expected[i]) << i;
}

TEST(PolicyGradientHelpers, RankScoresHaveZeroMeanAndShareTies) {
  std::vector<double> scores = {3, -7, 3, 100};
  RankScores(&scores);
  // Ranks: -7 first; 3 and 3 share the second and third; 100 last. H: 1/4, 7/12, 13/12, 25/12.
  EXPECT_NEAR(scores[1], 1.0 / 4 - 1, 1e-12);
  EXPECT_NEAR(scores[0], (7.0 / 12 + 13.0 / 12) / 2 - 1, 1e-12);
  EXPECT_EQ(scores[0], scores[2]);
  EXPECT_NEAR(scores[3], 25.0 / 12 - 1, 1e-12);
  EXPECT_NEAR(scores[0] + scores[1] + scores[2] + scores[3], 0, 1e-12);
  std::vector<double> equal(16, -4.0);
  RankScores(&equal);
  for (double score : equal) EXPECT_NEAR(score, 0, 1e-12);
}

TEST(PolicyGradientHelpers, ScalingLeavesZerosAndNeverDividesByZero) {
  std::vector<double> zeros(4, 0.0), values = {3, -3, 3, -3}, one = {-2};
  NormalizeScale(&zeros);
  EXPECT_EQ(zeros, std::vector<double>(4, 0.0));
  NormalizeScale(&values);
  EXPECT_EQ(values, (std::vector<double>{1, -1, 1, -1}));
  Standardize(&one);
  EXPECT_EQ(one, std::vector<double>{-2});
  std::vector<double> constant(4, 0.1);
  Standardize(&constant);
  for (double v : constant) EXPECT_TRUE(std::isfinite(v));
}

TEST(Elites, KeepTheBestRecentDistinctProposals) {
  auto proposals = [](std::vector<int32_t> actions, std::vector<double> rewards) {
    Rollout rollout;
    rollout.rows = rollout.complete_rows = static_cast<int>(actions.size());
    rollout.observations.assign(actions.size(), 0.5f);
    rollout.masks.assign(3 * actions.size(), 1);
    rollout.actions = std::move(actions);
    rollout.rewards = std::move(rewards);
    rollout.ends.assign(rollout.actions.size(), StepEnd::kTerminal);
    return rollout;
  };
  auto kept = [](const Elites& elites) {
    Rollout rollout;
    elites.AppendTo(&rollout);
    EXPECT_EQ(rollout.rows, elites.size());
    EXPECT_EQ(rollout.observations.size(), static_cast<size_t>(rollout.rows));
    return rollout.actions;
  };
  Elites elites(2, 10);
  elites.Add(proposals({0, 1, 2, 1}, {-1, 5, 3, 5}), 4);
  EXPECT_EQ(kept(elites), (std::vector<int32_t>{1, 2}));
  elites.Add(proposals({1}, {2}), 8);  // the reward moved
  EXPECT_EQ(kept(elites), (std::vector<int32_t>{2, 1}));
  elites.Add(proposals({0}, {-1}), 15);  // 2 is 11 steps old
  EXPECT_EQ(kept(elites), (std::vector<int32_t>{1, 0}));
}

}  // namespace
}  // namespace rhnas::rl
