// Filter gradients of dense and grouped convolutions by register tiles of input channels x output
// channels that stay in registers over a block of pixels (engine/simd/outer.inl).
//
// The reduction over pixels is cut into chunks by the size of the problem alone; each chunk has its
// own partial gradient, and these are added in order, so the number of threads changes nothing.
#include "engine/conv_internal.h"
#include "engine/simd/outer_kernels.h"

namespace rhnas::engine::conv {

namespace {

// Pixels in a chunk at least, chunks at most, and floats of all partial gradients at most (they are
// written once and read once, beside `pixels` multiply-adds for each).
constexpr int64_t kChunkPixels = 512, kMaxChunks = 32, kPartialFloats = 512 * 1024;
// Floats of x and dy in a block of pixels: they are read again for each tile, from the second-level
// cache.
constexpr int64_t kBlockFloats = 48 * 1024;
// Fewer channels than this go together over all taps of a filter row, from a padded copy.
constexpr int kThinChannels = 8;

// Rows of output, or pixels of the whole batch when it is one matrix.
struct Range {
  int64_t begin, end;
};

struct Plan {
  bool flat;      // the batch is one matrix: units are pixels, else output rows of any image
  bool thin;      // taps of a filter row merged, over a padded copy of the image rows
  int64_t units;  // of the whole batch
  int64_t chunk;  // units of a chunk
  int64_t chunks;
  int64_t block;   // units of a block: at most one image's rows, or whole images
  int vecs, half;  // of the widest panel
  int panels;
  int all_vecs, all_half, last;
  int64_t rows;  // of the gradient in a panel
};

// The width of a panel of columns for tiles of `rows` rows: the fewest register loads per
// multiply-add.
void PlanColumns(int columns, int64_t rows, const simd::OuterKernels& kernels, Plan* plan) {
  const int rest = columns % kernels.lanes;
  plan->all_half = rest > 0 && rest <= kernels.half_lanes ? 1 : 0;
  plan->all_vecs =
      plan->all_half ? columns / kernels.lanes : (columns + kernels.lanes - 1) / kernels.lanes;
  plan->last = rest == 0 ? kernels.lanes : rest;
  double best = -1;
  for (int most = 1; most <= simd::kMaxVecs; most++) {
    const int panels = static_cast<int>(Max(1, CeilDiv(plan->all_vecs + plan->all_half, most)));
    double cost = 0;
    for (int p = 0; p < panels && cost >= 0; p++) {
      const int vecs = plan->all_vecs * (p + 1) / panels - plan->all_vecs * p / panels;
      const int half = p == panels - 1 ? plan->all_half : 0;
      const int most_rows = kernels.rows[vecs][half];
      if (most_rows == 0) {
        cost = -1;
        break;
      }
      const int64_t tiles = CeilDiv(rows, most_rows);
      const double tile_rows = static_cast<double>(rows) / static_cast<double>(tiles);
      const double step = tile_rows * (vecs + half) + 0.25 * (tile_rows + vecs + half) + 1;
      cost += static_cast<double>(tiles) * (step < 8 ? 8 : step);
    }
    if (cost >= 0 && (best < 0 || cost < best)) {
      best = cost;
      plan->panels = panels;
    }
  }
}

Plan MakePlan(const FilterGradient& job, const simd::OuterKernels& kernels) {
  Plan plan;
  plan.flat = job.r == 1 && job.s == 1 && job.stride == 1 && job.pad == 0;
  plan.thin = !plan.flat && job.groups == 1 && job.channels < kThinChannels && job.s > 1;
  const int64_t pixels = int64_t{job.images} * job.out_h * job.out_w;
  const int64_t filter = int64_t{job.r} * job.s * job.channels * job.columns * job.groups;
  plan.units = plan.flat ? pixels : int64_t{job.images} * job.out_h;
  const int64_t unit_pixels = plan.flat ? 1 : job.out_w;
  int64_t chunks = Min(kMaxChunks, pixels / kChunkPixels);
  chunks = Max(1, Min(chunks, kPartialFloats / filter));
  plan.chunk = CeilDiv(plan.units, Min(chunks, plan.units));
  const int64_t pixel_floats =
      int64_t{job.groups} * (job.channels * int64_t{job.stride} * job.stride + job.columns);
  plan.block = Max(1, kBlockFloats / (pixel_floats * unit_pixels));
  if (plan.flat) {
    plan.block = Max(plan.block, 64);
  } else if (plan.thin) {
    plan.block = Min(plan.block, job.out_h);
  } else if (plan.block >= job.out_h) {
    plan.block = plan.block / job.out_h * job.out_h;
  }
  plan.chunks = CeilDiv(plan.units, plan.chunk);
  plan.rows = plan.thin ? job.s * job.channels : job.channels;
  PlanColumns(job.columns, plan.rows, kernels, &plan);
  return plan;
}

// One panel of columns of one group of one filter row, over units [begin, end), added to `df`,
// whose accumulators start at zero unless `accumulate`.
struct PanelTask {
  const FilterGradient* job;
  const simd::OuterKernels* kernels;
  const Plan* plan;
  int group, r, panel;
  float* df;
  // Register tiles of the panel that are this worker's; of all panels, how many are, and how many
  // of them come before.
  int64_t first_tile, last_tile, tiles, tiles_before;
};

int64_t PanelTiles(const Plan& plan, int64_t panel, const simd::OuterKernels& kernels) {
  const int64_t from = plan.all_vecs * panel / plan.panels;
  const int64_t vecs = plan.all_vecs * (panel + 1) / plan.panels - from;
  return CeilDiv(plan.rows, kernels.rows[vecs][panel == plan.panels - 1 ? plan.all_half : 0]);
}

simd::OuterArgs PanelArgs(const PanelTask& task) {
  const Plan& plan = *task.plan;
  const int from = plan.all_vecs * task.panel / plan.panels;
  simd::OuterArgs args;
  args.rows = plan.rows;
  args.tile_rows =
      static_cast<int>(CeilDiv(plan.rows, PanelTiles(plan, task.panel, *task.kernels)));
  args.last = task.panel == plan.panels - 1 ? plan.last : task.kernels->lanes;
  args.b_step = int64_t{task.job->columns} * task.job->groups;
  args.c_row = args.b_step;
  args.c = task.df + task.group * task.job->columns + from * task.kernels->lanes;
  args.b = task.job->dy + task.group * task.job->columns + from * task.kernels->lanes;
  return args;
}

void RunPanel(const PanelTask& task, simd::OuterArgs args) {
  const Plan& plan = *task.plan;
  const int vecs =
      plan.all_vecs * (task.panel + 1) / plan.panels - plan.all_vecs * task.panel / plan.panels;
  const int half = task.panel == plan.panels - 1 ? plan.all_half : 0;
  const int64_t first = task.first_tile * args.tile_rows;
  args.rows = Min(args.rows, task.last_tile * args.tile_rows) - first;
  if (args.rows <= 0) return;
  args.a += first;
  args.c += first * args.c_row;
  task.kernels->outer[vecs][half](args);
}

// `next`: the block that follows, of the same number of pixels or fewer; fetched early, because the
// tiles walk through pixels in steps that no hardware foresees.
void FlatBlock(const PanelTask& task, Range range, Range next, bool accumulate) {
  const FilterGradient& job = *task.job;
  simd::OuterArgs args = PanelArgs(task);
  const int64_t pixel = int64_t{job.channels} * job.groups;
  args.a_image = args.a_outer = args.b_image = args.b_outer = 0;
  args.images = args.outer = 1;
  args.steps = range.end - range.begin;
  args.a_step = pixel;
  args.a = job.x + range.begin * pixel + task.group * job.channels;
  args.b += range.begin * args.b_step;
  args.accumulate = accumulate;
  if (next.end > next.begin) {
    const int64_t all = task.tiles * args.steps, done = task.tiles_before * args.steps;
    const int64_t pixels = args.steps;  // as many as here: the last block may fetch beyond its own
    args.FetchNext(0, job.x + next.begin * pixel, pixels * pixel, all, done);
    args.FetchNext(1, job.dy + next.begin * args.b_step, pixels * args.b_step, all, done);
  }
  RunPanel(task, args);
}

// Rows of one image, or all rows of several images; each tap over the pixels it reaches.
void RowsBlock(const PanelTask& task, Range range, bool accumulate) {
  const FilterGradient& job = *task.job;
  const int64_t pixel = int64_t{job.channels} * job.groups;
  const int image = static_cast<int>(range.begin / job.out_h);
  const int first = static_cast<int>(range.begin % job.out_h);
  const int images = static_cast<int>(CeilDiv(range.end - range.begin, job.out_h));
  const int until = images > 1 ? job.out_h : first + static_cast<int>(range.end - range.begin);
  // Output rows whose row of x is inside: 0 <= i * stride + r - pad < h.
  const auto low = [&](int tap) {
    return static_cast<int>(Max(0, CeilDiv(Max(0, job.pad - tap), job.stride)));
  };
  const auto high = [&](int tap, int size, int out) {
    const int reach = size - 1 + job.pad - tap;
    return reach < 0 ? 0 : static_cast<int>(Min(out, reach / job.stride + 1));
  };
  const int i_low = static_cast<int>(Max(first, low(task.r)));
  const int i_high = static_cast<int>(Min(until, high(task.r, job.h, job.out_h)));
  for (int s = 0; s < job.s; s++) {
    simd::OuterArgs args = PanelArgs(task);
    const int j_low = low(s);
    const int j_high = static_cast<int>(Max(j_low, high(s, job.w, job.out_w)));
    args.images = images;
    args.outer = i_high > i_low ? i_high - i_low : 0;
    args.steps = j_high - j_low;
    args.a_step = job.stride * pixel;
    args.a_outer = int64_t{job.stride} * job.w * pixel;
    args.a_image = int64_t{job.h} * job.w * pixel;
    args.b_outer = job.out_w * args.b_step;
    args.b_image = job.out_h * args.b_outer;
    args.a = job.x + image * args.a_image +
             (int64_t{i_low * job.stride + task.r - job.pad} * job.w + j_low * job.stride + s -
              job.pad) *
                 pixel +
             task.group * job.channels;
    args.b += image * args.b_image + i_low * args.b_outer + j_low * args.b_step;
    args.c += (int64_t{task.r} * job.s + s) * job.channels * args.c_row;
    args.accumulate = accumulate;
    RunPanel(task, args);
  }
}

// Rows of one image, taps of a filter row together, from a padded copy.
void ThinBlock(const PanelTask& task, Range range, const float* copy, int copy_width,
               bool accumulate) {
  const FilterGradient& job = *task.job;
  simd::OuterArgs args = PanelArgs(task);
  args.images = 1;
  args.outer = static_cast<int>(range.end - range.begin);
  args.steps = job.out_w;
  args.a_step = int64_t{job.stride} * job.channels;
  args.a_outer = int64_t{job.stride} * copy_width * job.channels;
  args.a_image = args.b_image = 0;
  args.a = copy + int64_t{task.r} * copy_width * job.channels;
  args.b_outer = job.out_w * args.b_step;
  args.b += range.begin * args.b_outer;
  args.c += int64_t{task.r} * job.s * job.channels * args.c_row;
  args.accumulate = accumulate;
  RunPanel(task, args);
}

}  // namespace

void FilterGradientDense(const FilterGradient& given, const simd::ConvKernels& kernels,
                         ThreadPool& pool) {
  FilterGradient job = given;
  const simd::OuterKernels& outer = simd::OuterKernelsFor(ActiveTarget());
  const Plan plan = MakePlan(job, outer);
  const int64_t filter = int64_t{job.r} * job.s * job.channels * job.columns * job.groups;
  const int copy_width = (job.out_w - 1) * job.stride + job.s;
  const int64_t copy_rows = plan.thin ? (plan.block - 1) * job.stride + job.r : 0;
  const int64_t pixels = int64_t{job.images} * job.out_h * job.out_w;
  const int64_t turned_floats = job.dy_turned ? CeilDiv(pixels * job.columns, 16) * 16 : 0;
  const Scratch scratch(pool, turned_floats + (plan.chunks > 1 ? plan.chunks * filter : 0),
                        copy_rows * copy_width * job.channels);
  float* const partial = scratch.shared() + turned_floats;
  if (job.dy_turned) {
    kernels.transpose(job.dy, pixels, job.columns, pixels, scratch.shared(), job.columns);
    job.dy = scratch.shared();
  }

  // Register tiles of all panels, groups and filter rows, split into `parts` when the chunks are
  // too few.
  const int64_t panels = int64_t{plan.panels} * job.groups * job.r;
  int64_t tiles = 0;
  for (int p = 0; p < plan.panels; p++) tiles += PanelTiles(plan, p, outer);
  tiles *= int64_t{job.groups} * job.r;
  const int64_t threads = pool.size();
  const int64_t parts = threads == 1 ? 1 : Max(1, Min(tiles, CeilDiv(4 * threads, plan.chunks)));
  pool.ParallelFor(plan.chunks * parts, 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t item = begin; item < end; item++) {
      const int64_t chunk = item / parts, part = item % parts;
      const int64_t last = Min(plan.units, (chunk + 1) * plan.chunk);
      float* const df = plan.chunks > 1 ? partial + chunk * filter : job.df;
      bool accumulate = plan.chunks == 1 && job.accumulate;
      for (int64_t unit = chunk * plan.chunk; unit < last;) {
        Range range{unit, Min(last, unit + plan.block)};
        if (!plan.flat && (plan.block < job.out_h || unit % job.out_h != 0 ||
                           range.end - unit < job.out_h || plan.thin)) {
          // Rows of one image only.
          range.end = Min(range.end, (unit / job.out_h + 1) * job.out_h);
        } else if (!plan.flat) {
          range.end = unit + (range.end - unit) / job.out_h * job.out_h;
        }
        const float* copy = nullptr;
        if (plan.thin) {
          float* const to = scratch.Own(worker);
          const int64_t image = unit / job.out_h;
          const int first = static_cast<int>(unit % job.out_h);
          CopyPadded(job.x + image * job.h * job.w * job.channels, job.h, job.w, job.channels,
                     first * job.stride - job.pad, -job.pad,
                     static_cast<int>(range.end - unit - 1) * job.stride + job.r, copy_width, to);
          copy = to;
        }
        PanelTask task{&job, &outer, &plan, 0, 0, 0, df, 0, 0, 0, 0};
        const int64_t from = tiles * part / parts, until = tiles * (part + 1) / parts;
        task.tiles = until - from;
        int64_t before = 0;  // tiles of the panels before p, whoever's
        for (int64_t p = 0; p < panels && before < until; p++) {
          const int64_t of_panel = PanelTiles(plan, p % plan.panels, outer);
          task.first_tile = Max(0, from - before);
          task.last_tile = Min(of_panel, until - before);
          before += of_panel;
          if (task.first_tile >= task.last_tile) continue;
          task.panel = static_cast<int>(p % plan.panels);
          task.group = static_cast<int>(p / plan.panels % job.groups);
          task.r = static_cast<int>(p / plan.panels / job.groups);
          if (plan.flat) {
            FlatBlock(task, range, {range.end, Min(last, range.end + plan.block)}, accumulate);
            task.tiles_before += task.last_tile - task.first_tile;
          } else if (plan.thin) {
            ThinBlock(task, range, copy, copy_width, accumulate);
          } else {
            RowsBlock(task, range, accumulate);
          }
        }
        accumulate = true;
        unit = range.end;
      }
    }
  });
  if (plan.chunks == 1) return;
  const int64_t grain = Max(1024, CeilDiv(filter, 4 * threads) / 16 * 16);
  pool.ParallelFor(filter, grain, [&](int64_t begin, int64_t end, int) {
    kernels.add_parts(job.df + begin, partial + begin, filter, static_cast<int>(plan.chunks),
                      end - begin, job.accumulate);
  });
}

}  // namespace rhnas::engine::conv
