// What the parts of Winograd convolution share; see engine/conv_winograd.h.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/conv_internal.h"
#include "engine/simd/winograd.h"

namespace rhnas::engine::conv {

// The tiles of a batch of images, counted along rows, then columns, then images.
struct TileGrid {
  int high, wide;  // tiles of an image
  int64_t count;   // of all images

  TileGrid(int images, int out_h, int out_w)
      : high((out_h + simd::kWinogradTile - 1) / simd::kWinogradTile),
        wide((out_w + simd::kWinogradTile - 1) / simd::kWinogradTile),
        count(int64_t{images} * high * wide) {}
};

// Tiles next to each other in one row of tiles of one image.
struct TileRun {
  int64_t image;
  int i, j;  // of the first tile's first output
  int tiles;

  // As many as there are from `tile` on, at most `most`.
  TileRun(const TileGrid& grid, int64_t tile, int64_t most)
      : image(tile / (grid.high * grid.wide)),
        i(static_cast<int>(tile / grid.wide % grid.high) * simd::kWinogradTile),
        j(static_cast<int>(tile % grid.wide) * simd::kWinogradTile),
        tiles(static_cast<int>(Min(most, grid.wide - tile % grid.wide))) {}
};

// Images of which tiles are read: tiles of `size` pixels each way, at (i - top, j - left).
struct TileSource {
  const float* x;
  int h, w;
  int64_t pixel;  // floats of a pixel
  int top, left, size;
  const float* zeros;  // size * pixel of them, for the rows outside
};

// Transforms tiles [first, first + count); `load` comes with its channels and destination.
inline void LoadTiles(void (*kernel)(const simd::WinogradLoad&), const TileSource& source,
                      const TileGrid& grid, int64_t first, int64_t count,
                      simd::WinogradLoad* load) {
  load->pixel = source.pixel;
  load->width = source.w;
  for (const int64_t until = first + count; first < until; first += load->tiles) {
    const TileRun run(grid, first, until - first);
    const int top = run.i - source.top;
    load->left = run.j - source.left;
    load->tiles = run.tiles;
    const float* const image = source.x + run.image * source.h * source.w * source.pixel;
    for (int i = 0; i < source.size; i++) {
      const int row = top + i;
      const bool inside = row >= 0 && row < source.h;
      load->row[i] =
          inside ? image + (int64_t{row} * source.w + load->left) * source.pixel : source.zeros;
      load->row_next[i] = inside ? simd::kWinogradTile * source.pixel : 0;
    }
    kernel(*load);
    load->to += load->tiles * load->to_tile;
  }
}

// Floats from point to point of blocks that are written point by point: an odd number of lines, so
// that 36 points spread over all sets of the first-level cache.
inline int64_t PointFloats(int64_t floats) { return (CeilDiv(floats, 16) | 1) * 16; }

// Calls item(i, worker) for all i below `items`, each once, and prepare(worker) before a worker's
// first. Each worker begins with a share of its own, the same in every call, and helps the others
// after that: what it wrote in the last call is then still in its caches. Lines that another core
// wrote cost some 40 ns each (measured, 2 cores of Zen 4), which halves the gain of a second one.
template <typename Prepare, typename Item>
void ForEachNear(ThreadPool& pool, int64_t items, const Prepare& prepare, const Item& item) {
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  constexpr int kMost = 32;
  Share shares[kMost];
  const int count = static_cast<int>(Min(Min(pool.size(), kMost), items));
  for (int i = 0; i < count; i++) {
    shares[i].next.store(items * i / count, std::memory_order_relaxed);
    shares[i].end = items * (i + 1) / count;
  }
  pool.ParallelFor(count, 1, [&](int64_t, int64_t, int worker) {
    bool prepared = false;
    for (int turn = 0; turn < count; turn++) {
      Share& share = shares[(worker + turn) % count];
      for (;;) {
        const int64_t i = share.next.fetch_add(1, std::memory_order_relaxed);
        if (i >= share.end) break;
        if (!prepared) prepare(worker);
        prepared = true;
        item(i, worker);
      }
    }
  });
}

}  // namespace rhnas::engine::conv
