// Exact minimum over the grid, found by bounds: a closed form that no schedule of a tiling can beat
// is computed for whole subtrees first (all output and input sizes of a pixel tile at their best),
// then for each tiling. The most promising of each pixel tile is timed at once, so that a good
// answer is known early; the others wait and are timed by growing bound until none can win.
#include "hw/tiling_search.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

constexpr int kMostSizes = 20;

struct Sizes {
  int size[kMostSizes];
  int count = 0;
  void Add(int value) {
    if (count == 0 || size[count - 1] > value) size[count++] = value;
  }
};

// Descending: the extent cut into 1, 2, (3,) 4, (6,) 8, ... parts, down to single elements.
Sizes GridOf(int extent, bool thirds) {
  Sizes sizes;
  for (int parts = 1; parts < extent && sizes.count < kMostSizes - 2; parts *= 2) {
    sizes.Add((extent + parts - 1) / parts);
    if (thirds && parts > 1) sizes.Add((extent + parts * 3 / 2 - 1) / (parts * 3 / 2));
  }
  sizes.Add(1);
  return sizes;
}

// A pixel tile's share of the bounds, the same for every split of channels.
struct Pixels {
  int64_t tiles;                  // of one image batch, times batches
  int64_t valid;                  // input pixels loaded over all tiles, once for each unit
  Ticks store;                    // all stores of one output unit
  int64_t out_pixels, in_pixels;  // of a full tile
  Ticks last_store;               // one unit of the smallest tile
  Ticks full_store;               // one unit of a full tile
  int64_t full_tiles;             // among `tiles`
  int64_t full_pairs;             // pairs of full tiles where contexts take neighbouring pixels
};

// A tiling by its places in the grids. Left uninitialised: a thousand of them wait in an array.
struct Candidate {
  Ticks bound;
  uint8_t row, col, output, input, contexts;
  Stationary stationary;
};

// Waiting candidates; when more wait, they are timed without waiting.
constexpr int kMostWaiting = 1024;

class Search {
 public:
  Search(const Machine& machine, int64_t below_cycles, BestTiling* best)
      : m_(machine), w_(machine.work), best_(best), below_cycles_(below_cycles) {
    *best_ = BestTiling{};
    best_->latency_cycles = below_cycles;  // with no traffic: even a tie does not replace it
    const Timing& t = m_.timing;
    const int64_t pixels = int64_t{w_.rows} * w_.cols * w_.batches;
    const int64_t vectors = pixels * w_.out_units * w_.out_blocks;
    all_uops_ = pixels * w_.out_units * w_.in_units * w_.pair_uops * w_.taps();
    array_ = w_.engine == Work::Engine::kArray;
    Ticks per_vector = Cycles(1 + (w_.bias ? 2 : 0) + w_.immediate_ops);
    Ticks per_tile =
        t.gemm_fixed + (w_.bias ? t.alu_fixed + t.load_acc : 0) + w_.immediate_ops * t.alu_fixed;
    if (!array_) {  // a floor: the copies differ with the tile
      all_uops_ = pixels * w_.out_units * w_.pair_uops;
      const int64_t steps = w_.engine == Work::Engine::kAluMaxPool ? w_.taps() : 3 * w_.taps() - 1;
      per_vector += Cycles(2 * steps);
      per_tile += steps * t.alu_fixed;
    }
    vector_ticks_ = vectors * per_vector;
    tile_ticks_ = per_tile;
    per_tile_instructions_ = 1 + (w_.bias ? 2 : 0) + w_.immediate_ops;
    all_weight_beats_ = w_.constant_weights ? 0
                                            : int64_t{w_.out_units} * w_.in_units * w_.pair_uops *
                                                  w_.taps() * m_.wgt_bytes * kCycle / t.bus_bytes;
    bias_beats_ =
        w_.bias ? int64_t{w_.out_units} * w_.out_blocks * m_.acc_bytes * kCycle / t.bus_bytes : 0;
    start_ = t.Arrival(0, 1);
  }

