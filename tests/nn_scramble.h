// A network with weights and statistics that are not those of its start, and images for it.
#pragma once

#include <string>
#include <vector>

#include "engine/random.h"
#include "nn/supernet.h"

namespace rhnas::nn {

// Weights and running statistics away from their start, where residual branches are nothing and
// batch norm is the identity.
inline void Scramble(Supernet& net, const Genotype& path) {
  engine::Rng rng(5);
  for (engine::Parameter* weight : net.weights(path)) {
    const bool gamma = weight->name.find("/gamma") != std::string::npos;
    const bool shift = weight->name.find("/beta") != std::string::npos ||
                       weight->name.find("/bias") != std::string::npos;
    for (int64_t i = 0; i < weight->value.size(); ++i) {
      if (gamma) weight->value[i] = 0.5f + rng.Uniform();
      if (shift) weight->value[i] = 0.3f * rng.Normal();
    }
  }
  for (const NamedBuffer& statistic : net.statistics(path)) {
    const bool mean = statistic.name.find("running_mean") != std::string::npos;
    for (int64_t i = 0; i < statistic.buffer->size(); ++i) {
      (*statistic.buffer)[i] = mean ? 0.3f * rng.Normal() : 0.5f + rng.Uniform();
    }
  }
}

inline std::vector<float> ScrambledImages(const Space& space, int count) {
  std::vector<float> images(static_cast<size_t>(count * space.h * space.w * space.c));
  engine::Rng rng(3);
  for (float& x : images) x = rng.Normal();
  return images;
}

}  // namespace rhnas::nn
