// Joint problems: costs bit for bit those of the cost model, optimum and front against plain loops.
#include "search/joint_problem.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/archive.h"
#include "engine/random.h"
#include "hw/chain.h"
#include "hw/valid_set.h"
#include "nn/nasbench201.h"
#include "nn/space.h"
#include "search/joint_gains.h"
#include "search/layers.h"

namespace rhnas::search {
namespace {

constexpr uint64_t kSeed = 20251123;

std::unique_ptr<JointProblem> Make(const std::string& name, const JointProblemOptions& options) {
  engine::ThreadPool pool(2);
  engine::Result<std::unique_ptr<JointProblem>> problem = MakeJointProblem(name, options, pool);
  EXPECT_TRUE(problem.ok()) << problem.status().message();
  return problem.ok() ? std::move(*problem) : nullptr;
}

std::string ErrorOf(const std::string& name, const JointProblemOptions& options) {
  engine::ThreadPool pool(1);
  const auto problem = MakeJointProblem(name, options, pool);
  return problem.ok() ? "" : problem.status().message();
}

const JointProblem& Tiny() {
  static const std::unique_ptr<JointProblem> problem = Make("tiny", {});
  return *problem;
}

// Without a cap.
const JointProblem& OpenTiny() {
  static const std::unique_ptr<JointProblem> problem = [] {
    JointProblemOptions options;
    options.area_max = 0;
    return Make("tiny", options);
  }();
  return *problem;
}

std::vector<int> Draw(const JointProblem& problem, engine::Rng& rng) {
  std::vector<int> network;
  for (const int size : problem.network_sizes()) {
    network.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(size))));
  }
  return network;
}

// What rhnas cost computes for the network's text on the design.
void ExpectAsPriced(const JointProblem& problem, const std::vector<int>& network, int64_t point) {
  const std::string text = problem.NetworkText(network.data());
  const hw::DesignPtr design =
      point == JointProblem::kDefault ? problem.default_design() : problem.space()->AtPoint(point);
  const std::string where = text + " on " + design->ShortName();
  const engine::Result<nn::Network> parsed = nn::ParseNetwork(text);
  ASSERT_TRUE(parsed.ok()) << where << ": " << parsed.status().message();
  const std::vector<hw::Layer> layers =
      ToHardwareLayers(nn::LayersOf(parsed->space, parsed->genotype));
  std::string why;
  const std::optional<hw::NetworkCost> expected =
      hw::SumOfChains(*design->Model(hw::DefaultCostTable()), hw::ChainSet(layers), &why);
  DesignCost cost;
  ASSERT_EQ(problem.Cost(network.data(), point, &cost), expected.has_value()) << where << why;
  if (!expected) return;
  EXPECT_EQ(cost.latency_cycles, expected->latency_cycles) << where;
  EXPECT_EQ(cost.energy_pj, expected->energy_pj) << where;
  EXPECT_EQ(cost.edp_pj_cycles, expected->edp_pj_cycles) << where;
  EXPECT_EQ(cost.area_um2, expected->area_um2) << where;
  EXPECT_EQ(cost.dram_bytes, expected->dram_bytes) << where;
}

void ExpectRandomPairsAsPriced(const JointProblem& problem, int pairs) {
  engine::Rng rng(kSeed, 1);
  for (int i = 0; i < pairs; ++i) {
    const std::vector<int> network = Draw(problem, rng);
    const uint32_t number = rng.Below(static_cast<uint32_t>(problem.valid().size()) + 1);
    const int64_t point =
        number == 0 ? JointProblem::kDefault : problem.valid().points()[number - 1];
    ExpectAsPriced(problem, network, point);
  }
}

