// Joint methods on problems whose best pair is known, and their parts against brute force.

#include "search/joint_methods.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "engine/archive.h"
#include "joint_problems.h"
#include "search/accuracy_model.h"
#include "search/joint_environment.h"
#include "search/network_search.h"
#include "search/nsga2.h"

namespace rhnas::search {
namespace {

constexpr double kFloor = 0.66;

std::unique_ptr<JointMethod> Make(const std::string& name, JointEnvironment& joint, int64_t budget,
                                  uint64_t seed, engine::ThreadPool& pool) {
  JointMethodOptions options;
  options.name = name;
  options.budget = budget;
  options.seed = seed;
  auto method = MakeJointMethod(options, joint, pool);
  EXPECT_TRUE(method.ok()) << name << ": " << method.status().message();
  return method.ok() ? std::move(*method) : nullptr;
}

double Regret(const JointEnvironment& joint) {
  const auto best = joint.problem().Optimum(joint.goal());
  return joint.best_objective() / ObjectiveValue(joint.goal().objective, best->cost) - 1;
}

TEST(JointEnvironment, CountsDistinctPairsAndKeepsTheBest) {
  const FormulaProblem problem(kFloor);
  JointEnvironment joint(problem);
  EXPECT_EQ(joint.best_objective(), ObjectiveValue(Objective::kEdp, problem.reference().cost));
  joint.Ask(problem.reference().network.data(), JointProblem::kDefault);
  EXPECT_EQ(joint.evaluations(), 0) << "everybody knows the reference pair";
  engine::Rng rng(1);
  double best = joint.best_objective();
  int64_t distinct = 0;
  for (int i = 0; i < 300; ++i) {
    const std::vector<int> network = FormulaProblem::Network(static_cast<int>(rng.Below(81)));
    const int64_t point = problem.valid().Member(rng.NextU32());
    if (!joint.Asked(network.data(), point)) ++distinct;
    const JointAnswer& answer = joint.Ask(network.data(), point);
    EXPECT_TRUE(answer.runs);
    EXPECT_EQ(answer.meets, problem.Accuracy(network.data()) >= kFloor);
    if (answer.meets) best = std::min(best, answer.objective);
    EXPECT_EQ(joint.evaluations(), distinct);
    EXPECT_EQ(joint.best_objective(), best);
    EXPECT_TRUE(joint.Known(point));
  }
  EXPECT_LT(distinct, 300);
  ASSERT_FALSE(joint.improvements().empty());
  EXPECT_EQ(joint.improvements().back().pair.point, joint.best().point);
}

// Below every pair that meets the goal come those that miss the floor, graded, and below those what
// cannot be built.
TEST(JointEnvironment, RewardsAreOrderedBoundedAndFinite) {
  const FormulaProblem problem(kFloor, 0.9);
  JointEnvironment joint(problem, /*masks=*/false);
  engine::Rng rng(2);
  int met = 0, missed = 0, broken = 0;
  for (int i = 0; i < 3000; ++i) {
    std::vector<int> action;
    for (int size : joint.action_sizes()) {
      action.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(size))));
    }
    const rl::StepResult step = joint.Act(action.data(), rng);
    const JointAnswer& answer = joint.Ask(action.data(), joint.PointOf(action.data() + 4));
    ASSERT_TRUE(std::isfinite(step.reward));
    EXPECT_EQ(step.valid, answer.runs);
    if (answer.meets) {
      ++met;
      EXPECT_GE(step.reward, JointEnvironment::kWorstMeeting);
    } else if (answer.runs) {
      ++missed;
      EXPECT_LT(step.reward, JointEnvironment::kWorstMeeting);
      EXPECT_GE(step.reward, JointEnvironment::kWorstMissing);
    } else {
      ++broken;
      EXPECT_LT(step.reward, JointEnvironment::kWorstMissing);
      EXPECT_GE(step.reward, JointEnvironment::kWorstMissing - 1);
    }
  }
  EXPECT_GT(met, 20);
  EXPECT_GT(missed, 20);
  EXPECT_GT(broken, 20);
}

