// Forward and backward-data passes by Winograd's F(4x4,3x3); see engine/conv_winograd.h.
//
// Light filters are transformed first; then each task takes a block of tiles through all of it:
// transform the inputs, and panel by panel of output channels multiply and transform back. Heavy
// filters (36/9 of a filter that is large already, used by few tiles) would leave the caches: then
// the inputs are transformed first, and each task takes a panel, transforming its filters bit by
// bit as it uses them.
#include "engine/conv_winograd.h"

#include <cstring>

#include "engine/conv_winograd_internal.h"
#include "engine/cpu.h"

namespace rhnas::engine::conv {

namespace {

using simd::kWinogradPoints;
using simd::kWinogradVecs;

// Floats of a block's transformed inputs, and of its products with one panel: each a quarter of a
// second-level cache of 512 KiB.
constexpr int64_t kBlockFloats = 32 * 1024;
// Tiles of a heavy filter at most: their products with one panel.
constexpr int64_t kHeavyProducts = 64 * 1024;
// Filters of more floats than this are heavy when all tiles fit one block's products.
constexpr int64_t kHeavyFloats = 128 * 1024;
// Reduction steps of a heavy filter that are transformed at a time.
constexpr int64_t kHeavySteps = 64;
// Reduction steps of a panel that are transformed in one go.
constexpr int64_t kPackSteps = 16;
// Filters of up to this many floats each worker transforms for itself. Measured with 2 cores of Zen
// 4: a line that another core holds costs some 30 ns to write again, so that sharing the work would
// take longer up to some ten threads.
constexpr int64_t kOwnFilterFloats = 1024 * 1024;

// A filter as a correlation sees it: f[r * f_r + s * f_s + channel * f_channel + column *
// f_column].
struct FilterView {
  const float* f;
  int64_t f_r, f_s, f_channel, f_column;
};

FilterView ForwardView(const float* f, int64_t channels, int64_t columns) {
  return {f, 3 * channels * columns, channels * columns, columns, 1};
}

// Floats of the transposed taps of `steps` reduction steps; 0 where columns are contiguous.
int64_t TurnedFloats(const FilterView& view, int64_t steps, int64_t width) {
  return view.f_column == 1 ? 0 : 9 * steps * width;
}

// Transforms reduction steps [first, first + steps) of a panel.
void LoadPanel(const WinogradFilter& plan, const FilterView& view, int panel, int64_t first,
               int64_t steps, float* turned, float* to, int64_t to_point) {
  const int width = plan.Width(panel);
  const int column = panel * kWinogradVecs * plan.kernels->lanes;
  simd::WinogradFilterLoad load;
  load.channels = steps;
  load.columns = Min(width, plan.columns - column);
  load.width = width;
  load.to = to;
  load.to_point = to_point;
  const float* const f = view.f + first * view.f_channel + column * view.f_column;
  if (view.f_column == 1) {
    load.f = f;
    load.f_r = view.f_r;
    load.f_s = view.f_s;
    load.f_channel = view.f_channel;
  } else {
    const simd::ConvKernels& kernels = simd::ConvKernelsFor(ActiveTarget());
    for (int tap = 0; tap < 9; tap++) {
      kernels.transpose(f + tap / 3 * view.f_r + tap % 3 * view.f_s, view.f_column, load.columns,
                        steps, turned + tap * steps * width, width);
    }
    load.f = turned;
    load.f_s = steps * width;
    load.f_r = 3 * load.f_s;
    load.f_channel = width;
  }
  plan.kernels->load_filter(load);
}

// `own`: where each worker's scratch has room for transposed taps.
template <typename Own>
void PackShared(const WinogradFilter& plan, const FilterView& view, float* to, ThreadPool& pool,
                const Own& own) {
  const int64_t runs = CeilDiv(plan.channels, kPackSteps);
  pool.ParallelFor(runs * plan.panels, 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t item = begin; item < end; item++) {
      const int panel = static_cast<int>(item / runs);
      const int64_t first = item % runs * kPackSteps;
      const int64_t steps = Min(kPackSteps, plan.channels - first);
      LoadPanel(plan, view, panel, first, steps, own(worker),
                to + plan.Offset(panel) + first * plan.Width(panel), plan.Point(panel));
    }
  });
}