// Every network of at least the floor on every design under the cap.
void ExpectOptimumByPlainLoops(const JointProblem& problem, const JointGoal& goal) {
  const std::optional<JointPair> found = problem.Optimum(goal);
  double best = 0;
  int64_t pairs = 0;
  std::vector<int> network(problem.network_sizes().size(), 0);
  for (size_t at = 0; at < network.size();) {
    if (problem.Accuracy(network.data()) >= goal.accuracy_min) {
      for (const int64_t point : problem.valid().points()) {
        DesignCost cost;
        if (!problem.Cost(network.data(), point, &cost)) continue;
        if (goal.area_max > 0 && cost.area_um2 > goal.area_max * problem.default_area_um2()) {
          continue;
        }
        const double value = ObjectiveValue(goal.objective, cost);
        if (pairs++ == 0 || value < best) best = value;
      }
    }
    for (at = 0; at < network.size() && ++network[at] == problem.network_sizes()[at]; ++at) {
      network[at] = 0;
    }
  }
  const std::string what = engine::Format(
      "%s %s floor %g cap %g, %lld pairs", problem.name().c_str(), ObjectiveName(goal.objective),
      goal.accuracy_min, goal.area_max, static_cast<long long>(pairs));
  ASSERT_EQ(found.has_value(), pairs > 0) << what;
  if (!found) return;
  EXPECT_EQ(ObjectiveValue(goal.objective, found->cost), best) << what;
  EXPECT_GE(found->accuracy, goal.accuracy_min) << what;
  EXPECT_EQ(found->accuracy, problem.Accuracy(found->network.data())) << what;
  DesignCost cost;
  ASSERT_TRUE(problem.Cost(found->network.data(), found->point, &cost)) << what;
  EXPECT_EQ(cost.edp_pj_cycles, found->cost.edp_pj_cycles) << what;
}

// Accuracy that a share of the networks reaches, by a sample.
double Quantile(const JointProblem& problem, double share) {
  engine::Rng rng(kSeed, 2);
  std::vector<double> sample;
  for (int i = 0; i < 4000; ++i) sample.push_back(problem.Accuracy(Draw(problem, rng).data()));
  std::sort(sample.begin(), sample.end());
  return sample[static_cast<size_t>((1 - share) * 3999)];
}

TEST(JointProblem, PairsCostWhatTheCostModelSays) { ExpectRandomPairsAsPriced(Tiny(), 60); }

TEST(JointProblem, ReferenceIsTheMostAccurateOnTheDefault) {
  const JointProblem& problem = Tiny();
  const JointPair& reference = problem.reference();
  EXPECT_EQ(reference.point, JointProblem::kDefault);
  ExpectAsPriced(problem, reference.network, JointProblem::kDefault);
  engine::Rng rng(kSeed, 3);
  for (int i = 0; i < 5000; ++i) {
    const std::vector<int> network = Draw(problem, rng);
    ASSERT_LE(problem.Accuracy(network.data()), reference.accuracy)
        << problem.NetworkText(network.data());
  }
  EXPECT_GE(reference.accuracy, problem.goal().accuracy_min);
}

TEST(JointProblem, TextOfNetworksReadsBack) {
  const JointProblem& problem = Tiny();
  engine::Rng rng(kSeed, 4);
  for (int i = 0; i < 100; ++i) {
    const std::vector<int> network = Draw(problem, rng);
    const auto read = problem.ParseNetwork(problem.NetworkText(network.data()));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(*read, network);
  }
  EXPECT_FALSE(problem.ParseNetwork("tiny@w0.5:skip,skip,skip,skip,skip,skip").ok());
  EXPECT_FALSE(problem.ParseNetwork("resnet20").ok());
}

