// What the parts of Winograd convolution share; see engine/conv_winograd.h.
#pragma once

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

// What each worker does before its first task of a call.
class FirstTask {
 public:
  // True once for each worker (always for those beyond the first few hundred).
  bool operator()(int worker) {
    if (worker >= kWorkers) return true;
    const bool first = !seen_[worker];
    seen_[worker] = true;
    return first;
  }

 private:
  static constexpr int kWorkers = 256;
  bool seen_[kWorkers] = {};
};

}  // namespace rhnas::engine::conv
