// 3x3 convolutions of an InferProgram by Winograd's F(4x4,3x3) (engine/conv_winograd.h), filters
// transformed once. See infer.h.
#include "engine/conv_winograd.h"
#include "engine/conv_winograd_internal.h"
#include "engine/infer_internal.h"

namespace rhnas::engine::infer {

namespace {

using simd::kWinogradPoints;
using simd::kWinogradTile;
using simd::kWinogradVecs;

// Transformed inputs of a block of tiles: a share of a second-level cache. Larger where the filter
// does not stay there, which is read once for each block.
constexpr int64_t kBlockFloats = 32 * 1024, kHeavyBlockFloats = 96 * 1024;
constexpr int64_t kHeavyFloats = 128 * 1024;
// Tiles worth a task.
constexpr int64_t kTaskTiles = 4;
// Filters that several threads had better not each read from beyond the third-level cache.
constexpr int64_t kSharedFloats = 1024 * 1024;

// --- Whether it pays: cycles of one multiply-add of 16 lanes ---

// Of a tile of 16 channels, from engine/conv_winograd_cost.cc; of a float read from a second-level
// cache, from a third, from memory (a core's share of 190, 95 and 24 GB/s at 4 GHz).
constexpr double kLoadTile = 260, kStoreTile = 200;
constexpr double kNearCycle = 1.0 / 12, kFarCycle = 1.0 / 6, kMemoryCycle = 1.0 / 1.5;
constexpr double kFarFloats = 2 * 1024 * 1024;
// It rounds more, so it has to bring something.
constexpr double kGain = 1.15;

double ReadCycles(double floats) {
  if (floats <= static_cast<double>(kHeavyFloats)) return floats * kNearCycle;
  return floats * (floats <= kFarFloats ? kFarCycle : kMemoryCycle);
}

double Larger(double a, double b) { return a > b ? a : b; }

bool Pays(const Extent& in, const Extent& out) {
  const double c = in.c, k = out.c;
  // Filters are read while earlier ones multiply.
  const double direct =
      Larger(1.1 * static_cast<double>(out.pixels()) * 9 * c * k / 16, ReadCycles(9 * c * k));
  const conv::TileGrid grid(1, out.h, out.w);
  const double tiles = static_cast<double>(grid.count);
  const double in16 = static_cast<double>(CeilDiv(in.c, 16));
  const double out16 = static_cast<double>(CeilDiv(out.c, 16));
  // Register tiles of few rows wait for the latency of their chains.
  const double rows = static_cast<double>(Max(grid.count, 4));
  const double transforms = tiles * (in16 * kLoadTile + out16 * kStoreTile);
  const double winograd =
      transforms + Larger(1.2 * kWinogradPoints * rows * c * out16, ReadCycles(36 * c * k));
  return kGain * winograd < direct;
}

class WinogradStep : public Step {
 public:
  WinogradStep(const Extent& in, const Extent& out, const InferConv& conv)
      : in_(in),
        out_(out),
        pad_(conv.pad),
        plan_(conv::PlanWinogradFilter(in.c, out.c)),
        packed_(plan_.floats()),
        bias_(conv.k),
        zeros_(int64_t{simd::kWinogradInput} * in.c) {
    ThreadPool alone(1);
    conv::PackWinogradFilter(plan_, conv.filter, packed_.data(), alone);
    for (int k = 0; k < conv.k; k++) bias_[k] = conv.bias[k];
    ClampOf(conv.activation, &low_, &high_);
    tile_floats_ = CeilDiv(in.c, plan_.kernels->lanes) * plan_.kernels->lanes;
    heavy_ = plan_.floats() > kHeavyFloats;
    const int64_t most = plan_.kernels->max_rows[kWinogradVecs];
    const int64_t room = (heavy_ ? kHeavyBlockFloats : kBlockFloats) /
                         (kWinogradPoints * Max(tile_floats_, plan_.Width(0)));
    block_ = Max(1, room / most) * most;
  }

  // With several threads a filter that no cache holds is split by panels, the inputs transformed
  // before.
  int phases(int threads) const override { return ByPanels(threads) ? 2 : 1; }
  int64_t tasks(int phase, int threads) const override {
    if (threads == 1) return 1;
    const int64_t wanted = int64_t{threads} * kTasksPerThread;
    const int64_t tiles = Grid(1).count;
    if (FewTiles(threads)) return Min(threads, plan_.panels);
    if (!ByPanels(threads)) return Min(wanted, CeilDiv(tiles, kTaskTiles));
    return phase == 0 ? Min(threads, tiles) : Min(wanted, plan_.panels);
  }
  int64_t weight_floats() const override { return packed_.size() + bias_.size(); }
  int64_t scratch_floats() const override {
    return kWinogradPoints *
           (InputPoint(block_) + Max(ProductPoint(block_), plan_.floats() > kSharedFloats
                                                               ? ProductPoint(Grid(1).count)
                                                               : 0));
  }
  int64_t shared_floats(int) const override {
    return plan_.floats() > kSharedFloats ? kWinogradPoints * InputPoint(Grid(1).count) : 0;
  }