TEST(JointProblem, ChoiceCostsAreCostsOfTheNetworksMade) {
  const JointProblem& problem = Tiny();
  engine::Rng rng(kSeed, 5);
  std::vector<DesignCost> costs;
  for (int i = 0; i < 20; ++i) {
    std::vector<int> network = Draw(problem, rng);
    const int64_t point = problem.valid().Member(rng.NextU32());
    ASSERT_TRUE(problem.ChoiceCosts(network.data(), point, &costs));
    size_t at = 0;
    for (size_t j = 0; j < network.size(); ++j) {
      const int own = network[j];
      for (int choice = 0; choice < problem.network_sizes()[j]; ++choice, ++at) {
        network[j] = choice;
        DesignCost cost;
        ASSERT_TRUE(problem.Cost(network.data(), point, &cost));
        ASSERT_EQ(costs[at].edp_pj_cycles, cost.edp_pj_cycles)
            << problem.NetworkText(network.data()) << " at " << point;
      }
      network[j] = own;
    }
    EXPECT_EQ(at, costs.size());
  }
  // No such design.
  EXPECT_FALSE(problem.ChoiceCosts(problem.reference().network.data(), 1 << 20, &costs));
  EXPECT_TRUE(costs.empty());
}

TEST(JointProblem, OptimumIsThatOfPlainLoops) {
  const JointProblem& problem = OpenTiny();
  const double floor = Quantile(problem, 0.01);
  for (const Objective objective : {Objective::kLatency, Objective::kEnergy, Objective::kEdp}) {
    for (const double cap : {0.0, 0.6, 1.0}) {
      ExpectOptimumByPlainLoops(problem, {objective, floor, cap});
    }
  }
  EXPECT_FALSE(problem.Optimum({Objective::kEdp, 1.0, 0}).has_value());
  EXPECT_FALSE(problem.Optimum({Objective::kEdp, 0, 1e-3}).has_value());
}

TEST(JointProblem, NothingBeatsTheFront) {
  const JointProblem& problem = OpenTiny();
  engine::Rng rng(kSeed, 6);
  for (const Objective objective : {Objective::kLatency, Objective::kEdp}) {
    const std::vector<JointPair> front = problem.ParetoFront({objective, 0, 1});
    ASSERT_GT(front.size(), 3u);
    EXPECT_EQ(front.back().accuracy, problem.reference().accuracy);
    for (size_t i = 1; i < front.size(); ++i) {
      EXPECT_GT(front[i].accuracy, front[i - 1].accuracy);
      EXPECT_GT(ObjectiveValue(objective, front[i].cost),
                ObjectiveValue(objective, front[i - 1].cost));
    }
    // The optimum of a floor is the front's first pair that reaches it.
    for (size_t i = 0; i < front.size(); i += 3) {
      const auto best = problem.Optimum({objective, front[i].accuracy, 1});
      ASSERT_TRUE(best.has_value());
      EXPECT_EQ(ObjectiveValue(objective, best->cost), ObjectiveValue(objective, front[i].cost));
    }
    for (int i = 0; i < 3000; ++i) {
      const std::vector<int> network = Draw(problem, rng);
      DesignCost cost;
      if (!problem.Cost(network.data(), problem.valid().Member(rng.NextU32()), &cost)) continue;
      if (cost.area_um2 > problem.default_area_um2()) continue;
      const double accuracy = problem.Accuracy(network.data());
      bool covered = false;
      for (const JointPair& pair : front) {
        covered = covered || (pair.accuracy >= accuracy && ObjectiveValue(objective, pair.cost) <=
                                                               ObjectiveValue(objective, cost));
      }
      ASSERT_TRUE(covered) << problem.NetworkText(network.data());
    }
    // A floor leaves the pairs above it.
    const double floor = front[front.size() / 2].accuracy;
    EXPECT_EQ(problem.ParetoFront({objective, floor, 1}).size(), front.size() - front.size() / 2);
  }
}

TEST(JointProblem, CapsAreLimits) {
  JointProblemOptions options;
  options.area_max = 0.5;
  const std::unique_ptr<JointProblem> problem = Make("tiny", options);
  ASSERT_NE(problem, nullptr);
  EXPECT_EQ(problem->valid().points(),
            hw::ValidSet(*problem->space(), problem->limits(), true).points());
  EXPECT_LT(problem->valid().size(), OpenTiny().valid().size());
  for (const int64_t point : problem->valid().points()) {
    EXPECT_TRUE(problem->space()->AtPoint(point)->Valid(problem->limits()));
  }
  const auto capped = problem->Optimum(problem->goal());
  ASSERT_TRUE(capped.has_value());
  EXPECT_TRUE(problem->valid().Contains(capped->point));
}