void PackOwn(const WinogradFilter& plan, const FilterView& view, float* turned, float* to) {
  for (int panel = 0; panel < plan.panels; panel++) {
    for (int64_t first = 0; first < plan.channels; first += kPackSteps) {
      LoadPanel(plan, view, panel, first, Min(kPackSteps, plan.channels - first), turned,
                to + plan.Offset(panel) + first * plan.Width(panel), plan.Point(panel));
    }
  }
}

// Transforms tiles [first, first + count) to [point][tile][channel].
void LoadInputs(const WinogradFilter& plan, const TileGrid& grid, const TileSource& source,
                int64_t first, int64_t count, float* to, int64_t to_point, int64_t to_tile) {
  simd::WinogradLoad load;
  load.channels = plan.channels;
  load.to = to;
  load.to_point = to_point;
  load.to_tile = to_tile;
  LoadTiles(plan.kernels->load_input, source, grid, first, count, &load);
}

// Transforms the products [point][tile][column of the panel] back.
void StoreTiles(const WinogradFilter& plan, const TileGrid& grid, const WinogradImages& job,
                int panel, int64_t first, int64_t count, const float* from, int64_t from_point) {
  const int column = panel * kWinogradVecs * plan.kernels->lanes;
  simd::Epilogue epilogue;
  if (job.epilogue != nullptr) epilogue = *job.epilogue;
  if (epilogue.bias != nullptr) epilogue.bias += column;
  const float* const residual = epilogue.residual;
  simd::WinogradStore store;
  store.from = from;
  store.from_tile = plan.Width(panel);
  store.from_point = from_point;
  store.y_pixel = plan.columns;
  store.y_row = store.y_pixel * job.out_w;
  store.channels = Min(plan.Width(panel), plan.columns - column);
  store.accumulate = job.accumulate;
  store.epilogue = job.epilogue == nullptr ? nullptr : &epilogue;
  for (const int64_t until = first + count; first < until;) {
    const TileRun run(grid, first, until - first);
    const int64_t row = run.image * job.out_h + run.i;
    store.y = job.y + row * store.y_row + run.j * store.y_pixel + column;
    store.rows = static_cast<int>(Min(simd::kWinogradTile, job.out_h - run.i));
    store.width = static_cast<int>(Min(simd::kWinogradTile * run.tiles, job.out_w - run.j));
    if (residual != nullptr) {
      epilogue.residual =
          residual + row * epilogue.residual_row + run.j * epilogue.residual_pixel + column;
    }
    plan.kernels->store_output(store);
    store.from += run.tiles * store.from_tile;
    first += run.tiles;
  }
}

TileSource SourceOf(const WinogradFilter& plan, const WinogradImages& job, float* zeros) {
  std::memset(zeros, 0, static_cast<size_t>(simd::kWinogradInput * plan.channels) * sizeof(float));
  return {job.x, job.h, job.w, plan.channels, job.top, job.left, simd::kWinogradInput, zeros};
}

int64_t ZerosFloats(const WinogradFilter& plan) {
  return CeilDiv(simd::kWinogradInput * int64_t{plan.channels}, 16) * 16;
}
int64_t TileFloats(const WinogradFilter& plan) {
  return CeilDiv(plan.channels, plan.kernels->lanes) * plan.kernels->lanes;
}