  bool Run() {
    const Sizes row_sizes = GridOf(w_.rows, true);
    const Sizes col_sizes = GridOf(w_.cols, false);
    outputs_ = GridOf(w_.out_units, true);
    inputs_ = GridOf(w_.in_units, false);
    for (int i = 0; i < row_sizes.count; ++i) {
      rows_[i] = CutRows(w_, row_sizes.size[i]);
    }
    for (int i = 0; i < col_sizes.count; ++i) {
      cols_[i] = CutCols(w_, col_sizes.size[i]);
    }
    for (row_ = 0; row_ < row_sizes.count; ++row_) {
      for (col_ = 0; col_ < col_sizes.count; ++col_) Tile(rows_[row_], cols_[col_]);
    }
    const auto later = [](const Candidate& a, const Candidate& b) { return a.bound > b.bound; };
    std::make_heap(waiting_, waiting_ + count_, later);
    while (count_ > 0 && !Hopeless(waiting_[0].bound)) {
      std::pop_heap(waiting_, waiting_ + count_, later);
      Try(waiting_[--count_]);
    }
    return best_->latency_cycles < below_cycles_;
  }

 private:
  bool Hopeless(Ticks bound) const { return w_.copies * bound / kCycle >= best_->latency_cycles; }

  static Ticks Sum2(const PixelCut& cut) {
    return cut.valid[0] * cut.cut.full + (cut.cut.tail > 0 ? cut.valid[1] : 0);
  }

  void Tile(const PixelCut& rows, const PixelCut& cols) {
    Pixels p;
    p.tiles = int64_t{rows.cut.tiles()} * cols.cut.tiles() * w_.batches;
    p.valid = Sum2(rows) / kCycle * (Sum2(cols) / kCycle) * w_.batches;
    p.out_pixels = int64_t{rows.cut.size} * cols.cut.size;
    p.in_pixels = int64_t{rows.extent[0]} * cols.extent[0];
    // One output, one input block, one context: what every tiling of these pixels takes.
    if (p.out_pixels * w_.out_split > m_.acc_depth || p.in_pixels * w_.in_split > m_.inp_depth) {
      return;
    }
    p.store = p.last_store = 0;
    for (int a = 0; a < 2; ++a) {
      const int64_t height = a == 0 ? rows.cut.size : rows.cut.tail;
      const int64_t count_a = a == 0 ? rows.cut.full : (height > 0 ? 1 : 0);
      for (int b = 0; b < 2; ++b) {
        const int64_t width = b == 0 ? cols.cut.size : cols.cut.tail;
        const int64_t count = count_a * (b == 0 ? cols.cut.full : (width > 0 ? 1 : 0));
        if (count == 0) continue;
        const Ticks one = StoreFloor(height, width);
        p.store += count * one;
        p.last_store = one;
      }
    }
    p.store *= w_.batches;
    p.full_store = StoreFloor(rows.cut.size, cols.cut.size);
    p.full_tiles = int64_t{rows.cut.full} * cols.cut.full * w_.batches;
    p.full_pairs = (cols.cut.tiles() > 1 ? int64_t{cols.cut.full / 2} * rows.cut.full
                                         : int64_t{rows.cut.full / 2}) *
                   w_.batches;
    if (Hopeless(Bound(p, 1, 1, w_.out_units, 1, 2, Stationary::kNone, true))) return;
    const int first = count_;
    for (output_ = 0; output_ < outputs_.count; ++output_) Outputs(p, outputs_.size[output_]);
    while (count_ > first) {
      int least = first;
      for (int i = first + 1; i < count_; ++i) {
        if (waiting_[i].bound < waiting_[least].bound) least = i;
      }
      const Candidate candidate = waiting_[least];
      waiting_[least] = waiting_[--count_];
      if (Hopeless(candidate.bound)) {
        count_ = first;  // and so are the rest of this pixel tile
      } else if (Try(candidate)) {
        break;
      }
    }
  }

  Ticks StoreFloor(int64_t height, int64_t width) const {
    const int64_t bytes = width * w_.unit_bytes;
    const Ticks beats = bytes * kCycle / m_.timing.bus_bytes;
    const Ticks bubbles =
        m_.timing.out_row_bytes > 0 ? bytes / m_.timing.out_row_bytes * kCycle : 0;
    return height * (Cycles(3) + beats + bubbles);
  }