TEST(JointProblem, SameBitsForAnyThreads) {
  engine::ThreadPool one(1), three(3);
  const auto a = MakeJointProblem("tiny", {}, one), b = MakeJointProblem("tiny", {}, three);
  ASSERT_TRUE(a.ok() && b.ok());
  const auto best_a = (*a)->Optimum((*a)->goal()), best_b = (*b)->Optimum((*b)->goal());
  ASSERT_TRUE(best_a.has_value() && best_b.has_value());
  EXPECT_EQ(best_a->network, best_b->network);
  EXPECT_EQ(best_a->point, best_b->point);
  EXPECT_EQ(best_a->cost.edp_pj_cycles, best_b->cost.edp_pj_cycles);
}

TEST(JointProblem, GainsAreRatiosOfThePairsTheyName) {
  const JointProblem& problem = OpenTiny();
  const std::vector<int>& reference = problem.reference().network;
  for (const Objective objective : {Objective::kLatency, Objective::kEdp}) {
    for (const double cap : {1.0, 0.0}) {
      const GainsQuestion question{objective, problem.goal().accuracy_min, cap};
      const std::optional<Gains> gains = SplitGains(problem, reference, question);
      ASSERT_TRUE(gains.has_value());
      const double start = ObjectiveValue(objective, problem.reference().cost);
      EXPECT_EQ(gains->hardware, start / ObjectiveValue(objective, gains->best_hardware.cost));
      EXPECT_EQ(gains->network, start / ObjectiveValue(objective, gains->best_network.cost));
      EXPECT_EQ(gains->both, start / ObjectiveValue(objective, gains->best.cost));
      EXPECT_GE(gains->both, gains->hardware);
      EXPECT_GE(gains->both, gains->network);  // the default lies in the space
      EXPECT_GE(gains->network, 1);
      EXPECT_EQ(gains->best_hardware.network, reference);
      EXPECT_EQ(gains->best_network.point, JointProblem::kDefault);
      engine::Rng rng(kSeed, 7);
      for (int i = 0; i < 500; ++i) {
        DesignCost cost;
        const int64_t point = problem.valid().Member(rng.NextU32());
        if (!problem.Cost(reference.data(), point, &cost)) continue;
        if (cap > 0 && cost.area_um2 > cap * problem.default_area_um2()) continue;
        EXPECT_GE(ObjectiveValue(objective, cost),
                  ObjectiveValue(objective, gains->best_hardware.cost));
        const std::vector<int> network = Draw(problem, rng);
        if (problem.Accuracy(network.data()) < question.accuracy_min) continue;
        ASSERT_TRUE(problem.Cost(network.data(), JointProblem::kDefault, &cost));
        EXPECT_GE(ObjectiveValue(objective, cost),
                  ObjectiveValue(objective, gains->best_network.cost));
      }
    }
  }
  EXPECT_NE(GainsText(problem, reference).find("given"), std::string::npos);
  EXPECT_NE(GainsJson(problem, {}).find("best_network"), std::string::npos);
}

TEST(JointProblem, BadInputIsToldPrecisely) {
  EXPECT_NE(ErrorOf("nb201:cifar", {}).find("did you mean \"nb201:cifar10\""), std::string::npos)
      << ErrorOf("nb201:cifar", {});
  EXPECT_NE(ErrorOf("other", {}).find("tiny"), std::string::npos) << ErrorOf("other", {});
  JointProblemOptions options;
  options.area_max = 0.01;
  EXPECT_NE(ErrorOf("tiny", options).find("with 0.4349 times the default's area"),
            std::string::npos)
      << ErrorOf("tiny", options);
  options = {};
  options.accuracy_min = 0.9999;
  EXPECT_NE(
      ErrorOf("tiny", options)
          .find(
              "--accuracy-min 0.9999 is infeasible: the most accurate network of tiny has 0.8557"),
      std::string::npos)
      << ErrorOf("tiny", options);
  options = {};
  options.hw_space = "vta-smal";
  EXPECT_NE(ErrorOf("tiny", options).find("vta-small"), std::string::npos);
  options = {};
  options.data = "/nowhere";
  EXPECT_NE(ErrorOf("nb201:cifar10", options).find("/nowhere"), std::string::npos);
}

