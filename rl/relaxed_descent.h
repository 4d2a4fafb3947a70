// Gradient descent on relaxed choices through a learned evaluator that stays as it is: several
// restarts side by side (rows), each a Gumbel-softmax of its logits (rl/relaxed_choice.h) whose
// temperature is annealed, as DANCE's hardware generator feeds its evaluator. Each row has its own
// gradient, and HDX's projection works on each.
#pragma once

#include <vector>

#include "engine/optimizer.h"
#include "engine/tape.h"
#include "rl/categorical.h"
#include "rl/evaluator_network.h"
#include "rl/relaxed_goal.h"

namespace rhnas::rl {

struct DescentOptions {
  int restarts = 8, steps = 60;
  float learning_rate = 0.15f;                           // of Adam
  float temperature_first = 2, temperature_last = 0.2f;  // geometric
  // HDX: the progress asked for where a limit is missed; grows by the factor with every step at
  // which a row misses it and starts again once it is met. 0: no projection.
  double delta_first = 0, delta_growth = 1.1;
  // Rows that meet the limits come first, whatever their loss.
  bool rank_by_limits = false;
};

class RelaxedDescent {
 public:
  // Uses the tape (and resets it). observed: numbers before the choices in the network's input.
  RelaxedDescent(const HeadLayout& layout, int observed, const DescentOptions& options,
                 engine::Tape& tape);

  // Descends from random logits. mask: layout.total bytes or null; observation: of the network to
  // design for. REQUIRES: a trainer that has trained.
  void Run(EvaluatorNetwork& network, const EvaluatorTrainer& scale, const RelaxedGoal& goal,
           const float* observation, const uint8_t* mask, engine::Rng& rng);

  int rows() const { return options_.restarts; }
  // Row r, in order of what the evaluator says of its argmax: the argmax, its logits [total].
  const int* action(int row) const { return &actions_[static_cast<size_t>(Ranked(row) * heads())]; }
  const float* logits(int row) const {
    return logits_.value.data() + static_cast<ptrdiff_t>(Ranked(row)) * layout_.total;
  }
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

  // The parts of a step, rows unranked. Predicts metrics [rows, outputs] of softmax((logits +
  // noise) / temperature); noise [rows, total].
  void Predict(EvaluatorNetwork& network, const EvaluatorTrainer& scale, const float* observation,
               const float* noise, const uint8_t* mask, float temperature);
  const double* predicted(int row) const {
    return &predicted_[static_cast<size_t>(row * outputs_)];
  }
  // After Predict: gradient() [rows, total] of sum over rows and metrics of dmetrics[row, i]
  // metric_i with respect to the logits.
  void Backward(const double* dmetrics);
  const float* gradient(int row) const {
    return &gradient_[static_cast<size_t>(row * layout_.total)];
  }
  engine::Parameter& all_logits() { return logits_; }  // [rows, total]

 private:
  int heads() const { return layout_.heads(); }
  int Ranked(int row) const { return order_[static_cast<size_t>(row)]; }
  float* Input(int row) {
    return input_.value.data() + static_cast<ptrdiff_t>(row) * (observed_ + layout_.total);
  }
  void Ask(EvaluatorNetwork& network, const EvaluatorTrainer& scale);
  void Rank(const RelaxedGoal& goal);

  HeadLayout layout_;
  int observed_, outputs_ = 0;
  DescentOptions options_;
  engine::Tape& tape_;
  engine::Parameter logits_, input_;  // [rows, total], [rows, observed + total]
  engine::Var prediction_;
  float temperature_ = 1;
  std::vector<float> deviation_, noise_, gradient_, constraint_, seeds_;
  std::vector<double> predicted_, dmetrics_, dexcess_, deltas_;
  std::vector<int> actions_, order_;
};

}  // namespace rhnas::rl
