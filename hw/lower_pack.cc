// Plain operands to a program's DRAM and back.
#include <algorithm>
#include <cstddef>

#include "hw/chain.h"
#include "hw/lower.h"
#include "hw/lower_generator.h"

namespace rhnas::hw {
namespace {

size_t At(int64_t index) { return static_cast<size_t>(index); }

bool CheckSize(const char* name, size_t have, int64_t need, std::string* why) {
  if (static_cast<int64_t>(have) == need) return true;
  if (why != nullptr) {
    *why = std::string(name) + ": have " + std::to_string(have) + " values, need " +
           std::to_string(need);
  }
  return false;
}

// fn(plain index, byte in the region) for every value of a map.
template <typename Fn>
void ForMap(const MapLayout& map, const Config& config, int block, int images, int channels,
            const Fn& fn) {
  const int width = map.cols - 2 * map.border;
  const int64_t element = int64_t{config.batch()} * block;
  int64_t plain = 0;
  for (int n = 0; n < images; ++n) {
    for (int c = 0; c < channels; ++c) {
      const int unit = c / (block * map.split);
      const int part = c / block % map.split;
      const int64_t lane = int64_t{n % config.batch()} * block + c % block;
      for (int y = 0; y < map.rows; ++y) {
        for (int x = 0; x < width; ++x) {
          const int64_t at = map.Address(n / config.batch(), unit, y, x + map.border) + part;
          fn(plain++, at * element + lane);
        }
      }
    }
  }
}

void PackMap(const MapLayout& map, const Config& config, int images, int channels,
             const std::vector<int8_t>& plain, std::vector<uint8_t>* region) {
  ForMap(map, config, config.block_in(), images, channels, [&](int64_t from, int64_t to) {
    (*region)[At(to)] = static_cast<uint8_t>(plain[At(from)]);
  });
}

// Where a shuffle's output channel comes from.
int Shuffled(int channel, int channels, int groups) {
  return channel % groups * (channels / groups) + channel / groups;
}

// The weight between two channels, whatever the kind; channels count within their copy.
class Weights {
 public:
  // `layer` as the network has it; shuffled: groups of a shuffle of its output channels.
  Weights(const Layer& layer, int shuffled, const std::vector<int8_t>& filter)
      : layer_(layer), shuffled_(shuffled), filter_(filter) {
    if (layer.kind == LayerKind::kAvgPool || layer.kind == LayerKind::kGlobalAvgPool) {
      constant_ = static_cast<int8_t>(PoolScaleOf(AverageTaps(layer)).multiplier);
    }
  }

  int8_t Constant() const { return constant_; }

  int8_t operator()(int out, int in, int row, int col) const {
    if (layer_.kind == LayerKind::kShuffle) {
      const int groups = std::max(1, layer_.groups);
      return out < layer_.c && in == Shuffled(out, layer_.c, groups) ? 1 : 0;
    }
    const bool dense = layer_.kind == LayerKind::kDense;
    const int groups = dense ? 1 : layer_.groups;
    const int per_in = layer_.c / groups, per_out = layer_.k / groups;
    if (out >= layer_.k || in >= layer_.c) return 0;
    out = Shuffled(out, layer_.k, shuffled_);
    if (out / per_out != in / per_in) return 0;
    const int taps_r = dense ? 1 : layer_.r, taps_s = dense ? 1 : layer_.s;
    return filter_[At(((int64_t{out} * per_in + in % per_in) * taps_r + row) * taps_s + col)];
  }