// Blocks of tiles. With `packed` null the filter of `view` is transformed first.
void RunLight(const WinogradFilter& plan, const float* packed, const FilterView& view,
              const WinogradImages& job, ThreadPool& pool) {
  const TileGrid grid(job.images, job.out_h, job.out_w);
  const int64_t tile_floats = TileFloats(plan), width = plan.Width(0);
  const int64_t most = plan.kernels->max_rows[kWinogradVecs];
  // Whole register tiles, as many as the cache takes; and blocks enough for all threads.
  int64_t block = kBlockFloats / (kWinogradPoints * Max(tile_floats, width));
  block = Max(1, block / most) * most;
  int64_t blocks = CeilDiv(grid.count, block);
  if (pool.size() > 1) {
    blocks = Max(blocks, Min(4 * pool.size(), CeilDiv(grid.count, most)));
  }
  block = CeilDiv(grid.count, blocks);
  blocks = CeilDiv(grid.count, block);
  const int64_t v_point = PointFloats(block * tile_floats), m_point = PointFloats(block * width);
  const int64_t v_floats = kWinogradPoints * v_point, m_floats = kWinogradPoints * m_point;
  const int64_t turned_floats = packed != nullptr ? 0 : TurnedFloats(view, kPackSteps, width);
  const bool own_filter = packed == nullptr && plan.floats() <= kOwnFilterFloats;
  const bool shared_filter = packed == nullptr && !own_filter;
  const Scratch scratch(pool, ZerosFloats(plan) + (shared_filter ? plan.floats() : 0),
                        Max(turned_floats, v_floats + m_floats) + (own_filter ? plan.floats() : 0));
  const TileSource source = SourceOf(plan, job, scratch.shared());
  if (shared_filter) {
    float* const to = scratch.shared() + ZerosFloats(plan);
    PackShared(plan, view, to, pool, [&](int worker) { return scratch.Own(worker); });
    packed = to;
  }
  const int64_t filter_at = Max(turned_floats, v_floats + m_floats);
  FirstTask first_task;
  pool.ParallelFor(blocks, 1, [&](int64_t b, int64_t, int worker) {
    float* const v = scratch.Own(worker);
    float* const m = v + v_floats;
    if (own_filter && first_task(worker)) PackOwn(plan, view, v, v + filter_at);
    const float* const filter = own_filter ? v + filter_at : packed;
    const int64_t first = b * block, count = Min(block, grid.count - first);
    LoadInputs(plan, grid, source, first, count, v, v_point, tile_floats);
    for (int panel = 0; panel < plan.panels; panel++) {
      simd::WinogradGemm gemm;
      gemm.a = v;
      gemm.a_row = tile_floats;
      gemm.a_point = v_point;
      gemm.b = filter + plan.Offset(panel);
      gemm.b_step = gemm.c_row = plan.Width(panel);
      gemm.b_point = plan.Point(panel);
      gemm.c = m;
      gemm.c_point = m_point;
      gemm.rows = count;
      gemm.steps = plan.channels;
      gemm.vecs = plan.Width(panel) / plan.kernels->lanes;
      gemm.turned = gemm.accumulate = false;
      plan.kernels->gemm(gemm);
      StoreTiles(plan, grid, job, panel, first, count, m, m_point);
    }
  });
}

// Panels of a heavy filter.
void RunHeavy(const WinogradFilter& plan, const FilterView& view, const WinogradImages& job,
              ThreadPool& pool) {
  const TileGrid grid(job.images, job.out_h, job.out_w);
  const int64_t tile_floats = TileFloats(plan), width = plan.Width(0);
  const int64_t v_point = PointFloats(grid.count * tile_floats);
  const int64_t m_point = PointFloats(grid.count * width);
  const int64_t u_point = PointFloats(kHeavySteps * width);
  const int64_t m_floats = kWinogradPoints * m_point, u_floats = kWinogradPoints * u_point;
  const int64_t v_floats = kWinogradPoints * v_point;
  const Scratch scratch(pool, ZerosFloats(plan),
                        v_floats + m_floats + u_floats + TurnedFloats(view, kHeavySteps, width));
  const TileSource source = SourceOf(plan, job, scratch.shared());
  FirstTask first_task;
  pool.ParallelFor(plan.panels, 1, [&](int64_t item, int64_t, int worker) {
    const int panel = static_cast<int>(item);
    float* const v = scratch.Own(worker);
    float* const m = v + v_floats;
    float* const u = m + m_floats;
    // Every worker transforms all inputs for itself: cheaper than to fetch them from others.
    if (first_task(worker)) {
      LoadInputs(plan, grid, source, 0, grid.count, v, v_point, tile_floats);
    }
    for (int64_t first = 0; first < plan.channels; first += kHeavySteps) {
      simd::WinogradGemm gemm;
      gemm.steps = Min(kHeavySteps, plan.channels - first);
      LoadPanel(plan, view, panel, first, gemm.steps, u + u_floats, u, u_point);
      gemm.a = v + first;
      gemm.a_row = tile_floats;
      gemm.a_point = v_point;
      gemm.b = u;
      gemm.b_step = gemm.c_row = plan.Width(panel);
      gemm.b_point = u_point;
      gemm.c = m;
      gemm.c_point = m_point;
      gemm.rows = grid.count;
      gemm.vecs = plan.Width(panel) / plan.kernels->lanes;
      gemm.turned = false;
      gemm.accumulate = first > 0;
      plan.kernels->gemm(gemm);
    }
    StoreTiles(plan, grid, job, panel, 0, grid.count, m, m_point);
  });
}