  void Run(const Work& work, int phase, int64_t task) const override {
    const int64_t count = tasks(phase, work.threads);
    const conv::TileGrid grid = Grid(work.images);
    const bool few = FewTiles(work.threads);
    int64_t first = few ? 0 : grid.count * task / count;
    const int64_t last = few ? grid.count : grid.count * (task + 1) / count;
    if (ByPanels(work.threads)) {
      const int64_t point = InputPoint(grid.count);
      if (phase == 0)
        return Load(work, grid, first, last - first, work.shared + first * tile_floats_, point);
      for (int64_t p = plan_.panels * task / count; p < plan_.panels * (task + 1) / count; p++) {
        Panel(work, grid, static_cast<int>(p), 0, grid.count, work.shared, point, work.scratch);
      }
      return;
    }
    const int64_t block = CeilDiv(last - first, CeilDiv(last - first, block_));
    const int64_t point = InputPoint(block);
    for (; first < last; first += block) {
      const int64_t tiles = Min(block, last - first);
      Load(work, grid, first, tiles, work.scratch, point);
      const int64_t p_first = few ? plan_.panels * task / count : 0;
      const int64_t p_last = few ? plan_.panels * (task + 1) / count : plan_.panels;
      for (int p = static_cast<int>(p_first); p < p_last; p++) {
        Panel(work, grid, p, first, tiles, work.scratch, point,
              work.scratch + kWinogradPoints * point);
      }
    }
  }

 private:
  conv::TileGrid Grid(int images) const { return conv::TileGrid(images, out_.h, out_.w); }
  bool ByPanels(int threads) const {
    return threads > 1 && plan_.floats() > kSharedFloats && plan_.panels >= threads;
  }
  // Fewer tiles than threads can share: each takes panels, and transforms all inputs itself.
  bool FewTiles(int threads) const {
    const int64_t tiles = Grid(1).count;
    return threads > 1 && !ByPanels(threads) && tiles < kTaskTiles * threads && tiles <= block_ &&
           plan_.panels > 1;
  }
  int64_t InputPoint(int64_t tiles) const { return conv::PointFloats(tiles * tile_floats_); }
  int64_t ProductPoint(int64_t tiles) const { return conv::PointFloats(tiles * plan_.Width(0)); }

  // Transforms tiles [first, first + count).
  void Load(const Work& work, const conv::TileGrid& grid, int64_t first, int64_t count, float* to,
            int64_t to_point) const {
    simd::WinogradLoad load;
    load.channels = in_.c;
    load.to = to;
    load.to_point = to_point;
    load.to_tile = tile_floats_;
    const conv::TileSource source = {
        work.x, in_.h, in_.w, in_.c, pad_, pad_, simd::kWinogradInput, zeros_.data()};
    conv::LoadTiles(plan_.kernels->load_input, source, grid, first, count, &load);
  }

  // Output channels of one panel for tiles [first, first + count).
  void Panel(const Work& work, const conv::TileGrid& grid, int panel, int64_t first, int64_t count,
             const float* inputs, int64_t input_point, float* products) const {
    const int64_t product_point = ProductPoint(count);
    simd::WinogradGemm gemm;
    gemm.a = inputs;
    gemm.a_row = tile_floats_;
    gemm.a_point = input_point;
    gemm.b = packed_.data() + plan_.Offset(panel);
    gemm.b_step = gemm.c_row = plan_.Width(panel);
    gemm.b_point = plan_.Point(panel);
    gemm.c = products;
    gemm.c_point = product_point;
    gemm.rows = count;
    gemm.steps = in_.c;
    gemm.vecs = plan_.Width(panel) / plan_.kernels->lanes;
    gemm.turned = gemm.accumulate = false;
    plan_.kernels->gemm(gemm);
    Store(work, grid, panel, first, count, products, product_point);
  }

  void Store(const Work& work, const conv::TileGrid& grid, int panel, int64_t first, int64_t count,
             const float* from, int64_t from_point) const {
    const int column = panel * kWinogradVecs * plan_.kernels->lanes;
    simd::Epilogue epilogue;
    epilogue.bias = bias_.data() + column;
    epilogue.low = low_;
    epilogue.high = high_;
    epilogue.residual_pixel = out_.c;
    epilogue.residual_row = int64_t{out_.w} * out_.c;
    simd::WinogradStore store;
    store.from = from;
    store.from_tile = plan_.Width(panel);
    store.from_point = from_point;
    store.y_pixel = out_.c;
    store.y_row = int64_t{out_.w} * out_.c;
    store.channels = Min(plan_.Width(panel), out_.c - column);
    store.accumulate = false;
    store.epilogue = &epilogue;
    for (const int64_t until = first + count; first < until;) {
      const conv::TileRun run(grid, first, until - first);
      const int64_t at = ((run.image * out_.h + run.i) * out_.w + run.j) * int64_t{out_.c} + column;
      store.y = work.y + at;
      store.rows = static_cast<int>(Min(kWinogradTile, out_.h - run.i));
      store.width = static_cast<int>(Min(int64_t{kWinogradTile} * run.tiles, out_.w - run.j));
      epilogue.residual = work.residual == nullptr ? nullptr : work.residual + at;
      plan_.kernels->store_output(store);
      store.from += run.tiles * store.from_tile;
      first += run.tiles;
    }
  }

  Extent in_, out_;
  int pad_;
  conv::WinogradFilter plan_;
  Buffer packed_, bias_, zeros_;
  float low_ = 0, high_ = 0;
  int64_t tile_floats_ = 0, block_ = 1;
  bool heavy_ = false;
};

}  // namespace

std::unique_ptr<Step> MakeWinograd(const Extent& in, const Extent& out, const InferConv& conv) {
  const bool fits = conv.r == 3 && conv.s == 3 && conv.stride == 1 && conv.groups == 1 &&
                    conv.pad <= 2 && conv.activation != Activation::kHSwish;
  if (!fits || !Pays(in, out)) return nullptr;
  return std::make_unique<WinogradStep>(in, out, conv);
}

}  // namespace rhnas::engine::infer
