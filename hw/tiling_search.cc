// Exact minimum over the grid, found by bounds: a closed form that no schedule of a tiling can beat
// is computed for each pixel tile first (all output and input sizes at their best), and pixel tiles
// are opened by growing bound. Their tilings have tighter bounds of their own, stalls between units
// included; the most promising of each pixel tile is timed at once, so that a good answer is known
// early; the others wait and are timed by growing bound until none can win.
#include "hw/tiling_search.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

constexpr int kMostSizes = 20;
// A token posted in one cycle lets its waiter start in the next: what waits on both sides.
constexpr Ticks kTokens = 2 * kCycle;

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
  PixelTile full;
  int64_t tiles;       // of one image batch, times batches
  int64_t full_tiles;  // among them
  // Where contexts take neighbouring pixels.
  int64_t pairs, full_pairs;
  int64_t valid;     // input pixels loaded over all tiles, once for each unit
  int64_t extent;    // the same with padding
  Ticks store;       // all stores of one output unit
  Ticks last_store;  // one unit of the smallest tile
};

// A tiling by its places in the grids. Left uninitialised: many of them wait in an array.
struct Candidate {
  Ticks bound;
  uint8_t row, col, output, input, contexts;
  Stationary stationary;
  uint64_t place() const {
    return uint64_t{row} << 40 | uint64_t{col} << 32 | uint64_t{output} << 24 |
           uint64_t{input} << 16 | uint64_t{contexts} << 8 | static_cast<uint64_t>(stationary);
  }
};

struct PixelChoice {
  Ticks bound;
  uint8_t row, col;
};

// Waiting candidates; when more wait, they are timed without waiting.
constexpr int kMostWaiting = 1024;

class Search {
 public:
  Search(const Machine& machine, int64_t below_cycles, BestTiling* best)
      : m_(machine), w_(machine.work), best_(best) {
    *best_ = BestTiling{};
    best_->latency_cycles = kAnyCycles;
    limit_cycles_ = below_cycles == kAnyCycles ? kAnyCycles : below_cycles - 1;
    const Timing& t = m_.timing;
    array_ = w_.engine == Work::Engine::kArray;
    vector_cycles_ = (w_.bias ? 2 : 0) + w_.immediate_ops;
    alu_instructions_ = (w_.bias ? 1 : 0) + w_.immediate_ops;
    if (!array_) {
      const int64_t steps = w_.engine == Work::Engine::kAluMaxPool ? w_.taps() : 3 * w_.taps() - 1;
      vector_cycles_ += 2 * steps;
      alu_instructions_ += steps;
    }
    acc_tensors_ = w_.bias ? w_.out_blocks : 0;
    if (w_.engine == Work::Engine::kAluDepthwise) acc_tensors_ += w_.out_blocks * w_.taps();
    acc_beats_ = acc_tensors_ * m_.acc_bytes << kCycleShift >> t.bus_shift;
    filter_ = w_.constant_weights ? 0 : int64_t{w_.pair_uops} * w_.taps();
    filter_beats_ = filter_ * m_.wgt_bytes << kCycleShift >> t.bus_shift;
    tile_ticks_ =
        t.gemm_fixed + alu_instructions_ * t.alu_fixed + (acc_tensors_ > 0 ? t.load_acc : 0);
    tile_instructions_ = 1 + alu_instructions_ + (acc_tensors_ > 0 ? 1 : 0);
    start_ = t.Arrival(0, 1);
  }

  bool Run() {
    const Sizes row_sizes = GridOf(w_.rows, true);
    const Sizes col_sizes = GridOf(w_.cols, false);
    outputs_ = GridOf(w_.out_units, true);
    inputs_ = GridOf(w_.in_units, false);
    for (int i = 0; i < row_sizes.count; ++i) rows_[i] = CutRows(w_, row_sizes.size[i]);
    for (int i = 0; i < col_sizes.count; ++i) cols_[i] = CutCols(w_, col_sizes.size[i]);
    PixelChoice choices[kMostSizes * kMostSizes];
    int choice_count = 0;
    for (int row = 0; row < row_sizes.count; ++row) {
      for (int col = 0; col < col_sizes.count; ++col) {
        // One output, one input block, one context: what every tiling of these pixels takes.
        if (int64_t{rows_[row].cut.size} * cols_[col].cut.size * w_.out_split > m_.acc_depth ||
            int64_t{rows_[row].extent[0]} * cols_[col].extent[0] * w_.in_split > m_.inp_depth) {
          continue;
        }
        Pixels p;
        MakePixels(rows_[row], cols_[col], &p);
        choices[choice_count++] = {SubtreeBound(p, 1), static_cast<uint8_t>(row),
                                   static_cast<uint8_t>(col)};
      }
    }
    std::sort(choices, choices + choice_count,
              [](const PixelChoice& a, const PixelChoice& b) { return a.bound < b.bound; });
    for (int i = 0; i < choice_count && !Hopeless(choices[i].bound); ++i) {
      row_ = choices[i].row;
      col_ = choices[i].col;
      Tile();
    }
    const auto later = [](const Candidate& a, const Candidate& b) { return a.bound > b.bound; };
    std::make_heap(waiting_, waiting_ + count_, later);
    while (count_ > 0 && !Hopeless(waiting_[0].bound)) {
      std::pop_heap(waiting_, waiting_ + count_, later);
      Try(waiting_[--count_]);
    }
    return best_->latency_cycles != kAnyCycles;
  }