void Run(const WinogradFilter& plan, const FilterView& view, const WinogradImages& job,
         ThreadPool& pool) {
  const TileGrid grid(job.images, job.out_h, job.out_w);
  const bool heavy = plan.floats() > kHeavyFloats &&
                     grid.count * kWinogradPoints * plan.Width(0) <= kHeavyProducts;
  heavy ? RunHeavy(plan, view, job, pool) : RunLight(plan, nullptr, view, job, pool);
}

}  // namespace

int WinogradFilter::Width(int panel) const {
  return static_cast<int>(Min(kWinogradVecs, vecs - panel * kWinogradVecs)) * kernels->lanes;
}
int64_t WinogradFilter::Point(int panel) const {
  return PointFloats(int64_t{channels} * Width(panel));
}
int64_t WinogradFilter::Offset(int panel) const {
  const int last = panel == panels ? panel - 1 : panel;
  return kWinogradPoints * (last * Point(0) + (panel - last) * Point(last));
}

WinogradFilter PlanWinogradFilter(int channels, int columns) {
  WinogradFilter plan;
  plan.channels = channels;
  plan.columns = columns;
  plan.kernels = &simd::WinogradKernelsFor(ActiveTarget());
  plan.vecs = static_cast<int>(CeilDiv(columns, plan.kernels->lanes));
  plan.panels = static_cast<int>(CeilDiv(plan.vecs, kWinogradVecs));
  return plan;
}

void PackWinogradFilter(const WinogradFilter& plan, const float* f, float* to, ThreadPool& pool) {
  PackShared(plan, ForwardView(f, plan.channels, plan.columns), to, pool,
             [](int) { return nullptr; });
}

void WinogradCorrelate(const WinogradFilter& plan, const float* packed,
                       const WinogradImages& images, ThreadPool& pool) {
  RunLight(plan, packed, FilterView{}, images, pool);
}

void WinogradForward(const ConvShape& shape, const float* x, const float* f, float* y,
                     bool accumulate, ThreadPool& pool) {
  WinogradImages job;
  job.images = shape.n;
  job.h = shape.h;
  job.w = shape.w;
  job.top = job.left = shape.pad;
  job.x = x;
  job.out_h = shape.oh();
  job.out_w = shape.ow();
  job.y = y;
  job.accumulate = accumulate;
  Run(PlanWinogradFilter(shape.c, shape.k), ForwardView(f, shape.c, shape.k), job, pool);
}

// The correlation of dy with the filter turned by half a circle, channels for columns.
void WinogradBackwardData(const ConvShape& shape, const float* dy, const float* f, float* dx,
                          bool accumulate, ThreadPool& pool) {
  const int64_t tap = int64_t{shape.c} * shape.k;
  WinogradImages job;
  job.images = shape.n;
  job.h = shape.oh();
  job.w = shape.ow();
  job.top = job.left = 2 - shape.pad;
  job.x = dy;
  job.out_h = shape.h;
  job.out_w = shape.w;
  job.y = dx;
  job.accumulate = accumulate;
  Run(PlanWinogradFilter(shape.k, shape.c), FilterView{f + 8 * tap, -3 * tap, -tap, 1, shape.k},
      job, pool);
}

}  // namespace rhnas::engine::conv
