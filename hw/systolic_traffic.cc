#include "hw/systolic_traffic.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Input rows that tiles of `size` output rows read, summed, padding left out. Rows that the stride
// leaps over are not read.
int64_t RowsRead(int64_t outputs, int64_t size, int64_t inputs, int64_t filter, int64_t stride,
                 int64_t pad) {
  int64_t sum = 0;
  if (filter <= stride) size = 1;
  for (int64_t first = 0; first < outputs; first += size) {
    const int64_t last = std::min(first + size, outputs) - 1;
    const int64_t begin = std::max<int64_t>(0, first * stride - pad);
    const int64_t end = std::min(inputs, last * stride - pad + filter);
    sum += std::max<int64_t>(0, end - begin);
  }
  return sum;
}

// Of one tile.
int64_t RowsHeld(int64_t size, int64_t inputs, int64_t filter, int64_t stride) {
  return std::min(inputs, filter <= stride ? size * filter : (size - 1) * stride + filter);
}

}  // namespace

Traffic LeastTraffic(const SystolicConfig& c, const Product& p, int64_t tile_pixels) {
  Traffic t;
  // Products of one pixel an image tile over images.
  const bool flat = p.rows * p.cols == 1;
  const int64_t rows = flat ? p.images : p.rows, cols = flat ? 1 : p.cols;
  t.tile_cols = std::min(cols, tile_pixels);
  t.tile_rows = std::min(rows, tile_pixels / t.tile_cols);
  const int64_t images = flat ? 1 : p.images;
  t.tiles = images * CeilDiv(rows, t.tile_rows) * CeilDiv(cols, t.tile_cols);

  const int64_t row_folds = CeilDiv(p.reduction, c.rows()), folds = CeilDiv(p.filters, c.cols());
  const int64_t weights = p.reduction * p.filters;
  const int64_t map = p.images * p.channels *
                      RowsRead(p.rows, p.rows, p.in_rows, p.r, p.stride, p.pad) *
                      RowsRead(p.cols, p.cols, p.in_cols, p.s, p.stride, p.pad);
  int64_t tile_map, tiled_maps;  // bytes of the largest tile's inputs, of all tiles'
  if (flat) {
    tile_map = map / p.images * t.tile_rows;
    tiled_maps = map;
  } else {
    tile_map = p.channels * RowsHeld(t.tile_rows, p.in_rows, p.r, p.stride) *
               RowsHeld(t.tile_cols, p.in_cols, p.s, p.stride);
    tiled_maps = p.images * p.channels *
                 RowsRead(p.rows, t.tile_rows, p.in_rows, p.r, p.stride, p.pad) *
                 RowsRead(p.cols, t.tile_cols, p.in_cols, p.s, p.stride, p.pad);
  }
  const int64_t block = int64_t{c.rows()} * c.cols();
  const int64_t pixels = t.tile_rows * t.tile_cols;
  // What the scratchpad holds, and what is read: streamed, of the tile or column fold, whole.
  const int64_t input_room[3] = {2 * pixels * c.rows(), (t.tiles > 1 ? 2 : 1) * tile_map, map};
  const int64_t weight_room[3] = {2 * block, (folds > 1 ? 2 : 1) * row_folds * block,
                                  folds * row_folds * block};
  // Streamed inputs come once for every tap and column fold.
  const int64_t streamed = folds * p.pixels() * p.reduction;
  const int64_t inputs_read[2][3] = {{streamed, tiled_maps, map},
                                     {streamed, folds * tiled_maps, map}};
  const int64_t weights_read[2][3] = {{t.tiles * weights, t.tiles * weights, weights},
                                      {t.tiles * weights, weights, weights}};
  bool found = false;
  for (int order = 0; order < 2; ++order) {  // tiles outside, column folds outside
    for (int i = 0; i < 3; ++i) {
      for (int w = 0; w < 3; ++w) {
        if (input_room[i] + weight_room[w] > c.sp_bytes()) continue;
        const int64_t read = inputs_read[order][i] + weights_read[order][w];
        if (found && read >= t.read()) continue;
        found = true;
        t.input_bytes = inputs_read[order][i];
        t.weight_bytes = weights_read[order][w];
      }
    }
  }
  if (!found) t.tiles = 0;
  return t;
}

}  // namespace rhnas::hw