 private:
  // Even a tie may win by its traffic or its place.
  bool Hopeless(Ticks bound) const {
    return limit_cycles_ < kAnyCycles && w_.copies * bound > Cycles(limit_cycles_);
  }

  void MakePixels(const PixelCut& rows, const PixelCut& cols, Pixels* p) const {
    const PixelTiles kinds = MakePixelTiles(m_, rows, cols);
    p->full = kinds.kind[0][0];
    const int64_t row_tiles = rows.cut.tiles(), col_tiles = cols.cut.tiles();
    p->tiles = row_tiles * col_tiles * w_.batches;
    p->full_tiles = int64_t{rows.cut.full} * cols.cut.full * w_.batches;
    const bool by_cols = col_tiles > 1;
    p->pairs = (by_cols ? row_tiles * ((col_tiles + 1) / 2) : (row_tiles + 1) / 2) * w_.batches;
    p->full_pairs =
        (by_cols ? int64_t{rows.cut.full} * (cols.cut.full / 2) : int64_t{rows.cut.full / 2}) *
        w_.batches;
    p->valid = rows.all_valid * cols.all_valid * w_.batches;
    p->extent = rows.all_extent * cols.all_extent * w_.batches;
    p->store = p->last_store = 0;
    if (w_.rows == 1 && w_.cols == 1) {
      // Output units of a tile go out in one row.
      p->last_store = (int64_t{w_.unit_bytes} << kCycleShift >> m_.timing.bus_shift) + Cycles(3);
      p->store = w_.batches * p->last_store;
      return;
    }
    for (int a = 0; a < 2; ++a) {
      const int64_t count_a = a == 0 ? rows.cut.full : (rows.cut.tail > 0 ? 1 : 0);
      for (int b = 0; b < 2; ++b) {
        const int64_t count = count_a * (b == 0 ? cols.cut.full : (cols.cut.tail > 0 ? 1 : 0));
        if (count == 0) continue;
        p->store += count * kinds.kind[a][b].store;
        p->last_store = kinds.kind[a][b].store;
      }
    }
    p->store *= w_.batches;
  }

  // Cycles of all multiplies and of everything else on the accumulators, without fixed parts.
  Ticks ComputeCycles(const Pixels& p) const {
    const int64_t pixels = int64_t{w_.rows} * w_.cols * w_.batches;
    const int64_t vectors = w_.out_units * w_.out_blocks * pixels;
    int64_t multiplies = pixels * w_.out_units * w_.in_units * w_.pair_uops * w_.taps();
    int64_t resets = vectors;
    if (!array_) {
      multiplies = p.extent * w_.out_units * w_.in_units * w_.pair_uops;
      const int64_t copies = p.extent * w_.out_units * w_.out_blocks;
      resets = copies + (w_.engine == Work::Engine::kAluMaxPool ? vectors : 0);
    }
    return Cycles(multiplies + resets + vectors * vector_cycles_);
  }

  // Never above the latency of one program with any input split, context and order. `n_o` tiles of
  // outputs.
  Ticks SubtreeBound(const Pixels& p, int64_t n_o) const {
    const Timing& t = m_.timing;
    const int64_t tiles = p.tiles * n_o;
    const Ticks compute = ComputeCycles(p) + tiles * (tile_ticks_ + t.gemm_fixed) +
                          p.tiles * w_.out_units * acc_beats_;
    const Ticks input_beats =
        p.valid * w_.in_units * (w_.private_inputs ? w_.out_units : 1) * w_.unit_bytes * kCycle >>
        t.bus_shift;
    int64_t input_loads = w_.one_load ? 1 : w_.in_units;
    input_loads *= w_.private_inputs ? p.tiles * w_.out_units : p.tiles;
    const int64_t weight_loads = w_.constant_weights ? 0 : n_o;
    const Ticks weight_beats = w_.out_units * w_.in_units * filter_beats_;
    const Ticks load =
        input_loads * t.load_inp + input_beats + weight_loads * t.load_wgt + weight_beats;
    const int64_t instructions = tiles * (tile_instructions_ + 1) + input_loads + weight_loads +
                                 (w_.rows == 1 && w_.cols == 1 ? tiles : p.tiles * w_.out_units);
    const Ticks fetch = t.Arrival(instructions - 1, instructions) - start_;
    const Ticks bus = input_beats + weight_beats + instructions * t.fetch_beats;
    const Ticks store = w_.out_units * p.store;
    return std::max({t.load_uop + compute + p.last_store, load + p.last_store, store, fetch, bus}) +
           start_;
  }

