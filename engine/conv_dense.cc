// Dense and grouped correlations by register tiles (engine/simd/tile.inl), see
// engine/conv_filter.cc for their filter gradients.
//
// Columns are cut into panels of up to four vectors; the filters of a panel are packed one
// reduction step after the other (or read in place where that is as good). A task is a band of
// output rows of an image, or a run of pixels where the whole batch is one matrix, times a group of
// panels. Pixels are read in place, except that a band that touches the padding is first copied
// with its zeros: every pixel is then used r * s * columns times, so the copy is cheap.
#include <cstring>

#include "engine/conv_block.h"
#include "engine/conv_internal.h"

namespace rhnas::engine::conv {

namespace {

constexpr int64_t kLineFloats = 16;
// Share of a second-level cache (at least 512 KiB on the machines of the last ten years) that a
// block of pixels may take, and that a panel of filters may take.
constexpr int64_t kBlockFloats = 32 * 1024, kPanelFloats = 48 * 1024;
// Below this many multiply-adds a task costs less than handing it out.
constexpr int64_t kTaskMacs = 64 * 1024;
// Filters packed by one task.
constexpr int64_t kPackFloats = 4 * 1024;
// Of the next tile's rows, to fetch each reduction step: a line, more than a tile uses.
constexpr int64_t kAheadFloats = 16;
constexpr int64_t kInPlacePixels = 16;

void FillZero(const Correlation& job, ThreadPool& pool) {
  pool.ParallelFor(
      int64_t{job.images} * job.out_h, Max(1, 16384 / job.y_row),
      [&](int64_t begin, int64_t end, int) {
        const size_t bytes = static_cast<size_t>(job.groups) * static_cast<size_t>(job.columns) * 4;
        for (int64_t row = begin; row < end; row++) {
          float* y = job.y + row / job.out_h * job.y_image + row % job.out_h * job.y_row;
          for (int j = 0; j < job.out_w; j++) std::memset(y + j * job.y_pixel, 0, bytes);
        }
      });
}

void CorrelatePanels(const Correlation& job, const PackedFilter& plan, ThreadPool& pool,
                     bool flat) {
  using Panel = PackedFilter::Panel;
  const FilterStrides strides{job.f_r, job.f_s, job.f_channel, job.f_column};
  const int64_t steps = plan.steps(), group_floats = plan.floats();
  const bool padded = job.top > 0 || job.left > 0 ||
                      (job.out_h - 1) * job.stride + job.r - job.top > job.h ||
                      (job.out_w - 1) * job.stride + job.s - job.left > job.w;
  const int copy_width = (job.out_w - 1) * job.stride + job.s;

  // Bands: `block` output rows of one image, or pixels of the whole batch. Threads share the
  // pixels, or the panels where the filters are more than the pixels: then each is packed where it
  // is used.
  const int64_t threads = pool.size();
  const int64_t rows = flat ? job.out_w : job.out_h;
  const int64_t row_macs = steps * job.columns * job.groups * (flat ? 1 : job.out_w);
  const int64_t row_floats =
      flat ? job.x_pixel : Max(1, job.stride * int64_t{padded ? copy_width : job.w} * job.x_pixel);
  const int64_t filter_floats = group_floats * job.groups;
  const bool heavy = filter_floats > rows * row_floats * job.images;
  int64_t block = Max(1, Min(rows, kBlockFloats / row_floats));
  if (threads > 1 && !heavy) {
    block = Min(block, Max(CeilDiv(kTaskMacs, row_macs), CeilDiv(rows * job.images, 4 * threads)));
  }
  // As many bands for each thread, of whole register tiles where that leaves their shares even.
  const Panel widest = plan.PanelAt(0);
  int64_t unit = flat ? plan.kernels->tile_rows[widest.vecs][widest.half] : 1;
  if (CeilDiv(CeilDiv(rows, unit), threads) * unit * threads > rows + rows / 16) unit = 1;
  const int64_t units = CeilDiv(rows, unit);
  int64_t bands = CeilDiv(rows, block);
  if (!heavy && bands > 1 && bands * job.images > threads) {
    while (bands * job.images % threads != 0) bands++;
  }
  bands = Min(bands, units);
  const auto first_of = [&](int64_t band) { return Min(rows, units * band / bands * unit); };
  block = CeilDiv(units, bands) * unit;
  const int64_t blocks = bands * job.images;
  int64_t parts = threads == 1 ? 1 : Max(1, Min(plan.panels, CeilDiv(3 * threads, blocks)));
  if (heavy && threads > 1 && blocks > 1) parts = plan.panels;
  const int64_t copy_floats =
      padded ? ((block - 1) * job.stride + job.r) * copy_width * job.x_pixel : 0;
  // An output that no cache holds goes past them, when its lines are written whole.
  const int64_t y_floats = int64_t{job.images} * job.out_h * job.out_w * job.y_pixel;
  bool whole_lines = true;  // in every panel
  for (int p = 1; p < plan.panels && whole_lines; p++) {
    whole_lines = plan.PanelAt(p).column % kLineFloats == 0;
  }
  const bool stream = y_floats > kStreamFloats && !job.accumulate && whole_lines &&
                      job.columns % kLineFloats == 0 && job.y_pixel % kLineFloats == 0 &&
                      reinterpret_cast<uintptr_t>(job.y) % (kLineFloats * sizeof(float)) == 0;

  // As many filter rows at a time as keep their part of the panel in the cache.
  const int64_t filter_row = int64_t{job.s} * job.channels;
  const auto rows_at_once = [&](const Panel& panel) {
    return static_cast<int>(Max(1, Min(job.r, kPanelFloats / (filter_row * panel.width))));
  };
  // Filters of whole panels are read in place when so few pixels use them that packing costs more,
  // and when one panel takes whole rows: those are packed as they are.
  const bool in_place = job.f_column == 1 && job.f_s == job.channels * job.f_channel &&
                        job.f_r == job.s * job.f_s &&
                        (int64_t{job.images} * job.out_h * job.out_w < kInPlacePixels ||
                         (plan.panels == 1 && job.f_channel == plan.PanelAt(0).width));
  const auto is_packed = [&](const Panel& panel) {
    return !in_place || panel.half || panel.last != plan.kernels->lanes;
  };
  const bool pack_late = blocks == 1;
  int64_t late_floats = 0;
  for (int p = 0; p < plan.panels && pack_late; p++) {
    const Panel panel = plan.PanelAt(p);
    late_floats = Max(late_floats, rows_at_once(panel) * filter_row * panel.width);
  }
  const Scratch scratch(pool, pack_late ? 0 : filter_floats, copy_floats + late_floats);
  float* const packed = scratch.shared();
  if (!pack_late) {
    // A filter row of a panel in pieces of channels.
    const int64_t pieces =
        threads == 1 ? 1
                     : Max(1, Min(job.channels, filter_row * plan.PanelAt(0).width / kPackFloats));
    pool.ParallelFor(int64_t{job.groups} * plan.panels * job.r * pieces, 1,
                     [&](int64_t begin, int64_t end, int) {
                       for (int64_t i = begin; i < end; i++) {
                         const int64_t piece = i % pieces, r = i / pieces % job.r;
                         const int p = static_cast<int>(i / pieces / job.r % plan.panels);
                         const int64_t group = i / pieces / job.r / plan.panels;
                         const Panel panel = plan.PanelAt(p);
                         if (!is_packed(panel)) continue;
                         PackPanelRow(plan, p, job.f + group * job.f_group + r * job.f_r, strides,
                                      static_cast<int>(job.channels * piece / pieces),
                                      static_cast<int>(job.channels * (piece + 1) / pieces),
                                      packed + group * group_floats + panel.offset +
                                          r * filter_row * panel.width);
                       }
                     });
  }

  pool.ParallelFor(blocks * parts, 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t task = begin; task < end; task++) {
      // A thread keeps to its pixels or, where filters are more, to the panels that it packed.
      const int64_t part = heavy ? task / blocks : task % parts;
      const int64_t at = heavy ? task % blocks : task / parts;
      const int64_t band = at % bands, image = at / bands;
      const int64_t first = first_of(band), count = first_of(band + 1) - first;
      const float* x = job.x + image * job.h * job.w * job.x_pixel;
      int64_t x_row = job.w * job.x_pixel;
      if (flat) {
        x += first * job.x_pixel;
      } else if (padded) {
        float* const copy = scratch.Own(worker);
        CopyPadded(x, job.h, job.w, job.x_pixel, static_cast<int>(first) * job.stride - job.top,
                   -job.left, static_cast<int>(count - 1) * job.stride + job.r, copy_width, copy);
        x = copy;
        x_row = copy_width * job.x_pixel;
      } else {
        x += ((first * job.stride - job.top) * job.w - job.left) * job.x_pixel;
      }
      float* const y = job.y + image * job.y_image + first * (flat ? job.y_pixel : job.y_row);

      const int p_begin = static_cast<int>(plan.panels * part / parts);
      const int p_end = static_cast<int>(plan.panels * (part + 1) / parts);
      for (int group = 0; group < job.groups; group++) {
        for (int p = p_begin; p < p_end; p++) {
          const Panel panel = plan.PanelAt(p);
          simd::TileArgs args;
          const bool merged = job.groups == 1;  // taps of a filter row follow each other in x
          args.a_row = job.stride * job.x_pixel;
          args.a_outer = x_row;
          args.a_inner = job.x_pixel;
          args.inner = merged ? 1 : job.s;
          args.steps = int64_t{job.channels} * (merged ? job.s : 1);
          args.b_step = is_packed(panel) ? panel.width : job.f_channel;
          args.c_row = job.y_pixel;
          args.rows = flat ? count : job.out_w;
          args.last = panel.last;
          args.ahead = kAheadFloats;
          const float* const b = is_packed(panel) ? packed + group * group_floats + panel.offset
                                                  : job.f + group * job.f_group + panel.column;
          const int r_block = rows_at_once(panel);
          const auto tile = plan.kernels->tile[panel.vecs][panel.half];
          for (int r = 0; r < job.r; r += r_block) {
            args.outer = static_cast<int>(Min(r_block, job.r - r));
            if (pack_late && is_packed(panel)) {
              float* const late = scratch.Own(worker) + copy_floats;
              PackPanel(plan, p, job.f + group * job.f_group, strides, r, r + args.outer, late);
              args.b = late;
            } else {
              args.b = b + r * filter_row * args.b_step;
            }
            args.accumulate = job.accumulate || r > 0;
            args.stream = stream && r + args.outer >= job.r;
            for (int64_t i = 0; i < (flat ? 1 : count); i++) {
              args.a = x + (i * job.stride + r) * x_row + int64_t{group} * job.channels;
              args.c = y + i * job.y_row + int64_t{group} * job.columns + panel.column;
              tile(args);
            }
          }
        }
      }
    }
  });
}

}  // namespace

