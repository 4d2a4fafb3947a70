// The weight-sharing supernet and its differentiable relaxation.
//
// Weights: one module per slot and candidate. A weight step runs one sampled path. An architecture
// step draws a path with Gumbel noise and lets the gradient reach the architecture logits, in one
// of two ways:
//   kProxyHard   after Auto-NBA/ProxylessNAS "two": two active candidates per slot, value of the
//                first, gradient through both with p = softmax of their two logits; RestoreMass
//                then keeps the share of every other candidate.
//   kStraightThrough  Gumbel-softmax, hard: value of one candidate, gradient through the soft
//                weights of the `active` best candidates.
// The temperature sharpens the distribution softmax(logits / temperature) that kProxyHard draws
// from (its weights are free of it), and the soft weights of kStraightThrough (its choice is free
// of it).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/ops.h"
#include "engine/random.h"
#include "engine/tape.h"
#include "nn/blocks.h"
#include "nn/space.h"

namespace rhnas::nn {

enum class ArchGradient { kProxyHard, kStraightThrough };

// What an architecture step did: for each searchable slot the candidates that were active (first
// the one whose value went forward) and their probabilities as a tape variable [count of active].
struct ArchPass {
  engine::Var logits;  // [N, classes]
  ArchGradient kind = ArchGradient::kProxyHard;
  std::vector<std::vector<int>> active;
  std::vector<engine::Var> probability;
};

class Supernet {
 public:
  Supernet(const Space& space, const engine::Rng& rng);
  ~Supernet();
  Supernet(const Supernet&) = delete;
  Supernet& operator=(const Supernet&) = delete;

  const Space& space() const;

  // images [N,H,W,C] -> logits [N,classes] along one path. training: batch statistics.
  engine::Var Forward(engine::Tape& tape, engine::Var images, const Genotype& path, bool training);

  // The same, with a say over statistics and weights (nn/blocks.h).
  engine::Var Forward(engine::Tape& tape, engine::Var images, const Genotype& path,
                      const Pass& pass);

  // One architecture pass with batch statistics; gradients reach arch() through
  // ArchPass::probability and nothing else: weights and running statistics stay as they are.
  // `active` candidates a slot (kProxyHard: always 2; kStraightThrough: 2 or more, fewer where a
  // slot has fewer); their cost is that of running each forward, backward runs one path.
  // REQUIRES: temperature finite and > 0.
  ArchPass ForwardArch(engine::Tape& tape, engine::Var images, ArchGradient kind, float temperature,
                       engine::Rng& rng, int active = 2);

  // Around the optimiser's step on arch(): for kProxyHard, RestoreMass puts a slot's inactive
  // logits back to what RememberMass saw (momentum moves them too) and adds one offset to the
  // active ones so that their log-sum-exp is as it was: other candidates keep their share
  // (ProxylessNAS, section 3.2.1). No effect for kStraightThrough.
  void RememberMass(const ArchPass& pass);
  void RestoreMass(const ArchPass& pass);

  // A path drawn from softmax(logits / temperature) by Gumbel-max; the most probable path.
  Genotype Sample(float temperature, engine::Rng& rng) const;
  Genotype Argmax() const;
  // Probabilities softmax(logits) of a searchable slot; mean entropy over slots, in nats.
  std::vector<double> Probabilities(int searchable_index) const;
  double MeanEntropy() const;

  std::vector<engine::Parameter*> weights();  // all shared weights
  // Weights along one path only (the final network's).
  std::vector<engine::Parameter*> weights(const Genotype& path);
  // Running statistics along one path, in the order of its layers.
  std::vector<NamedBuffer> statistics(const Genotype& path);
  std::vector<engine::Parameter*> arch();  // one [candidates] parameter per searchable slot

  // Everything that changes: weights, running statistics, architecture logits.
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Sum over slots and active candidates of probability * cost[slot][candidate], plus `fixed`: a
// scalar on the tape whose gradient reaches the architecture logits. Costs are the caller's
// numbers, in any unit.
engine::Var ExpectedCost(engine::Tape& tape, const ArchPass& pass,
                         const std::vector<std::vector<double>>& cost, double fixed);

}  // namespace rhnas::nn
