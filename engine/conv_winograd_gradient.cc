// The filter gradient by Winograd's F(3x3,4x4): a tile of the gradient of the output is the filter,
// and the same six points make nine taps of it; see engine/conv_winograd.h.
//
// The tiles of the batch are cut into parts by the size of the problem alone, each with its own
// partial gradient, added in order at the end. A task is a chunk of input channels of a part; it
// goes block by block of tiles: transform the inputs and, panel by panel of output channels, the
// gradients; multiply, reducing over the tiles of the block, and transform the products back at
// once: nine taps are less to keep than 36 points.
#include <cstring>

#include "engine/conv_winograd.h"
#include "engine/conv_winograd_internal.h"
#include "engine/cpu.h"

namespace rhnas::engine::conv {

namespace {

using simd::kWinogradPoints;
using simd::kWinogradVecs;

// Input channels of a task, and output channels transformed at a time.
constexpr int kChunk = 64, kColumns = 32;
// Floats of a block's transformed inputs and gradients: 700 KiB of the second-level cache. More
// tiles bring more multiply-adds for each product that is transformed back.
constexpr int64_t kBlockFloats = 176 * 1024;
constexpr int64_t kMinTiles = 16, kMaxTiles = 64;  // of a block
// Parts at most, and floats of all partial gradients.
constexpr int64_t kMaxParts = 16, kPartialFloats = 512 * 1024;

struct Plan {
  int64_t tiles;  // of a block
  int64_t part;   // tiles of a part
  int64_t parts;
};

// By the size of the problem alone: it decides the order of additions.
Plan MakePlan(const ConvShape& shape, const TileGrid& grid) {
  Plan plan;
  const int64_t channels = Min(kChunk, shape.c) + Min(kColumns, shape.k);
  plan.tiles = Max(kMinTiles, Min(kMaxTiles, kBlockFloats / (kWinogradPoints * channels)));
  // An even number of parts, so that two threads share them.
  int64_t parts = CeilDiv(CeilDiv(grid.count, plan.tiles), 2) * 2;
  parts = Min(Min(parts, kMaxParts), kPartialFloats / shape.filter_size() / 2 * 2);
  if (grid.count <= plan.tiles || parts < 2) parts = 1;
  const int64_t blocks = CeilDiv(CeilDiv(grid.count, parts), plan.tiles);
  plan.tiles = CeilDiv(CeilDiv(grid.count, parts), blocks);
  plan.part = blocks * plan.tiles;
  plan.parts = CeilDiv(grid.count, plan.part);
  return plan;
}

// The products of `rows` input channels from `row` on with one panel of output channels, and back.
struct Products {
  const simd::WinogradKernels* kernels;
  simd::WinogradGemm gemm;
  simd::WinogradFilterStore store;
  int64_t df_row;

