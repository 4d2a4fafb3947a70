#include "hw/operands.h"

#include <algorithm>
#include <cmath>

namespace rhnas::hw {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // SplitMix64 (Steele, Lea, Flood 2014).
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [-most, most].
  int Symmetric(int most) {
    const auto range = static_cast<uint64_t>(most) * 2 + 1;
    return static_cast<int>(Next() % range) - most;
  }

 private:
  uint64_t state_;
};

std::vector<int8_t> Bytes(int64_t count, Random* random) {
  std::vector<int8_t> bytes(static_cast<size_t>(count));
  for (int8_t& byte : bytes) byte = static_cast<int8_t>(random->Next() >> 56);
  return bytes;
}

bool Weighted(const Layer& layer) {
  return layer.kind == LayerKind::kConv || layer.kind == LayerKind::kDense;
}

// Products that one output sums.
int64_t Terms(const Layer& layer) {
  return layer.kind == LayerKind::kDense ? layer.c
                                         : int64_t{layer.c / layer.groups} * layer.r * layer.s;
}

}  // namespace

OperandSizes SizesOf(const std::vector<Layer>& chain) {
  OperandSizes sizes;
  if (chain.empty()) return sizes;
  const Layer& first = chain.front();
  sizes.input = int64_t{first.n} * first.c * first.h * first.w;
  for (const Layer& layer : chain) {
    const bool weighted = Weighted(layer);
    sizes.filter.push_back(weighted ? layer.k * Terms(layer) : 0);
    sizes.bias.push_back(weighted && layer.bias ? layer.k : 0);
    if (layer.kind == LayerKind::kAdd) {
      sizes.residual = int64_t{layer.n} * layer.c * layer.h * layer.w;
    }
    const bool single = layer.kind == LayerKind::kGlobalAvgPool;
    sizes.output = int64_t{layer.n} * (weighted ? layer.k : layer.c) *
                   (single ? 1 : int64_t{layer.oh()} * layer.ow());
  }
  return sizes;
}

Operands RandomOperands(const std::vector<Layer>& chain, int shift, uint64_t seed) {
  Random random(seed);
  Operands operands;
  const OperandSizes sizes = SizesOf(chain);
  operands.input = Bytes(sizes.input, &random);
  operands.residual = Bytes(sizes.residual, &random);
  for (size_t i = 0; i < chain.size(); ++i) {
    Operands::Weights weights;
    // Standard deviations: 74 of an input, most / sqrt(3) of a weight, 48 wanted of a result.
    const double wanted = std::ldexp(48 / 74.0 * 1.73, shift);
    const double terms = static_cast<double>(std::max<int64_t>(Terms(chain[i]), 1));
    const int most = std::clamp(static_cast<int>(wanted / std::sqrt(terms)), 1, 127);
    weights.filter.resize(static_cast<size_t>(sizes.filter[i]));
    for (int8_t& weight : weights.filter) weight = static_cast<int8_t>(random.Symmetric(most));
    weights.bias.resize(static_cast<size_t>(sizes.bias[i]));
    for (int32_t& bias : weights.bias) {
      // Now and then an extreme: accumulators wrap.
      bias = random.Next() % 64 == 0 ? static_cast<int32_t>(random.Next() >> 32)
                                     : random.Symmetric(48 << std::min(shift, 20));
    }
    operands.layer.push_back(weights);
  }
  return operands;
}

}  // namespace rhnas::hw