  void Tile() {
    Pixels p;
    MakePixels(rows_[row_], cols_[col_], &p);
    compute_cycles_ = ComputeCycles(p);
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

  void Outputs(const Pixels& p, int tco) {
    if (tco * p.full.out_pixels * w_.out_split > m_.acc_depth) return;
    const int64_t n_o = (w_.out_units + tco - 1) / tco;
    if (n_o > 1 && Hopeless(SubtreeBound(p, n_o))) return;
    const bool one_tile = p.tiles == 1;
    const int64_t filters = tco * filter_;  // of one input unit
    const int most = m_.config.vthread ? 2 : 1;
    for (int i = 0; i < inputs_.count; ++i) {
      const int tci = inputs_.size[i];
      for (int contexts = most; contexts >= 1; --contexts) {
        const int64_t accs = contexts * tco * w_.out_split * p.full.out_pixels;
        const int64_t inputs =
            contexts * (w_.private_inputs ? tco : 1) * w_.in_split * p.full.in_pixels;
        if (accs > m_.acc_depth) continue;
        const auto attempt = [&](Stationary stationary) {
          // Most of what does not fit is found here, before any bound.
          const bool all_weights = stationary == Stationary::kWeights;
          const int64_t units = stationary == Stationary::kInputs ? w_.in_units : tci;
          if (inputs * units > m_.inp_depth) return;
          if ((all_weights ? w_.in_units : contexts * tci) * filters > m_.wgt_depth) return;
          const Ticks bound = Bound(p, n_o, tco, tci, contexts, stationary);
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

  // Loads of one step of a full tile, no more than the schedule's.
  Ticks StepLoad(const Pixels& p, int64_t tco, int64_t tci, Stationary stationary) const {
    const Timing& t = m_.timing;
    Ticks load = 0;
    if (stationary != Stationary::kInputs) {
      const int64_t rows = w_.private_inputs ? tco : 1;
      load += w_.one_load
                  ? rows * (t.load_inp + (tci * w_.unit_bytes << kCycleShift >> t.bus_shift))
                  : rows * tci * p.full.input_load;
    }
    if (stationary != Stationary::kWeights && filter_ > 0) {
      load += t.load_wgt + tco * tci * filter_beats_;
    }
    return load;
  }

  // Never above the latency of one program.
  Ticks Bound(const Pixels& p, int64_t n_o, int64_t tco, int64_t tci, int contexts,
              Stationary stationary) const {
    const Timing& t = m_.timing;
    const int64_t steps = w_.in_units / tci;
    const int64_t odd = w_.in_units - steps * tci;
    const int64_t n_i = steps + (odd > 0 ? 1 : 0);
    const int64_t tiles = p.tiles * n_o;
    const Ticks compute = compute_cycles_ + tiles * (tile_ticks_ + n_i * t.gemm_fixed) +
                          p.tiles * w_.out_units * acc_beats_;
    // Totals of the other units.
    const bool weights_stay = stationary == Stationary::kWeights;
    const bool inputs_stay = stationary == Stationary::kInputs;
    const int64_t repeats = w_.private_inputs ? w_.out_units : (inputs_stay ? 1 : n_o);
    const Ticks input_beats =
        p.valid * w_.in_units * repeats * w_.unit_bytes * kCycle >> t.bus_shift;
    const int64_t input_loads = (w_.one_load ? n_i : w_.in_units) * p.tiles * repeats;
    Ticks weight_beats = w_.out_units * w_.in_units * filter_beats_;
    int64_t weight_loads = 0;
    if (!w_.constant_weights) {
      weight_loads = weights_stay ? n_o : tiles * n_i;
      if (!weights_stay) weight_beats *= p.tiles;
    }
    const Ticks load =
        input_loads * t.load_inp + input_beats + weight_loads * t.load_wgt + weight_beats;
    const bool plane = w_.rows == 1 && w_.cols == 1;
    const int64_t instructions = tiles * (tile_instructions_ + n_i) + input_loads + weight_loads +
                                 (plane ? tiles : p.tiles * w_.out_units);
    const Ticks fetch = t.Arrival(instructions - 1, instructions) - start_;
    const Ticks bus = input_beats + weight_beats + p.tiles * w_.out_units * acc_beats_ +
                      instructions * t.fetch_beats;
    const Ticks store = w_.out_units * p.store;
    Ticks bound = std::max({load + p.last_store, store, fetch, bus});

    // Full tiles: what they wait for, group by group.
    const int64_t full_outputs = w_.out_units / tco;
    int64_t groups, full_groups;
    if (contexts == 1) {
      groups = tiles;
      full_groups = p.full_tiles * full_outputs;
    } else if (!weights_stay && n_o > 1) {
      groups = p.tiles * ((n_o + 1) / 2);
      full_groups = p.full_tiles * (full_outputs / 2);
    } else {
      groups = p.pairs * n_o;
      full_groups = p.full_pairs * full_outputs;
    }
    const int64_t pixels = array_ ? p.full.out_pixels * w_.taps() : p.full.in_pixels;
    const auto multiply = [&](int64_t inputs) {
      return t.gemm_fixed + Cycles(tco * inputs * w_.pair_uops * pixels);
    };
    const Ticks g = multiply(tci);
    const Ticks g_last = odd > 0 ? multiply(odd) : g;
    const Ticks l = StepLoad(p, tco, tci, stationary);
    const Ticks l_last = odd > 0 ? StepLoad(p, tco, odd, stationary) : 0;
    const int64_t vectors = tco * w_.out_blocks * p.full.out_pixels;
    int64_t reset_vectors = vectors;
    if (!array_) {
      reset_vectors = tco * w_.out_blocks * p.full.in_pixels +
                      (w_.engine == Work::Engine::kAluMaxPool ? vectors : 0);
    }
    const Ticks reset = t.gemm_fixed + Cycles(reset_vectors);
    const Ticks rest =
        tile_ticks_ - t.gemm_fixed + tco * acc_beats_ + Cycles(vectors * vector_cycles_);
    const Ticks one_store = plane ? p.last_store : tco * p.full.store;
    const Ticks later_loads = (steps - 1) * l + l_last;
    Ticks within, between;
    if (contexts == 1) {
      within = later_loads + (later_loads > 0 ? (n_i - 1) * kTokens : 0);
      between = std::max(one_store + kTokens, l > 0 ? l + kTokens - rest - reset : 0);
    } else {
      // The first loads of both contexts are ahead; the others begin after the first multiply.
      const Ticks all = 2 * (steps * g + (odd > 0 ? g_last : 0));
      within =
          n_i > 1 && l > 0 ? std::max<Ticks>(0, g + kTokens + 2 * later_loads + g_last - all) : 0;
      // The second context's reset waits for its own last store, which follows the first's.
      const Ticks second_reset = std::max(std::max(rest, one_store + kTokens) + reset,
                                          std::max(rest, one_store) + one_store + kTokens);
      const Ticks own = 2 * (rest + reset);
      const Ticks path = std::max(rest + second_reset + reset, l > 0 ? l + kTokens - g_last : 0);
      between = path - own;
    }
    const int64_t neighbours = std::max<int64_t>(0, 2 * full_groups - groups - 1);
    const Ticks busy =
        t.load_uop + compute + full_groups * within + neighbours * std::max<Ticks>(0, between);
    // The first multiply waits for its loads.
    Ticks first = full_groups > 0 ? l : 0;
    if (weights_stay) first += t.load_wgt + tco * w_.in_units * filter_beats_;
    bound = std::max(
        bound, busy + p.last_store + std::max<Ticks>(0, first - contexts * reset - t.load_uop));
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
    BuildSchedule(m_, tiling, rows, cols, MakePixelTiles(m_, rows, cols), &schedule_);
    const int64_t latency = LatencyCycles(m_, tiling, schedule_, limit_cycles_);
    if (latency > limit_cycles_) return true;
    const Ticks beats = schedule_.totals.read_beats;
    const uint64_t place = candidate.place();
    if (latency == best_->latency_cycles &&
        (beats > best_->dram_beats || (beats == best_->dram_beats && place > place_))) {
      return true;
    }
    best_->tiling = tiling;
    best_->latency_cycles = limit_cycles_ = latency;
    best_->dram_beats = beats;
    place_ = place;
    return true;
  }

  const Machine& m_;
  const Work& w_;
  BestTiling* best_;
  int64_t limit_cycles_;  // more than that is of no interest
  uint64_t place_ = 0;
  bool array_ = true;
  int64_t vector_cycles_ = 0, alu_instructions_ = 0, tile_instructions_ = 0;
  int64_t acc_tensors_ = 0, filter_ = 0;       // of one output unit; of one pair of units
  Ticks acc_beats_ = 0, filter_beats_ = 0;     // of the same
  Ticks tile_ticks_ = 0, compute_cycles_ = 0;  // fixed parts of a tile; of the open pixel tile
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
