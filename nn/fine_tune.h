// Quantisation-aware fine-tuning: an integer network learns what rounding took from it.
//
// The forward pass is the integer network's own arithmetic, in floats that hold integers; backward,
// rounding and shifts count as the identity and clips cut (the straight-through estimator, Bengio
// et al., arXiv 1308.3432; Jacob et al., CVPR 2018, arXiv 1712.05877). Parameters are weights in
// steps of one integer and biases in steps of the output, so Adam's learning rate is in those
// steps, the same for every layer. Scales, shifts and exponents stay. What is learnt is the float
// network's answer (its softmax as soft labels; Hinton et al., arXiv 1503.02531): labels are not
// needed.
#pragma once

#include <memory>
#include <vector>

#include "engine/optimizer.h"
#include "engine/tape.h"
#include "nn/data.h"
#include "nn/inference.h"
#include "nn/quantize.h"

namespace rhnas::nn {

class FineTuner {
 public:
  // mean, stddev: those that the loader normalises with, to come back to bytes. REQUIRES:
  // CheckIntGraph(graph).ok(), one output pixel; `teacher` outlives it and has as many outputs.
  FineTuner(const IntGraph& graph, const InferencePlan& teacher, std::vector<float> mean,
            std::vector<float> stddev);
  ~FineTuner();
  FineTuner(const FineTuner&) = delete;
  FineTuner& operator=(const FineTuner&) = delete;

  // One step on a batch; the mean cross-entropy with the teacher's answers before it, not finite
  // where it went wrong (and then nothing changed).
  double Step(const Batch& batch, float learning_rate, engine::Tape& tape);
  // The network as it stands, rounded.
  IntGraph Result() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rhnas::nn
