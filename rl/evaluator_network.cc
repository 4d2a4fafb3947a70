#include "rl/evaluator_network.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/ops.h"

namespace rhnas::rl {

using engine::Shape;
using engine::Tape;
using engine::Var;

EvaluatorNetwork::EvaluatorNetwork(int observation, int choices, int outputs,
                                   const EvaluatorNetworkOptions& options, engine::Rng& rng)
    : observation_(observation), inputs_(observation + choices), outputs_(outputs) {
  RHNAS_CHECK(observation >= 0 && choices >= 1 && outputs >= 1 && options.hidden >= 1 &&
                  options.blocks >= 0,
              "%d observed, %d choices, %d outputs, %d hidden, %d blocks", observation, choices,
              outputs, options.hidden, options.blocks);
  const int hidden = options.hidden;
  // One input a head is 1: its heads, not its inputs, say how large a sum is.
  auto layer = [&](const std::string& name, int in, int out, float scale) {
    Add("weight" + name, Shape(in, out), scale, rng);
    Add("bias" + name, Shape(out), 0, rng);
  };
  auto root = [](int n) { return 1 / std::sqrt(static_cast<float>(n)); };
  layer("_in", inputs_, hidden, 0.3f);
  for (int block = 0; block < options.blocks; ++block) {
    layer(std::to_string(block) + "a", hidden, hidden, root(hidden));
    layer(std::to_string(block) + "b", hidden, hidden, 0.5f * root(hidden));
  }
  layer("_out", hidden, outputs, root(hidden));
}

engine::Parameter* EvaluatorNetwork::Add(const std::string& name, const Shape& shape, float scale,
                                         engine::Rng& rng) {
  parameters_.push_back(std::make_unique<engine::Parameter>("evaluator/" + name, shape));
  engine::Parameter* parameter = parameters_.back().get();
  if (scale > 0) {
    for (int64_t i = 0; i < shape.size(); ++i) parameter->value[i] = scale * rng.Normal();
  }
  return parameter;
}

Var EvaluatorNetwork::Forward(Tape& tape, Var x, bool frozen) {
  size_t at = 0;
  auto next = [&] {
    engine::Parameter& parameter = *parameters_[at++];
    return frozen ? tape.Alias(parameter.shape, parameter.value.data()) : tape.Leaf(parameter);
  };
  auto linear = [&](Var in, bool squash) {
    const Var weight = next(), bias = next();
    return squash ? engine::LinearTanh(tape, in, weight, bias)
                  : engine::Linear(tape, in, weight, bias);
  };
  Var h = linear(x, true);
  while (at + 2 < parameters_.size()) {
    const Var inner = linear(h, true);
    h = engine::Add(tape, h, linear(inner, false));
  }
  return linear(h, false);
}

std::vector<engine::Parameter*> EvaluatorNetwork::parameters() {
  std::vector<engine::Parameter*> pointers;
  for (const auto& parameter : parameters_) pointers.push_back(parameter.get());
  return pointers;
}

void EvaluatorNetwork::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  for (const auto& parameter : parameters_) {
    archive.PutBuffer(prefix + parameter->name, parameter->value);
  }
}

void EvaluatorNetwork::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  for (const auto& parameter : parameters_) {
    archive.GetBuffer(prefix + parameter->name, &parameter->value);
  }
}

void EvaluatorData::Add(const float* observation, const int* action, const double* metrics) {
  if (rows_ == kMostRows) {
    observations_.erase(observations_.begin(), observations_.begin() + observation_);
    actions_.erase(actions_.begin(), actions_.begin() + layout_.heads());
    metrics_.erase(metrics_.begin(), metrics_.begin() + outputs_);
    --rows_;
  }
  observations_.insert(observations_.end(), observation, observation + observation_);
  actions_.insert(actions_.end(), action, action + layout_.heads());
  metrics_.insert(metrics_.end(), metrics, metrics + outputs_);
  ++rows_;
}

void EvaluatorData::Standardise(float* mean, float* deviation) const {
  RHNAS_CHECK(rows_ >= 1, "%d rows", rows_);
  for (int k = 0; k < outputs_; ++k) {
    double sum = 0, squares = 0;
    for (int row = 0; row < rows_; ++row) sum += metrics(row)[k];
    const double average = sum / rows_;
    for (int row = 0; row < rows_; ++row) {
      squares += (metrics(row)[k] - average) * (metrics(row)[k] - average);
    }
    mean[k] = static_cast<float>(average);
    deviation[k] = static_cast<float>(std::max(1e-6, std::sqrt(squares / rows_)));
  }
}

