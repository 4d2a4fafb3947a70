// Cuts of the output plane and what their tiles load and store.
#include <algorithm>

#include "hw/schedule.h"

namespace rhnas::hw {
namespace {

PixelCut CutPixels(int out, int in, int window, int stride, int pad, int size) {
  PixelCut cut;
  cut.cut = CutInto(out, size);
  int64_t valid[2] = {0, 0}, before[2] = {0, 0};
  const auto add = [&](int tile, int count, int which) {
    const int begin = tile * size * stride - pad;
    const int end = begin + (count - 1) * stride + window;
    valid[which] += std::max(1, std::min(end, in) - std::max(begin, 0));
    before[which] += std::max(0, -begin);
  };
  const int full = cut.cut.full;
  cut.extent[0] = (size - 1) * stride + window;
  // Only tiles at the border differ: walk in from both ends to the first that reads nothing of it.
  int first = 0, last = full;  // [first, last) lie inside
  while (first < last && first * size * stride < pad) add(first++, size, 0);
  while (last > first && (last - 1) * size * stride - pad + cut.extent[0] > in) {
    add(--last, size, 0);
  }
  valid[0] += int64_t{last - first} * cut.extent[0];
  cut.all_extent = int64_t{full} * cut.extent[0];
  cut.valid[0] = Cycles(valid[0]) / full;
  cut.pad_before[0] = Cycles(before[0]) / full;
  if (cut.cut.tail > 0) {
    cut.extent[1] = (cut.cut.tail - 1) * stride + window;
    cut.all_extent += cut.extent[1];
    add(full, cut.cut.tail, 1);
    cut.valid[1] = Cycles(valid[1]);
    cut.pad_before[1] = Cycles(before[1]);
  }
  cut.all_valid = valid[0] + valid[1];
  return cut;
}

}  // namespace

Cut CutInto(int extent, int size) {
  Cut cut;
  cut.size = size;
  cut.full = extent / size;
  cut.tail = extent - cut.full * size;
  return cut;
}

PixelCut CutRows(const Work& work, int size) {
  return CutPixels(work.rows, work.in_rows, work.r, work.stride, work.pad, size);
}

PixelCut CutCols(const Work& work, int size) {
  return CutPixels(work.cols, work.in_cols, work.s, work.stride, work.col_pad, size);
}

PixelTiles MakePixelTiles(const Machine& machine, const PixelCut& rows, const PixelCut& cols) {
  const Work& work = machine.work;
  const Timing& timing = machine.timing;
  PixelTiles tiles;
  // Where rows of a tile begin in DRAM; only the power of two in it matters.
  int64_t in_alignment = work.in_cols, out_alignment = work.cols;
  if (cols.cut.tiles() > 1) {
    in_alignment |= int64_t{cols.cut.size} * work.stride | work.col_pad;
    out_alignment |= cols.cut.size;
  }
  in_alignment *= work.unit_bytes;
  out_alignment *= work.unit_bytes;
  const int64_t word_mask = timing.bus_bytes - 1;
  const bool aligned = ((in_alignment | work.unit_bytes) & word_mask) == 0;
  for (int row = 0; row < 2; ++row) {
    const int64_t height = row == 0 ? rows.cut.size : rows.cut.tail;
    if (height == 0) continue;
    for (int col = 0; col < 2; ++col) {
      const int64_t width = col == 0 ? cols.cut.size : cols.cut.tail;
      if (width == 0) continue;
      PixelTile& tile = tiles.kind[row][col];
      tile.out_pixels = height * width;
      tile.in_pixels = int64_t{rows.extent[row]} * cols.extent[col];
      const Ticks bytes = cols.valid[col] * work.unit_bytes;
      tile.input_beats =
          aligned ? rows.valid[row] * (bytes >> timing.bus_shift) / kCycle
                  : timing.Beats(rows.valid[row], (bytes + kCycle / 2) / kCycle, in_alignment);
      const Ticks pads =
          (Cycles(tile.in_pixels) - rows.valid[row] * cols.valid[col] / kCycle) * work.in_split;
      // One pad a cycle, in cycles without data; rows of padding above delay the first request.
      tile.input_load = std::max(timing.load_inp + rows.pad_before[row] + tile.input_beats,
                                 Cycles(3) + pads + tile.input_beats);
      tile.store = timing.Store(height, width * work.unit_bytes, out_alignment);
    }
  }
  return tiles;
}

}  // namespace rhnas::hw