TEST(JointEnvironment, MaskedDrawsAreAlwaysAllowed) {
  const FormulaProblem problem(kFloor, 0.9);
  JointEnvironment joint(problem);
  engine::Rng rng(3);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<int> action;
    for (size_t head = 0; head < joint.action_sizes().size(); ++head) {
      std::vector<uint8_t> mask(static_cast<size_t>(joint.action_sizes()[head]));
      ASSERT_TRUE(joint.MaskHead(static_cast<int>(head), action.data(), mask.data()));
      std::vector<int> allowed;
      for (size_t c = 0; c < mask.size(); ++c) {
        if (mask[c] != 0) allowed.push_back(static_cast<int>(c));
      }
      ASSERT_FALSE(allowed.empty());
      action.push_back(allowed[rng.Below(static_cast<uint32_t>(allowed.size()))]);
    }
    EXPECT_TRUE(joint.Admissible(action.data()));
    EXPECT_TRUE(joint.Act(action.data(), rng).valid);
  }
}

// The gradient of the expected cost, and of the accuracy model's expectation, against central
// differences.
TEST(NetworkSearch, GradientsMatchDifferences) {
  const FormulaProblem problem(kFloor);
  const std::vector<int>& sizes = problem.network_sizes();
  engine::Rng rng(4);
  for (Objective objective : {Objective::kLatency, Objective::kEnergy, Objective::kEdp}) {
    const std::vector<int> base = FormulaProblem::Network(static_cast<int>(rng.Below(81)));
    std::vector<DesignCost> by_choice;
    ASSERT_TRUE(
        problem.ChoiceCosts(base.data(), problem.valid().Member(rng.NextU32()), &by_choice));
    const ChoiceTable table(sizes, base.data(), by_choice);
    AccuracyModel model(sizes, kFloor, 5);
    for (int i = 0; i < 30; ++i) {
      const std::vector<int> network = FormulaProblem::Network(static_cast<int>(rng.Below(81)));
      model.Add(network.data(), problem.Accuracy(network.data()));
    }
    std::vector<double> p(12), cost_slope(12), accuracy_slope(12, 0.0);
    for (double& value : p) value = 0.1 + static_cast<double>(rng.Uniform());
    table.LogObjective(objective, p.data(), cost_slope.data());
    model.Relaxed(2, p.data(), 1, accuracy_slope.data());
    for (size_t i = 0; i < p.size(); ++i) {
      std::vector<double> up = p, down = p;
      const double step = 1e-6;
      up[i] += step;
      down[i] -= step;
      EXPECT_NEAR((table.LogObjective(objective, up.data(), nullptr) -
                   table.LogObjective(objective, down.data(), nullptr)) /
                      (2 * step),
                  cost_slope[i], 1e-6 * (1 + std::fabs(cost_slope[i])));
      EXPECT_NEAR(
          (model.Relaxed(2, up.data(), 0, nullptr) - model.Relaxed(2, down.data(), 0, nullptr)) /
              (2 * step),
          accuracy_slope[i], 1e-6 * (1 + std::fabs(accuracy_slope[i])));
    }
    EXPECT_NE(cost_slope[0], cost_slope[1]) << "the cost must steer";
  }
}

// Costs of choices add up here, so a one-hot relaxation is the network itself.
TEST(NetworkSearch, OneHotIsTheNetworksCost) {
  const FormulaProblem problem(kFloor);
  const std::vector<int> base = FormulaProblem::Network(40);
  for (int64_t point : {problem.valid().points().front(), problem.valid().points().back()}) {
    std::vector<DesignCost> by_choice;
    ASSERT_TRUE(problem.ChoiceCosts(base.data(), point, &by_choice));
    const ChoiceTable table(problem.network_sizes(), base.data(), by_choice);
    for (int i = 0; i < 81; ++i) {
      const std::vector<int> network = FormulaProblem::Network(i);
      std::vector<double> one_hot(12, 0.0);
      for (size_t d = 0; d < 4; ++d) one_hot[d * 3 + static_cast<size_t>(network[d])] = 1;
      DesignCost cost;
      ASSERT_TRUE(problem.Cost(network.data(), point, &cost));
      EXPECT_NEAR(table.LogObjective(Objective::kEdp, one_hot.data(), nullptr),
                  std::log(cost.edp_pj_cycles), 1e-5);
    }
  }
}

