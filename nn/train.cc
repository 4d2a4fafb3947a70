// Training steps and evaluation. See train.h.
#include "nn/train.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <optional>
#include <vector>

#include "engine/check.h"
#include "nn/inference.h"

namespace rhnas::nn {

namespace {

using engine::Shape;
using engine::Tape;
using engine::Var;

// Images whose largest logit (the first of equals) is the label's.
int CountCorrect(const Tape& tape, Var logits, const int32_t* labels) {
  const Shape shape = tape.shape(logits);
  const int classes = shape.last();
  const float* row = tape.value(logits);
  int correct = 0;
  for (int64_t i = 0; i < shape.rows(); ++i, row += classes) {
    correct += std::max_element(row, row + classes) - row == labels[i] ? 1 : 0;
  }
  return correct;
}

}  // namespace

StepStats WeightStep(Supernet& net, const Genotype& path, const Batch& batch,
                     engine::Optimizer& optimizer, const WeightStepOptions& options, Tape& tape) {
  tape.Reset();
  const Var images = tape.Alias(batch.shape, batch.images);
  const Var logits = net.Forward(tape, images, path, true);
  Var loss = engine::CrossEntropy(tape, logits, batch.labels, options.label_smoothing);
  if (batch.mixed_labels != nullptr) {
    const Var other =
        engine::CrossEntropy(tape, logits, batch.mixed_labels, options.label_smoothing);
    loss = engine::Add(tape, engine::Scale(tape, loss, batch.mix),
                       engine::Scale(tape, other, 1 - batch.mix));
  }
  StepStats stats;
  stats.loss = double{*tape.value(loss)};
  stats.accuracy = static_cast<double>(CountCorrect(tape, logits, batch.labels)) /
                   static_cast<double>(batch.shape.dim[0]);
  if (!std::isfinite(stats.loss)) return stats;
  optimizer.ZeroGrad();
  tape.Backward(loss);
  // Without clipping the norm is still looked at: an infinite gradient would spoil every weight.
  const float limit = options.clip_norm > 0 ? options.clip_norm : FLT_MAX;
  const float norm = engine::ClipGradNorm(optimizer.parameters(), limit);
  stats.gradient_norm = double{norm};
  if (!std::isfinite(norm)) {
    stats.loss = std::nan("");
    return stats;
  }
  optimizer.Step(options.learning_rate, tape.pool());
  return stats;
}

Evaluation Evaluate(Supernet& net, const Genotype& path, Loader& loader, bool batch_statistics,
                    int max_batches, Tape& tape) {
  Pass pass;
  pass.training = batch_statistics;
  pass.update_running = false;
  pass.constant_weights = true;
  int batches = max_batches;
  if (batches <= 0) {
    batches = loader.batches_per_epoch();
    loader.Seek(0);
  }
  // With running statistics nothing depends on the batch: a compiled network does it faster, on
  // images of the space's size.
  std::optional<InferencePlan> plan;
  if (!batch_statistics) plan.emplace(net, path);
  std::vector<float> rows;
  Evaluation result;
  double loss_sum = 0;
  int correct = 0;
  for (int i = 0; i < batches; ++i) {
    const Batch batch = loader.Next();
    tape.Reset();
    const int count = batch.shape.dim[0];
    Var logits;
    const Space& space = net.space();
    if (plan.has_value() && batch.shape == Shape(count, space.h, space.w, space.c)) {
      const Shape shape(count, net.space().classes);
      rows.resize(static_cast<size_t>(shape.size()));
      plan->Run(batch.images, count, rows.data(), tape.pool());
      logits = tape.Constant(shape, rows.data());
    } else {
      logits = net.Forward(tape, tape.Alias(batch.shape, batch.images), path, pass);
    }
    const Var loss = engine::CrossEntropy(tape, logits, batch.labels);
    loss_sum += double{*tape.value(loss)} * count;
    correct += CountCorrect(tape, logits, batch.labels);
    result.images += count;
  }
  if (result.images > 0) {
    result.loss = loss_sum / result.images;
    result.accuracy = static_cast<double>(correct) / result.images;
  }
  return result;
}

void RecalibrateBatchNorm(Supernet& net, const Genotype& path, Loader& loader, int batches,
                          Tape& tape) {
  Pass pass;
  pass.constant_weights = true;
  for (int i = 0; i < batches; ++i) {
    const Batch batch = loader.Next();
    // The i-th batch enters with weight 1 / (i + 1): a plain mean, and the old values are gone.
    pass.momentum = 1 / static_cast<float>(i + 1);
    tape.Reset();
    net.Forward(tape, tape.Alias(batch.shape, batch.images), path, pass);
  }
}

}  // namespace rhnas::nn
