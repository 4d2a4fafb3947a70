// Drives the operation table: values, gradients, targets, completeness; then what a table cannot
// say: extremes, masks, batch-norm statistics, wrong shapes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include "engine/cpu.h"
#include "tests/op_table.h"

namespace rhnas::engine {
namespace {

using reference::Doubles;

// Runs a row's operation on leaves with a fixed random projection as loss.
struct RowRun {
  std::vector<std::vector<float>> inputs;
  std::vector<float> value, projection;
  std::vector<std::vector<float>> gradients;
};

RowRun RunRow(const OpRow& row, int threads = 2) {
  ThreadPool pool(threads);
  Tape tape(pool);
  RowRun run;
  run.inputs = DrawInputs(row, Rng(3));
  std::vector<std::unique_ptr<Parameter>> parameters;
  std::vector<Var> vars;
  for (size_t i = 0; i < row.inputs.size(); ++i) {
    parameters.push_back(std::make_unique<Parameter>("p", row.inputs[i].shape));
    std::copy(run.inputs[i].begin(), run.inputs[i].end(), parameters[i]->value.data());
    vars.push_back(tape.Leaf(*parameters[i]));
  }
  const Var out = row.build(tape, vars);
  const int64_t size = tape.shape(out).size();
  run.value.assign(tape.value(out), tape.value(out) + size);
  Rng rng(17);
  for (int64_t i = 0; i < size; ++i) run.projection.push_back(2 * rng.Uniform() - 1);
  const Var projection = tape.Constant(tape.shape(out), run.projection.data());
  tape.Backward(Sum(tape, Mul(tape, out, projection)));
  for (const auto& parameter : parameters) {
    const float* g = parameter->grad.data();
    run.gradients.emplace_back(g, g + parameter->grad.size());
  }
  return run;
}

OpRow::Values InDouble(const std::vector<std::vector<float>>& inputs) {
  OpRow::Values values;
  for (const auto& input : inputs) values.emplace_back(input.begin(), input.end());
  return values;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(OpTable, ValuesFollowTheReference) {
  for (const OpRow& row : OpRows(OpSize::kTest)) {
    SCOPED_TRACE(row.name + " " + row.variant);
    const RowRun run = RunRow(row);
    const Doubles want = row.reference(InDouble(run.inputs));
    ASSERT_EQ(run.value.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(double{run.value[i]}, want[i], row.tolerance * (1 + std::abs(want[i])))
          << "element " << i;
    }
  }
}

TEST(OpTable, GradientsFollowCentralDifferencesOfTheReference) {
  constexpr double kStep = 1e-5;
  constexpr size_t kElements = 40;  // of each input, spread over it
  for (const OpRow& row : OpRows(OpSize::kTest)) {
    SCOPED_TRACE(row.name + " " + row.variant);
    const RowRun run = RunRow(row);
    const OpRow::Values base = InDouble(run.inputs);
    const auto loss = [&](const OpRow::Values& at) {
      const Doubles y =
          row.gradient_reference ? row.gradient_reference(at, base) : row.reference(at);
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += y[i] * double{run.projection[i]};
      return sum;
    };
    for (size_t k = 0; k < base.size(); ++k) {
      const size_t size = base[k].size(), stride = 1 + size / kElements;
      for (size_t i = 0; i < size; i += stride) {
        OpRow::Values at = base;
        at[k][i] = base[k][i] + kStep;
        const double above = loss(at);
        at[k][i] = base[k][i] - kStep;
        const double want = (above - loss(at)) / (2 * kStep);
        ASSERT_NEAR(double{run.gradients[k][i]}, want, 10 * row.tolerance * (1 + std::abs(want)))
            << "input " << k << " element " << i;
      }
    }
  }
}

// Everything but products avoids fused multiply-add, so the baseline has the same bits too.
TEST(OpTable, SameBitsOnAllTargetsAndThreadCounts) {
  const std::string before = TargetName(ActiveTarget());
  for (const OpRow& row : OpRows(OpSize::kTest)) {
    SCOPED_TRACE(row.name + " " + row.variant);
    ASSERT_TRUE(SetTarget(before).ok());
    const RowRun want = RunRow(row, 1);
    for (Target target : SupportedTargets()) {
      if (!row.same_bits_on_all_targets && TargetName(target) != before) continue;
      ASSERT_TRUE(SetTarget(TargetName(target)).ok());
      const RowRun run = RunRow(row, 3);
      EXPECT_TRUE(SameBits(want.value, run.value)) << TargetName(target);
      for (size_t k = 0; k < run.gradients.size(); ++k) {
        EXPECT_TRUE(SameBits(want.gradients[k], run.gradients[k]))
            << TargetName(target) << " gradient " << k;
      }
    }
  }
  ASSERT_TRUE(SetTarget(before).ok());
}

// A second backward contribution adds; the first overwrites undefined memory.
TEST(OpTable, GradientsAddUpWhenAnInputIsUsedTwice) {
  ThreadPool pool(2);
  for (const OpRow& row : OpRows(OpSize::kTest)) {
    SCOPED_TRACE(row.name + " " + row.variant);
    const auto inputs = DrawInputs(row, Rng(3));
    std::vector<std::vector<float>> gradient[2];
    for (int uses = 1; uses <= 2; ++uses) {
      Tape tape(pool);
      std::vector<std::unique_ptr<Parameter>> parameters;
      std::vector<Var> vars;
      for (size_t i = 0; i < inputs.size(); ++i) {
        parameters.push_back(std::make_unique<Parameter>("p", row.inputs[i].shape));
        std::copy(inputs[i].begin(), inputs[i].end(), parameters[i]->value.data());
        // Behind an operation: memory that no gradient reached yet is undefined, a leaf's is zero.
        vars.push_back(Scale(tape, tape.Leaf(*parameters[i]), 1));
      }
      Var loss = Sum(tape, row.build(tape, vars));
      if (uses == 2) loss = Add(tape, loss, Sum(tape, row.build(tape, vars)));
      tape.Backward(loss);
      for (const auto& parameter : parameters) {
        const float* g = parameter->grad.data();
        gradient[uses - 1].emplace_back(g, g + parameter->grad.size());
      }
    }
    for (size_t k = 0; k < inputs.size(); ++k) {
      for (size_t i = 0; i < inputs[k].size(); ++i) {
        const float once = gradient[0][k][i];
        ASSERT_NEAR(gradient[1][k][i], 2 * once, 1e-5f * (1 + std::abs(once)));
      }
    }
  }
}

// Every function of engine/ops.h that returns a Var has a row, and every row such a function.
TEST(OpTable, IsComplete) {
  const char* root = std::getenv("RHNAS_SOURCE");
  const std::string here = __FILE__;
  const std::string path =
      (root != nullptr ? std::string(root) + "/"
                       : here.substr(0, here.size() - std::strlen("tests/engine_ops_test.cc"))) +
      "engine/ops.h";
  std::ifstream file(path);
  ASSERT_TRUE(file.good()) << path << ": run from the repository's root or set RHNAS_SOURCE to it";
  std::set<std::string> declared, rows;
  for (std::string line; std::getline(file, line);) {
    const size_t open = line.find('(');
    if (line.compare(0, 4, "Var ") == 0 && open != std::string::npos) {
      declared.insert(line.substr(4, open - 4));
    }
  }
  for (const OpRow& row : OpRows(OpSize::kTest)) rows.insert(row.name);
  EXPECT_GE(declared.size(), 30u) << "the header is no longer read right";
  EXPECT_EQ(declared, rows);
  std::set<std::string> bench;
  for (const OpRow& row : OpRows(OpSize::kBench)) bench.insert(row.name);
  EXPECT_EQ(declared, bench);
}

class Ops : public testing::Test {
 protected:
  Var Constant(const std::vector<float>& v) {
    return tape.Constant(Shape(1, static_cast<int>(v.size())), v.data());
  }
  std::vector<float> Value(Var v) {
    return std::vector<float>(tape.value(v), tape.value(v) + tape.shape(v).size());
  }
  explicit Ops(int threads = 2) : pool(threads) {}
  ThreadPool pool;
  Tape tape{pool};
};

TEST_F(Ops, SoftmaxesStandExtremes) {
  const float kHuge = 3e38f;
  for (const std::vector<float>& x : {std::vector<float>{kHuge, -kHuge, 0},
                                      {kHuge, kHuge, -kHuge},
                                      {1e6f, 1e6f - 1, -1e6f},
                                      {0, 0, 0}}) {
    for (float temperature : {2e-38f, 1e-20f, 1e-6f, 1.0f, 1e6f, 1e38f}) {
      for (bool hard : {false, true}) {
        tape.Reset();
        Parameter p("x", Shape(1, 3));
        std::copy(x.begin(), x.end(), p.value.data());
        const float noise[] = {0.3f, -0.4f, 1.2f};
        const Var leaf = tape.Leaf(p);
        const Var gumbel = GumbelSoftmax(tape, leaf, noise, temperature, hard);
        const int32_t label = 0, picked = 1;
        const Var parts[] = {CrossEntropy(tape, leaf, &label, 0), Sum(tape, Softmax(tape, leaf)),
                             Sum(tape, Gather(tape, gumbel, &picked, 1))};
        float sum = 0;
        for (float y : Value(gumbel)) {
          EXPECT_TRUE(y >= 0 && y <= 1) << y;
          sum += y;
        }
        EXPECT_NEAR(sum, 1, 1e-6);
        const Var loss = Add(tape, Add(tape, parts[0], parts[1]), parts[2]);
        EXPECT_FALSE(std::isnan(tape.value(loss)[0]));
        tape.Backward(loss);
        for (int i = 0; i < 3; ++i) EXPECT_TRUE(std::isfinite(p.grad[i])) << p.grad[i];
      }
    }
  }
}

TEST_F(Ops, MaskedEntriesHaveExactlyNoProbabilityAndNoGradient) {
  Parameter p("x", Shape(2, 4));
  const float x[] = {1, 3e38f, -2, 0.5f, 7, 1, std::numeric_limits<float>::infinity(), 2};
  std::copy(x, x + 8, p.value.data());
  const uint8_t mask[] = {1, 0, 1, 1, 1, 1, 0, 0};  // forbids the huge and the infinite
  const Var leaf = tape.Leaf(p);
  const Var soft = Softmax(tape, leaf, mask, 2), log_p = LogSoftmax(tape, leaf, mask, 2);
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(std::isfinite(tape.value(soft)[i]));
    EXPECT_TRUE(std::isfinite(tape.value(log_p)[i]));
    if (mask[i] == 0) {
      EXPECT_EQ(tape.value(soft)[i], 0);
      EXPECT_EQ(tape.value(log_p)[i], 0);
    }
  }
  tape.Backward(Sum(tape, Mul(tape, soft, log_p)));  // the entropy, negated
  bool any = false;
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(std::isfinite(p.grad[i]));
    if (mask[i] == 0) {
      EXPECT_EQ(p.grad[i], 0);
    }
    any = any || p.grad[i] != 0;
  }
  EXPECT_TRUE(any);
}

TEST_F(Ops, BatchNormKeepsTheVarianceOfLargeMeans) {
  constexpr int kRows = 5000, kChannels = 3;
  const double means[] = {0, 1e4, -1e6};
  std::vector<float> x;
  Rng rng(5);
  for (int i = 0; i < kRows * kChannels; ++i) {
    x.push_back(static_cast<float>(means[i % kChannels] + double{rng.Normal()}));
  }
  x[2] = 0;  // an outlier as the first row, which shifts the first chunk
  double mean[kChannels] = {}, variance[kChannels] = {};
  for (int i = 0; i < kRows * kChannels; ++i) {
    mean[i % kChannels] += double{x[static_cast<size_t>(i)]} / kRows;
  }
  for (int i = 0; i < kRows * kChannels; ++i) {
    variance[i % kChannels] += std::pow(double{x[static_cast<size_t>(i)]} - mean[i % kChannels], 2);
  }
  std::vector<float> gamma(kChannels, 1), beta(kChannels, 0), running_mean(kChannels, 0),
      running_var(kChannels, 0);
  BatchNormOptions options;
  options.momentum = 1;
  BatchNorm(tape, tape.Constant(Shape(kRows, kChannels), x.data()),
            tape.Constant(Shape(kChannels), gamma.data()),
            tape.Constant(Shape(kChannels), beta.data()), running_mean.data(), running_var.data(),
            options);
  for (size_t j = 0; j < kChannels; ++j) {
    EXPECT_NEAR(double{running_mean[j]}, mean[j], 1e-7 * (1 + std::abs(mean[j])));
    EXPECT_NEAR(double{running_var[j]}, variance[j] / (kRows - 1), 1e-5 * variance[j] / kRows);
  }
}

// The mean as a float is off by up to half a unit; the gradients must not see that.
TEST_F(Ops, BatchNormGradientsAtALargeMean) {
  constexpr int kRows = 8;
  constexpr double kMean = 131072.3;  // floats there are 1/64 apart
  Parameter x("x", Shape(kRows, 1)), gamma("gamma", Shape(1)), beta("beta", Shape(1));
  gamma.value[0] = 1.5f;
  Doubles values;
  Rng rng(9);
  for (int i = 0; i < kRows; ++i) {
    x.value[i] = static_cast<float>(kMean + 0.02 * double{rng.Normal()});
    values.push_back(double{x.value[i]});
  }
  std::vector<float> projection;
  for (int i = 0; i < kRows; ++i) projection.push_back(1 + 0.1f * static_cast<float>(i));
  BatchNormOptions options;
  options.update_running = false;
  const Var y =
      BatchNorm(tape, tape.Leaf(x), tape.Leaf(gamma), tape.Leaf(beta), nullptr, nullptr, options);
  const Var p = tape.Constant(Shape(kRows, 1), projection.data());
  tape.Backward(Sum(tape, Mul(tape, y, p)));
  const auto loss = [&](double g) {
    const Doubles z = reference::BatchNorm(values, {g}, {0}, {}, {}, 1e-5);
    double sum = 0;
    for (size_t i = 0; i < kRows; ++i) sum += z[i] * double{projection[i]};
    return sum;
  };
  for (int i = 0; i < kRows; ++i) {
    const auto at = static_cast<size_t>(i);
    const double want = reference::BatchNorm(values, {1.5}, {0}, {}, {}, 1e-5)[at];
    EXPECT_NEAR(double{tape.value(y)[i]}, want, 1e-5) << i;
  }
  EXPECT_NEAR(double{gamma.grad[0]}, (loss(1.51) - loss(1.49)) / 0.02, 1e-4);
  double sum = 0;
  for (int i = 0; i < kRows; ++i) sum += double{x.grad[i]};
  EXPECT_NEAR(sum, 0, 1e-4);  // a shift of all rows changes nothing
}

TEST_F(Ops, BatchNormUpdatesRunningStatisticsOnlyWhenAsked) {
  const float x[] = {1, 3, 5, 7}, one[] = {1}, zero[] = {0};
  float mean = 10, var = 20;
  BatchNormOptions options;
  const Var vx = tape.Constant(Shape(4, 1), x), gamma = tape.Constant(Shape(1), one),
            beta = tape.Constant(Shape(1), zero);
  BatchNorm(tape, vx, gamma, beta, &mean, &var, options);
  EXPECT_FLOAT_EQ(mean, 0.9f * 10 + 0.1f * 4);
  EXPECT_FLOAT_EQ(var, 0.9f * 20 + 0.1f * (20.0f / 3));  // unbiased: 20 / (4 - 1)
  options.update_running = false;
  BatchNorm(tape, vx, gamma, beta, &mean, &var, options);
  options.training = false;
  options.update_running = true;  // without effect at inference
  BatchNorm(tape, vx, gamma, beta, &mean, &var, options);
  EXPECT_FLOAT_EQ(mean, 9.4f);
}

TEST_F(Ops, ActivationsLetNotANumberThrough) {
  const Var x = Constant({std::nanf(""), 1});
  for (Var y : {Relu(tape, x), Relu6(tape, x), HSwish(tape, x), Sigmoid(tape, x), Tanh(tape, x),
                Exp(tape, x), Log(tape, x)}) {
    EXPECT_TRUE(std::isnan(tape.value(y)[0])) << y.id;
    EXPECT_FALSE(std::isnan(tape.value(y)[1])) << y.id;
  }
}

TEST_F(Ops, MaxPoolSendsTheGradientOfATieToTheFirstCell) {
  Parameter p("x", Shape(1, 2, 2, 3));
  p.value.Fill(-4);  // below the padding's 0, which must not win
  const Var y = MaxPool(tape, tape.Leaf(p), {3, 1, 1});
  for (float v : Value(y)) EXPECT_EQ(v, -4);
  tape.Backward(Sum(tape, y));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(p.grad[i], i < 3 ? 4 : 0) << i;
}

TEST_F(Ops, WeightedSumDoesNotReadWhatHasNoForwardWeight) {
  const Var poison = Constant({std::nanf(""), std::nanf("")}), x = Constant({2, 3});
  Parameter w("w", Shape(2));
  w.value.Fill(0.5f);
  const float forward[] = {0, 1};
  const Var xs[] = {poison, x};
  const Var y = WeightedSum(tape, xs, 2, tape.Leaf(w), forward);
  EXPECT_EQ(Value(y), (std::vector<float>{2, 3}));
  const float none[] = {0, 0};
  EXPECT_EQ(Value(WeightedSum(tape, xs, 2, tape.Leaf(w), none)), (std::vector<float>{0, 0}));
}

// One bad batch must not stay in the running statistics, and momentum 1 forgets what stood there.
TEST_F(Ops, BatchNormKeepsItsRunningStatisticsFinite) {
  const float nan = std::nanf("");
  const float ones[2] = {1, 1}, zeros[2] = {0, 0};
  const float good[8] = {1, 2, 3, 6, 5, 10, 7, 14};
  float bad[8];
  std::copy(good, good + 8, bad);
  bad[2] = nan;  // channel 0 only
  float mean[2] = {3, 4}, variance[2] = {5, 6};
  const auto run = [&](const float* x, float momentum) {
    tape.Reset();
    BatchNormOptions options;
    options.momentum = momentum;
    const Var gamma = tape.Constant(Shape(2), ones), beta = tape.Constant(Shape(2), zeros);
    BatchNorm(tape, tape.Constant(Shape(4, 2), x), gamma, beta, mean, variance, options);
  };
  run(bad, 0.5f);
  EXPECT_EQ(mean[0], 3);
  EXPECT_EQ(variance[0], 5);
  EXPECT_EQ(mean[1], 0.5f * 4 + 0.5f * 8);
  mean[0] = mean[1] = variance[0] = nan;
  variance[1] = std::numeric_limits<float>::infinity();
  run(good, 1);
  EXPECT_FLOAT_EQ(mean[0], 4);
  EXPECT_FLOAT_EQ(mean[1], 8);
  EXPECT_FLOAT_EQ(variance[0], 20.0f / 3);
  EXPECT_FLOAT_EQ(variance[1], 80.0f / 3);
}

class OpsDeathTest : public Ops {
 protected:
  OpsDeathTest() : Ops(1) {}  // a fork with threads is unsafe
};

TEST_F(OpsDeathTest, WrongShapesSayBoth) {
  const Var a = Constant({1, 2}), b = Constant({1, 2, 3});
  EXPECT_DEATH(Add(tape, a, b), "Add of \\[1,2\\] and \\[1,3\\]");
  EXPECT_DEATH(Matmul(tape, a, b), "Matmul of \\[1,2\\] and \\[1,3\\]");
  EXPECT_DEATH(AddChannels(tape, a, b), "AddChannels of");
  EXPECT_DEATH(Reshape(tape, a, Shape(3)), "\\[1,2\\] viewed as \\[3\\]");
  EXPECT_DEATH(ChannelShuffle(tape, b, 2), "\\[1,3\\] in 2 groups");
  const int32_t label = 2;
  EXPECT_DEATH(CrossEntropy(tape, a, &label), "label 2");
  const uint8_t mask[] = {0, 0};
  EXPECT_DEATH(Softmax(tape, a, mask), "allows nothing");
  const float noise[] = {0, 0};
  EXPECT_DEATH(GumbelSoftmax(tape, a, noise, 0, false), "temperature 0");
}

}  // namespace
}  // namespace rhnas::engine
