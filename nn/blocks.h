// Trainable modules of the blocks in nn/space.h. Each is built from the layer shapes that LayersOf
// gives for it, so what is trained and what is costed cannot drift apart.
//
// Not here: choosing between candidates (nn/supernet.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/random.h"
#include "engine/tape.h"
#include "nn/space.h"

namespace rhnas::nn {

// How a forward pass treats weights and statistics.
struct Pass {
  bool training = true;           // normalise with the batch's own statistics
  bool update_running = true;     // and let them into the running ones (training only)
  float momentum = 0.1f;          // of the running statistics
  bool constant_weights = false;  // weights enter without gradient: evaluation, architecture steps
};

// A running statistic: saved with the weights, moved by no optimiser.
struct NamedBuffer {
  std::string name;
  engine::Buffer* buffer;
};

class Module {
 public:
  virtual ~Module() = default;
  // x [N,h,w,cin] -> [N,oh,ow,cout], the classifier [N,classes].
  virtual engine::Var Forward(engine::Tape& tape, engine::Var x, const Pass& pass) = 0;
  // Appends what it holds, always in the same order.
  virtual void Collect(std::vector<engine::Parameter*>* weights,
                       std::vector<NamedBuffer>* statistics) = 0;
};

// `prefix` begins the names of all its parameters. Initial values are drawn from `rng`:
// convolutions Kaiming normal over the fan-out, batch norm 1 and 0 (scale 0 at the end of an
// MBConv's residual branch), classifier N(0, 0.01) and 0.
std::unique_ptr<Module> MakeModule(const Slot& slot, const Block& block, const std::string& prefix,
                                   const engine::Rng& rng);

// --- The parts, for modules of one's own ---

// Convolution, batch norm, activation.
class ConvBn {
 public:
  // REQUIRES: layer.kind == kConv.
  ConvBn(const LayerShape& layer, engine::Activation activation, const engine::Rng& rng);
  engine::Var Forward(engine::Tape& tape, engine::Var x, const Pass& pass);
  // As a link of engine::ConvChain.
  engine::ConvLink Link(engine::Tape& tape, const Pass& pass);
  void Collect(std::vector<engine::Parameter*>* weights, std::vector<NamedBuffer>* statistics);
  // Batch norm's scale starts at 0: a residual branch that ends here begins as nothing and its
  // block as the identity (Goyal et al., arXiv 1706.02677, section 5.1).
  void StartFromZero() { gamma_.value.Fill(0); }

 private:
  engine::Conv2dOptions options_;
  engine::Activation activation_;
  engine::Parameter filter_, gamma_, beta_;
  std::string name_;
  engine::Buffer mean_, var_;
};

// x [N,C] -> [N,K], with bias.
class Linear {
 public:
  // REQUIRES: layer.kind == kDense.
  Linear(const LayerShape& layer, const engine::Rng& rng);
  engine::Var Forward(engine::Tape& tape, engine::Var x, const Pass& pass);
  void Collect(std::vector<engine::Parameter*>* weights);

 private:
  engine::Parameter weight_, bias_;
};

}  // namespace rhnas::nn
