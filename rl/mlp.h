// A small multi-layer perceptron on the tape: tanh between the layers, none at the end. Weights
// start orthogonal (Saxe et al. 2014), scaled as usual for policy gradients (Andrychowicz et al.
// 2021): sqrt(2) inside, a gain of the caller's choice at the end (0.01 for a policy, so that it
// starts nearly uniform; 1 for a critic).
//
// Without inputs it sees a constant 1, so that a problem without observations is the same code.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/random.h"
#include "engine/tape.h"

namespace rhnas::rl {

struct MlpOptions {
  int inputs = 0;  // 0: a constant 1
  int hidden = 64, layers = 2;
  int outputs = 1;
  float output_gain = 1;
};

class Mlp {
 public:
  // REQUIRES: outputs >= 1, layers >= 0, hidden >= 1 where layers > 0. `name` starts the names of
  // the parameters.
  Mlp(const std::string& name, const MlpOptions& options, engine::Rng& rng);

  int inputs() const { return options_.inputs; }
  int outputs() const { return options_.outputs; }
  // observations [rows, inputs] (unused without inputs) -> [rows, outputs].
  engine::Var Forward(engine::Tape& tape, const float* observations, int rows);

  std::vector<engine::Parameter*> parameters();
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  MlpOptions options_;
  // weight [in, out] and bias [out] of each layer, in turn. Pointers, because a tape holds them.
  std::vector<std::unique_ptr<engine::Parameter>> parameters_;
};

}  // namespace rhnas::rl
