// Plans, packing and loops of engine/conv_block.h over the register tiles of engine/simd/tile.inl.
#include "engine/conv_block.h"

#include <cstring>

#include "engine/conv_internal.h"
#include "engine/simd/outer_kernels.h"

namespace rhnas::engine::conv {

namespace {

// Floats of a panel that stay in a second-level cache (at least 512 KiB on the machines of the last
// ten years) beside the pixels.
constexpr int64_t kPanelFloats = 48 * 1024;

// Of the next tile's rows, to fetch each reduction step: a line, more than a tile uses.
constexpr int64_t kAheadFloats = 16;

// Estimated multiply-add slots of a register tile: per reduction step its multiply-adds, loads (as
// many of them a cycle), or the latency of a chain (four cycles of two) when there are too few
// accumulators; and its start and end.
double TileCost(int64_t rows, int64_t vecs, int64_t steps) {
  const int64_t kLatency = 8;
  const int64_t start = 8 + rows * vecs;
  return static_cast<double>(Max(Max(rows * vecs, rows + vecs), kLatency) * steps + start);
}

// Of packing a step of a panel, beside copying its vectors: pieces of rows that lie far apart are
// slow to read from beyond the second-level cache.
constexpr double kPackRowCost = 32;

// A run of pixels is cut into the fewest tiles, as even as possible (engine/simd/tile.inl).
double RunCost(int64_t pixels, int most, int64_t vecs, int64_t steps) {
  const int64_t tiles = CeilDiv(pixels, most), rows = pixels / tiles, more = pixels - rows * tiles;
  return static_cast<double>(more) * TileCost(rows + 1, vecs, steps) +
         static_cast<double>(tiles - more) * TileCost(rows, vecs, steps);
}

// Columns cut into vectors of a target.
struct Columns {
  int vecs, half, last;
};
// `kernels`: any table that knows its lanes.
template <typename Kernels>
Columns CutColumns(int columns, const Kernels& kernels) {
  const int rest = columns % kernels.lanes;
  Columns cut;
  cut.half = rest > 0 && rest <= kernels.half_lanes ? 1 : 0;
  cut.vecs = cut.half ? columns / kernels.lanes : (columns + kernels.lanes - 1) / kernels.lanes;
  cut.last = rest == 0 ? kernels.lanes : rest;
  return cut;
}

// The number of panels for which cost_of(rows of a tile at most, vectors), summed over the panels,
// is least. `rows_of`: the kernels' table of rows.
template <typename Cost>
int CheapestPanels(const Columns& cut, const int (*rows_of)[2], const Cost& cost_of) {
  int best_panels = 1;
  double best = -1;
  for (int most = 1; most <= simd::kMaxVecs; most++) {
    const int panels = static_cast<int>(Max(1, CeilDiv(cut.vecs + cut.half, most)));
    double cost = 0;
    for (int p = 0; p < panels && cost >= 0; p++) {
      const int vecs =
          static_cast<int>(int64_t{cut.vecs} * (p + 1) / panels - int64_t{cut.vecs} * p / panels);
      const int half = p == panels - 1 ? cut.half : 0;
      const int rows = rows_of[vecs][half];
      cost = rows == 0 ? -1 : cost + cost_of(rows, vecs + half);
    }
    if (cost >= 0 && (best < 0 || cost < best)) {
      best = cost;
      best_panels = panels;
    }
  }
  return best_panels;
}

}  // namespace

PackedFilter PlanFilter(const FilterSize& size, int64_t pixels, const simd::ConvKernels& kernels,
                        int64_t runs) {
  PackedFilter plan;
  plan.r = size.r;
  plan.s = size.s;
  plan.channels = size.channels;
  plan.columns = size.columns;
  plan.kernels = &kernels;
  const Columns cut = CutColumns(size.columns, kernels);
  plan.vecs = cut.vecs;
  plan.half = cut.half;
  plan.last = cut.last;
  plan.panels = CheapestPanels(cut, kernels.tile_rows, [&](int most, int vecs) {
    const double run = RunCost(pixels, most, vecs, plan.steps());
    if (runs == 0) return run;
    return static_cast<double>(runs) * run + kPackRowCost * static_cast<double>(plan.steps());
  });
  return plan;
}

PackedFilter PlanFilter(const FilterSize& size, int64_t pixels) {
  return PlanFilter(size, pixels, simd::ConvKernelsFor(ActiveTarget()));
}

PackedFilter::Panel PackedFilter::PanelAt(int p) const {
  const int64_t from = int64_t{vecs} * p / panels, to = int64_t{vecs} * (p + 1) / panels;
  Panel panel;
  panel.column = static_cast<int>(from) * kernels->lanes;
  panel.vecs = static_cast<int>(to - from);
  panel.half = p == panels - 1 ? half : 0;
  panel.last = p == panels - 1 ? last : kernels->lanes;
  panel.width = panel.vecs * kernels->lanes + panel.half * kernels->half_lanes;
  panel.offset = panel.column * steps();
  return panel;
}

int64_t PackedFilter::floats() const {
  return CeilDiv((int64_t{vecs} * kernels->lanes + half * kernels->half_lanes) * steps(), 16) * 16;
}

void PackPanel(const PackedFilter& plan, int p, const float* f, const FilterStrides& strides,
               int first, int last, float* to) {
  const int64_t row = int64_t{plan.s} * plan.channels * plan.PanelAt(p).width;
  for (int r = first; r < last; r++, to += row) {
    PackPanelRow(plan, p, f + r * strides.r, strides, 0, plan.channels, to);
  }
}

void PackPanelRow(const PackedFilter& plan, int p, const float* f, const FilterStrides& strides,
                  int first, int last, float* to) {
  const PackedFilter::Panel panel = plan.PanelAt(p);
  const int64_t columns = Min(panel.width, plan.columns - panel.column);
  const int64_t channels = last - first;
  f += first * strides.channel + panel.column * strides.column;
  to += int64_t{first} * panel.width;
  for (int s = 0; s < plan.s; s++, f += strides.s, to += plan.channels * int64_t{panel.width}) {
    if (strides.column == 1) {
      plan.kernels->copy_rows(f, strides.channel, channels, columns, to, panel.width);
      continue;
    }
    if (strides.channel == 1) {
      plan.kernels->transpose(f, strides.column, columns, channels, to, panel.width);
    } else {
      for (int64_t channel = 0; channel < channels; channel++) {
        for (int64_t i = 0; i < columns; i++) {
          to[channel * panel.width + i] = f[channel * strides.channel + i * strides.column];
        }
      }
    }
    if (columns == panel.width) continue;
    for (int64_t channel = 0; channel < channels; channel++) {
      for (int64_t i = columns; i < panel.width; i++) to[channel * panel.width + i] = 0;
    }
  }
}

void PackFilter(const PackedFilter& plan, const float* from, const FilterStrides& strides,
                float* to) {
  for (int p = 0; p < plan.panels; p++) {
    PackPanel(plan, p, from, strides, 0, plan.r, to + plan.PanelAt(p).offset);
  }
}

void CorrelateBlock(const PackedFilter& plan, const float* packed, const Block& block) {
  const int64_t filter_row = int64_t{plan.s} * plan.channels;
  const bool merged = block.x_pixel == plan.channels;  // taps of a filter row follow each other
  simd::TileArgs args;
  args.a_row = block.stride * block.x_pixel;
  args.a_outer = block.x_row;
  args.a_inner = block.x_pixel;
  args.inner = merged ? 1 : plan.s;
  args.steps = int64_t{plan.channels} * (merged ? plan.s : 1);
  args.c_row = block.y_pixel;
  args.rows = block.pixels;
  args.ahead = kAheadFloats;
  args.stream = false;
  if (block.pixels == 0) return;
  args.fetch = block.fetch;
  if (block.fetch != nullptr) {
    const PackedFilter::Panel first = plan.PanelAt(0);
    const int64_t tiles = plan.panels * int64_t{block.rows} *
                          CeilDiv(block.pixels, plan.kernels->tile_rows[first.vecs][first.half]);
    block.fetch->lines_a_tile = static_cast<int>(CeilDiv(block.fetch->lines(), tiles));
  }
  for (int p = 0; p < plan.panels; p++) {
    const PackedFilter::Panel panel = plan.PanelAt(p);
    const auto tile = plan.kernels->tile[panel.vecs][panel.half];
    args.b_step = panel.width;
    args.last = panel.last;
    // As many filter rows at a time as keep their part of the panel in the cache.
    const int r_block =
        static_cast<int>(Max(1, Min(plan.r, kPanelFloats / (filter_row * panel.width))));
    for (int r = 0; r < plan.r; r += r_block) {
      args.outer = static_cast<int>(Min(r_block, plan.r - r));
      args.b = packed + panel.offset + r * filter_row * panel.width;
      args.accumulate = block.accumulate || r > 0;
      const bool finish = block.epilogue != nullptr && r + args.outer >= plan.r;
      for (int i = 0; i < block.rows; i++) {
        args.a = block.x + (int64_t{i} * block.stride + r) * block.x_row;
        args.c = block.y + i * block.y_row + panel.column;
        Epilogue epilogue;
        if (finish) {
          epilogue = *block.epilogue;
          if (epilogue.bias != nullptr) epilogue.bias += panel.column;
          if (epilogue.residual != nullptr) {
            epilogue.residual += i * epilogue.residual_row + panel.column;
          }
          args.epilogue = &epilogue;
        } else {
          args.epilogue = nullptr;
        }
        tile(args);
      }
    }
  }
}

void AccumulateOuterBlock(const OuterBlock& block) {
  const simd::OuterKernels& kernels = simd::OuterKernelsFor(ActiveTarget());
  const Columns cut = CutColumns(block.columns, kernels);
  const int64_t rows = block.channels;
  // The fewest register loads per multiply-add.
  const int panels = CheapestPanels(cut, kernels.rows, [&](int most, int vecs) {
    const int64_t tiles = CeilDiv(rows, most);
    const double tile_rows = static_cast<double>(rows) / static_cast<double>(tiles);
    const double step = tile_rows * vecs + 0.25 * (tile_rows + vecs) + 1;
    return static_cast<double>(tiles) * (step < 8 ? 8 : step);
  });
  simd::OuterArgs args;
  args.a = block.x;
  args.a_image = args.a_outer = args.b_image = args.b_outer = 0;
  args.images = args.outer = 1;
  args.a_step = block.x_pixel;
  args.b_step = block.dy_pixel;
  args.steps = block.pixels;
  args.c_row = block.df_channel;
  args.rows = rows;
  args.accumulate = block.accumulate;
  const auto panel_vecs = [&](int p) {
    return static_cast<int>(int64_t{cut.vecs} * (p + 1) / panels - int64_t{cut.vecs} * p / panels);
  };
  const auto panel_tiles = [&](int p) {
    return CeilDiv(rows, kernels.rows[panel_vecs(p)][p == panels - 1 ? cut.half : 0]);
  };
  int64_t tiles = 0, tiles_before = 0;
  for (int p = 0; p < panels; p++) tiles += panel_tiles(p);
  for (int p = 0; p < panels; p++) {
    const int from = static_cast<int>(int64_t{cut.vecs} * p / panels);
    const int half = p == panels - 1 ? cut.half : 0;
    args.last = p == panels - 1 ? cut.last : kernels.lanes;
    args.tile_rows = static_cast<int>(CeilDiv(rows, panel_tiles(p)));
    args.b = block.dy + from * kernels.lanes;
    args.c = block.df + from * kernels.lanes;
    for (int run = 0; run < 2; run++) {
      if (block.fetch_floats[run] == 0 || block.pixels == 0) continue;
      args.FetchNext(run, block.fetch[run], block.fetch_floats[run], tiles * block.pixels,
                     tiles_before * block.pixels);
    }
    tiles_before += panel_tiles(p);
    kernels.outer[panel_vecs(p)][half](args);
  }
}

}  // namespace rhnas::engine::conv
