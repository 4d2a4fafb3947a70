#include "hw/work.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "hw/layout.h"

namespace rhnas::hw {
namespace {

// Padding of a LOAD is counted in scratchpad elements and has 4 bits.
constexpr int kMaxPad = 15;
// Of a layer, lanes that pad included; no network comes near. Cycles in ticks and bytes, some ten
// thousand times as many, stay within 64 bits.
constexpr double kMostMacs = 1e14;

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

// Input units that the channels of one output unit draw from, the most of any: group g of outputs
// reads channels [g * per_group_in, (g + 1) * per_group_in).
int UnitsCovered(int unit, int channels_out, int per_group_in, int per_group_out) {
  int most = 1;
  for (int first = 0; first < channels_out; first += unit) {
    const int last = std::min(first + unit, channels_out) - 1;
    const int low = first / per_group_out * per_group_in;
    const int high = (last / per_group_out + 1) * per_group_in - 1;
    most = std::max(most, high / unit - low / unit + 1);
  }
  return most;
}

bool Fail(std::string* why, const Layer& layer, const std::string& what) {
  if (why != nullptr) *why = "layer " + layer.name + ": " + what;
  return false;
}

// The array part only copies the map that the window goes over.
Work WindowAlone(const Work& window) {
  Work work = window;
  work.alu = {work.r, work.s, work.stride, work.pad};
  work.r = work.s = work.stride = 1;
  if (work.col_pad < work.pad) work.in_cols -= 2 * work.pad;
  work.pad = work.col_pad = 0;
  work.filled_rows = work.in_rows;
  work.filled_cols = work.in_cols;
  return work;
}

bool CheckShape(const Layer& layer, std::string* why) {
  const int sizes[] = {layer.n, layer.h, layer.w,      layer.c,
                       layer.r, layer.s, layer.stride, layer.groups};
  for (const int size : sizes) {
    if (size < 1)
      return Fail(why, layer, "a size is " + std::to_string(size) + ", need at least 1");
  }
  // No network comes near; sums of two such sizes stay within 32 bits.
  for (const int size : {layer.h, layer.w, layer.c, layer.k, layer.n, layer.r, layer.s,
                         layer.stride, layer.groups}) {
    if (size > 65535) {
      return Fail(why, layer, "a size is " + std::to_string(size) + ", have at most 65535");
    }
  }
  if (layer.pad < 0 || layer.pad > kMaxPad) {
    return Fail(why, layer, "padding is " + std::to_string(layer.pad) + ", have 0 to 15");
  }
  const bool window = layer.kind == LayerKind::kConv || layer.kind == LayerKind::kMaxPool ||
                      layer.kind == LayerKind::kAvgPool;
  if (window && (layer.h + 2 * layer.pad < layer.r || layer.w + 2 * layer.pad < layer.s)) {
    return Fail(why, layer, "the window is larger than the padded input");
  }
  const bool weighted = layer.kind == LayerKind::kConv || layer.kind == LayerKind::kDense;
  if (weighted && layer.k < 1) return Fail(why, layer, "has no output channels");
  // Pixels, taps and sums of one output are 32 bits, all else 64.
  const double pixels = (layer.h + 2.0 * layer.pad) * (layer.w + 2.0 * layer.pad);
  const double taps = window ? 1.0 * layer.r * layer.s : 1.0;
  if (pixels > INT32_MAX || taps * layer.c > INT32_MAX || pixels * layer.n * layer.c > kMostMacs ||
      pixels * layer.n * taps * (weighted ? 1.0 * layer.k * layer.c / layer.groups : layer.c) >
          kMostMacs) {
    return Fail(why, layer, "is too large to count");
  }
  if (layer.kind == LayerKind::kShuffle && layer.c % layer.groups != 0) {
    return Fail(why, layer,
                std::to_string(layer.groups) + " groups do not divide " + std::to_string(layer.c) +
                    " channels");
  }
  if (layer.kind == LayerKind::kConv &&
      (layer.c % layer.groups != 0 || layer.k % layer.groups != 0)) {
    return Fail(why, layer,
                std::to_string(layer.groups) + " groups do not divide " + std::to_string(layer.c) +
                    " to " + std::to_string(layer.k) + " channels");
  }
  return true;
}

bool Describe(const Layer& layer, const Config& config, Work* work, std::string* why) {
  const int unit = std::max(config.block_in(), config.block_out());
  const int out_split = unit / config.block_out();
  const int in_split = unit / config.block_in();
  *work = Work();
  work->batches = CeilDiv(layer.n, config.batch());
  work->unit_bytes = config.batch() * unit;
  work->out_split = work->out_blocks = out_split;
  work->in_split = work->in_blocks = in_split;
  work->in_rows = layer.h;
  work->in_cols = layer.w;
  work->rows = layer.h;
  work->cols = layer.w;
  work->useful_macs = layer.macs();
  // SHR, then both ends of the clip: CLP is symmetric, so with a ReLU it saves nothing.
  work->immediate_ops = layer.relu || !config.clp ? 3 : 2;
  const auto window = [&] {
    work->rows = layer.oh();
    work->cols = layer.ow();
    work->r = layer.r;
    work->s = layer.s;
    work->stride = layer.stride;
    work->pad = work->col_pad = layer.pad;
    if (layer.pad * in_split > kMaxPad) {  // such maps lie in memory with their border
      work->col_pad = 0;
      work->in_cols = layer.w + 2 * layer.pad;
    }
  };
  // Feature maps that are copied or summed unit by unit.
  const auto diagonal = [&](int channels, int units_in) {
    work->out_units = CeilDiv(channels, unit);
    work->in_units = units_in;
    work->private_inputs = true;
    work->pair_uops = std::max(out_split, in_split);
    work->constant_weights = true;
  };
  switch (layer.kind) {
    case LayerKind::kConv: {
      window();
      work->bias = layer.bias;
      const int per_in = layer.c / layer.groups;
      const int per_out = layer.k / layer.groups;
      if (layer.depthwise()) {
        diagonal(layer.c, 1);
        work->constant_weights = false;
        return true;
      }
      const bool aligned = per_in % unit == 0 && per_out % unit == 0;
      if (layer.groups > 1 && !aligned) {
        diagonal(layer.k, UnitsCovered(unit, layer.k, per_in, per_out));
        work->pair_uops = out_split * in_split;
        work->constant_weights = false;
        return true;
      }
      work->copies = layer.groups;
      work->out_units = CeilDiv(per_out, unit);
      work->in_units = CeilDiv(per_in, unit);
      // Blocks of a single unit that are all padding are left out of the programs.
      work->out_blocks = work->out_units > 1 ? out_split : CeilDiv(per_out, config.block_out());
      work->in_blocks = work->in_units > 1 ? in_split : CeilDiv(per_in, config.block_in());
      work->pair_uops = work->out_blocks * work->in_blocks;
      return true;
    }
    case LayerKind::kDense:
      work->rows = layer.h;
      work->cols = layer.w;
      work->bias = layer.bias;
      work->one_load = layer.h == 1 && layer.w == 1;
      work->out_units = CeilDiv(layer.k, unit);
      work->in_units = CeilDiv(layer.c, unit);
      work->out_blocks = work->out_units > 1 ? out_split : CeilDiv(layer.k, config.block_out());
      work->in_blocks = work->in_units > 1 ? in_split : CeilDiv(layer.c, config.block_in());
      work->pair_uops = work->out_blocks * work->in_blocks;
      return true;
    case LayerKind::kMaxPool:
      window();
      diagonal(layer.c, 1);
      work->engine = Work::Engine::kAluMaxPool;
      *work = WindowAlone(*work);
      work->immediate_ops = 0;  // 8-bit in, 8-bit out
      return true;
    case LayerKind::kAvgPool:
      window();
      diagonal(layer.c, 1);
      work->immediate_ops = config.clp ? 2 : 3;
      return true;
    case LayerKind::kGlobalAvgPool: {
      // Every pixel is an input unit of a single output pixel: the sum splits at any point.
      diagonal(layer.c, layer.h * layer.w);
      work->rows = work->cols = work->in_rows = work->in_cols = 1;
      work->one_load = true;
      work->immediate_ops = config.clp ? 2 : 3;
      return true;
    }
    case LayerKind::kAdd:
      diagonal(layer.c, 2);
      work->immediate_ops -= 1;  // no shift
      return true;
    case LayerKind::kConcat:
      diagonal(layer.c, 1);
      work->immediate_ops = 0;
      return true;
    case LayerKind::kShuffle: {
      // Output channel j is input channel (j mod g) * (c / g) + j / g: a unit draws from g places.
      diagonal(layer.c, ShuffleUnits(layer.c, std::max(1, layer.groups), unit));
      work->pair_uops = out_split * in_split;
      work->constant_weights = false;
      work->immediate_ops = 0;
      return true;
    }
  }
  return Fail(why, layer, "unknown kind");
}

}  // namespace

bool MakeWork(const Layer& layer, const Config& config, Work* work, std::string* why) {
  if (!CheckShape(layer, why) || !Describe(layer, config, work, why)) return false;
  if (work->engine == Work::Engine::kArray) {
    work->filled_rows = work->rows;
    work->filled_cols = work->cols;
  }
  // With the lanes that pad.
  const double vectors = static_cast<double>(work->batches) * static_cast<double>(work->copies) *
                         work->filled_rows * work->filled_cols * work->out_units * work->in_units *
                         work->pair_uops * (work->taps() + work->alu.taps());
  if (vectors * static_cast<double>(config.macs_per_cycle()) > kMostMacs) {
    return Fail(why, layer, "is too large to count");
  }
  return true;
}

Work OnAlu(const Work& depthwise) {
  Work work = WindowAlone(depthwise);
  work.engine = Work::Engine::kAluDepthwise;
  work.constant_weights = true;  // the identity; the filter comes as accumulator vectors
  return work;
}

bool Splits(const Work& work) { return work.r > 1 && !work.constant_weights; }

Work SplitRows(const Work& convolution) {
  Work work = convolution;
  work.in_units *= work.r;
  work.split_taps = work.r;
  work.r = 1;
  return work;
}

}  // namespace rhnas::hw
