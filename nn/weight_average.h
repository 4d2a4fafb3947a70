// A running average of a network's weights and batch-norm statistics, which generalises a little
// better than the weights of any one step (Polyak and Juditsky 1992; exponential as in Szegedy et
// al., CVPR 2016, section 8).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/tensor.h"
#include "nn/supernet.h"

namespace rhnas::nn {

class WeightAverage {
 public:
  // Of the weights along `path` of `net`, which must outlive it. Begins as they are now. With a
  // decay of 0 it is always the weights of the last update. REQUIRES: 0 <= decay < 1.
  WeightAverage(Supernet& net, const Genotype& path, float decay);

  // average += (1 - d) (weights - average), d = min(decay, (1 + n) / (10 + n)) at update n: the
  // first steps, far from anything good, are soon forgotten. Allocates nothing.
  void Update();
  // Exchanges the network's weights and statistics with the average, to evaluate or save it; a
  // second call puts them back. Costs nothing. REQUIRES: swapped back before the next Update.
  void Swap();
  // The average as it is now, and the average as such a copy; for keeping the best.
  void CopyTo(std::vector<float>* values) const;
  void CopyFrom(const std::vector<float>& values);

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  std::vector<engine::Buffer*> weights_;  // and statistics
  std::vector<engine::Buffer> average_;
  int64_t size_ = 0;
  float decay_;
  int64_t updates_ = 0;
};

}  // namespace rhnas::nn