  void Run(const float* v, const float* w, int64_t rows, float* m, float* df) {
    gemm.a = v;
    gemm.b = w;
    gemm.c = m;
    gemm.rows = rows;
    kernels->gemm(gemm);
    for (int64_t i = 0; i < rows; i++) {
      store.from = m + i * gemm.c_row;
      store.df = df + i * df_row;
      kernels->store_filter(store);
    }
  }
};

}  // namespace

void WinogradBackwardFilter(const ConvShape& shape, const float* x, const float* dy, float* df,
                            bool accumulate, ThreadPool& pool) {
  const simd::WinogradKernels& kernels = simd::WinogradKernelsFor(ActiveTarget());
  const TileGrid grid(shape.n, shape.oh(), shape.ow());
  const Plan plan = MakePlan(shape, grid);
  const int64_t panel = kWinogradVecs * kernels.lanes;
  const int64_t most_rows = kernels.max_rows[kWinogradVecs];

  // Input channels of a task: what ends first, if each task also transforms all gradients, which
  // costs about as much as the products of 4 more. This changes no bit.
  const auto cost = [&](int64_t chunk) {
    const int64_t tasks = plan.parts * CeilDiv(shape.c, chunk);
    return CeilDiv(tasks, pool.size()) * (Min(chunk, shape.c) + 4);
  };
  const int64_t c_chunk = cost(kChunk) <= cost(kChunk / 2) ? kChunk : kChunk / 2;
  const int64_t c_chunks = CeilDiv(shape.c, c_chunk);
  const auto whole = [&](int64_t channels) { return CeilDiv(channels, panel) * panel; };
  const int64_t x_tile = Min(c_chunk, whole(shape.c)), dy_tile = Min(kColumns, whole(shape.k));
  const int64_t x_point = PointFloats(plan.tiles * x_tile);
  const int64_t dy_point = PointFloats(plan.tiles * dy_tile);
  const int64_t m_point = PointFloats(most_rows * panel);
  const int64_t x_floats = kWinogradPoints * x_point, dy_floats = kWinogradPoints * dy_point;
  const int64_t zeros_floats =
      CeilDiv(simd::kWinogradInput * int64_t{shape.c > shape.k ? shape.c : shape.k}, 16) * 16;
  // The taps of a partial gradient an odd number of lines apart: see PointFloats.
  const int64_t tap = int64_t{shape.c} * shape.k;
  const int64_t partial_tap = PointFloats(tap), partial_floats = 9 * partial_tap;
  const Scratch scratch(pool, zeros_floats + (plan.parts > 1 ? plan.parts * partial_floats : 0),
                        x_floats + dy_floats + kWinogradPoints * m_point);
  std::memset(scratch.shared(), 0, static_cast<size_t>(zeros_floats) * sizeof(float));
  float* const partial = scratch.shared() + zeros_floats;

  pool.ParallelFor(plan.parts * c_chunks, 1, [&](int64_t item, int64_t, int worker) {
    float* const v = scratch.Own(worker);
    float* const w = v + x_floats;
    float* const m = w + dy_floats;
    const int64_t part = item / c_chunks, c = item % c_chunks * c_chunk;
    const int64_t channels = Min(c_chunk, shape.c - c), runs = CeilDiv(channels, most_rows);
    const int64_t until = Min(grid.count, (part + 1) * plan.part);
    float* const to = plan.parts > 1 ? partial + part * partial_floats : df;

    Products products;
    products.kernels = &kernels;
    products.df_row = shape.k;
    products.gemm.a_row = x_tile;
    products.gemm.a_point = x_point;
    products.gemm.b_step = dy_tile;
    products.gemm.b_point = dy_point;
    products.gemm.c_row = panel;
    products.gemm.c_point = m_point;
    products.gemm.turned = true;
    products.gemm.accumulate = false;
    products.store.from_point = m_point;
    products.store.df_s = plan.parts > 1 ? partial_tap : tap;
    products.store.df_r = 3 * products.store.df_s;
    products.store.accumulate = plan.parts == 1 && accumulate;

    for (int64_t first = part * plan.part; first < until; first += plan.tiles) {
      const int64_t count = Min(plan.tiles, until - first);
      products.gemm.steps = count;
      TileSource source{
          x + c,           shape.h, shape.w, shape.c, shape.pad, shape.pad, simd::kWinogradInput,
          scratch.shared()};
      simd::WinogradLoad load;
      load.channels = channels;
      load.to = v;
      load.to_tile = x_tile;
      load.to_point = x_point;
      LoadTiles(kernels.load_input, source, grid, first, count, &load);
      for (int64_t k = 0; k < shape.k; k += kColumns) {
        const int64_t columns = Min(kColumns, shape.k - k);
        source = {dy + k, shape.oh(), shape.ow(),          shape.k,
                  0,      0,          simd::kWinogradTile, scratch.shared()};
        load.channels = columns;
        load.to = w;
        load.to_tile = dy_tile;
        load.to_point = dy_point;
        LoadTiles(kernels.load_gradient, source, grid, first, count, &load);
        for (int64_t column = 0; column < columns; column += panel) {
          products.store.columns = Min(panel, columns - column);
          products.gemm.vecs = products.store.columns <= kernels.lanes ? 1 : kWinogradVecs;
          for (int64_t run = 0; run < runs; run++) {
            const int64_t row = channels * run / runs, next = channels * (run + 1) / runs;
            products.Run(v + row, w + column, next - row, m, to + (c + row) * shape.k + k + column);
          }
        }
      }
      products.store.accumulate = true;
    }
  });
  if (plan.parts == 1) return;
  const simd::ConvKernels& dense = simd::ConvKernelsFor(ActiveTarget());
  const int64_t slices = Max(1, Min(tap / 256, pool.size()));
  pool.ParallelFor(9 * slices, 1, [&](int64_t item, int64_t, int) {
    const int64_t t = item / slices, i = item % slices;
    const int64_t begin = tap * i / slices, end = tap * (i + 1) / slices;
    dense.add_parts(df + t * tap + begin, partial + t * partial_tap + begin, partial_floats,
                    static_cast<int>(plan.parts), end - begin, accumulate);
  });
}

}  // namespace rhnas::engine::conv
