// Cuts of the output plane and what their tiles load and store.
#include <algorithm>

#include "hw/schedule.h"

namespace rhnas::hw {
namespace {

// One dimension of a work: the array's window over the input, the ALU's over the map between.
struct Line {
  int out, between, in;
  int alu_window, alu_stride, alu_pad;
  int window, stride, pad;
};

// Of `count` outputs, those whose tap `offset` pixels from the first lies in a map of `size`.
int64_t Tapped(int count, int offset, int stride, int size) {
  const int low = offset < 0 ? (-offset + stride - 1) / stride : 0;
  const int end = offset < size ? (size - offset + stride - 1) / stride : 0;
  return std::max(0, std::min(count, end) - low);
}

PixelCut CutPixels(const Line& line, int size) {
  PixelCut cut;
  cut.cut = CutInto(line.out, size);
  int64_t valid[2] = {0, 0}, before[2] = {0, 0}, padded[2] = {0, 0};
  int64_t inside[2] = {0, 0}, tapped[2] = {0, 0}, taps[2] = {0, 0};
  const auto add = [&](int tile, int count, int which) {
    const int reach = tile * size * line.alu_stride - line.alu_pad;
    const int first = std::max(0, reach);
    const int fill = std::max(1, std::min(line.between, reach + cut.filled[which]) - first);
    const int begin = first * line.stride - line.pad;
    const int end = begin + (fill - 1) * line.stride + line.window;
    inside[which] += fill;
    padded[which] += end - begin;
    valid[which] += std::max(1, std::min(end, line.in) - std::max(begin, 0));
    before[which] += std::max(0, -begin);
    for (int tap = 0; tap < line.alu_window; ++tap) {
      const int64_t outputs = Tapped(count, reach + tap, line.alu_stride, line.between);
      tapped[which] += outputs;
      taps[which] += outputs > 0 ? 1 : 0;
    }
  };
  const auto most = [&](int count, int which) {
    cut.filled[which] = (count - 1) * line.alu_stride + line.alu_window;
    cut.extent[which] = (cut.filled[which] - 1) * line.stride + line.window;
  };
  const int full = cut.cut.full;
  most(size, 0);
  // Only tiles at the border differ: walk in from both ends to the first that reads nothing of it.
  int first = 0, last = full;  // [first, last) lie inside
  const auto reach = [&](int tile) { return tile * size * line.alu_stride - line.alu_pad; };
  while (first < last && (reach(first) < 0 || reach(first) * line.stride < line.pad)) {
    add(first++, size, 0);
  }
  while (last > first && (reach(last - 1) + cut.filled[0] > line.between ||
                          reach(last - 1) * line.stride - line.pad + cut.extent[0] > line.in)) {
    add(--last, size, 0);
  }
  const int64_t inner = last - first;
  valid[0] += inner * cut.extent[0];
  padded[0] += inner * cut.extent[0];
  inside[0] += inner * cut.filled[0];
  tapped[0] += inner * size * line.alu_window;
  taps[0] += inner * line.alu_window;
  if (cut.cut.tail > 0) {
    most(cut.cut.tail, 1);
    add(full, cut.cut.tail, 1);
  }
  for (int which = 0; which < 2; ++which) {
    const int64_t tiles = which == 0 ? full : 1;
    cut.valid[which] = Cycles(valid[which]) / tiles;
    cut.pad_before[which] = Cycles(before[which]) / tiles;
    cut.padded[which] = Cycles(padded[which]) / tiles;
    cut.inside[which] = Cycles(inside[which]) / tiles;
    cut.tapped[which] = Cycles(tapped[which]) / tiles;
    cut.taps[which] = Cycles(taps[which]) / tiles;
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
  return CutPixels({work.rows, work.filled_rows, work.in_rows, work.alu.r, work.alu.stride,
                    work.alu.pad, work.r, work.stride, work.pad},
                   size);
}

PixelCut CutCols(const Work& work, int size) {
  return CutPixels({work.cols, work.filled_cols, work.in_cols, work.alu.s, work.alu.stride,
                    work.alu.pad, work.s, work.stride, work.col_pad},
                   size);
}

PixelTiles MakePixelTiles(const Machine& machine, const PixelCut& rows, const PixelCut& cols) {
  const Work& work = machine.work;
  const Timing& timing = machine.timing;
  PixelTiles tiles;
  // Where rows of a tile begin in DRAM; only the power of two in it matters.
  int64_t in_alignment = work.in_cols, out_alignment = work.cols;
  if (cols.cut.tiles() > 1) {
    in_alignment |= int64_t{cols.cut.size} * work.alu.stride * work.stride |
                    (work.alu.pad * work.stride + work.col_pad);
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
      tile.filled = rows.inside[row] * cols.inside[col] / kCycle;
      tile.taps = rows.taps[row] * cols.taps[col] / kCycle;
      tile.tapped = rows.tapped[row] * cols.tapped[col] / kCycle;
      const Ticks all = rows.padded[row] * cols.padded[col];
      const Ticks pads = (all - rows.valid[row] * cols.valid[col]) / kCycle * work.in_split;
      const Ticks data =
          aligned && std::min(bytes >> timing.bus_shift, timing.burst) >= timing.hidden_burst
              ? tile.input_beats
              : timing.DataTime(rows.valid[row], (bytes + kCycle / 2) / kCycle, in_alignment);
      tile.input_burst = timing.Burst((bytes + kCycle / 2) / kCycle, in_alignment);
      // One pad a cycle, in cycles without data; rows of padding above delay the first request.
      tile.input_load = std::max(timing.load_inp + rows.pad_before[row] + data,
                                 Cycles(3) + pads + tile.input_beats);
      if (work.residual) {
        tile.residual_beats = timing.Beats(Cycles(height), width * work.unit_bytes, out_alignment);
        tile.residual_load =
            timing.load_inp +
            timing.DataTime(Cycles(height), width * work.unit_bytes, out_alignment) +
            timing.RequestWait(Cycles(height), width * work.unit_bytes, out_alignment);
      }
      tile.store = timing.Store(height, width * work.unit_bytes, out_alignment);
    }
  }
  return tiles;
}

}  // namespace rhnas::hw
