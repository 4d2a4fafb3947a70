// The filter gradient by Winograd's F(3x3,4x4): a tile of the gradient of the output is the filter,
// and the same six points make nine taps of it; see engine/conv_winograd.h.
//
// The tiles of the batch are cut into parts by the size of the problem alone, each with its own
// partial gradient, added in order at the end. A part goes block by block: transform the gradients
// of a block and, chunk by chunk of input channels, the inputs; multiply, reducing over the tiles
// of the block, and transform the products back at once: nine taps are less to keep than 36 points.
#include <cstring>

#include "engine/conv_winograd.h"
#include "engine/conv_winograd_internal.h"
#include "engine/cpu.h"

namespace rhnas::engine::conv {

namespace {

using simd::kWinogradPoints;
using simd::kWinogradVecs;

// Channels of a chunk of either side.
constexpr int kChunk = 64;
// Floats of a block's transformed inputs and gradients: 640 KiB of the second-level cache.
constexpr int64_t kBlockFloats = 160 * 1024;
constexpr int64_t kMinTiles = 16, kMaxTiles = 64;  // of a block
// Parts at most, tiles of one at least, and floats of all partial gradients.
constexpr int64_t kMaxParts = 16, kPartTiles = 32, kPartialFloats = 512 * 1024;

struct Plan {
  int64_t tiles;  // of a block
  int64_t part;   // tiles of a part
  int64_t parts;
};

// By the size of the problem alone: it decides the order of additions.
Plan MakePlan(const ConvShape& shape, const TileGrid& grid) {
  Plan plan;
  const int64_t channels = Min(kChunk, shape.c) + Min(kChunk, shape.k);
  plan.tiles = Max(kMinTiles, Min(kMaxTiles, kBlockFloats / (kWinogradPoints * channels)));
  int64_t parts = Min(kMaxParts, kPartialFloats / shape.filter_size());
  parts = Max(1, Min(parts, grid.count / kPartTiles));
  const int64_t blocks = CeilDiv(CeilDiv(grid.count, parts), plan.tiles);
  plan.tiles = CeilDiv(CeilDiv(grid.count, parts), blocks);
  plan.part = blocks * plan.tiles;
  plan.parts = CeilDiv(grid.count, plan.part);
  return plan;
}

}  // namespace

void WinogradBackwardFilter(const ConvShape& shape, const float* x, const float* dy, float* df,
                            bool accumulate, ThreadPool& pool) {
  const simd::WinogradKernels& kernels = simd::WinogradKernelsFor(ActiveTarget());
  const TileGrid grid(shape.n, shape.oh(), shape.ow());
  const Plan plan = MakePlan(shape, grid);
  const int64_t panel = kWinogradVecs * kernels.lanes;
  const int64_t rows = kernels.max_rows[kWinogradVecs];

  // Output channels of a task: what ends first, if each task also transforms all inputs, which
  // costs about as much as the products of 7 more. This changes no bit.
  const auto cost = [&](int64_t chunk) {
    const int64_t tasks = plan.parts * CeilDiv(shape.k, chunk);
    return CeilDiv(tasks, pool.size()) * (Min(chunk, shape.k) + 7);
  };
  const int64_t k_chunk = cost(kChunk) <= cost(panel) ? kChunk : panel;
  const int64_t k_chunks = CeilDiv(shape.k, k_chunk);
  const auto whole = [&](int64_t channels) { return CeilDiv(channels, panel) * panel; };
  const int64_t x_tile = Min(kChunk, whole(shape.c)), dy_tile = Min(k_chunk, whole(shape.k));
  const int64_t x_point = PointFloats(plan.tiles * x_tile);
  const int64_t dy_point = PointFloats(plan.tiles * dy_tile);
  const int64_t m_point = PointFloats(rows * panel);
  const int64_t x_floats = kWinogradPoints * x_point, dy_floats = kWinogradPoints * dy_point;
  const int64_t zeros_floats =
      CeilDiv(simd::kWinogradInput * int64_t{shape.c > shape.k ? shape.c : shape.k}, 16) * 16;
  const int64_t filter = shape.filter_size();
  const Scratch scratch(pool, zeros_floats + (plan.parts > 1 ? plan.parts * filter : 0),
                        x_floats + dy_floats + kWinogradPoints * m_point);
  std::memset(scratch.shared(), 0, static_cast<size_t>(zeros_floats) * sizeof(float));
  float* const partial = scratch.shared() + zeros_floats;

  const auto nothing = [](int) {};
  ForEachNear(pool, plan.parts * k_chunks, nothing, [&](int64_t item, int worker) {
    float* const v = scratch.Own(worker);
    float* const w = v + x_floats;
    float* const m = w + dy_floats;
    const int64_t part = item / k_chunks, k = item % k_chunks * k_chunk;
    const int64_t columns = Min(k_chunk, shape.k - k);
    const int64_t until = Min(grid.count, (part + 1) * plan.part);
    float* const to = plan.parts > 1 ? partial + part * filter : df;
    bool add = plan.parts == 1 && accumulate;
    for (int64_t first = part * plan.part; first < until; first += plan.tiles, add = true) {
      const int64_t count = Min(plan.tiles, until - first);
      simd::WinogradLoad load;
      const TileSource gradient{dy + k, shape.oh(), shape.ow(),          shape.k,
                                0,      0,          simd::kWinogradTile, scratch.shared()};
      load.channels = columns;
      load.to = w;
      load.to_tile = dy_tile;
      load.to_point = dy_point;
      LoadTiles(kernels.load_gradient, gradient, grid, first, count, &load);
      for (int64_t c = 0; c < shape.c; c += kChunk) {
        const TileSource input{
            x + c,           shape.h, shape.w, shape.c, shape.pad, shape.pad, simd::kWinogradInput,
            scratch.shared()};
        load.channels = Min(kChunk, shape.c - c);
        load.to = v;
        load.to_tile = x_tile;
        load.to_point = x_point;
        LoadTiles(kernels.load_input, input, grid, first, count, &load);
        const int64_t channels = load.channels, runs = CeilDiv(channels, rows);
        for (int64_t column = 0; column < columns; column += panel) {
          for (int64_t run = 0; run < runs; run++) {
            const int64_t row = channels * run / runs;
            simd::WinogradGemm gemm;
            gemm.a = v + row;
            gemm.a_row = x_tile;
            gemm.a_point = x_point;
            gemm.b = w + column;
            gemm.b_step = dy_tile;
            gemm.b_point = dy_point;
            gemm.c = m;
            gemm.c_row = panel;
            gemm.c_point = m_point;
            gemm.rows = channels * (run + 1) / runs - row;
            gemm.steps = count;
            gemm.vecs = columns - column <= kernels.lanes ? 1 : kWinogradVecs;
            gemm.turned = true;
            gemm.accumulate = false;
            kernels.gemm(gemm);
            simd::WinogradFilterStore store;
            store.from_point = m_point;
            store.df_s = int64_t{shape.c} * shape.k;
            store.df_r = 3 * store.df_s;
            store.columns = Min(panel, columns - column);
            store.accumulate = add;
            for (int64_t i = 0; i < gemm.rows; i++) {
              store.from = m + i * panel;
              store.df = to + (c + row + i) * shape.k + k + column;
              kernels.store_filter(store);
            }
          }
        }
      }
    }
  });
  if (plan.parts == 1) return;
  const simd::ConvKernels& dense = simd::ConvKernelsFor(ActiveTarget());
  const int64_t slices = Min(CeilDiv(filter, 1024), 4 * int64_t{pool.size()});
  ForEachNear(pool, slices, nothing, [&](int64_t i, int) {
    const int64_t begin = filter * i / slices, end = filter * (i + 1) / slices;
    dense.add_parts(df + begin, partial + begin, filter, static_cast<int>(plan.parts), end - begin,
                    accumulate);
  });
}

}  // namespace rhnas::engine::conv
