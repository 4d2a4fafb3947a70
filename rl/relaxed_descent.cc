#include "rl/relaxed_descent.h"

#include <algorithm>
#include <cmath>

#include "engine/math.h"
#include "engine/ops.h"
#include "rl/relaxed_choice.h"

namespace rhnas::rl {

using engine::Shape;

namespace {

constexpr float kStartSpread = 0.5f;

}  // namespace

RelaxedDescent::RelaxedDescent(const HeadLayout& layout, int observed,
                               const DescentOptions& options, engine::Tape& tape)
    : layout_(layout),
      observed_(observed),
      options_(options),
      tape_(tape),
      logits_("logits", Shape(options.restarts, layout.total)),
      input_("input", Shape(options.restarts, observed + layout.total)),
      noise_(static_cast<size_t>(options.restarts * layout.total)),
      gradient_(noise_),
      deltas_(static_cast<size_t>(options.restarts)),
      actions_(static_cast<size_t>(options.restarts * layout.heads())) {
  for (int row = 0; row < options.restarts; ++row) order_.push_back(row);
}

// Predicts what input_ holds.
void RelaxedDescent::Ask(EvaluatorNetwork& network, const EvaluatorTrainer& scale) {
  tape_.Reset();
  prediction_ = network.Forward(tape_, tape_.Leaf(input_), true);
  outputs_ = network.outputs();
  deviation_ = scale.deviation();
  const size_t outputs = static_cast<size_t>(outputs_);
  predicted_.resize(outputs * static_cast<size_t>(rows()));
  const float* score = tape_.value(prediction_);
  for (size_t i = 0; i < predicted_.size(); ++i) {
    predicted_[i] = static_cast<double>(scale.mean()[i % outputs]) +
                    static_cast<double>(deviation_[i % outputs]) * static_cast<double>(score[i]);
  }
}

void RelaxedDescent::Predict(EvaluatorNetwork& network, const EvaluatorTrainer& scale,
                             const float* observation, const float* noise, const uint8_t* mask,
                             float temperature) {
  temperature_ = temperature;
  for (int row = 0; row < rows(); ++row) {
    float* input = Input(row);
    for (int i = 0; i < observed_; ++i) input[i] = observation[i];
    for (size_t h = 0; h < layout_.sizes.size(); ++h) {
      const int at = layout_.offsets[h];
      float* p = input + observed_ + at;
      for (int i = 0; i < layout_.sizes[h]; ++i) {
        const int from = row * layout_.total + at + i;
        p[i] = logits_.value[from] + noise[from];
      }
      RelaxChoice(p, mask == nullptr ? nullptr : mask + at, layout_.sizes[h], temperature, p);
    }
  }
  Ask(network, scale);
}

void RelaxedDescent::Backward(const double* dmetrics) {
  seeds_.resize(predicted_.size());
  for (size_t i = 0; i < seeds_.size(); ++i) {
    const double deviation = static_cast<double>(deviation_[i % static_cast<size_t>(outputs_)]);
    seeds_[i] = static_cast<float>(dmetrics[i] * deviation);
  }
  input_.ZeroGrad();
  const engine::Var seed = tape_.Alias(Shape(rows(), outputs_), seeds_.data());
  tape_.Backward(engine::Sum(tape_, engine::Mul(tape_, prediction_, seed)));
  for (int row = 0; row < rows(); ++row) {
    const float* p = Input(row) + observed_;
    const float* dp = input_.grad.data() + (p - input_.value.data());
    for (size_t h = 0; h < layout_.sizes.size(); ++h) {
      const int at = layout_.offsets[h];
      RelaxChoiceBackward(p + at, dp + at, layout_.sizes[h], temperature_,
                          &gradient_[static_cast<size_t>(row * layout_.total + at)]);
    }
  }
}

void RelaxedDescent::Run(EvaluatorNetwork& network, const EvaluatorTrainer& scale,
                         const RelaxedGoal& goal, const float* observation, const uint8_t* mask,
                         engine::Rng& rng) {
  const int total = layout_.total;
  for (int64_t i = 0; i < logits_.value.size(); ++i) {
    logits_.value[i] = kStartSpread * rng.Normal();
  }
  engine::Adam adam({&logits_}, engine::AdamOptions());
  dmetrics_.resize(static_cast<size_t>(rows() * network.outputs()));
  dexcess_.resize(dmetrics_.size());
  for (double& delta : deltas_) delta = options_.delta_first;
  const float fall = engine::Log(options_.temperature_last / options_.temperature_first);
  for (int step = 0; step < options_.steps; ++step) {
    const float done = static_cast<float>(step) / static_cast<float>(options_.steps);
    const float temperature = options_.temperature_first * engine::Exp(fall * done);
    for (float& draw : noise_) draw = rng.Gumbel();
    Predict(network, scale, observation, noise_.data(), mask, temperature);
    bool missed = false;
    for (int row = 0; row < rows(); ++row) {
      const size_t at = static_cast<size_t>(row * outputs_);
      GoalLoss(goal, predicted(row), &dmetrics_[at]);
      const bool misses = LimitExcess(goal, predicted(row), &dexcess_[at]) > 0;
      double& delta = deltas_[static_cast<size_t>(row)];
      delta = misses ? std::min(delta * options_.delta_growth, 1e3) : options_.delta_first;
      missed = missed || misses;
    }
    const bool project = missed && options_.delta_first > 0;
    if (project) {
      Backward(dexcess_.data());
      constraint_ = gradient_;
      Ask(network, scale);
    }
    Backward(dmetrics_.data());
    for (int row = 0; project && row < rows(); ++row) {
      // A row that meets its limits has no constraint gradient and stays as it is.
      const size_t at = static_cast<size_t>(row * total);
      ProjectGradient(&constraint_[at], deltas_[static_cast<size_t>(row)], total, &gradient_[at]);
    }
    for (size_t i = 0; i < gradient_.size(); ++i) {
      logits_.grad[static_cast<int64_t>(i)] = std::isfinite(gradient_[i]) ? gradient_[i] : 0;
    }
    logits_.touched = true;
    adam.Step(options_.learning_rate, tape_.pool());
  }
  for (int row = 0; row < rows(); ++row) {
    int* action = &actions_[static_cast<size_t>(row * heads())];
    GreedyAction(layout_, logits_.value.data() + static_cast<ptrdiff_t>(row) * total, mask, action);
    WriteInput(observation, observed_, layout_, action, Input(row));
  }
  Ask(network, scale);
  Rank(goal);
}

// Insertion sort by what was predicted: rows are few.
void RelaxedDescent::Rank(const RelaxedGoal& goal) {
  double* unused = dmetrics_.data();
  for (int row = 0; row < rows(); ++row) {
    double& loss = deltas_[static_cast<size_t>(row)];
    loss = GoalLoss(goal, predicted(row), unused);
    if (options_.rank_by_limits) loss += 1e6 * LimitExcess(goal, predicted(row), unused);
    size_t at = static_cast<size_t>(row);
    for (; at > 0 && deltas_[static_cast<size_t>(order_[at - 1])] > loss; --at) {
      order_[at] = order_[at - 1];
    }
    order_[at] = row;
  }
}

void RelaxedDescent::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutBuffer(prefix + "logits", logits_.value);
  archive.PutVector(prefix + "actions", actions_);
  archive.PutVector(prefix + "order", order_);
}

void RelaxedDescent::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetBuffer(prefix + "logits", &logits_.value);
  archive.GetVector(prefix + "actions", &actions_);
  archive.GetVector(prefix + "order", &order_);
}

}  // namespace rhnas::rl
