// The learned evaluator: its gradients in double, its fit, barrier and projection in closed form.
#include "rl/evaluator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops.h"
#include "engine/threads.h"
#include "tests/rl_relaxed_problems.h"

namespace rhnas::rl {
namespace {

// The network in double, from the parameters as they stand.
std::vector<double> Reference(EvaluatorNetwork& network, const std::vector<double>& x) {
  const std::vector<engine::Parameter*> parameters = network.parameters();
  auto linear = [&](size_t at, const std::vector<double>& in, bool squash) {
    const engine::Parameter &weight = *parameters[at], &bias = *parameters[at + 1];
    const int outs = weight.shape.dim[1];
    std::vector<double> out;
    for (int o = 0; o < outs; ++o) {
      double sum = double{bias.value[o]};
      for (size_t i = 0; i < in.size(); ++i) {
        sum += in[i] * double{weight.value[static_cast<int64_t>(i) * outs + o]};
      }
      out.push_back(squash ? std::tanh(sum) : sum);
    }
    return out;
  };
  std::vector<double> h = linear(0, x, true);
  size_t at = 2;
  for (; at + 2 < parameters.size(); at += 4) {
    const std::vector<double> added = linear(at + 2, linear(at, h, true), false);
    for (size_t i = 0; i < h.size(); ++i) h[i] += added[i];
  }
  return linear(at, h, false);
}

TEST(EvaluatorNetwork, GradientsToInputsAndWeightsAreThoseOfDifferencesInDouble) {
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  engine::Rng rng(5);
  EvaluatorNetworkOptions options;
  options.hidden = 9;
  EvaluatorNetwork network(2, 7, 3, options, rng);
  for (engine::Parameter* parameter : network.parameters()) {  // biases, too
    for (int64_t i = 0; i < parameter->value.size(); ++i)
      parameter->value[i] += 0.1f * rng.Normal();
  }
  engine::Parameter x("x", engine::Shape(1, 9));
  std::vector<double> input;
  for (int i = 0; i < 9; ++i) {
    x.value[i] = rng.Normal();
    input.push_back(double{x.value[i]});
  }
  const float seeds[3] = {1, -2, 0.5f};
  auto loss = [&](const std::vector<double>& at) {
    const std::vector<double> y = Reference(network, at);
    return y[0] - 2 * y[1] + 0.5 * y[2];
  };
  for (bool frozen : {false, true}) {
    tape.Reset();
    x.ZeroGrad();
    for (engine::Parameter* parameter : network.parameters()) parameter->ZeroGrad();
    const engine::Var y = network.Forward(tape, tape.Leaf(x), frozen);
    const std::vector<double> expected = Reference(network, input);
    for (int k = 0; k < 3; ++k) {
      EXPECT_NEAR(tape.value(y)[k], expected[static_cast<size_t>(k)], 1e-5);
    }
    const engine::Var seed = tape.Constant(engine::Shape(1, 3), seeds);
    tape.Backward(engine::Sum(tape, engine::Mul(tape, y, seed)));
    for (int i = 0; i < 9; ++i) {
      std::vector<double> up = input, down = input;
      up[static_cast<size_t>(i)] += 1e-5;
      down[static_cast<size_t>(i)] -= 1e-5;
      EXPECT_NEAR(x.grad[i], (loss(up) - loss(down)) / 2e-5, 1e-5) << "input " << i;
    }
    for (engine::Parameter* parameter : network.parameters()) {
      if (frozen) {
        EXPECT_FALSE(parameter->touched) << parameter->name;
        continue;
      }
      for (int64_t i = 0; i < parameter->value.size(); i += 7) {
        const float kept = parameter->value[i];
        const float step = 1.0f / 1024;
        parameter->value[i] = kept + step;
        const double up = loss(input), at_up = double{parameter->value[i]};
        parameter->value[i] = kept - step;
        const double down = loss(input), at_down = double{parameter->value[i]};
        parameter->value[i] = kept;
        EXPECT_NEAR(parameter->grad[i], (up - down) / (at_up - at_down), 2e-4)
            << parameter->name << " " << i;
      }
    }
  }
}

struct Trained {
  explicit Trained(engine::Tape& tape, int points = 300, int steps = 1500)
      : layout({8, 8, 8}),
        rng(3),
        network(4, 24, 3, {}, rng),
        trainer(network),
        data(4, layout, 3) {
    Levels problem;
    problem.Observe(observation);
    for (int i = 0; i < points; ++i) {
      const std::vector<int> action = {static_cast<int>(rng.Below(8)),
                                       static_cast<int>(rng.Below(8)),
                                       static_cast<int>(rng.Below(8))};
      double metrics[3];
      Levels::MetricsOf(action, metrics);
      data.Add(observation, action.data(), metrics);
    }
    EvaluatorTraining training;
    training.steps = steps;
    loss = trainer.Train(data, training, tape, rng);
  }
  HeadLayout layout;
  engine::Rng rng;
  EvaluatorNetwork network;
  EvaluatorTrainer trainer;
  EvaluatorData data;
  float observation[4];
  double loss = 0;
};

TEST(EvaluatorNetwork, FitsASmoothFunction) {
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  Trained trained(tape);
  EXPECT_LT(trained.loss, 1e-3);
  // On points it mostly never saw, in nats.
  double squares = 0;
  int count = 0;
  for (int p = 0; p < 512; p += 3) {
    const std::vector<int> action = {p / 64, p / 8 % 8, p % 8};
    std::vector<double> input(28);
    for (int i = 0; i < 4; ++i) input[static_cast<size_t>(i)] = double{trained.observation[i]};
    for (int h = 0; h < 3; ++h) {
      input[static_cast<size_t>(4 + 8 * h + action[static_cast<size_t>(h)])] = 1;
    }
    const std::vector<double> y = Reference(trained.network, input);
    double metrics[3];
    Levels::MetricsOf(action, metrics);
    for (size_t k = 0; k < 3; ++k) {
      const double predicted =
          double{trained.trainer.mean()[k]} + double{trained.trainer.deviation()[k]} * y[k];
      squares += (predicted - metrics[k]) * (predicted - metrics[k]);
      ++count;
    }
  }
  EXPECT_LT(std::sqrt(squares / count), 0.03);
}

TEST(RelaxedDescent, GradientIsThatOfDifferencesInDouble) {
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  Trained trained(tape, 100, 100);
  DescentOptions options;
  options.restarts = 3;
  RelaxedDescent descent(trained.layout, 4, options, tape);
  engine::Rng rng(8);
  std::vector<float> logits, noise;
  for (int i = 0; i < 72; ++i) {
    logits.push_back(rng.Normal());
    noise.push_back(rng.Gumbel());
  }
  const double temperature = 0.7;
  auto predict = [&](int row, int moved, double by) {
    std::vector<double> input;
    for (float o : trained.observation) input.push_back(double{o});
    for (int h = 0; h < 3; ++h) {
      double sum = 0;
      std::vector<double> e;
      for (int i = 0; i < 8; ++i) {
        const auto at = static_cast<size_t>(24 * row + 8 * h + i);
        const double x = double{logits[at]} + double{noise[at]} + (8 * h + i == moved ? by : 0);
        e.push_back(std::exp(x / temperature));
        sum += e.back();
      }
      for (double v : e) input.push_back(v / sum);
    }
    std::vector<double> y = Reference(trained.network, input);
    for (size_t k = 0; k < 3; ++k) {
      y[k] = double{trained.trainer.mean()[k]} + double{trained.trainer.deviation()[k]} * y[k];
    }
    return y;
  };
  std::copy(logits.begin(), logits.end(), descent.all_logits().value.data());
  descent.Predict(trained.network, trained.trainer, trained.observation, noise.data(), nullptr,
                  0.7f);
  const double coefficients[9] = {1, 1, 0, 0.5, -1, 2, 0, 0, 0};
  for (int row = 0; row < 3; ++row) {
    const std::vector<double> expected = predict(row, -1, 0);
    for (int k = 0; k < 3; ++k) {
      EXPECT_NEAR(descent.predicted(row)[k], expected[static_cast<size_t>(k)], 1e-5);
    }
  }
  descent.Backward(coefficients);
  for (int row = 0; row < 3; ++row) {
    for (int i = 0; i < 24; ++i) {
      const std::vector<double> up = predict(row, i, 1e-5), down = predict(row, i, -1e-5);
      double numeric = 0;
      for (int k = 0; k < 3; ++k) {
        const auto at = static_cast<size_t>(k);
        numeric += coefficients[3 * row + k] * (up[at] - down[at]) / 2e-5;
      }
      EXPECT_NEAR(descent.gradient(row)[i], numeric, 1e-5) << "row " << row << " logit " << i;
    }
  }
}

TEST(RelaxedGoal, BarrierIsBetaTimesCToTheExcess) {
  RelaxedGoal goal;
  goal.weight = {1, 1, 0};
  goal.limit = {INFINITY, INFINITY, 0.5};
  goal.barrier_weight = 2;
  goal.barrier_base = 9;
  double metrics[3] = {0.25, -1, 0.5}, gradient[3];
  EXPECT_DOUBLE_EQ(GoalLoss(goal, metrics, gradient), 0.25 - 1 + 2);  // C^0 at the limit
  EXPECT_DOUBLE_EQ(gradient[0], 1);
  EXPECT_DOUBLE_EQ(gradient[2], 2 * std::log(9.0));
  metrics[2] = 1;  // C^(1/2)
  EXPECT_NEAR(GoalLoss(goal, metrics, gradient), -0.75 + 2 * 3, 1e-12);
  EXPECT_NEAR(gradient[2], 6 * std::log(9.0), 1e-12);
  metrics[2] = -0.5;  // C^-1
  EXPECT_NEAR(GoalLoss(goal, metrics, gradient), -0.75 + 2.0 / 9, 1e-12);
  metrics[2] = 1e6;
  EXPECT_TRUE(std::isfinite(GoalLoss(goal, metrics, gradient)));
  EXPECT_TRUE(std::isfinite(gradient[2]));
  goal.barrier_weight = 0;
  EXPECT_DOUBLE_EQ(GoalLoss(goal, metrics, gradient), -0.75);
  EXPECT_DOUBLE_EQ(gradient[2], 0);
  metrics[2] = 0.75;
  EXPECT_DOUBLE_EQ(LimitExcess(goal, metrics, gradient), 0.25);
  EXPECT_DOUBLE_EQ(gradient[0] + gradient[1], 0);
  EXPECT_DOUBLE_EQ(gradient[2], 1);
}

TEST(RelaxedGoal, ProjectionIsTheLeastChangeThatMakesTheProgress) {
  engine::Rng rng(4);
  int projected = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const int size = 1 + static_cast<int>(rng.Below(30));
    const double delta = 2 * static_cast<double>(rng.Uniform());
    std::vector<float> g, c;
    for (int i = 0; i < size; ++i) {
      g.push_back(rng.Normal());
      c.push_back(rng.Normal());
    }
    const std::vector<float> before = g;
    auto inner = [&](const std::vector<float>& a, const std::vector<float>& b) {
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
      return sum;
    };
    const bool moved = ProjectGradient(c.data(), delta, size, g.data());
    EXPECT_EQ(moved, inner(before, c) < 0) << "trial " << trial;
    if (!moved) {
      EXPECT_EQ(g, before);
      continue;
    }
    ++projected;
    EXPECT_NEAR(inner(g, c), delta, 1e-5 * (1 + inner(c, c))) << "trial " << trial;
    // Along the constraint alone, hence of least norm: m = ((delta - g.c) / |c|^2) c.
    const double factor = (delta - inner(before, c)) / inner(c, c);
    for (size_t i = 0; i < g.size(); ++i) {
      EXPECT_NEAR(g[i] - before[i], factor * double{c[i]}, 1e-4 * (1 + factor))
          << "trial " << trial;
    }
  }
  EXPECT_GT(projected, 50);
  float g[2] = {1, 2};
  const float zero[2] = {0, 0};
  EXPECT_FALSE(ProjectGradient(zero, 1, 2, g));
}

TEST(RelaxedDescent, BarrierAndProjectionHoldALimitThatPlainDescentMisses) {
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  Trained trained(tape);
  RelaxedGoal goal;
  goal.weight = {1, 1, 0};
  goal.limit = {INFINITY, INFINITY, 1.0};
  RelaxedGoal barrier = goal;
  barrier.barrier_weight = EvaluatorOptions::Edd().barrier_weight;
  barrier.barrier_base = EvaluatorOptions::Edd().barrier_base;
  auto missed = [&](const RelaxedGoal& with, const DescentOptions& options) {
    RelaxedDescent descent(trained.layout, 4, options, tape);
    int count = 0;
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      engine::Rng rng(seed);
      descent.Run(trained.network, trained.trainer, with, trained.observation, nullptr, rng);
      for (int row = 0; row < options.restarts; ++row) {
        const int* a = descent.action(row);
        double metrics[3];
        Levels::MetricsOf({a[0], a[1], a[2]}, metrics);
        count += metrics[2] > 1.0 + 0.03 ? 1 : 0;  // beyond what the fit may be wrong by
      }
    }
    return count;
  };
  EXPECT_EQ(missed(goal, EvaluatorOptions().descent), 24);
  EXPECT_LE(missed(barrier, EvaluatorOptions::Edd().descent), 2);
  EXPECT_LE(missed(goal, EvaluatorOptions::Hdx().descent), 8);
}

