#include "hw/chain.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

bool IsWindow(const Layer& layer) {
  return layer.depthwise() || layer.kind == LayerKind::kMaxPool ||
         layer.kind == LayerKind::kAvgPool || layer.kind == LayerKind::kGlobalAvgPool;
}

// The layers by their place in a chain; null: absent.
struct Parts {
  const Layer* array = nullptr;
  const Layer* shuffle = nullptr;
  const Layer* window = nullptr;
  const Layer* add = nullptr;
};

bool Fail(std::string* why, const Layer& layer, const std::string& what) {
  if (why != nullptr) *why = "chain at layer " + layer.name + ": " + what;
  return false;
}

bool Feeds(const Layer& layer, const Layer& next) {
  const bool weighted = layer.kind == LayerKind::kConv || layer.kind == LayerKind::kDense;
  int h = layer.h, w = layer.w;
  if (layer.kind == LayerKind::kGlobalAvgPool) {
    h = w = 1;
  } else if (layer.kind == LayerKind::kConv || IsWindow(layer)) {
    h = layer.oh();
    w = layer.ow();
  }
  return next.n == layer.n && next.h == h && next.w == w &&
         next.c == (weighted ? layer.k : layer.c);
}

bool FindParts(const Layer* layers, int count, Parts* parts, std::string* why) {
  parts->array = &layers[0];
  const bool conv = layers[0].kind == LayerKind::kConv;
  if (!conv && layers[0].kind != LayerKind::kDense) {
    return Fail(why, layers[0], "a chain begins with a convolution or a dense layer");
  }
  if (count > kMostChained) return Fail(why, layers[0], "a chain has at most 3 layers");
  for (int i = 0; i < count; ++i) {  // before anything divides by them
    if (layers[i].stride < 1 || layers[i].groups < 1) {
      return Fail(why, layers[i], "stride or groups are 0, need at least 1");
    }
  }
  for (int i = 1; i < count; ++i) {
    const Layer& layer = layers[i];
    if (!layer.chained) return Fail(why, layer, "its input is not only the layer before's output");
    if (!Feeds(layers[i - 1], layer)) {
      return Fail(why, layer, "its input is not the shape that the layer before puts out");
    }
    const bool dense_shuffle = layer.kind == LayerKind::kShuffle && !layers[0].depthwise();
    if (dense_shuffle && layer.c % layer.groups != 0) {
      return Fail(why, layer, "its groups do not divide its channels");
    }
    if (conv && dense_shuffle && i == 1) {
      parts->shuffle = &layer;
    } else if (conv && IsWindow(layer) && parts->window == nullptr && parts->add == nullptr) {
      parts->window = &layer;
    } else if (layer.kind == LayerKind::kAdd && parts->add == nullptr) {
      parts->add = &layer;
    } else {
      return Fail(why, layer, "no part of a chain in this place");
    }
  }
  return true;
}

int ClipOps(bool relu, const Config& config) { return relu || !config.clp ? 2 : 1; }

bool AddWindow(const Parts& parts, const Config& config, Work* work, std::string* why) {
  const Layer& layer = *parts.window;
  Work window;  // alone: its shape is checked as any layer's, and its pads are its own
  if (!MakeWork(layer, config, &window, why)) return false;
  work->fused = true;
  work->filled_bias = work->bias;
  work->filled_ops = work->immediate_ops;
  work->bias = false;
  work->immediate_ops = 0;
  work->alu = {layer.r, layer.s, layer.stride, layer.pad};
  work->useful_macs += layer.macs();
  if (layer.depthwise()) {
    if (!config.clp) return Fail(why, layer, "depthwise on the ALU takes the extended VTA's MUL");
    work->engine = Work::Engine::kAluDepthwise;
    work->bias = layer.bias;
    work->immediate_ops = 1 + ClipOps(layer.relu, config);
  } else if (layer.kind == LayerKind::kMaxPool) {
    work->engine = Work::Engine::kAluMaxPool;
  } else {
    work->engine = Work::Engine::kAluAvgPool;
    if (layer.kind == LayerKind::kGlobalAvgPool) {
      work->alu = {layer.h, layer.w, 1, 0};
    }
    const PoolScale scale = PoolScaleOf(work->alu.taps());
    if (!scale.power_of_two()) {
      if (!config.clp) {
        return Fail(why, layer,
                    std::to_string(work->alu.taps()) +
                        " taps are no power of two, which takes the extended VTA's MUL");
      }
      work->pool_scale = scale.multiplier;
      ++work->filled_ops;
    }
    work->immediate_ops = 1 + ClipOps(false, config);  // of averages, always to both ends
  }
  work->rows = (work->filled_rows + 2 * work->alu.pad - work->alu.r) / work->alu.stride + 1;
  work->cols = (work->filled_cols + 2 * work->alu.pad - work->alu.s) / work->alu.stride + 1;
  return true;
}

}  // namespace

PoolScale PoolScaleOf(int64_t taps) {
  PoolScale scale;
  for (int shift = 14; shift > 0; --shift) {
    const int64_t multiplier = ((int64_t{2} << shift) / taps + 1) / 2;  // rounded
    if (multiplier > 127) continue;
    scale.multiplier = static_cast<int>(std::max<int64_t>(1, multiplier));
    scale.shift = shift;
    break;
  }
  return scale;
}

bool MakeChainWork(const Layer* layers, int count, const Config& config, Work* work,
                   std::string* why) {
  if (count == 1) return MakeWork(layers[0], config, work, why);
  Parts parts;
  if (!FindParts(layers, count, &parts, why)) return false;
  if (parts.shuffle != nullptr) {
    Layer dense = *parts.array;
    dense.groups = 1;
    if (!MakeWork(dense, config, work, why)) return false;
    work->useful_macs = parts.array->macs();
    work->shuffle_groups = parts.shuffle->groups;
  } else if (!MakeWork(*parts.array, config, work, why)) {
    return false;
  }
  if (parts.window != nullptr && !AddWindow(parts, config, work, why)) return false;
  if (parts.add != nullptr) {
    work->residual = true;
    work->residual_ops = ClipOps(parts.add->relu, config);
    work->residual_uops = std::max(work->out_blocks, work->in_split);
  }
  return true;
}

bool MayChain(const Layer* layers, int count) {
  Parts parts;
  return FindParts(layers, count, &parts, nullptr);
}

bool SameShape(const Layer& a, const Layer& b) {
  return a.kind == b.kind && a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c && a.k == b.k &&
         a.r == b.r && a.s == b.s && a.stride == b.stride && a.pad == b.pad &&
         a.groups == b.groups && a.bias == b.bias && a.relu == b.relu;
}

}  // namespace rhnas::hw