// What was not seen is foretold from choices and pairs that were (knowing nothing: all of the
// spread is missed), and the model knows that it knows more.
TEST(AccuracyModel, LearnsChoicesAndPairs) {
  const FormulaProblem problem(kFloor);
  AccuracyModel model(problem.network_sizes(), kFloor, 6);
  const std::vector<int> probe = FormulaProblem::Network(13);
  const double before = model.Variance(probe.data());
  std::vector<bool> seen(81);
  engine::Rng rng(7);
  for (int i = 0; i < 60; ++i) {
    const uint32_t n = rng.Below(81);
    if (seen[n]) continue;
    seen[n] = true;
    const std::vector<int> network = FormulaProblem::Network(static_cast<int>(n));
    model.Add(network.data(), problem.Accuracy(network.data()));
  }
  EXPECT_LT(model.Variance(probe.data()), before);
  double squares = 0, spread = 0;
  int unseen = 0;
  for (int i = 0; i < 81; ++i) {
    if (seen[static_cast<size_t>(i)]) continue;
    const std::vector<int> network = FormulaProblem::Network(i);
    const double target = model.Target(problem.Accuracy(network.data()));
    squares += std::pow(model.Mean(network.data()) - target, 2);
    spread += target * target;
    ++unseen;
  }
  ASSERT_GT(unseen, 20);
  EXPECT_LT(squares, 0.35 * spread);
}

bool ByBruteForce(const ParetoPoint& a, const ParetoPoint& b) {
  if (a.violation > 0 || b.violation > 0) return a.violation < b.violation;
  return !(a.first > b.first) && !(a.second > b.second) &&
         (a.first != b.first || a.second != b.second);
}

TEST(Nsga2, FrontsAndCrowdingMatchBruteForce) {
  engine::Rng rng(8);
  for (int trial = 0; trial < 40; ++trial) {
    std::vector<ParetoPoint> points(1 + rng.Below(60));
    for (ParetoPoint& point : points) {
      // Few values: many equals.
      point.first = rng.Below(8);
      point.second = rng.Below(8);
      point.violation = rng.Below(3) == 0 ? 1 + rng.Below(3) : 0;
    }
    const std::vector<int> fronts = NonDominatedFronts(points);
    std::vector<bool> gone(points.size());
    for (int rank = 0;; ++rank) {
      std::vector<int> members;
      for (size_t i = 0; i < points.size(); ++i) {
        if (gone[i]) continue;
        bool dominated = false;
        for (size_t j = 0; j < points.size(); ++j) {
          dominated = dominated || (!gone[j] && ByBruteForce(points[j], points[i]));
        }
        if (!dominated) members.push_back(static_cast<int>(i));
      }
      if (members.empty()) break;
      for (int i : members) {
        EXPECT_EQ(fronts[static_cast<size_t>(i)], rank) << "trial " << trial << ", point " << i;
        gone[static_cast<size_t>(i)] = true;
      }
      const std::vector<double> crowding = CrowdingDistances(points, members);
      double least[2] = {1e9, 1e9}, most[2] = {-1e9, -1e9};
      for (int i : members) {
        const ParetoPoint& p = points[static_cast<size_t>(i)];
        least[0] = std::min(least[0], p.first), most[0] = std::max(most[0], p.first);
        least[1] = std::min(least[1], p.second), most[1] = std::max(most[1], p.second);
      }
      for (size_t k = 0; k < members.size(); ++k) {
        EXPECT_GE(crowding[k], 0);
        EXPECT_FALSE(std::isnan(crowding[k]));
        // Strictly inside both ranges and with distinct values around: neighbours by scanning.
        const ParetoPoint& p = points[static_cast<size_t>(members[k])];
        double expected = 0;
        bool plain = true;
        for (int o = 0; o < 2; ++o) {
          const double own = o == 0 ? p.first : p.second;
          double below = -1e9, above = 1e9;
          for (int i : members) {
            const ParetoPoint& q = points[static_cast<size_t>(i)];
            const double value = o == 0 ? q.first : q.second;
            if (i != members[k] && value == own) plain = false;
            if (value < own) below = std::max(below, value);
            if (value > own) above = std::min(above, value);
          }
          if (own == least[o] || own == most[o]) plain = false;
          expected += (above - below) / (most[o] - least[o]);
        }
        if (plain) {
          EXPECT_NEAR(crowding[k], expected, 1e-12) << "trial " << trial;
        }
      }
    }
  }
}