TEST(JointProblem, DamagedAccuraciesAreTold) {
  const std::string path = ::testing::TempDir() + "/nb201_damaged.csv";
  const std::string head = "index,arch,c10_test_e200\n";
  const std::string cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
  const struct {
    std::string text, part;
  } cases[] = {
      {"index,arch\n", "no column c10_test_e200"},
      {head + "0," + cell + "\n", ":2: 2 values, expected 3"},
      {head + "0," + cell + ",nan\n", ":2: nan"},
      {head + "0," + cell + ",101\n", ":2: 101"},
      {head + "0," + cell + ",1.2.3\n", ":2: 1.2.3"},
      {head + "0,|none|,90\n", ":2: nasbench201"},
      {head + "0," + cell + ",90\n1," + cell + ",90\n", ":3: this cell again"},
      {head + "0," + cell + ",90\n", "1 cells, expected 15625"},
      {"", "0 cells"},
  };
  for (const auto& each : cases) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    ASSERT_NE(file, nullptr);
    std::fwrite(each.text.data(), 1, each.text.size(), file);
    std::fclose(file);
    JointProblemOptions options;
    options.data = path;
    const std::string error = ErrorOf("nb201:cifar10", options);
    EXPECT_NE(error.find(each.part), std::string::npos) << each.text << " gave: " << error;
  }
  std::remove(path.c_str());
}

// With the published accuracies.
void CheckNb201(const std::string& hw_space, int bus_bits, int pairs) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds nasbench201/";
  if (!engine::ReadFile(std::string(shared) + "/nasbench201/nb201_accuracy.csv").ok()) {
    GTEST_SKIP() << shared << "/nasbench201/nb201_accuracy.csv is absent";
  }
  // README of the data: maxima 94.3733, 73.5133, 47.3111.
  const struct {
    const char* name;
    double best;
  } sets[] = {
      {"nb201:cifar10", 0.943733}, {"nb201:cifar100", 0.735133}, {"nb201:imagenet16", 0.473111}};
  for (const auto& set : sets) {
    JointProblemOptions options;
    options.data = shared;
    options.hw_space = hw_space;
    options.bus_bits = bus_bits;
    options.area_max = 0;
    const std::unique_ptr<JointProblem> problem = Make(set.name, options);
    ASSERT_NE(problem, nullptr);
    EXPECT_DOUBLE_EQ(problem->reference().accuracy, set.best);
    EXPECT_NEAR(problem->goal().accuracy_min, set.best - 0.01, 1e-12);
    ExpectRandomPairsAsPriced(*problem, pairs);
    ExpectAsPriced(*problem, problem->reference().network, JointProblem::kDefault);
    for (const Objective objective : {Objective::kLatency, Objective::kEdp}) {
      ExpectOptimumByPlainLoops(*problem, {objective, set.best - 0.003, 1});
    }
    const auto read =
        problem->ParseNetwork(problem->NetworkText(problem->reference().network.data()));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(*read, problem->reference().network);
    EXPECT_FALSE(problem->ParseNetwork("nasbench201@dead:" + nn::CellText(nn::CellOf(7))).ok());
  }
}

TEST(JointProblem, NasBench201OnTheSmallSpace) { CheckNb201("vta-small", 64, 25); }
TEST(SlowJointProblem, NasBench201OnTheWholeSpace) { CheckNb201("vta", 64, 200); }

}  // namespace
}  // namespace rhnas::search
