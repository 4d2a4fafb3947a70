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
  const int hidden = options.hidden;
  RHNAS_CHECK(choices >= 1 && outputs >= 1 && hidden >= 1, "%d choices, %d outputs, %d hidden",
              choices, outputs, hidden);
  const float root = 1 / std::sqrt(static_cast<float>(hidden));
  // One input a head is 1: how many heads there are, not how many inputs, says how large a sum is.
  AddLayer(inputs_, hidden, 0.3f, rng);
  for (int block = 0; block < options.blocks; ++block) {
    AddLayer(hidden, hidden, root, rng);
    AddLayer(hidden, hidden, 0.5f * root, rng);
  }
  AddLayer(hidden, outputs, root, rng);
}

void EvaluatorNetwork::AddLayer(int in, int out, float scale, engine::Rng& rng) {
  const std::string name = std::to_string(parameters_.size());
  parameters_.push_back(std::make_unique<engine::Parameter>(name + "w", Shape(in, out)));
  engine::Buffer& weight = parameters_.back()->value;
  for (int64_t i = 0; i < weight.size(); ++i) weight[i] = scale * rng.Normal();
  parameters_.push_back(std::make_unique<engine::Parameter>(name + "b", Shape(out)));
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

void WriteInput(const float* observation, int observed, const HeadLayout& layout, const int* action,
                float* input) {
  for (int i = 0; i < observed; ++i) input[i] = observation[i];
  for (int i = 0; i < layout.total; ++i) input[observed + i] = 0;
  for (size_t h = 0; h < layout.sizes.size(); ++h) {
    input[observed + layout.offsets[h] + action[h]] = 1;
  }
}

void EvaluatorData::Add(const float* observation, const int* action, const double* metrics) {
  const auto at = static_cast<size_t>(added_ % kMostRows) * static_cast<size_t>(width());
  if (at == values_.size()) values_.resize(at + static_cast<size_t>(width()));
  ++added_;
  double* value = &values_[at];
  for (int i = 0; i < observation_; ++i) *value++ = static_cast<double>(observation[i]);
  for (int i = 0; i < layout_.heads(); ++i) *value++ = action[i];
  for (int i = 0; i < outputs_; ++i) *value++ = metrics[i];
}

void EvaluatorData::Standardise(float* mean, float* deviation) const {
  const int count = rows();
  RHNAS_CHECK(count >= 1, "%d rows", count);
  for (int k = 0; k < outputs_; ++k) {
    double sum = 0, squares = 0;
    for (int row = 0; row < count; ++row) sum += metrics(row)[k];
    const double average = sum / count;
    for (int row = 0; row < count; ++row) {
      squares += (metrics(row)[k] - average) * (metrics(row)[k] - average);
    }
    mean[k] = static_cast<float>(average);
    deviation[k] = static_cast<float>(std::max(1e-6, std::sqrt(squares / count)));
  }
}

void EvaluatorData::Input(int row, float* input) const {
  const double* value = Row(row);
  for (int i = 0; i < observation_; ++i) *input++ = static_cast<float>(*value++);
  for (int i = 0; i < layout_.total; ++i) input[i] = 0;
  for (int offset : layout_.offsets) input[offset + static_cast<int>(*value++)] = 1;
}

void EvaluatorData::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.Put(prefix + "added", added_);
  archive.PutVector(prefix + "values", values_);
}

void EvaluatorData::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.Get(prefix + "added", &added_);
  archive.GetVector(prefix + "values", &values_);
  // A checksum stands before this: another size is a file of another problem.
  const auto row = static_cast<size_t>(width());
  RHNAS_CHECK(!archive.status().ok() || values_.size() % row == 0,
              "checkpoint: %zu numbers, rows have %zu", values_.size(), row);
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