void CopyPadded(const float* image, int h, int w, int64_t pixel, int top, int left, int rows,
                int width, float* to) {
  const int from = static_cast<int>(Min(width, Max(0, -left)));
  const int until = static_cast<int>(Max(from, Min(width, w - left)));
  for (int i = 0; i < rows; i++, to += width * pixel) {
    const int row = top + i;
    if (row < 0 || row >= h) {
      std::memset(to, 0, static_cast<size_t>(width * pixel) * sizeof(float));
      continue;
    }
    std::memset(to, 0, static_cast<size_t>(from * pixel) * sizeof(float));
    if (until > from) {
      std::memcpy(to + from * pixel, image + (int64_t{row} * w + left + from) * pixel,
                  static_cast<size_t>((until - from) * pixel) * sizeof(float));
    }
    std::memset(to + until * pixel, 0,
                static_cast<size_t>((width - until) * pixel) * sizeof(float));
  }
}

Scratch::Scratch(ThreadPool& pool, int64_t shared_floats, int64_t own_floats)
    : pool_(pool),
      shared_floats_(CeilDiv(shared_floats, 16) * 16),
      own_floats_(CeilDiv(own_floats, 16) * 16) {
  const auto reserve = [&](int worker, int64_t floats) {
    return static_cast<float*>(pool.Scratch(worker, static_cast<size_t>(floats) * sizeof(float)));
  };
  shared_ = reserve(0, shared_floats_ + own_floats_);
  for (int worker = 1; worker < pool.size(); worker++) reserve(worker, own_floats_);
}

