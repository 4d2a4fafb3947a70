#include "rl/relaxed_descent.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/math.h"
#include "engine/ops.h"

namespace rhnas::rl {

using engine::Shape;
using engine::Var;

namespace {

constexpr float kForbidden = -1e9f;  // as noise: a relaxed choice of exactly 0
constexpr float kStartSpread = 0.5f;

}  // namespace

RelaxedDescent::RelaxedDescent(const HeadLayout& layout, const DescentOptions& options,
                               engine::Tape& tape)
    : layout_(layout), options_(options), tape_(tape) {
  RHNAS_CHECK(options.restarts >= 1 && options.steps >= 0, "%d restarts, %d steps",
              options.restarts, options.steps);
  const auto rows = static_cast<size_t>(options.restarts);
  for (int size : layout.sizes) {
    parameters_.push_back(
        std::make_unique<engine::Parameter>("logits", Shape(options.restarts, size)));
  }
  for (std::vector<float>* floats : {&logits_, &noise_, &head_noise_, &gradient_, &constraint_}) {
    floats->resize(rows * static_cast<size_t>(layout.total));
  }
  actions_.resize(rows * layout.sizes.size());
  losses_.resize(rows);
  for (int row = 0; row < options.restarts; ++row) order_.push_back(row);
}

void RelaxedDescent::Predict(EvaluatorNetwork& network, const EvaluatorTrainer& scale,
                             const float* observation, const float* noise, float temperature) {
  const int rows = options_.restarts, observed = network.observation();
  tape_.Reset();
  parts_.clear();
  if (observed > 0) {
    inputs_.resize(static_cast<size_t>(rows * observed));
    for (int row = 0; row < rows; ++row) {
      std::copy(observation, observation + observed, inputs_.data() + row * observed);
    }
    parts_.push_back(tape_.Alias(Shape(rows, observed), inputs_.data()));
  }
  for (int h = 0; h < layout_.heads(); ++h) {
    const auto head = static_cast<size_t>(h);
    const int offset = layout_.offsets[head], size = layout_.sizes[head];
    for (int row = 0; row < rows; ++row) {
      const float* from = noise + row * layout_.total + offset;
      std::copy(from, from + size, head_noise_.data() + row * size);
    }
    parts_.push_back(engine::GumbelSoftmax(tape_, tape_.Leaf(*parameters_[head]),
                                           head_noise_.data(), temperature, false));
  }
  const Var x = engine::Concat(tape_, parts_.data(), static_cast<int>(parts_.size()));
  prediction_ = network.Forward(tape_, x, true);
  outputs_ = network.outputs();
  TakePrediction(scale);
}

void RelaxedDescent::TakePrediction(const EvaluatorTrainer& scale) {
  const size_t count = static_cast<size_t>(options_.restarts * outputs_);
  predicted_.resize(count);
  deviation_ = scale.deviation();
  const float* score = tape_.value(prediction_);
  for (size_t i = 0; i < count; ++i) {
    const size_t k = i % static_cast<size_t>(outputs_);
    predicted_[i] = static_cast<double>(scale.mean()[k]) +
                    static_cast<double>(deviation_[k]) * static_cast<double>(score[i]);
  }
}

void RelaxedDescent::Backward(const double* dmetrics) {
  const size_t count = static_cast<size_t>(options_.restarts * outputs_);
  seeds_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const double deviation = static_cast<double>(deviation_[i % static_cast<size_t>(outputs_)]);
    seeds_[i] = static_cast<float>(dmetrics[i] * deviation);
  }
  for (const auto& parameter : parameters_) parameter->ZeroGrad();
  const Var seed = tape_.Alias(Shape(options_.restarts, outputs_), seeds_.data());
  tape_.Backward(engine::Sum(tape_, engine::Mul(tape_, prediction_, seed)));
  Collect(gradient_.data(), true);
}

// Heads side by side, as rows of logits have them.
void RelaxedDescent::Collect(float* rows, bool gradients) const {
  for (int h = 0; h < layout_.heads(); ++h) {
    const auto head = static_cast<size_t>(h);
    const int size = layout_.sizes[head];
    const engine::Buffer& from = gradients ? parameters_[head]->grad : parameters_[head]->value;
    for (int row = 0; row < options_.restarts; ++row) {
      std::copy(from.data() + row * size, from.data() + (row + 1) * size,
                rows + row * layout_.total + layout_.offsets[head]);
    }
  }
}

void RelaxedDescent::SetLogits(const float* logits) {
  for (int h = 0; h < layout_.heads(); ++h) {
    const auto head = static_cast<size_t>(h);
    const int size = layout_.sizes[head];
    for (int row = 0; row < options_.restarts; ++row) {
      const float* from = logits + row * layout_.total + layout_.offsets[head];
      std::copy(from, from + size, parameters_[head]->value.data() + row * size);
    }
  }
}