 private:
  const Layer& layer_;
  const int shuffled_;
  const std::vector<int8_t>& filter_;
  int8_t constant_ = 1;
};

// `pairs` diagonal tensors from `first`.
void PackDiagonal(const LoweredProgram& lowered, int8_t value, int64_t first, int pairs,
                  std::vector<uint8_t>* region) {
  const Config& config = lowered.program.config;
  const Work& work = lowered.work;
  const int in = config.block_in(), out = config.block_out();
  for (int pair = 0; pair < pairs; ++pair) {
    const int out_block = work.out_split > 1 ? pair : 0;
    const int in_block = work.in_split > 1 ? pair : 0;
    for (int o = 0; o < out; ++o) {
      for (int i = 0; i < in; ++i) {
        if (out_block * out + o != in_block * in + i) continue;
        (*region)[At(((first + pair) * out + o) * in + i)] = static_cast<uint8_t>(value);
      }
    }
  }
}

void PackWeights(const LoweredProgram& lowered, const Weights& weights,
                 std::vector<uint8_t>* region) {
  const Config& config = lowered.program.config;
  const Work& work = lowered.work;
  const ChainParts parts(lowered.chain);
  const Layer& layer = parts.array;
  const int in = config.block_in(), out = config.block_out();
  const int unit = std::max(in, out);
  const bool split_rows = lowered.tiling.split_rows;
  const int split = split_rows ? layer.r : 1;
  const bool lists = work.private_inputs && !layer.depthwise();
  const int tap_rows = work.r, tap_cols = work.s;
  // Channels of an aligned group begin at a unit.
  const int64_t in_copy = work.copies > 1 ? layer.c / layer.groups : 0;
  const int64_t out_copy = work.copies > 1 ? layer.k / layer.groups : 0;
  int64_t at = 0;
  for (int64_t copy = 0; copy < work.copies; ++copy) {
    for (int o = 0; o < work.out_units; ++o) {
      const std::vector<int> sources =
          lists ? SourceUnits(layer, work.in_units / split, unit, o) : std::vector<int>();
      for (int i = 0; i < work.in_units; ++i) {
        int source = i / split;
        if (lists) source = sources[At(source)];
        if (layer.depthwise()) source = o;
        for (int row = 0; row < tap_rows; ++row) {
          for (int col = 0; col < tap_cols; ++col) {
            for (int pair = 0; pair < work.pair_uops; ++pair) {
              const int out_block = work.out_split > 1 ? pair : 0;
              const int in_block = work.in_split > 1 ? pair : 0;
              for (int a = 0; a < out; ++a) {
                const int64_t k = int64_t{o} * unit + out_block * out + a;
                for (int b = 0; b < in; ++b, ++at) {
                  const int64_t c = int64_t{source} * unit + in_block * in + b;
                  if (work.copies > 1 && (k >= out_copy || c >= in_copy)) continue;
                  (*region)[At(at)] = static_cast<uint8_t>(weights(
                      static_cast<int>(copy * out_copy + k), static_cast<int>(copy * in_copy + c),
                      split_rows ? i % split : row, col));
                }
              }
            }
          }
        }
      }
    }
  }
}

// A value for each output channel, in the order of the slots of a unit.
struct Slot {
  const Layer* layer = nullptr;
  const Operands::Weights* weights = nullptr;
  int tap = -1;  // -1: the bias
  int shuffled = 1;
  int32_t operator()(int channel) const {
    const int k = Shuffled(channel, layer->k, shuffled);
    if (tap >= 0) return weights->filter[At(int64_t{k} * layer->r * layer->s + tap)];
    return weights->bias.empty() ? 0 : weights->bias[At(k)];
  }
};

void PackAccumulators(const LoweredProgram& lowered, const Operands& operands,
                      std::vector<uint8_t>* region) {
  const Config& config = lowered.program.config;
  const Work& work = lowered.work;
  const std::vector<Layer>& chain = lowered.chain;
  const int out = config.block_out(), unit = std::max(config.block_in(), out);
  std::vector<Slot> slots;
  // The layer whose bias comes last: of the window where there is one.
  size_t last = 0;
  for (size_t i = 1; work.fused && i < chain.size(); ++i) {
    if (chain[i].kind != LayerKind::kShuffle && chain[i].kind != LayerKind::kAdd) last = i;
  }
  if (work.filled_bias) slots.push_back({&chain[0], &operands.layer[0], -1, work.shuffle_groups});
  const int shuffled = last == 0 ? work.shuffle_groups : 1;
  if (work.bias) slots.push_back({&chain[last], &operands.layer[last], -1, shuffled});
  if (work.engine == Work::Engine::kAluDepthwise) {
    for (int tap = 0; tap < chain[last].r * chain[last].s; ++tap) {
      slots.push_back({&chain[last], &operands.layer[last], tap, 1});
    }
  }
  const int64_t per_copy = chain[0].k / work.copies;
  int64_t at = 0;
  for (int64_t o = 0; o < work.copies * work.out_units; ++o) {
    for (const Slot& slot : slots) {
      for (int block = 0; block < work.out_blocks; ++block) {
        for (int n = 0; n < config.batch(); ++n) {
          for (int lane = 0; lane < out; ++lane, at += 4) {
            const int64_t local = o % work.out_units * unit + block * out + lane;
            if (local >= per_copy) continue;
            const int64_t k = o / work.out_units * per_copy + local;
            const auto bits = static_cast<uint32_t>(slot(static_cast<int>(k)));
            for (int byte = 0; byte < 4; ++byte) {
              (*region)[At(at + byte)] = static_cast<uint8_t>(bits >> (8 * byte));
            }
          }
        }
      }
    }
  }
}

}  // namespace

bool PackOperands(const LoweredProgram& lowered, const Operands& operands, DramImage* image,
                  std::string* why) {
  const Program& program = lowered.program;
  const Work& work = lowered.work;
  const std::vector<Layer>& chain = lowered.chain;
  const OperandSizes sizes = SizesOf(chain);
  if (!CheckSize("layers of operands", operands.layer.size(), static_cast<int64_t>(chain.size()),
                 why) ||
      !CheckSize("input", operands.input.size(), sizes.input, why) ||
      !CheckSize("residual", operands.residual.size(), sizes.residual, why)) {
    return false;
  }
  for (size_t i = 0; i < chain.size(); ++i) {
    const Operands::Weights& weights = operands.layer[i];
    if (!CheckSize("filter", weights.filter.size(), sizes.filter[i], why) ||
        (!weights.bias.empty() && !CheckSize("bias", weights.bias.size(), sizes.bias[i], why))) {
      return false;
    }
  }
  for (const MemoryId memory : {MemoryId::kWgt, MemoryId::kInp, MemoryId::kAcc, MemoryId::kOut}) {
    image->region[static_cast<size_t>(memory)].assign(
        At(program.region(memory) * ElementBytes(program.config, memory)), 0);
  }
  auto& inputs = image->region[static_cast<size_t>(MemoryId::kInp)];
  PackMap(lowered.input, program.config, chain[0].n, chain[0].c, operands.input, &inputs);
  if (sizes.residual > 0) {
    PackMap(lowered.residual, program.config, chain.back().n, chain.back().c, operands.residual,
            &inputs);
  }
  auto& weights = image->region[static_cast<size_t>(MemoryId::kWgt)];
  const Weights values(chain[0], work.shuffle_groups, operands.layer[0].filter);
  if (work.constant_weights) {
    PackDiagonal(lowered, values.Constant(), 0, work.pair_uops, &weights);
  } else {
    PackWeights(lowered, values, &weights);
  }
  if (work.residual) {
    PackDiagonal(lowered, 1, program.region(MemoryId::kWgt) - work.residual_uops,
                 work.residual_uops, &weights);
  }
  if (program.region(MemoryId::kAcc) > 0) {
    PackAccumulators(lowered, operands, &image->region[static_cast<size_t>(MemoryId::kAcc)]);
  }
  return true;
}

std::vector<int8_t> UnpackOutput(const LoweredProgram& lowered, const DramImage& image) {
  const Layer& layer = lowered.chain.back();
  const Config& config = lowered.program.config;
  std::vector<int8_t> plain(At(SizesOf(lowered.chain).output));
  const bool weighted = layer.kind == LayerKind::kConv || layer.kind == LayerKind::kDense;
  const std::vector<uint8_t>& region = image.region[static_cast<size_t>(MemoryId::kOut)];
  ForMap(lowered.output, config, config.block_out(), layer.n, weighted ? layer.k : layer.c,
         [&](int64_t to, int64_t from) { plain[At(to)] = static_cast<int8_t>(region[At(from)]); });
  return plain;
}

}  // namespace rhnas::hw
