// When Winograd is faster than the direct kernels: an estimate of both, in cycles of one
// multiply-add of 16 lanes. From the shape alone: a choice by target or threads would change bits.
#include "engine/conv_winograd.h"
#include "engine/conv_winograd_internal.h"

namespace rhnas::engine::conv {

namespace {

// Fitted to both ways of 104 shapes and three passes, 3 to 256 channels, planes of 4x4 to 56x56, 1
// and 16 images (Zen 4, AVX-512, one thread): of 207 that it takes none was slower by more than
// the noise of the measurement, of the others it passes over some tenth of gain in 14. Cycles of a
// tile of 16 channels, with what it misses in caches:
constexpr double kLoadTile = 230, kStoreTile = 190, kLoadGradient = 160;
// of a filter of 16 output channels and one input channel, its transpose, and its gradient;
constexpr double kLoadFilter = 150, kTurnFilter = 50, kStoreFilter = 220;
// of a call, above that of the direct kernels.
constexpr double kCall = 1000;
// Winograd rounds more: it has to bring something.
constexpr double kGain = 1.1;

double Ceil(int64_t a, int64_t b) { return static_cast<double>(CeilDiv(a, b)); }

// Cycles of `rows` x `columns` outputs with `steps` multiply-adds each: register tiles of at most
// 14 rows and two vectors of columns, the last in halves; narrow ones wait for loads, few rows for
// the latency of the chains, and then there is what comes before and after the reduction.
double ProductCycles(int64_t rows, int64_t columns, double steps) {
  const double panels = Ceil(columns, 32), tiles = Ceil(rows, 14);
  const double vecs = Ceil(columns, 8) / 2 / panels;
  const double tile_rows = static_cast<double>(rows) / tiles;
  double step = tile_rows * vecs;
  if (step < 0.6 * tile_rows + vecs) step = 0.6 * tile_rows + vecs;
  if (step < 5) step = 5;
  return tiles * panels * ((step + 1) * steps + 3 * tile_rows * vecs + 40);
}

double DirectCycles(const ConvShape& shape, Pass pass) {
  const double images = shape.n, pixels = images * shape.oh() * shape.ow();
  if (pass == Pass::kForward) {
    return images * shape.oh() * ProductCycles(shape.ow(), shape.k, 9.0 * shape.c);
  }
  if (pass == Pass::kBackwardData) {
    return images * shape.h * ProductCycles(shape.w, shape.c, 9.0 * shape.k);
  }
  // Few channels: the taps of a filter row go together.
  if (shape.c < 8) return 3 * ProductCycles(3 * shape.c, shape.k, pixels);
  // Half vectors go two a cycle.
  return (shape.k <= 8 ? 6 : 9) * ProductCycles(shape.c, shape.k, pixels);
}

double WinogradCycles(const ConvShape& shape, Pass pass) {
  const bool data = pass == Pass::kBackwardData;
  const TileGrid grid(shape.n, data ? shape.h : shape.oh(), data ? shape.w : shape.ow());
  const int channels = data ? shape.k : shape.c, columns = data ? shape.c : shape.k;
  const double tiles = static_cast<double>(grid.count);
  const double in = Ceil(channels, 16), out = Ceil(columns, 16);
  if (pass == Pass::kBackwardFilter) {
    const double block = tiles < 32 ? tiles : 32;
    const double products = 36 * ProductCycles(channels, columns, block);
    return kCall + tiles * (in * kLoadTile + out * kLoadGradient) +
           tiles / block * (products + channels * out * kStoreFilter);
  }
  const int64_t block = Min(grid.count, 28);
  const double products = 36 * ProductCycles(block, static_cast<int64_t>(16 * out), channels);
  return kCall + tiles * (in * kLoadTile + out * kStoreTile) +
         channels * out * (kLoadFilter + (data ? kTurnFilter : 0)) +
         tiles / static_cast<double>(block) * products;
}

}  // namespace

bool WinogradFits(const ConvShape& shape) {
  return shape.r == 3 && shape.s == 3 && shape.stride == 1 && shape.groups == 1 && shape.pad <= 2;
}

bool WinogradPays(const ConvShape& shape, Pass pass) {
  return WinogradFits(shape) && kGain * WinogradCycles(shape, pass) < DirectCycles(shape, pass);
}

}  // namespace rhnas::engine::conv
