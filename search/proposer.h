// A policy that has seen many networks and proposes hardware for another one in a single forward
// pass: from what is observed of the network (search/network_observation.h) and the area cap to a
// distribution over the points of one hardware space.
//
// The logit of a point is a sum over its choices and pairs of choices, each of which is an output
// of an MLP; the softmax goes over exactly the points that can be built under the cap and run
// networks, so the policy cannot propose another one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/optimizer.h"
#include "engine/tape.h"
#include "hw/accelerator.h"
#include "rl/mlp.h"
#include "search/network_observation.h"
#include "search/objective.h"

namespace rhnas::search {

// Of the training, see search/pretrain.h.
enum class PretrainGradient { kExact, kSampled };

class Proposer {
 public:
  static constexpr int kVersion = 2;
  static constexpr int kInputs = kNetworkFeatures + 2;  // and the cap: whether, how much

  // What it was trained for.
  struct Head {
    std::string networks;  // network space
    std::string hw_space;
    int bus_bits = 64;
    Objective objective = Objective::kEdp;
    PretrainGradient gradient = PretrainGradient::kExact;
    uint64_t prices = 0;  // hw::PricesFingerprint of the energy table
    uint64_t seed = 1;
    int hidden = 128;
    int64_t steps = 0, all_steps = 0;  // of training: done, in all
  };
  Proposer(const Head& head, const hw::DesignSpace& space, engine::ThreadPool& pool);

  Head head;

  // Columns of the outputs that make up the logit of a point.
  void Terms(int64_t point, std::vector<uint16_t>* columns) const;
  int terms() const { return terms_; }  // a point
  int outputs() const { return mlp_.outputs(); }
  // inputs: kInputs floats. area_max: relative to the reference; 0: no cap.
  static void Observe(const std::vector<hw::Layer>& layers, double area_max, float* inputs);
  engine::Var Forward(const float* inputs, int rows);
  // The most probable of these points (the first among equals). REQUIRES: points not empty.
  int64_t Propose(const std::vector<hw::Layer>& layers, double area_max,
                  const std::vector<int64_t>& points);

  engine::Tape& tape() { return tape_; }
  engine::Adam& adam() { return adam_; }
  engine::ThreadPool& pool() { return pool_; }

  engine::Status Save(const std::string& path) const;
  // The head alone; then the space can be made and the rest be read. Errors: damaged, not an agent,
  // of another version.
  static engine::Result<Head> LoadHead(const std::string& path);
  // Errors: of another hardware space than the one given.
  static engine::Result<std::unique_ptr<Proposer>> Load(const std::string& path,
                                                        const hw::DesignSpace& space,
                                                        engine::ThreadPool& pool);

 private:
  std::vector<int> sizes_, offsets_;
  std::vector<int> pair_offsets_;  // by head and later head
  int terms_ = 0;
  uint64_t space_print_ = 0;
  engine::ThreadPool& pool_;
  engine::Tape tape_;
  engine::Rng init_;
  rl::Mlp mlp_;
  engine::Adam adam_;
};

}  // namespace rhnas::search