  void Outputs(const Pixels& p, int tco) {
    if (tco * p.out_pixels * w_.out_split > m_.acc_depth) return;
    const int64_t n_o = (w_.out_units + tco - 1) / tco;
    if (Hopeless(Bound(p, n_o, 1, tco, 1, 2, Stationary::kNone, true))) return;
    const bool one_tile = p.tiles == 1;
    const int64_t filters =
        w_.constant_weights ? 0 : int64_t{tco} * w_.pair_uops * w_.taps();  // of one input unit
    const int most = m_.config.vthread ? 2 : 1;
    for (int i = 0; i < inputs_.count; ++i) {
      const int tci = inputs_.size[i];
      const int64_t n_i = (w_.in_units + tci - 1) / tci;
      for (int contexts = most; contexts >= 1; --contexts) {
        const int64_t accs = contexts * tco * w_.out_split * p.out_pixels;
        const int64_t inputs = contexts * (w_.private_inputs ? tco : 1) * w_.in_split * p.in_pixels;
        if (accs > m_.acc_depth) continue;
        const auto attempt = [&](Stationary stationary) {
          // Most of what does not fit is found here, before any bound.
          const bool all_weights = stationary == Stationary::kWeights;
          const int64_t units = stationary == Stationary::kInputs ? w_.in_units : tci;
          if (inputs * units > m_.inp_depth) return;
          if ((all_weights ? w_.in_units : contexts * tci) * filters > m_.wgt_depth) return;
          const Ticks bound = Bound(p, n_o, n_i, tco, tci, contexts, stationary, false);
          if (Hopeless(bound)) return;
          const Candidate candidate{bound,
                                    static_cast<uint8_t>(row_),
                                    static_cast<uint8_t>(col_),
                                    static_cast<uint8_t>(output_),
                                    static_cast<uint8_t>(i),
                                    static_cast<uint8_t>(contexts),
                                    stationary};
          if (count_ == kMostWaiting) {
            Try(candidate);
          } else {
            waiting_[count_++] = candidate;
          }
        };
        attempt(Stationary::kNone);
        if (array_ && !w_.constant_weights && !one_tile) attempt(Stationary::kWeights);
        if (array_ && !w_.private_inputs && n_o > 1) attempt(Stationary::kInputs);
      }
    }
  }

  // Never above the latency of one program. `best`: of any order and input split.
  Ticks Bound(const Pixels& p, int64_t n_o, int64_t n_i, int tco, int tci, int contexts,
              Stationary stationary, bool best) const {
    const Timing& t = m_.timing;
    const int64_t tiles = p.tiles * n_o;
    const Ticks multiply = Cycles(all_uops_) + tiles * n_i * t.gemm_fixed;
    const Ticks compute = multiply + vector_ticks_ + tiles * tile_ticks_ + p.tiles * bias_beats_;
    const bool weights_stay = best || stationary == Stationary::kWeights;
    const bool inputs_stay = best || stationary == Stationary::kInputs;
    const int64_t unit_pixels =
        p.valid * w_.in_units * (w_.private_inputs ? w_.out_units : (inputs_stay ? 1 : n_o));
    const Ticks input_beats = unit_pixels * w_.unit_bytes * kCycle >> t.bus_shift;
    int64_t input_loads = w_.one_load ? n_i : w_.in_units;
    input_loads *= w_.private_inputs ? p.tiles * w_.out_units : p.tiles * (inputs_stay ? 1 : n_o);
    Ticks weight_beats = all_weight_beats_;
    int64_t weight_loads = 0;
    if (!w_.constant_weights) {
      weight_loads = weights_stay ? n_o : tiles * n_i;
      if (!weights_stay) weight_beats *= p.tiles;
    }
    const Ticks load =
        input_loads * t.load_inp + input_beats + weight_loads * t.load_wgt + weight_beats;
    const int64_t instructions =
        tiles * (per_tile_instructions_ + n_i) + input_loads + weight_loads +
        p.tiles * (w_.rows == 1 && w_.cols == 1 ? n_o : int64_t{w_.out_units});
    const Ticks fetch = t.Arrival(instructions - 1, instructions) - start_;
    const Ticks bus = input_beats + weight_beats + instructions * t.fetch_beats;
    const Ticks store = w_.out_units * p.store;
    Ticks busy = t.load_uop + compute + p.last_store;
    if (!best && contexts == 2) {
      // The second context's reset comes right after the first's and waits for its own last store.
      const int64_t full_outputs = w_.out_units / tco;
      const int64_t pairs = stationary != Stationary::kWeights && n_o > 1
                                ? p.full_tiles * (full_outputs / 2)
                                : p.full_pairs * full_outputs;
      const Ticks reset = t.gemm_fixed + Cycles(tco * w_.out_blocks * p.out_pixels);
      if (array_)
        busy += std::max<int64_t>(0, pairs - 1) * std::max<Ticks>(0, tco * p.full_store - reset);
    }
    Ticks bound = std::max({busy, load, store, fetch, bus});
    if (contexts == 1) {
      // Loads and multiplies take turns; so do everything on the accumulators and the stores.
      bound = std::max({bound, load + multiply, t.load_uop + compute + store});
    }
    if (!best && !w_.one_load) {
      // The first multiply waits for its loads.
      const int64_t units = (w_.private_inputs ? tco : 1) * tci;
      Ticks first = units * t.load_inp;
      if (!w_.constant_weights) {
        const int64_t filter = int64_t{w_.pair_uops} * w_.taps() * tco;
        first +=
            t.load_wgt +
            (filter * (weights_stay ? w_.in_units : tci) * m_.wgt_bytes * kCycle >> t.bus_shift);
      }
      const Ticks resets = contexts * (t.gemm_fixed + Cycles(tco * w_.out_blocks * p.out_pixels));
      bound = std::max(bound, busy + std::max<Ticks>(0, first - resets - t.load_uop));
    }
    return bound + start_;
  }

