// The supernet: value and gradient of the relaxation, sampling, saving.
#include "nn/supernet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "engine/optimizer.h"
#include "engine/threads.h"

namespace rhnas::nn {
namespace {

using engine::Parameter;
using engine::Rng;
using engine::Shape;
using engine::Tape;
using engine::ThreadPool;
using engine::Var;

constexpr int kImages = 4, kSide = 6, kClasses = 5;

// Stem, two searchable slots that keep the shape (so that skip is the identity), classifier. The
// classifier is linear and starts without bias: what a mixture in a slot before it does to the
// logits is the same mixture of logits.
Space SmallSpace() {
  Space space;
  space.name = "small";
  space.h = space.w = kSide;
  space.classes = kClasses;
  Block stem, classifier, skip;
  stem.name = "stem";
  classifier.name = "classifier";
  classifier.kind = BlockKind::kPoolLinear;
  skip.name = "skip";
  skip.kind = BlockKind::kSkip;
  const auto mb = [](const char* name, int kernel, int expansion, int groups) {
    Block block;
    block.name = name;
    block.kind = BlockKind::kMbConv;
    block.kernel = kernel;
    block.expansion = expansion;
    block.groups = groups;
    return block;
  };
  const std::vector<Block> candidates = {mb("k3_e1_g2", 3, 1, 2), mb("k5_e3", 5, 3, 1), skip,
                                         mb("k3_e2", 3, 2, 1)};
  const auto slot = [](int cin, int cout, std::vector<Block> blocks) {
    Slot s;
    s.cin = cin;
    s.cout = cout;
    s.h = s.w = kSide;
    s.candidates = std::move(blocks);
    return s;
  };
  space.slots = {slot(3, 8, {stem}), slot(8, 8, candidates), slot(8, 8, candidates),
                 slot(8, kClasses, {classifier})};
  return space;
}

class NnSupernet : public ::testing::Test {
 protected:
  NnSupernet() : pool_(2), tape_(pool_), net_(SmallSpace(), Rng(3)) {
    Rng rng(17);
    images_.resize(kImages * kSide * kSide * 3);
    for (float& x : images_) x = rng.Normal();
    // Batch norm away from its start, where residual blocks are the identity and all alike.
    Rng scales(18);
    for (Parameter* weight : net_.weights()) {
      if (weight->name.find("/gamma") == std::string::npos) continue;
      for (int64_t i = 0; i < weight->value.size(); ++i) weight->value[i] = 0.5f + scales.Uniform();
    }
    for (int32_t& label : labels_) label = static_cast<int32_t>(rng.Below(kClasses));
    for (Parameter* logits : net_.arch()) {
      for (int64_t i = 0; i < logits->value.size(); ++i) logits->value[i] = rng.Normal();
    }
  }

  Var Images() { return tape_.Alias(Shape(kImages, kSide, kSide, 3), images_.data()); }

  // Logits along a path with batch statistics, as doubles.
  std::vector<double> LogitsOf(const Genotype& path) {
    tape_.Reset();
    Pass pass;
    pass.update_running = false;
    const Var y = net_.Forward(tape_, Images(), path, pass);
    return std::vector<double>(tape_.value(y), tape_.value(y) + kImages * kClasses);
  }

  double CrossEntropy(const std::vector<double>& logits) const {
    double loss = 0;
    for (int i = 0; i < kImages; ++i) {
      double sum = 0;
      for (int c = 0; c < kClasses; ++c) {
        sum += std::exp(logits[static_cast<size_t>(i * kClasses + c)]);
      }
      loss += std::log(sum) - logits[static_cast<size_t>(i * kClasses + labels_[i])];
    }
    return loss / kImages;
  }