void RelaxedDescent::Run(EvaluatorNetwork& network, const EvaluatorTrainer& scale,
                         const RelaxedGoal& goal, const float* observation, const uint8_t* mask,
                         engine::Rng& rng) {
  const int rows = options_.restarts, total = layout_.total;
  for (float& logit : logits_) logit = kStartSpread * rng.Normal();
  SetLogits(logits_.data());
  std::vector<engine::Parameter*> pointers;
  for (const auto& parameter : parameters_) pointers.push_back(parameter.get());
  engine::Adam adam(pointers, engine::AdamOptions());
  const size_t count = static_cast<size_t>(rows * network.outputs());
  dmetrics_.resize(count);
  dexcess_.resize(count);
  deltas_.assign(static_cast<size_t>(rows), options_.delta_first);
  const float fall = engine::Log(options_.temperature_last / options_.temperature_first);
  for (int step = 0; step < options_.steps; ++step) {
    const float done =
        static_cast<float>(step) / static_cast<float>(std::max(1, options_.steps - 1));
    const float temperature = options_.temperature_first * engine::Exp(fall * done);
    for (int i = 0; i < rows * total; ++i) {
      const float draw = rng.Gumbel();
      noise_[static_cast<size_t>(i)] = mask == nullptr || mask[i % total] != 0 ? draw : kForbidden;
    }
    Predict(network, scale, observation, noise_.data(), temperature);
    bool missed = false;
    for (int row = 0; row < rows; ++row) {
      const ptrdiff_t at = static_cast<ptrdiff_t>(row) * outputs_;
      GoalLoss(goal, predicted(row), dmetrics_.data() + at);
      const double excess = LimitExcess(goal, predicted(row), dexcess_.data() + at);
      double& delta = deltas_[static_cast<size_t>(row)];
      delta = excess > 0 ? std::min(delta * options_.delta_growth, 1e3) : options_.delta_first;
      missed = missed || excess > 0;
    }
    if (missed && options_.delta_first > 0) {
      Backward(dexcess_.data());
      constraint_ = gradient_;
      Predict(network, scale, observation, noise_.data(), temperature);
    }
    Backward(dmetrics_.data());
    if (missed && options_.delta_first > 0) {
      for (int row = 0; row < rows; ++row) {
        // A row that meets its limits has no constraint gradient and stays as it is.
        ProjectGradient(constraint_.data() + row * total, deltas_[static_cast<size_t>(row)], total,
                        gradient_.data() + row * total);
      }
    }
    for (int h = 0; h < layout_.heads(); ++h) {
      const auto head = static_cast<size_t>(h);
      const int size = layout_.sizes[head];
      float* to = parameters_[head]->grad.data();
      for (int row = 0; row < rows; ++row) {
        const float* from = gradient_.data() + row * total + layout_.offsets[head];
        for (int i = 0; i < size; ++i) *to++ = std::isfinite(from[i]) ? from[i] : 0;
      }
    }
    adam.Step(options_.learning_rate, tape_.pool());
  }
  Collect(logits_.data(), false);
  Rank(network, scale, goal, observation, mask);
}

void RelaxedDescent::Rank(EvaluatorNetwork& network, const EvaluatorTrainer& scale,
                          const RelaxedGoal& goal, const float* observation, const uint8_t* mask) {
  const int rows = options_.restarts, observed = network.observation(), inputs = network.inputs();
  inputs_.assign(static_cast<size_t>(rows * inputs), 0);
  for (int row = 0; row < rows; ++row) {
    int* action = actions_.data() + row * layout_.heads();
    GreedyAction(layout_, logits_.data() + row * layout_.total, mask, action);
    float* input = inputs_.data() + row * inputs;
    std::copy(observation, observation + observed, input);
    for (int h = 0; h < layout_.heads(); ++h) {
      input[observed + layout_.offsets[static_cast<size_t>(h)] + action[h]] = 1;
    }
  }
  tape_.Reset();
  prediction_ = network.Forward(tape_, tape_.Alias(Shape(rows, inputs), inputs_.data()), true);
  TakePrediction(scale);
  for (int row = 0; row < rows; ++row) {
    double* unused = dmetrics_.data();
    double& loss = losses_[static_cast<size_t>(row)];
    loss = GoalLoss(goal, predicted(row), unused);
    if (options_.rank_by_limits) loss += 1e6 * LimitExcess(goal, predicted(row), unused);
    order_[static_cast<size_t>(row)] = row;
  }
  std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) {
    return losses_[static_cast<size_t>(a)] < losses_[static_cast<size_t>(b)];
  });
}

}  // namespace rhnas::rl