// Area under the front of (accuracy, log objective) towards (floor, reference): never shrinks, and
// ends above random's.
double HyperVolume(const JointEnvironment& joint) {
  std::vector<std::pair<double, double>> pairs;
  for (const auto& [network, point] : joint.history()) {
    DesignCost cost;
    if (!joint.problem().Cost(network.data(), point, &cost)) continue;
    pairs.emplace_back(cost.edp_pj_cycles, joint.problem().Accuracy(network.data()));
  }
  std::sort(pairs.begin(), pairs.end());
  const double reference = std::log(joint.problem().reference().cost.edp_pj_cycles);
  double volume = 0, accuracy = kFloor;
  for (const auto& [edp, reached] : pairs) {
    if (reached <= accuracy || std::log(edp) >= reference) continue;
    volume += (reached - accuracy) * (reference - std::log(edp));
    accuracy = reached;
  }
  return volume;
}

TEST(Nsga2, HyperVolumeGrowsPastRandom) {
  const FormulaProblem problem(kFloor);
  engine::ThreadPool pool(1);
  double total[2] = {0, 0};
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    for (int which = 0; which < 2; ++which) {
      JointEnvironment joint(problem);
      const auto method = Make(which == 0 ? "nsga2" : "random", joint, 400, seed, pool);
      double volume = 0;
      for (int64_t budget = 50; budget <= 400; budget += 50) {
        RunJointMethod(*method, joint, budget);
        EXPECT_GE(HyperVolume(joint), volume - 1e-12) << "seed " << seed;
        volume = HyperVolume(joint);
      }
      EXPECT_GT(volume, 0) << "seed " << seed;
      total[which] += volume;
    }
  }
  EXPECT_GT(total[0], total[1]);
}

// The exact best pair of the 81 x 114 within so many evaluations.
TEST(JointMethods, FindTheBestPair) {
  const FormulaProblem problem(kFloor);
  engine::ThreadPool pool(1);
  for (const char* name : {"rhnas"}) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      JointEnvironment joint(problem);
      RunJointMethod(*Make(name, joint, 400, seed, pool), joint, 400);
      EXPECT_LE(joint.evaluations(), 400);
      EXPECT_LT(Regret(joint), 1e-12)
          << name << ", seed " << seed << ": " << problem.NetworkText(joint.best().network.data())
          << " on " << joint.best().point;
    }
  }
}

// 46,656 networks with the accelerators of vta-small, without files.
TEST(JointMethods, FindTheBestPairOfTiny) {
  engine::ThreadPool pool(2);
  const auto problem = MakeJointProblem("tiny", {}, pool);
  ASSERT_TRUE(problem.ok()) << problem.status().message();
  struct Row {
    const char* name;
    int64_t budget;
  };
  for (const Row& row : {Row{"rhnas", 100}, Row{"sequential", 100}, Row{"diff-dance", 200}}) {
    for (uint64_t seed = 1; seed <= 2; ++seed) {
      JointEnvironment joint(**problem);
      RunJointMethod(*Make(row.name, joint, row.budget, seed * 7919, pool), joint, row.budget);
      EXPECT_LT(Regret(joint), 1e-12) << row.name << ", seed " << seed;
    }
  }
}

// Designs that cannot be built teach nothing of networks: with nearly all of them hidden behind
// penalties (4 of vta-small are within half of the default's area) networks are tried all the same.
TEST(JointMethods, PenalisedDesignsLeaveTurnsToNetworks) {
  engine::ThreadPool pool(2);
  JointProblemOptions options;
  options.area_max = 0.5;
  const auto problem = MakeJointProblem("tiny", options, pool);
  ASSERT_TRUE(problem.ok()) << problem.status().message();
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    JointEnvironment joint(**problem, false);
    RunJointMethod(*Make("rhnas", joint, 200, seed, pool), joint, 200);
    EXPECT_GT(joint.buildable(), 60) << "seed " << seed;
    EXPECT_LT(joint.buildable(), 140) << "seed " << seed << ": hardly anything was penalised";
    EXPECT_LT(Regret(joint), 1e-12) << "seed " << seed;
  }
}

// Each method's least budget, floors that leave one network, a cap; never beyond the budget, never
// worse than the reference, never a NaN.
TEST(JointMethods, KeepWithinBudgetAndAboveTheReference) {
  engine::ThreadPool pool(1);
  for (double floor : {0.0, 0.66, FormulaProblem(0).reference().accuracy}) {
    const FormulaProblem problem(floor, 1.0);
    for (const JointMethodInfo& method : JointMethods()) {
      for (int64_t budget : {method.minimum, int64_t{100}}) {
        if (budget < method.minimum) continue;
        JointEnvironment joint(problem);
        RunJointMethod(*Make(method.name, joint, budget, 9, pool), joint, budget);
        EXPECT_LE(joint.evaluations(), budget) << method.name;
        EXPECT_TRUE(std::isfinite(joint.best_objective())) << method.name;
        EXPECT_GE(Regret(joint), -1e-12) << method.name;
        EXPECT_GE(joint.best().accuracy, floor) << method.name;
        EXPECT_LE(joint.best_objective(), problem.reference().cost.edp_pj_cycles) << method.name;
      }
    }
  }
}