float* Scratch::Own(int worker) const {
  if (worker == 0) return shared_ + shared_floats_;
  return static_cast<float*>(
      pool_.Scratch(worker, static_cast<size_t>(own_floats_) * sizeof(float)));
}

void CorrelateDense(const Correlation& given, const simd::ConvKernels& kernels, ThreadPool& pool) {
  Correlation job = given;
  if (job.r == 0 || job.s == 0) return FillZero(job, pool);
  // A pointwise correlation without padding is one matrix over all pixels.
  const bool flat = job.r == 1 && job.s == 1 && job.stride == 1 && job.top == 0 && job.left == 0 &&
                    job.out_h == job.h && job.out_w == job.w &&
                    (job.out_h == 1 || job.y_row == job.out_w * job.y_pixel) &&
                    (job.images == 1 || job.y_image == job.out_h * job.y_row);
  if (flat) {
    job.w = job.out_w = job.images * job.h * job.w;
    job.h = job.out_h = job.images = 1;
  }
  // Transposing packs as fast in narrow panels as in wide ones.
  const int64_t runs = job.f_column == 1 ? int64_t{job.images} * job.out_h : 0;
  const PackedFilter plan =
      PlanFilter({job.r, job.s, job.channels, job.columns}, job.out_w, kernels, runs);
  CorrelatePanels(job, plan, pool, flat);
}

}  // namespace rhnas::engine::conv