  ThreadPool pool_;
  Tape tape_;
  Supernet net_;
  std::vector<float> images_;
  int32_t labels_[kImages];
};

struct Case {
  ArchGradient kind;
  float temperature;
};
// A two-candidate pass at a temperature; kProxyHard's weights are free of it.
double Slope(const Case& c) { return c.kind == ArchGradient::kProxyHard ? 1 : 1 / c.temperature; }

// p_i exp(delta_i / T), normalised: the active probabilities after the logits moved by delta.
std::vector<double> Moved(const std::vector<double>& p, const std::vector<double>& delta,
                          double slope) {
  std::vector<double> moved;
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    moved.push_back(p[i] * std::exp(delta[i] * slope));
    sum += moved.back();
  }
  for (double& x : moved) x /= sum;
  return moved;
}

TEST_F(NnSupernet, ArchPassHasTheValueOfTheChosenPath) {
  Rng rng(5);
  for (ArchGradient kind : {ArchGradient::kProxyHard, ArchGradient::kStraightThrough}) {
    for (int trial = 0; trial < 10; ++trial) {
      tape_.Reset();
      const ArchPass pass = net_.ForwardArch(tape_, Images(), kind, 1.5f, rng);
      std::vector<float> logits(tape_.value(pass.logits), tape_.value(pass.logits) + 20);
      Genotype path;
      for (const std::vector<int>& active : pass.active) {
        ASSERT_EQ(active.size(), 2u);
        EXPECT_NE(active[0], active[1]);
        path.choice.push_back(active[0]);
      }
      const std::vector<double> expected = LogitsOf(path);
      for (size_t i = 0; i < logits.size(); ++i) EXPECT_EQ(double{logits[i]}, expected[i]);
    }
  }
}

// Central differences, in double, of the cross-entropy of the mixture whose gates are 1 - p + p(a)
// for the chosen candidate and 0 - p + p(a) for the others.
TEST_F(NnSupernet, ArchGradientMatchesFiniteDifferences) {
  Rng rng(6);
  constexpr int kSkip = 2;
  int checked_first = 0;
  for (const Case& c :
       {Case{ArchGradient::kProxyHard, 0.3f}, Case{ArchGradient::kProxyHard, 5},
        Case{ArchGradient::kStraightThrough, 0.7f}, Case{ArchGradient::kStraightThrough, 5}}) {
    for (int trial = 0; trial < 12; ++trial) {
      for (Parameter* logits : net_.arch()) logits->ZeroGrad();
      tape_.Reset();
      const int active_count = c.kind == ArchGradient::kProxyHard ? 2 : 2 + trial % 3;
      const ArchPass pass =
          net_.ForwardArch(tape_, Images(), c.kind, c.temperature, rng, active_count);
      std::vector<std::vector<double>> p;
      for (Var v : pass.probability) {
        p.emplace_back(tape_.value(v), tape_.value(v) + tape_.shape(v).size());
        ASSERT_EQ(p.back().size(), static_cast<size_t>(active_count));
      }
      tape_.Backward(engine::CrossEntropy(tape_, pass.logits, labels_));
      for (size_t slot = 0; slot < 2; ++slot) {
        // Behind slot 0 the network is linear only where slot 1 passes the identity.
        if (slot == 0 && pass.active[1][0] != kSkip) continue;
        checked_first += slot == 0 ? 1 : 0;
        std::vector<std::vector<double>> values;
        for (int candidate : pass.active[slot]) {
          Genotype path{{pass.active[0][0], pass.active[1][0]}};
          path.choice[slot] = candidate;
          values.push_back(LogitsOf(path));
        }
        const auto loss_at = [&](size_t j, double step) {
          std::vector<double> delta(p[slot].size(), 0);
          delta[j] = step;
          const std::vector<double> q = Moved(p[slot], delta, Slope(c));
          std::vector<double> logits(values[0].size(), 0);
          for (size_t i = 0; i < q.size(); ++i) {
            const double gate = (i == 0 ? 1 : 0) - p[slot][i] + q[i];
            for (size_t k = 0; k < logits.size(); ++k) logits[k] += gate * values[i][k];
          }
          return CrossEntropy(logits);
        };
        const Parameter& logits = *net_.arch()[slot];
        for (size_t j = 0; j < p[slot].size(); ++j) {
          const double step = 1e-4;
          const double expected = (loss_at(j, step) - loss_at(j, -step)) / (2 * step);
          EXPECT_NEAR(double{logits.grad[pass.active[slot][j]]}, expected,
                      1e-6 + 1e-3 * std::fabs(expected))
              << "slot " << slot << " candidate " << j;
          EXPECT_NE(expected, 0);
        }
        std::vector<bool> is_active(4, false);
        for (int i : pass.active[slot]) is_active[static_cast<size_t>(i)] = true;
        for (int i = 0; i < 4; ++i) {
          if (!is_active[static_cast<size_t>(i)]) {
            EXPECT_EQ(logits.grad[i], 0);
          }
        }
      }
    }
  }
  EXPECT_GT(checked_first, 3);
}

// The latency term that many implementations detach from the architecture: it must steer.
TEST_F(NnSupernet, ExpectedCostAndItsGradient) {
  const std::vector<std::vector<double>> cost = {{3, 7, 0.5, 2}, {1, 4, 0, 6}};
  for (ArchGradient kind : {ArchGradient::kProxyHard, ArchGradient::kStraightThrough}) {
    for (float temperature : {5.0f, 1.0f, 0.1f, 0.02f}) {
      const Case c{kind, temperature};
      Rng rng(static_cast<uint64_t>(temperature * 100));
      for (Parameter* logits : net_.arch()) logits->ZeroGrad();
      tape_.Reset();
      const ArchPass pass = net_.ForwardArch(tape_, Images(), kind, temperature, rng);
      const Var expected_cost = ExpectedCost(tape_, pass, cost, 10);
      std::vector<std::vector<double>> p;
      double value = 10;
      for (size_t slot = 0; slot < 2; ++slot) {
        const float* begin = tape_.value(pass.probability[slot]);
        p.emplace_back(begin, begin + 2);
        EXPECT_NEAR(p[slot][0] + p[slot][1], 1, 1e-6);
        for (size_t i = 0; i < 2; ++i) {
          value += p[slot][i] * cost[slot][static_cast<size_t>(pass.active[slot][i])];
        }
      }
      EXPECT_NEAR(double{*tape_.value(expected_cost)}, value, 1e-5);
      tape_.Backward(expected_cost);
      for (size_t slot = 0; slot < 2; ++slot) {
        for (size_t j = 0; j < 2; ++j) {
          const auto cost_at = [&](double step) {
            std::vector<double> delta(2, 0);
            delta[j] = step;
            const std::vector<double> q = Moved(p[slot], delta, Slope(c));
            return q[0] * cost[slot][static_cast<size_t>(pass.active[slot][0])] +
                   q[1] * cost[slot][static_cast<size_t>(pass.active[slot][1])];
          };
          const double step = 1e-5;
          const double expected = (cost_at(step) - cost_at(-step)) / (2 * step);
          const float got = net_.arch()[slot]->grad[pass.active[slot][j]];
          EXPECT_NEAR(double{got}, expected, 1e-5 + 2e-4 * std::fabs(expected))
              << "temperature " << temperature;
          if (kind == ArchGradient::kProxyHard) {
            EXPECT_NE(got, 0);
          }
        }
      }
    }
  }
}

// The same through the whole function: the logits really moved, the same noise drawn again.
TEST_F(NnSupernet, ExpectedCostFollowsTheLogits) {
  const std::vector<std::vector<double>> cost = {{3, 7, 0.5, 2}, {1, 4, 0, 6}};
  for (ArchGradient kind : {ArchGradient::kProxyHard, ArchGradient::kStraightThrough}) {
    const auto run = [&](bool backward, std::vector<std::vector<int>>* active) {
      Rng rng(12);
      tape_.Reset();
      const ArchPass pass = net_.ForwardArch(tape_, Images(), kind, 2, rng);
      *active = pass.active;
      const Var total = ExpectedCost(tape_, pass, cost, 0);
      if (backward) tape_.Backward(total);
      return double{*tape_.value(total)};
    };
    std::vector<std::vector<int>> active, moved;
    for (Parameter* logits : net_.arch()) logits->ZeroGrad();
    run(true, &active);
    for (size_t slot = 0; slot < 2; ++slot) {
      Parameter& logits = *net_.arch()[slot];
      for (int j = 0; j < 4; ++j) {
        const float kept = logits.value[j], step = 1e-3f;
        logits.value[j] = kept + step;
        const double high = run(false, &moved);
        ASSERT_EQ(moved, active) << "the step changed the sample: choose another seed";
        logits.value[j] = kept - step;
        const double low = run(false, &moved);
        ASSERT_EQ(moved, active);
        logits.value[j] = kept;
        EXPECT_NEAR(double{logits.grad[j]}, (high - low) / (2 * double{step}), 2e-3);
      }
    }
  }
}

TEST_F(NnSupernet, FiniteAtAnyTemperature) {
  for (float scale : {0.0f, 1.0f, 60.0f}) {
    Rng values(9);
    for (Parameter* logits : net_.arch()) {
      for (int64_t i = 0; i < 4; ++i) logits->value[i] = scale * values.Normal();
    }
    for (ArchGradient kind : {ArchGradient::kProxyHard, ArchGradient::kStraightThrough}) {
      for (float t : {1e-6f, 1e-4f, 1e-2f, 1.0f, 1e2f, 1e4f, 1e6f}) {
        Rng rng(static_cast<uint64_t>(t * 1e6f));
        for (Parameter* logits : net_.arch()) logits->ZeroGrad();
        tape_.Reset();
        const ArchPass pass = net_.ForwardArch(tape_, Images(), kind, t, rng, 4);
        const Var loss = engine::Add(tape_, engine::CrossEntropy(tape_, pass.logits, labels_),
                                     ExpectedCost(tape_, pass, {{3, 7, 0.5, 2}, {1, 4, 0, 6}}, 1));
        EXPECT_TRUE(std::isfinite(*tape_.value(loss)));
        tape_.Backward(loss);
        for (Parameter* logits : net_.arch()) {
          for (int64_t i = 0; i < 4; ++i) EXPECT_TRUE(std::isfinite(logits->grad[i])) << t;
        }
        net_.RememberMass(pass);
        net_.RestoreMass(pass);
        for (Parameter* logits : net_.arch()) {
          for (int64_t i = 0; i < 4; ++i) EXPECT_TRUE(std::isfinite(logits->value[i])) << t;
        }
        EXPECT_EQ(net_.Sample(t, rng).choice.size(), 2u);
        EXPECT_TRUE(std::isfinite(net_.MeanEntropy()));
      }
    }
  }
}

TEST_F(NnSupernet, ArchPassLeavesWeightsAndStatisticsAlone) {
  const auto running = [&] {
    tape_.Reset();
    const Var y = net_.Forward(tape_, Images(), Genotype{{1, 3}}, false);
    return std::vector<float>(tape_.value(y), tape_.value(y) + 20);
  };
  const std::vector<float> before = running();
  Rng rng(1);
  for (int i = 0; i < 10; ++i) {
    tape_.Reset();
    const ArchPass pass = net_.ForwardArch(tape_, Images(), ArchGradient::kProxyHard, 1, rng);
    tape_.Backward(engine::CrossEntropy(tape_, pass.logits, labels_));
  }
  for (const Parameter* weight : net_.weights()) {
    EXPECT_FALSE(weight->touched) << weight->name;
    for (int64_t i = 0; i < weight->grad.size(); ++i) ASSERT_EQ(weight->grad[i], 0);
  }
  for (const Parameter* logits : net_.arch()) EXPECT_TRUE(logits->touched);
  EXPECT_EQ(running(), before);
  // A training pass does move the statistics.
  tape_.Reset();
  net_.Forward(tape_, Images(), Genotype{{1, 3}}, true);
  EXPECT_NE(running(), before);
}

TEST_F(NnSupernet, RestoreMassKeepsTheActiveShare) {
  engine::Adam adam(net_.arch(), {});
  Rng rng(2);
  for (int step = 0; step < 20; ++step) {
    adam.ZeroGrad();
    tape_.Reset();
    const ArchPass pass = net_.ForwardArch(tape_, Images(), ArchGradient::kProxyHard, 1, rng);
    tape_.Backward(engine::Add(tape_, engine::CrossEntropy(tape_, pass.logits, labels_),
                               ExpectedCost(tape_, pass, {{3, 7, 0.5, 2}, {1, 4, 0, 6}}, 0)));
    const auto mass = [&](size_t slot) {
      double sum = 0;
      for (int i : pass.active[slot]) sum += std::exp(double{net_.arch()[slot]->value[i]});
      return std::log(sum);
    };
    const double before[2] = {mass(0), mass(1)};
    const double difference = double{net_.arch()[0]->value[pass.active[0][0]]} -
                              double{net_.arch()[0]->value[pass.active[0][1]]};
    net_.RememberMass(pass);
    adam.Step(0.1f, pool_);
    EXPECT_GT(std::fabs(mass(0) - before[0]), 0);
    net_.RestoreMass(pass);
    for (size_t slot = 0; slot < 2; ++slot) EXPECT_NEAR(mass(slot), before[slot], 1e-6);
    EXPECT_NE(difference, double{net_.arch()[0]->value[pass.active[0][0]]} -
                              double{net_.arch()[0]->value[pass.active[0][1]]});
  }
}

// Adam's momentum moves logits that had no gradient this time; their share is not to move.
TEST_F(NnSupernet, RestoreMassKeepsTheShareOfInactiveCandidates) {
  engine::Adam adam(net_.arch(), {});
  Rng rng(3);
  int moved_by_momentum = 0;
  for (int step = 0; step < 30; ++step) {
    adam.ZeroGrad();
    tape_.Reset();
    const ArchPass pass = net_.ForwardArch(tape_, Images(), ArchGradient::kProxyHard, 1, rng);
    tape_.Backward(engine::Add(tape_, engine::CrossEntropy(tape_, pass.logits, labels_),
                               ExpectedCost(tape_, pass, {{3, 7, 0.5, 2}, {1, 4, 0, 6}}, 0)));
    std::vector<double> before[2], logits_before[2];
    const auto logits_of = [&](size_t slot) {
      const float* logits = net_.arch()[slot]->value.data();
      return std::vector<double>(logits, logits + 4);
    };
    for (size_t slot = 0; slot < 2; ++slot) {
      before[slot] = net_.Probabilities(static_cast<int>(slot));
      logits_before[slot] = logits_of(slot);
    }
    net_.RememberMass(pass);
    adam.Step(0.1f, pool_);
    const std::vector<double> stepped[2] = {logits_of(0), logits_of(1)};
    net_.RestoreMass(pass);
    for (size_t slot = 0; slot < 2; ++slot) {
      const std::vector<double> after = net_.Probabilities(static_cast<int>(slot));
      const std::vector<double> logits = logits_of(slot);
      double active_before = 0, active_after = 0;
      for (int i : pass.active[slot]) {
        active_before += before[slot][static_cast<size_t>(i)];
        active_after += after[static_cast<size_t>(i)];
        EXPECT_NE(logits[static_cast<size_t>(i)], logits_before[slot][static_cast<size_t>(i)]);
      }
      EXPECT_NEAR(active_after, active_before, 1e-6) << "step " << step;
      for (size_t i = 0; i < 4; ++i) {
        if (std::count(pass.active[slot].begin(), pass.active[slot].end(), static_cast<int>(i)) > 0)
          continue;
        moved_by_momentum += stepped[slot][i] != logits_before[slot][i] ? 1 : 0;
        EXPECT_EQ(logits[i], logits_before[slot][i]) << "step " << step;
        EXPECT_NEAR(after[i], before[slot][i], 1e-6) << "step " << step;
      }
    }
  }
  EXPECT_GT(moved_by_momentum, 50);
}

// Gumbel-max: frequencies are softmax(logits / temperature); in kStraightThrough the choice does
// not depend on the temperature, in kProxyHard it does.
TEST_F(NnSupernet, SamplesFollowTheTemperedSoftmax) {
  Parameter& logits = *net_.arch()[0];
  const auto softmax = [&](double temperature) {
    std::vector<double> p;
    double sum = 0;
    for (int i = 0; i < 4; ++i) {
      p.push_back(std::exp(double{logits.value[i]} / temperature));
      sum += p.back();
    }
    for (double& x : p) x /= sum;
    return p;
  };
  for (float temperature : {0.5f, 3.0f}) {
    const int n = 20000;
    Rng rng(4);
    double sampled[4] = {};
    for (int i = 0; i < n; ++i) sampled[net_.Sample(temperature, rng).choice[0]] += 1.0 / n;
    const std::vector<double> p = softmax(double{temperature});
    // Five standard deviations of a frequency.
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(sampled[i], p[i], 5 * std::sqrt(p[i] * (1 - p[i]) / n));
    }
    for (ArchGradient kind : {ArchGradient::kProxyHard, ArchGradient::kStraightThrough}) {
      const int m = 1500;
      double chosen[4] = {};
      for (int i = 0; i < m; ++i) {
        tape_.Reset();
        chosen[net_.ForwardArch(tape_, Images(), kind, temperature, rng).active[0][0]] += 1.0 / m;
      }
      const std::vector<double> q = kind == ArchGradient::kProxyHard ? p : softmax(1);
      for (size_t i = 0; i < 4; ++i) {
        EXPECT_NEAR(chosen[i], q[i], 5 * std::sqrt(q[i] * (1 - q[i]) / m));
      }
    }
  }
  const std::vector<double> probabilities = net_.Probabilities(0);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(probabilities[i], softmax(1)[i], 1e-6);
}

