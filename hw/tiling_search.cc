#include "hw/tiling_search.h"

#include <algorithm>
#include <limits>

namespace rhnas::hw {
namespace {

// Parts a dimension is cut into.
constexpr int kParts[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024};
constexpr int kMostSizes = 18;

struct Sizes {
  int size[kMostSizes];
  int count = 0;
  void Add(int value) {
    if (count == 0 || size[count - 1] != value) size[count++] = value;
  }
};

// Descending, from the whole to 1.
Sizes GridOf(int extent) {
  Sizes sizes;
  for (const int parts : kParts) {
    if (parts >= extent) break;
    sizes.Add((extent + parts - 1) / parts);
  }
  sizes.Add(1);
  return sizes;
}

class Search {
 public:
  Search(const Machine& machine, BestTiling* best) : m_(machine), best_(best) {
    best_->latency_cycles = std::numeric_limits<int64_t>::max();
  }

  bool Run() {
    const Work& work = m_.work;
    const Sizes row_sizes = GridOf(work.rows);
    const Sizes col_sizes = GridOf(work.cols);
    for (int i = 0; i < row_sizes.count; ++i) {
      rows_[i] =
          CutPixels(work.rows, work.in_rows, work.r, work.stride, work.pad, row_sizes.size[i]);
    }
    for (int i = 0; i < col_sizes.count; ++i) {
      cols_[i] =
          CutPixels(work.cols, work.in_cols, work.s, work.stride, work.pad, col_sizes.size[i]);
    }
    const Sizes outputs = GridOf(work.out_units);
    const Sizes inputs = GridOf(work.in_units);
    const bool array = work.engine == Work::Engine::kArray;
    for (int r = 0; r < row_sizes.count; ++r) {
      for (int c = 0; c < col_sizes.count; ++c) {
        for (int o = 0; o < outputs.count; ++o) {
          for (int i = 0; i < inputs.count; ++i) {
            Tiling tiling;
            tiling.th = row_sizes.size[r];
            tiling.tw = col_sizes.size[c];
            tiling.tco = outputs.size[o];
            tiling.tci = inputs.size[i];
            Orders(tiling, rows_[r], cols_[c], array);
          }
        }
      }
    }
    return best_->latency_cycles != std::numeric_limits<int64_t>::max();
  }

 private:
  void Orders(Tiling tiling, const PixelCut& rows, const PixelCut& cols, bool array) {
    const int most = m_.config.vthread ? 2 : 1;
    for (int contexts = most; contexts >= 1; --contexts) {
      tiling.vthreads = contexts;
      tiling.stationary = Stationary::kNone;
      Try(tiling, rows, cols);
      const bool one_pixel_tile =
          rows.cut.tiles() == 1 && cols.cut.tiles() == 1 && m_.work.batches == 1;
      if (array && !m_.work.constant_weights && !one_pixel_tile) {
        tiling.stationary = Stationary::kWeights;
        Try(tiling, rows, cols);
      }
      if (array && !m_.work.private_inputs && tiling.tco < m_.work.out_units) {
        tiling.stationary = Stationary::kInputs;
        Try(tiling, rows, cols);
      }
    }
  }

  void Try(const Tiling& tiling, const PixelCut& rows, const PixelCut& cols) {
    if (!Fits(m_, tiling, Measure(m_, tiling, rows, cols), nullptr)) return;
    BuildSchedule(m_, tiling, rows, cols, &schedule_);
    const Totals totals = Sum(m_, schedule_);
    if (LowerBound(m_, tiling, schedule_, totals) / kCycle >= best_->latency_cycles) return;
    const int64_t latency = LatencyCycles(m_, tiling, schedule_, totals);
    if (latency > best_->latency_cycles) return;
    if (latency == best_->latency_cycles && totals.read_beats >= best_->dram_beats) return;
    best_->tiling = tiling;
    best_->latency_cycles = latency;
    best_->dram_beats = totals.read_beats;
  }

  const Machine& m_;
  BestTiling* best_;
  PixelCut rows_[kMostSizes], cols_[kMostSizes];
  Schedule schedule_;
};

}  // namespace

bool FindTiling(const Machine& machine, BestTiling* best, std::string* why) {
  if (Search(machine, best).Run()) return true;
  const Work& work = machine.work;
  const PixelCut rows = CutPixels(work.rows, work.in_rows, work.r, work.stride, work.pad, 1);
  const PixelCut cols = CutPixels(work.cols, work.in_cols, work.s, work.stride, work.pad, 1);
  const Tiling smallest;
  Fits(machine, smallest, Measure(machine, smallest, rows, cols), why);
  return false;
}

}  // namespace rhnas::hw