void EvaluatorData::Input(int row, float* input) const {
  const float* observed = observations_.data() + static_cast<ptrdiff_t>(row) * observation_;
  const int32_t* action = actions_.data() + static_cast<ptrdiff_t>(row) * layout_.heads();
  std::copy(observed, observed + observation_, input);
  std::fill(input + observation_, input + observation_ + layout_.total, 0.0f);
  for (int h = 0; h < layout_.heads(); ++h) {
    input[observation_ + layout_.offsets[static_cast<size_t>(h)] + action[h]] = 1;
  }
}

void EvaluatorData::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.Put(prefix + "rows", rows_);
  archive.PutVector(prefix + "observations", observations_);
  archive.PutVector(prefix + "actions", actions_);
  archive.PutVector(prefix + "metrics", metrics_);
}

void EvaluatorData::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.Get(prefix + "rows", &rows_);
  archive.GetVector(prefix + "observations", &observations_);
  archive.GetVector(prefix + "actions", &actions_);
  archive.GetVector(prefix + "metrics", &metrics_);
  if (!archive.status().ok()) return;
  // A checksum stands before this: other sizes are a file of another problem.
  const auto rows = static_cast<size_t>(rows_ > 0 ? rows_ : 0);
  RHNAS_CHECK(observations_.size() == rows * static_cast<size_t>(observation_) &&
                  actions_.size() == rows * layout_.sizes.size() &&
                  metrics_.size() == rows * static_cast<size_t>(outputs_),
              "checkpoint: %zu rows of another problem", rows);
}

double EvaluatorTrainer::Train(const EvaluatorData& data, const EvaluatorTraining& training,
                               Tape& tape, engine::Rng& rng) {
  if (data.rows() == 0 || training.steps == 0) return 0;
  const int outputs = network_.outputs(), inputs = network_.inputs();
  mean_.resize(static_cast<size_t>(outputs));
  deviation_.resize(static_cast<size_t>(outputs));
  data.Standardise(mean_.data(), deviation_.data());
  inputs_.resize(static_cast<size_t>(training.batch) * static_cast<size_t>(inputs));
  targets_.resize(static_cast<size_t>(training.batch) * static_cast<size_t>(outputs));
  engine::Schedule rate;
  rate.base = training.learning_rate;
  rate.final = 0.1f * training.learning_rate;
  rate.total = training.steps;
  double loss_sum = 0;
  const int quarter = training.steps - (training.steps + 3) / 4;
  for (int step = 0; step < training.steps; ++step) {
    for (int i = 0; i < training.batch; ++i) {
      const int row = static_cast<int>(rng.Below(static_cast<uint32_t>(data.rows())));
      data.Input(row, inputs_.data() + static_cast<ptrdiff_t>(i) * inputs);
      for (int k = 0; k < outputs; ++k) {
        const auto at = static_cast<size_t>(k);
        targets_[static_cast<size_t>(i * outputs + k)] =
            static_cast<float>((data.metrics(row)[k] - static_cast<double>(mean_[at])) /
                               static_cast<double>(deviation_[at]));
      }
    }
    tape.Reset();
    adam_.ZeroGrad();
    const Var x = tape.Alias(Shape(training.batch, inputs), inputs_.data());
    const Var target = tape.Alias(Shape(training.batch, outputs), targets_.data());
    const Var error = engine::Sub(tape, network_.Forward(tape, x, false), target);
    const Var loss = engine::Mean(tape, engine::Mul(tape, error, error));
    if (step >= quarter) loss_sum += static_cast<double>(tape.value(loss)[0]);
    tape.Backward(loss);
    engine::ClipGradNorm(adam_.parameters(), 1);
    adam_.Step(rate.At(step), tape.pool());
  }
  return loss_sum / (training.steps - quarter);
}

void EvaluatorTrainer::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  adam_.Save(archive, prefix + "adam/");
  archive.PutVector(prefix + "mean", mean_);
  archive.PutVector(prefix + "deviation", deviation_);
}

void EvaluatorTrainer::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  adam_.Load(archive, prefix + "adam/");
  archive.GetVector(prefix + "mean", &mean_);
  archive.GetVector(prefix + "deviation", &deviation_);
}

}  // namespace rhnas::rl
