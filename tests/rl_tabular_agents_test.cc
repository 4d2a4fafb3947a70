// The tabular agents against exact values: Q-learning, SARSA, expected SARSA and the policy
// gradient on a table, on sequential problems and on one-step problems of several heads. The
// numbers are those of the solvers (tests/rl_tabular_mdp_test.cc), measured with plain value
// iteration on Gymnasium's tables.
#include <gtest/gtest.h>

#include <cmath>

#include "rl/environments_tabular.h"
#include "rl/q_learning.h"
#include "rl/sarsa.h"
#include "rl/softmax_table.h"
#include "tests/rl_problems.h"

namespace rhnas::rl {
namespace {

void Learn(Agent& agent, Environment& environment, int64_t steps, uint64_t seed) {
  engine::Rng rng(seed);
  while (steps > 0) steps -= agent.Round(environment, steps, rng).steps;
}

// What the agent would do, one action a state.
template <class TableAgent>
std::vector<int> GreedyPolicy(const TableAgent& agent, const TabularMdp& mdp) {
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

// Exact value of the greedy policy from the start.
template <class TableAgent>
double GreedyValue(const TableAgent& agent, const TabularMdp& mdp, double gamma) {
  ValueIterationOptions solve;
  solve.gamma = gamma;
  solve.max_sweeps = 10000;  // a policy that runs in circles at gamma 1 never converges
  return StartValue(mdp, PolicyValue(mdp, GreedyPolicy(agent, mdp), solve));
}

// Exact expected return of a fixed policy within `horizon` steps, not discounted.
double ReturnWithin(const TabularMdp& mdp, const std::vector<int>& policy, int horizon) {
  std::vector<double> value(static_cast<size_t>(mdp.states()), 0.0), before;
  for (int step = 0; step < horizon; ++step) {
    before = value;
    for (int s = 0; s < mdp.states(); ++s) {
      const size_t i = static_cast<size_t>(s);
      if (policy[i] >= 0) value[i] = ActionValue(mdp, before, s, policy[i], 1);
    }
  }
  return StartValue(mdp, value);
}

// Values of the best epsilon-soft policy: what on-policy agents with a constant epsilon learn.
std::vector<double> BestSoftValues(const TabularMdp& mdp, double epsilon, double gamma) {
  std::vector<double> value(static_cast<size_t>(mdp.states()), 0.0);
  for (int sweep = 0; sweep < 3000; ++sweep) {
    for (int s = 0; s < mdp.states(); ++s) {
      double best = -1e9, mean = 0;
      for (int a = 0; a < mdp.actions(); ++a) {
        const double q = ActionValue(mdp, value, s, a, gamma);
        best = std::max(best, q);
        mean += q / mdp.actions();
      }
      value[static_cast<size_t>(s)] = (1 - epsilon) * best + epsilon * mean;
    }
  }
  return value;
}

AgentOptions Exploring(float epsilon, float gamma, float q_step) {
  AgentOptions options;
  options.epsilon = options.epsilon_final = epsilon;
  options.gamma = gamma;
  options.q_step = q_step;
  return options;
}

// What the agent's table says a state is worth.
double TableValue(const TemporalDifference& agent, const TabularMdp& mdp, int state) {
  double best = -1e9;
  for (int a = 0; a < mdp.actions(); ++a) best = std::max(best, agent.ActionValue(state, a));
  return best;
}

TEST(QLearningTable, HoldsTheExactValuesOfDeterministicProblems) {
  // Without chance a full step is exact: the table converges to the optimum, not near it.
  struct Case {
    const char* what;
    TabularMdp mdp;
    float gamma;
    int time_limit;
    double value;
  };
  // Sums in powers of a float's gamma: compared with the solution for that gamma, which is checked
  // against the published number first.
  const Case cases[] = {
      {"CliffWalking", CliffWalking(), 1.0f, 0, -13},
      {"CliffWalking", CliffWalking(), 0.99f, 0, -12.2478977001},
      {"CliffWalking", CliffWalking(), 0.9f, 0, -7.4581341717},
      {"FrozenLake 4x4", FrozenLake(4, false), 0.99f, 100, 0.9509900499},
      {"FrozenLake 8x8", FrozenLake(8, false), 0.99f, 200, 0.8775210230},
  };
  for (const Case& c : cases) {
    TabularEnvironment environment(c.mdp, c.time_limit);
    QLearning agent(Exploring(0.5f, c.gamma, 1), environment);
    Learn(agent, environment, 150000, 1);
    EXPECT_NEAR(TableValue(agent, c.mdp, c.what[0] == 'C' ? 36 : 0), c.value, 1e-6)
        << c.what << ", gamma " << c.gamma;
    EXPECT_NEAR(GreedyValue(agent, c.mdp, static_cast<double>(c.gamma)), c.value, 1e-6)
        << c.what << ", gamma " << c.gamma;
  }
}

TEST(QLearningTable, SolvesTaxiFromEveryStart) {
  const TabularMdp taxi = Taxi();
  for (double gamma : {1.0, 0.99}) {
    TabularEnvironment environment(taxi, 200);
    QLearning agent(Exploring(0.3f, static_cast<float>(gamma), 1), environment);
    Learn(agent, environment, 300000, 2);
    EXPECT_NEAR(GreedyValue(agent, taxi, gamma), gamma == 1 ? 7.93 : 6.327464, 1e-6)
        << "gamma " << gamma;
  }
}

TEST(ExpectedSarsaTable, ConvergesToTheBestSoftPolicyOfTheCliff) {
  const TabularMdp cliff = CliffWalking();
  const std::vector<double> exact = BestSoftValues(cliff, 0.2, 0.99);
  TabularEnvironment environment(cliff, 0);
  ExpectedSarsa agent(Exploring(0.2f, 0.99f, 1), environment);
  Learn(agent, environment, 300000, 3);
  double soft = 0;
  for (int a = 0; a < 4; ++a) soft += 0.2 / 4 * agent.ActionValue(36, a);
  soft += 0.8 * TableValue(agent, cliff, 36);
  EXPECT_NEAR(soft, exact[36], 1e-3);
  EXPECT_LT(exact[36], -12.2478977001 - 1);  // not what Q-learning learns
}

// Sutton and Barto, example 6.6: where exploring falls off the cliff, an agent that knows it
// explores keeps away from the edge; Q-learning does not.
TEST(SarsaTable, KeepsAwayFromTheCliffWhileItExplores) {
  const TabularMdp cliff = CliffWalking();
  TabularEnvironment environment(cliff, 0);
  const AgentOptions options = Exploring(0.1f, 1, 0.1f);
  Sarsa sarsa(options, environment);
  ExpectedSarsa expected(options, environment);
  QLearning q(options, environment);
  Learn(sarsa, environment, 200000, 4);
  Learn(expected, environment, 200000, 4);
  Learn(q, environment, 200000, 4);
  EXPECT_NEAR(GreedyValue(q, cliff, 1), -13, 1e-9);
  for (double safe : {GreedyValue(sarsa, cliff, 1), GreedyValue(expected, cliff, 1)}) {
    EXPECT_LE(safe, -15);
    EXPECT_GE(safe, -17);  // along the top: 3 up, 11 right, 3 down
  }
}

// A table of zeros is optimistic where every step costs: it explores by itself, and an agent that
// never deviates from its best choice learns the values of the best policy.
TEST(SarsaTable, WithoutRandomChoicesWalksTheCliffAtMinusThirteen) {
  const TabularMdp cliff = CliffWalking();
  TabularEnvironment walk(cliff, 0);
  for (uint64_t seed : {1u, 2u, 3u}) {
    Sarsa sarsa(Exploring(0, 1, 1), walk);
    ExpectedSarsa expected(Exploring(0, 1, 1), walk);
    Learn(sarsa, walk, 50000, seed);
    Learn(expected, walk, 50000, seed);
    EXPECT_NEAR(GreedyValue(sarsa, cliff, 1), -13, 1e-9) << "seed " << seed;
    EXPECT_NEAR(GreedyValue(expected, cliff, 1), -13, 1e-9) << "seed " << seed;
    EXPECT_NEAR(TableValue(sarsa, cliff, 36), -13, 1e-9) << "seed " << seed;
    EXPECT_NEAR(TableValue(expected, cliff, 36), -13, 1e-9) << "seed " << seed;
  }
}

// Learns 4x4 while exploration falls from 1 to `epsilon`; the table must hold `value`.
template <class TableAgent>
void CrossSlipperyLake(float epsilon, double value) {
  AgentOptions options = Exploring(1, 0.99f, 0.02f);
  options.epsilon_final = epsilon;
  options.anneal_steps = 200000;
  const TabularMdp lake = FrozenLake(4, true);
  for (uint64_t seed : {1u, 2u}) {
    TabularEnvironment environment(lake, 100);
    TableAgent agent(options, environment);
    Learn(agent, environment, 400000, seed);
    EXPECT_GE(GreedyValue(agent, lake, 0.99), 0.98 * 0.5420259320) << "seed " << seed;
    EXPECT_NEAR(TableValue(agent, lake, 0), value, 0.03) << "seed " << seed;
    // Gymnasium's threshold of success within 100 steps is 0.70, the optimum 0.7441902878.
    const double success = ReturnWithin(lake, GreedyPolicy(agent, lake), 100);
    EXPECT_GE(success, 0.70) << "seed " << seed;
    EXPECT_LE(success, 0.7441902878 + 1e-9) << "seed " << seed;
  }
}
// Best choice in the start state when what follows is the best epsilon-soft policy.
double BestFirstChoice(const TabularMdp& mdp, double epsilon, double gamma) {
  const std::vector<double> value = BestSoftValues(mdp, epsilon, gamma);
  double best = 0;
  for (int a = 0; a < mdp.actions(); ++a) {
    best = std::max(best, ActionValue(mdp, value, 0, a, gamma));
  }
  return best;
}
TEST(QLearningTable, CrossesTheSlipperyLake) { CrossSlipperyLake<QLearning>(0.05f, 0.5420259320); }
TEST(SarsaTable, CrossesTheSlipperyLake) {
  CrossSlipperyLake<Sarsa>(0.05f, BestFirstChoice(FrozenLake(4, true), 0.05, 0.99));
}
TEST(ExpectedSarsaTable, CrossesTheSlipperyLake) {
  CrossSlipperyLake<ExpectedSarsa>(0.05f, BestFirstChoice(FrozenLake(4, true), 0.05, 0.99));
}

// gradient_j = pi_j (r_j - mean of r): (2/9, -1/9, -1/9) for three equal arms and rewards 1, 0, 0.
class ThreeArms : public Environment {
 public:
  const std::vector<int>& action_sizes() const override { return sizes_; }
  void Reset(engine::Rng& /*rng*/) override {}
  StepResult Act(const int* action, engine::Rng& /*rng*/) override {
    StepResult result;
    result.reward = action[0] == 0 ? 1 : 0;
    result.terminal = true;
    return result;
  }

 private:
  std::vector<int> sizes_ = {3};
};

AgentOptions ExactGradient(int batch) {
  AgentOptions options;
  options.batch = batch;
  options.advantage = AdvantageScale::kRaw;
  options.entropy_weight = 0;
  options.q_step = 0.01f;
  return options;
}

TEST(SoftmaxTable, StepsAlongTheExactGradientOfTheBandit) {
  ThreeArms arms;
  constexpr int kBatch = 40000;
  for (bool baseline : {false, true}) {
    SoftmaxTableOptions table;
    table.step = 1;
    table.baseline = baseline;
    SoftmaxTable agent(ExactGradient(kBatch), table, arms);
    engine::Rng rng(6);
    const RoundStats stats = agent.Round(arms, kBatch, rng);
    EXPECT_EQ(stats.steps, kBatch);
    EXPECT_NEAR(stats.mean_return, 1.0 / 3, 0.02);
    EXPECT_NEAR(stats.entropy, std::log(3.0), 1e-12);
    // A single estimate of an entry is at most 2/3 in size.
    const double bound = 5 * (2.0 / 3) / std::sqrt(double{kBatch});
    EXPECT_NEAR(agent.Preference(0, 0), 2.0 / 9, bound) << "baseline " << baseline;
    EXPECT_NEAR(agent.Preference(0, 1), -1.0 / 9, bound) << "baseline " << baseline;
    EXPECT_NEAR(agent.Preference(0, 2), -1.0 / 9, bound) << "baseline " << baseline;
    // Whatever the baseline, a softmax's gradient sums to zero.
    EXPECT_NEAR(agent.Preference(0, 0) + agent.Preference(0, 1) + agent.Preference(0, 2), 0, 1e-12);
    EXPECT_EQ(agent.StateValue(0) != 0, baseline);
  }
}

TEST(SoftmaxTable, ABaselineHalvesTheVarianceOfTheBandit) {
  // With the mean of 1/3 as baseline a single estimate of the first entry is 4/9 (of probability
  // 1/3) or 1/9: variance 2/81; without one it is 2/3 or 0: 8/81.
  ThreeArms arms;
  for (bool baseline : {false, true}) {
    AgentOptions options = ExactGradient(1);
    options.q_step = 0.001f;
    SoftmaxTableOptions table;
    table.step = 0;
    table.baseline = baseline;
    SoftmaxTable agent(options, table, arms);
    engine::Rng rng(7);
    Learn(agent, arms, 10000, 8);
    double squares = 0;
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) {
      const double norm = agent.Round(arms, 1, rng).gradient_norm;
      squares += norm * norm / kDraws;
    }
    // Of the whole gradient: mean |1{a} - pi|^2 = 2/3 times the mean square of the advantage.
    EXPECT_NEAR(squares, 2.0 / 3 * (baseline ? 2.0 / 9 : 1.0 / 3), 0.01) << baseline;
  }
}

TEST(SoftmaxTable, EntropyBonusHasItsExactGradient) {
  // Rewards are all equal: only the bonus moves the preferences, up the entropy to the uniform
  // distribution, however far they start from it.
  class Even : public ThreeArms {
    StepResult Act(const int* /*action*/, engine::Rng& /*rng*/) override {
      StepResult result;
      result.terminal = true;
      return result;
    }
  } even;
  ThreeArms arms;
  AgentOptions options = ExactGradient(200);
  SoftmaxTableOptions table;
  SoftmaxTable agent(options, table, arms);
  Learn(agent, arms, 20000, 1);
  EXPECT_GT(agent.Preference(0, 0) - agent.Preference(0, 1), 2);
  engine::ArchiveWriter writer;
  agent.Save(writer, "");
  const std::string path = testing::TempDir() + "rl_softmax.ckpt";
  ASSERT_TRUE(writer.Save(path).ok());
  auto reader = engine::ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok());
  options.entropy_weight = 0.5f;
  options.batch = 1;
  SoftmaxTable bonus(options, table, even);
  bonus.Load(*reader, "");
  double z = 0, p[3], h = 0, before[3];
  for (int i = 0; i < 3; ++i) z += std::exp(before[i] = bonus.Preference(0, i));
  for (int i = 0; i < 3; ++i) {
    p[i] = std::exp(before[i]) / z;
    h -= p[i] * std::log(p[i]);
  }
  // One step without advantage: the value is known not to be exact, so it is subtracted.
  const double value = bonus.StateValue(0);
  engine::Rng rng(3), same(3);
  int taken = 0;
  {
    double most = -1e9;
    for (int i = 0; i < 3; ++i) {
      const double perturbed = before[i] + static_cast<double>(same.Gumbel());
      if (perturbed > most) {
        most = perturbed;
        taken = i;
      }
    }
  }
  bonus.Round(even, 1, rng);
  for (int i = 0; i < 3; ++i) {
    const double moved = (bonus.Preference(0, i) - before[i]) / table.step;
    const double policy = -value * ((i == taken ? 1 : 0) - p[i]);
    EXPECT_NEAR(moved - policy, -0.5 * p[i] * (std::log(p[i]) + h), 1e-9) << i;
  }
}

TEST(SoftmaxTable, CrossesTheLakes) {
  AgentOptions options = ExactGradient(16);
  options.gamma = 0.99f;
  options.lambda = 0.9f;
  options.q_step = 0.02f;
  options.entropy_weight = 0.01f;
  options.entropy_final = 0;
  options.anneal_steps = 200000;
  const TabularMdp slippery = FrozenLake(4, true), firm = FrozenLake(4, false);
  for (uint64_t seed : {1u, 2u}) {
    TabularEnvironment environment(slippery, 100);
    SoftmaxTable agent(options, SoftmaxTableOptions(), environment);
    Learn(agent, environment, 300000, seed);
    EXPECT_GE(GreedyValue(agent, slippery, 0.99), 0.98 * 0.5420259320) << "seed " << seed;
    TabularEnvironment walk(firm, 100);
    SoftmaxTable walker(options, SoftmaxTableOptions(), walk);
    Learn(walker, walk, 100000, seed);
    EXPECT_NEAR(GreedyValue(walker, firm, 0.99), 0.9509900499, 1e-6) << "seed " << seed;
  }
}

// A policy that must explore by chance keeps a row away from the edge, and once it does so always,
// it no longer meets the edge: 15 steps where 13 are best. The table holds what they cost.
TEST(SoftmaxTable, WalksTheCliffARowFromTheEdge) {
  const TabularMdp cliff = CliffWalking();
  AgentOptions options = ExactGradient(16);
  options.gamma = 1;
  options.lambda = 0.9f;
  options.q_step = 0.1f;
  options.entropy_weight = 0.1f;
  options.entropy_final = 0;
  options.anneal_steps = 150000;
  SoftmaxTableOptions table;
  table.step = 0.02;
  for (uint64_t seed : {1u, 2u}) {
    TabularEnvironment environment(cliff, 500);
    SoftmaxTable agent(options, table, environment);
    Learn(agent, environment, 200000, seed);
    EXPECT_GE(GreedyValue(agent, cliff, 1), -15) << "seed " << seed;
    EXPECT_NEAR(agent.StateValue(36), -15, 3) << "seed " << seed;
  }
}

TEST(TabularAgents, FindTheBestActionOfAOneStepProblemOfSeveralHeads) {
  InvalidShare problem({4, 5, 3}, 0.5, 7);
  // On-policy values are those of deviating below, too: little exploration, for long.
  AgentOptions options = Exploring(0.2f, 1, 0.05f);
  options.epsilon_final = 0.05f;
  options.anneal_steps = 20000;
  AgentOptions gradient = ExactGradient(16);
  gradient.advantage = AdvantageScale::kScaled;
  gradient.entropy_weight = 0.05f;
  for (uint64_t seed : {1u, 2u, 3u}) {
    Sarsa sarsa(options, problem);
    ExpectedSarsa expected(options, problem);
    SoftmaxTable softmax(gradient, SoftmaxTableOptions(), problem);
    for (Agent* agent : {static_cast<Agent*>(&sarsa), static_cast<Agent*>(&expected),
                         static_cast<Agent*>(&softmax)}) {
      Learn(*agent, problem, agent == &softmax ? 8000 : 40000, seed);
      EXPECT_DOUBLE_EQ(problem.RewardOf(agent->Greedy(problem)), problem.best_reward())
          << agent->name() << ", seed " << seed;
    }
  }
}

// Knows its valid points: by prefix masks, or only when asked for a whole action.
class KnownValidity : public InvalidShare {
 public:
  KnownValidity(bool masks, double invalid)
      : InvalidShare({4, 5, 3, 4}, invalid, 3), masks_(masks) {}
  bool MaskHead(int head, const int* action, uint8_t* mask) const override {
    if (!masks_) return false;
    std::fill(mask, mask + sizes_[static_cast<size_t>(head)], uint8_t{0});
    for (size_t p = 0; p < points(); ++p) {
      const std::vector<int> other = ActionOf(p);
      if (valid_[p] && std::equal(action, action + head, other.begin())) {
        mask[other[static_cast<size_t>(head)]] = 1;
      }
    }
    return true;
  }
  bool Admissible(const int* action) const override { return valid_[PointOf(action)]; }

 private:
  bool masks_;
};

TEST(TabularAgents, ProposeOnlyWhatTheRulesAllowWhereTheyAreKnown) {
  engine::ThreadPool pool(1);
  for (bool masks : {true, false}) {
    for (double invalid : {0.5, 0.9}) {
      KnownValidity problem(masks, invalid);
      for (const char* name : {"qlearning", "sarsa", "expected-sarsa", "softmax"}) {
        AgentOptions options;
        options.name = name;
        auto agent = MakeAgent(options, problem, pool);
        ASSERT_TRUE(agent.ok()) << agent.status().message();
        problem.ForgetCounts();
        Learn(**agent, problem, 300, 5);
        EXPECT_EQ(problem.steps(), 300);
        EXPECT_EQ(problem.share_valid(), 1) << name << ", masks " << masks;
        if (masks) {
          EXPECT_TRUE(problem.Admissible((*agent)->Greedy(problem).data())) << name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace rhnas::rl