TEST(NnSupernetFresh, StartsUndecided) {
  const Supernet net(SmallSpace(), Rng(1));
  EXPECT_NEAR(net.MeanEntropy(), std::log(4.0), 1e-6);
  EXPECT_EQ(net.Argmax().choice, (std::vector<int>{0, 0}));
}

TEST_F(NnSupernet, SaveAndLoad) {
  tape_.Reset();
  net_.Forward(tape_, Images(), Genotype{{1, 3}}, true);  // running statistics off their start
  const std::string path =
      (std::filesystem::temp_directory_path() / "rhnas_nn_supernet_test.ckpt").string();
  engine::ArchiveWriter writer;
  net_.Save(writer, "net/");
  ASSERT_TRUE(writer.Save(path).ok());
  engine::Result<engine::ArchiveReader> reader = engine::ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  Supernet other(SmallSpace(), Rng(99));
  other.Load(*reader, "net/");
  EXPECT_TRUE(reader->status().ok()) << reader->status().message();
  tape_.Reset();
  const Var a = net_.Forward(tape_, Images(), Genotype{{1, 3}}, false);
  const Var b = other.Forward(tape_, Images(), Genotype{{1, 3}}, false);
  EXPECT_EQ(std::memcmp(tape_.value(a), tape_.value(b), 20 * sizeof(float)), 0);
  EXPECT_EQ(other.Argmax().choice, net_.Argmax().choice);
  EXPECT_EQ(other.MeanEntropy(), net_.MeanEntropy());
  Supernet tiny(*FindSpace("tiny"), Rng(1));
  tiny.Load(*reader, "net/");
  EXPECT_FALSE(reader->status().ok());
  std::remove(path.c_str());
  std::remove((path + ".prev").c_str());
}

}  // namespace
}  // namespace rhnas::nn
