#include "hw/reference.h"

#include <algorithm>
#include <cmath>

namespace rhnas::hw {
namespace {

// A feature map and its sizes.
struct Map {
  int n = 0, c = 0, h = 0, w = 0;
  std::vector<int8_t> value;
  Map() = default;
  Map(int images, int channels, int rows, int cols)
      : n(images),
        c(channels),
        h(rows),
        w(cols),
        value(static_cast<size_t>(int64_t{images} * channels * rows * cols)) {}
  size_t Index(int image, int channel, int row, int col) const {
    return static_cast<size_t>(((int64_t{image} * c + channel) * h + row) * w + col);
  }
  bool Inside(int row, int col) const { return row >= 0 && row < h && col >= 0 && col < w; }
  int At(int image, int channel, int row, int col) const {
    return value[Index(image, channel, row, col)];
  }
};

int8_t Clip(int64_t x, int low) { return static_cast<int8_t>(std::clamp<int64_t>(x, low, 127)); }

int32_t Wrap(int64_t x) { return static_cast<int32_t>(static_cast<uint32_t>(x)); }

int64_t Convolve(const Layer& layer, const Map& in, const std::vector<int8_t>& filter, int image,
                 int k, int row, int col) {
  const int per_in = layer.c / layer.groups;
  const int group = k / (layer.k / layer.groups);
  int64_t sum = 0;
  for (int c = 0; c < per_in; ++c) {
    for (int r = 0; r < layer.r; ++r) {
      for (int s = 0; s < layer.s; ++s) {
        const int y = row * layer.stride + r - layer.pad, x = col * layer.stride + s - layer.pad;
        if (!in.Inside(y, x)) continue;
        const int64_t weight = (((int64_t{k} * per_in + c) * layer.r + r) * layer.s + s);
        sum += in.At(image, group * per_in + c, y, x) * filter[static_cast<size_t>(weight)];
      }
    }
  }
  return sum;
}

int8_t Pool(const Layer& layer, const Map& in, int image, int c, int row, int col) {
  const bool global = layer.kind == LayerKind::kGlobalAvgPool;
  const int rows = global ? in.h : layer.r, cols = global ? in.w : layer.s;
  int sum = 0, most = -128;
  for (int r = 0; r < rows; ++r) {
    for (int s = 0; s < cols; ++s) {
      const int y = global ? r : row * layer.stride + r - layer.pad;
      const int x = global ? s : col * layer.stride + s - layer.pad;
      if (!in.Inside(y, x)) continue;
      sum += in.At(image, c, y, x);
      most = std::max(most, in.At(image, c, y, x));
    }
  }
  if (layer.kind == LayerKind::kMaxPool) return static_cast<int8_t>(most);
  const Reciprocal reciprocal = ReciprocalOf(rows * cols);
  return Clip((int64_t{reciprocal.multiplier} * sum) >> reciprocal.shift, -127);
}

Map Run(const Layer& layer, const Map& in, const Operands& operands,
        const Operands::Weights& weights, int shift) {
  const bool weighted = layer.kind == LayerKind::kConv || layer.kind == LayerKind::kDense;
  const bool global = layer.kind == LayerKind::kGlobalAvgPool;
  Map out(layer.n, weighted ? layer.k : layer.c, global ? 1 : layer.oh(), global ? 1 : layer.ow());
  const int low = layer.relu ? 0 : -127;
  for (int image = 0; image < out.n; ++image) {
    for (int j = 0; j < out.c; ++j) {
      for (int row = 0; row < out.h; ++row) {
        for (int col = 0; col < out.w; ++col) {
          int8_t& y = out.value[out.Index(image, j, row, col)];
          switch (layer.kind) {
            case LayerKind::kConv:
            case LayerKind::kDense: {
              int64_t sum = Convolve(layer, in, weights.filter, image, j, row, col);
              if (layer.bias) sum += weights.bias[static_cast<size_t>(j)];
              y = Clip(Wrap(sum) >> shift, low);
              break;
            }
            case LayerKind::kAdd:
              y = Clip(in.At(image, j, row, col) + operands.residual[out.Index(image, j, row, col)],
                       low);
              break;
            case LayerKind::kConcat:
              y = in.value[in.Index(image, j, row, col)];
              break;
            case LayerKind::kShuffle: {
              const int from = j % layer.groups * (layer.c / layer.groups) + j / layer.groups;
              y = in.value[in.Index(image, from, row, col)];
              break;
            }
            default:
              y = Pool(layer, in, image, j, row, col);
          }
        }
      }
    }
  }
  return out;
}

bool Refuse(std::string* why, const std::string& what) {
  if (why != nullptr) *why = what;
  return false;
}

bool CheckSize(const char* what, size_t have, int64_t need, std::string* why) {
  if (static_cast<int64_t>(have) == need) return true;
  return Refuse(why, std::string(what) + ": need " + std::to_string(need) + " values, have " +
                         std::to_string(have));
}

}  // namespace

Reciprocal ReciprocalOf(int taps) {
  Reciprocal best;
  for (int shift = 0; shift <= 14; ++shift) {
    const int multiplier = static_cast<int>(std::lround(std::ldexp(1.0, shift) / taps));
    if (multiplier >= 1 && multiplier <= 127) best = {multiplier, shift};
  }
  return best;
}

bool Reference(const std::vector<Layer>& chain, const Operands& operands, int shift,
               std::vector<int8_t>* output, std::string* why) {
  const OperandSizes sizes = SizesOf(chain);
  if (chain.empty() || !CheckSize("layers of operands", operands.layer.size(),
                                  static_cast<int64_t>(chain.size()), why)) {
    return false;
  }
  if (!CheckSize("input", operands.input.size(), sizes.input, why) ||
      !CheckSize("residual", operands.residual.size(), sizes.residual, why)) {
    return false;
  }
  const Layer& first = chain.front();
  Map map(first.n, first.c, first.h, first.w);
  map.value = operands.input;
  for (size_t i = 0; i < chain.size(); ++i) {
    const Layer& layer = chain[i];
    if (layer.n != map.n || layer.c != map.c || layer.h != map.h || layer.w != map.w) {
      return Refuse(why, "layer " + std::to_string(i + 1) + " of the chain reads " +
                             std::to_string(layer.c) + "x" + std::to_string(layer.h) + "x" +
                             std::to_string(layer.w) + ", the one before it writes " +
                             std::to_string(map.c) + "x" + std::to_string(map.h) + "x" +
                             std::to_string(map.w));
    }
    const Operands::Weights& weights = operands.layer[i];
    if (!CheckSize("filter", weights.filter.size(), sizes.filter[i], why) ||
        !CheckSize("bias", weights.bias.size(), sizes.bias[i], why)) {
      return false;
    }
    map = Run(layer, map, operands, weights, shift);
  }
  *output = std::move(map.value);
  return true;
}

}  // namespace rhnas::hw
