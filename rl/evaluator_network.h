// The learned evaluator of DANCE (Choi et al., DAC 2021, arXiv 2009.06237): a residual perceptron
// from an observation of the network and one-hot (or relaxed) choices of hardware to the metrics of
// the design, trained on evaluated points. Only their form is public text to us: widths, steps and
// rates are ours.
//
//   h = tanh(x W + b);  h += tanh(h U + c) V + d  (each block);  metrics = h P + q
//
// Metrics are learned as standard scores of the points they are learned from. Points without
// metrics (invalid designs) cannot be learned from, as in DANCE.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/optimizer.h"
#include "engine/random.h"
#include "engine/tape.h"
#include "rl/categorical.h"

namespace rhnas::rl {

struct EvaluatorNetworkOptions {
  int hidden = 32, blocks = 2;
};

class EvaluatorNetwork {
 public:
  // Inputs: `observation` numbers, then every head's choices. REQUIRES: outputs >= 1.
  EvaluatorNetwork(int observation, int choices, int outputs,
                   const EvaluatorNetworkOptions& options, engine::Rng& rng);

  int observation() const { return observation_; }
  int inputs() const { return inputs_; }
  int outputs() const { return outputs_; }

  // x [rows, inputs()] -> standard scores [rows, outputs()]. frozen: no gradient to the weights.
  engine::Var Forward(engine::Tape& tape, engine::Var x, bool frozen);

  std::vector<engine::Parameter*> parameters();
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  void AddLayer(int in, int out, float scale, engine::Rng& rng);
  int observation_, inputs_, outputs_;
  std::vector<std::unique_ptr<engine::Parameter>> parameters_;  // weight, bias in turn
};

// What the evaluator learns from: rows of observation, action and metrics.
class EvaluatorData {
 public:
  static constexpr int kMostRows = 4096;  // then the oldest is replaced

  EvaluatorData(int observation, const HeadLayout& layout, int outputs)
      : observation_(observation), layout_(layout), outputs_(outputs) {}

  int rows() const { return static_cast<int>(values_.size()) / width(); }
  void Add(const float* observation, const int* action, const double* metrics);
  // Mean and deviation (at least 1e-6, so that a constant metric does no harm) of each output.
  // REQUIRES: rows() >= 1.
  void Standardise(float* mean, float* deviation) const;
  // Row as inputs (observation, one-hots).
  void Input(int row, float* input) const;
  const double* metrics(int row) const { return Row(row) + observation_ + layout_.heads(); }

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  int width() const { return observation_ + layout_.heads() + outputs_; }
  const double* Row(int row) const { return &values_[static_cast<size_t>(row * width())]; }
  int observation_;
  HeadLayout layout_;
  int outputs_;
  int64_t added_ = 0;
  std::vector<double> values_;  // rows of observation, action, metrics
};

// Writes an observation and the one-hots of an action: what the network reads.
void WriteInput(const float* observation, int observed, const HeadLayout& layout, const int* action,
                float* input);

// `steps` steps of Adam on the mean squared error of minibatches drawn with replacement, the rate
// falling to a tenth on a cosine. Returns the mean loss of the last quarter, in standard scores; 0
// without data. The tape is reset; a warm step allocates nothing.
struct EvaluatorTraining {
  int steps = 240, batch = 32;
  float learning_rate = 1e-2f;
};
class EvaluatorTrainer {
 public:
  explicit EvaluatorTrainer(EvaluatorNetwork& network)
      : network_(network), adam_(network.parameters(), engine::AdamOptions()) {}
  double Train(const EvaluatorData& data, const EvaluatorTraining& training, engine::Tape& tape,
               engine::Rng& rng);
  // Of the data trained on last: metric = mean + deviation score.
  const std::vector<float>& mean() const { return mean_; }
  const std::vector<float>& deviation() const { return deviation_; }

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  EvaluatorNetwork& network_;
  engine::Adam adam_;
  std::vector<float> mean_, deviation_;
  std::vector<float> inputs_, targets_;  // of a minibatch
};

}  // namespace rhnas::rl
