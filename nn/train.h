// Training and evaluating one path of a supernet (or a fixed network, a supernet of one path).
#pragma once

#include "engine/optimizer.h"
#include "nn/data.h"
#include "nn/supernet.h"

namespace rhnas::nn {

struct StepStats {
  double loss = 0;
  double accuracy = 0;       // of this batch, 0..1
  double gradient_norm = 0;  // before it was clipped
};

// One weight step along `path`: forward, cross-entropy, backward, clip, update. Resets the tape
// first. A loss or gradient that is not finite: stats.loss says so and no update is made.
// clip_norm 0: no clipping.
struct WeightStepOptions {
  float learning_rate = 0.1f, clip_norm = 5, label_smoothing = 0;
};
StepStats WeightStep(Supernet& net, const Genotype& path, const Batch& batch,
                     engine::Optimizer& optimizer, const WeightStepOptions& options,
                     engine::Tape& tape);

struct Evaluation {
  double loss = 0, accuracy = 0;
  int images = 0;
};
// batch_statistics: normalise with each batch's own statistics (for sampled paths of a supernet,
// whose running statistics mix many paths); otherwise the running ones. `max_batches` 0: the whole
// loader once, from its start; otherwise the loader's next batches.
Evaluation Evaluate(Supernet& net, const Genotype& path, Loader& loader, bool batch_statistics,
                    int max_batches, engine::Tape& tape);

// Re-estimates the running statistics of one path from `batches` training batches.
void RecalibrateBatchNorm(Supernet& net, const Genotype& path, Loader& loader, int batches,
                          engine::Tape& tape);

}  // namespace rhnas::nn