// Under a cap that the default breaks the reference is no answer: pairs that meet the goal are
// found all the same. Whoever is not told the rules meets designs that break them.
TEST(JointMethods, CapBelowTheDefaultWithAndWithoutMasks) {
  engine::ThreadPool pool(1);
  const FormulaProblem problem(kFloor, 0.9);
  for (const bool masks : {true, false}) {
    for (const std::string& name : JointMethodNames()) {
      JointEnvironment joint(problem, masks);
      ASSERT_FALSE(joint.meets());
      RunJointMethod(*Make(name, joint, 100, 5, pool), joint, 100);
      EXPECT_LE(joint.evaluations(), 100) << name;
      if (name == "nas-default") {
        EXPECT_FALSE(joint.meets());
        continue;
      }
      EXPECT_TRUE(joint.meets()) << name << (masks ? ", masked" : ", penalised");
      EXPECT_EQ(joint.Allowed(joint.best().point), joint.meets()) << name;
      if (masks) {
        EXPECT_EQ(joint.buildable(), joint.evaluations()) << name;
      } else {
        EXPECT_LT(joint.buildable(), joint.evaluations()) << name;
      }
    }
  }
}

TEST(JointMethods, ResumeBitForBit) {
  const FormulaProblem problem(kFloor);
  engine::ThreadPool pool(1);
  const std::string path = ::testing::TempDir() + "joint_resume.ckpt";
  for (const std::string& name : JointMethodNames()) {
    JointEnvironment whole(problem);
    const auto one = Make(name, whole, 160, 11, pool);
    for (int i = 0; i < 6; ++i) one->Step(24);

    JointEnvironment first(problem), second(problem);
    const auto before = Make(name, first, 160, 11, pool);
    for (int i = 0; i < 3; ++i) before->Step(24);
    engine::ArchiveWriter writer;
    first.Save(writer, "joint/");
    before->Save(writer, "method/");
    ASSERT_TRUE(writer.Save(path).ok());
    auto reader = engine::ArchiveReader::Open(path);
    ASSERT_TRUE(reader.ok());
    const auto after = Make(name, second, 160, 11, pool);
    ASSERT_TRUE(second.Load(*reader, "joint/").ok()) << name;
    after->Load(*reader, "method/");
    ASSERT_TRUE(reader->status().ok()) << name << ": " << reader->status().message();
    for (int i = 0; i < 3; ++i) after->Step(24);
    EXPECT_EQ(second.history(), whole.history()) << name;
    EXPECT_EQ(second.best_objective(), whole.best_objective()) << name;
  }
}

TEST(JointMethods, RefuseWhatCannotBe) {
  const FormulaProblem problem(kFloor);
  engine::ThreadPool pool(1);
  JointEnvironment joint(problem);
  JointMethodOptions options;
  options.name = "rhmas";
  options.budget = 100;
  std::string error = MakeJointMethod(options, joint, pool).status().message();
  EXPECT_NE(error.find("rhnas"), std::string::npos) << error;
  EXPECT_NE(error.find("nsga2"), std::string::npos) << error;
  options.name = "rhnas";
  options.budget = 5;
  error = MakeJointMethod(options, joint, pool).status().message();
  EXPECT_NE(error.find("at least 32"), std::string::npos) << error;
  options.budget = 100;
  options.agent = "renforce";
  error = MakeJointMethod(options, joint, pool).status().message();
  EXPECT_NE(error.find("reinforce"), std::string::npos) << error;

  const FormulaProblem impossible(0.99);
  JointEnvironment nowhere(impossible);
  options.agent.clear();
  error = MakeJointMethod(options, nowhere, pool).status().message();
  EXPECT_NE(error.find("0.99"), std::string::npos) << error;
  EXPECT_NE(error.find(impossible.NetworkText(impossible.reference().network.data())),
            std::string::npos)
      << error;
}

}  // namespace
}  // namespace rhnas::search