  // False: does not fit.
  bool Try(const Candidate& candidate) {
    const PixelCut& rows = rows_[candidate.row];
    const PixelCut& cols = cols_[candidate.col];
    Tiling tiling;
    tiling.th = rows.cut.size;
    tiling.tw = cols.cut.size;
    tiling.tco = outputs_.size[candidate.output];
    tiling.tci = inputs_.size[candidate.input];
    tiling.vthreads = candidate.contexts;
    tiling.stationary = candidate.stationary;
    if (!Fits(m_, tiling, Measure(m_, tiling, rows, cols), nullptr)) return false;
    BuildSchedule(m_, tiling, rows, cols, &schedule_);
    const Totals totals = Sum(m_, schedule_);
    if (LowerBound(m_, tiling, schedule_, totals) / kCycle >= best_->latency_cycles) return true;
    const int64_t latency = LatencyCycles(m_, tiling, schedule_, totals);
    if (latency > best_->latency_cycles) return true;
    if (latency == best_->latency_cycles && totals.read_beats >= best_->dram_beats) return true;
    best_->tiling = tiling;
    best_->latency_cycles = latency;
    best_->dram_beats = totals.read_beats;
    return true;
  }

  const Machine& m_;
  const Work& w_;
  BestTiling* best_;
  int64_t below_cycles_;
  bool array_ = true;
  int64_t all_uops_ = 0, per_tile_instructions_ = 0;
  Ticks vector_ticks_ = 0, tile_ticks_ = 0, all_weight_beats_ = 0, bias_beats_ = 0;
  Ticks start_ = 0;
  Sizes outputs_, inputs_;
  Candidate waiting_[kMostWaiting];
  int count_ = 0, row_ = 0, col_ = 0, output_ = 0;
  PixelCut rows_[kMostSizes], cols_[kMostSizes];
  Schedule schedule_;
};

}  // namespace

bool FindTiling(const Machine& machine, BestTiling* best, std::string* why, int64_t below_cycles) {
  if (Search(machine, below_cycles, best).Run()) return true;
  if (why == nullptr) return false;
  const Work& work = machine.work;
  const PixelCut rows = CutRows(work, 1);
  const PixelCut cols = CutCols(work, 1);
  const Tiling smallest;
  Fits(machine, smallest, Measure(machine, smallest, rows, cols), why);
  return false;
}

}  // namespace rhnas::hw