TEST(Evaluator, WarmStepsAllocateNothing) {
  engine::ThreadPool pool(1);
  Levels problem(nullptr, 1.0);
  for (const EvaluatorOptions& kind : {EvaluatorOptions(), EvaluatorOptions::Hdx()}) {
    AgentOptions options;
    options.budget = 400;
    Evaluator agent(options, kind, problem, pool);
    engine::Rng rng(1);
    for (int round = 0; round < 12; ++round) agent.Round(problem, 400, rng);
    const int64_t before = agent.tape().arena().block_allocations();
    EXPECT_GT(before, 0);
    for (int round = 0; round < 5; ++round) agent.Round(problem, 400, rng);
    EXPECT_EQ(agent.tape().arena().block_allocations(), before);
  }
}

TEST(Evaluator, LearnsFromValidPointsAlone) {
  engine::ThreadPool pool(1);
  Levels problem([](int x, int, int) { return x % 2 == 0; });
  AgentOptions options;
  options.budget = 200;
  Evaluator agent(options, EvaluatorOptions(), problem, pool);
  engine::Rng rng(1);
  while (problem.steps() < 200) agent.Round(problem, 200 - problem.steps(), rng);
  EXPECT_GT(agent.data().rows(), 20);
  EXPECT_LE(agent.data().rows(), static_cast<int>(problem.share_valid() * 200 + 0.5));
  for (int row = 0; row < agent.data().rows(); ++row) {
    float input[28];
    agent.data().Input(row, input);
    EXPECT_EQ(input[4 + 1] + input[4 + 3] + input[4 + 5] + input[4 + 7], 0) << "row " << row;
  }
}

}  // namespace
}  // namespace rhnas::rl
