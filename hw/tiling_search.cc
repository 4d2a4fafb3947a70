// Minimum over the grid, found by bounds: a closed form that no schedule of a tiling can beat
// is computed for each pixel tile first (all output and input sizes at their best), and pixel tiles
// are opened by growing bound. Their tilings have tighter bounds of their own, stalls between units
// included; the most promising of each pixel tile is timed at once, so that a good answer is known
// early; the others wait and are timed by growing bound until none can win.
#include "hw/tiling_search.h"

#include <algorithm>

#include "hw/program.h"

namespace rhnas::hw {
namespace {

constexpr int kMostSizes = 36;

struct Sizes {
  int size[kMostSizes];
  int count = 0;
  void Add(int value) {
    if (count == 0 || size[count - 1] > value) size[count++] = value;
  }
  void Insert(int value) {
    int at = 0;
    while (size[at] > value) ++at;  // ends at 1
    if (size[at] == value || count == kMostSizes) return;
    for (int i = count++; i > at; --i) size[i] = size[i - 1];
    size[at] = value;
  }
};

// Descending: the extent cut into 1, 2, (3,) 4, (6,) 8, ... parts, down to single elements, and all
// that divide it (TVM's).
Sizes GridOf(int extent, bool thirds) {
  Sizes sizes;
  for (int parts = 1; parts < extent && sizes.count < kMostSizes / 2; parts *= 2) {
    sizes.Add((extent + parts - 1) / parts);
    if (thirds && parts > 1) sizes.Add((extent + parts * 3 / 2 - 1) / (parts * 3 / 2));
  }
  sizes.Add(1);
  for (int low = 2; low * low <= extent; ++low) {
    const int high = extent / low;
    if (low * high != extent) continue;
    sizes.Insert(low);
    sizes.Insert(high);
  }
  return sizes;
}

// A pixel tile's share of the bounds, the same for every split of channels: sums over all tiles of
// all image batches and copies.
struct Pixels {
  int64_t full_in;      // input pixels of a full tile
  int64_t full_places;  // accumulators of a full tile, of one output unit
  int64_t full_filled;  // of these, those that the array part fills
  int64_t tiles;
  Ticks input_beats;                    // one input unit's
  Ticks filled, tapped;                 // one output unit's (PixelTile)
  Ticks residual_load, residual_beats;  // the same
  Ticks input_load;                     // one input unit's loads
  Ticks full_input;                     // of these, a full tile's
  Ticks store;                          // one output unit's stores
  Ticks last_store;                     // of these, the smallest tile's
  // The second contexts' share where contexts take neighbouring pixels.
  int64_t second_tiles, second_pixels;
  Ticks second_store;
};

// The bounds' share of a split of output channels and a loop order, over all tiles.
struct Share {
  Stationary stationary;
  int contexts;
  int64_t tco, tiles;
  Ticks least;  // bound of all splits of input channels
  Ticks gemms;  // fixed parts of one multiply a tile
  Ticks rest, resets, store;
  Ticks step_load, step_fixed;  // one input unit's loads; fixed parts of one step's
  Ticks tile_unit, tile_fixed;  // the same of a full tile
  Ticks residual, load, bus;    // of all but the steps' fixed parts
  Ticks first, first_reset;     // resident loads before the first multiply; a full tile's reset
  int64_t instructions, step_instructions;
  Ticks second_store, second_rest, first_resets;
  bool second_multiplies;
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
      : m_(machine), w_(machine.work), e_(machine.work), best_(best) {
    *best_ = BestTiling{};
    best_->latency_cycles = kAnyCycles;
    limit_cycles_ = below_cycles == kAnyCycles ? kAnyCycles : below_cycles - 1;
    const Timing& t = m_.timing;
    window_ = w_.engine != Work::Engine::kArray;
    acc_beats_ = e_.acc_tensors * m_.acc_bytes << kCycleShift >> t.bus_shift;
    filter_ = w_.constant_weights ? 0 : int64_t{w_.pair_uops} * w_.taps();
    filter_beats_ = filter_ * m_.wgt_bytes << kCycleShift >> t.bus_shift;
    int64_t alu = e_.instructions;
    // At borders taps outside the map have no instruction; as few as one may be left.
    const bool several = w_.engine != Work::Engine::kAluAvgPool || w_.rows * w_.cols > 1;
    if (window_ && w_.alu.pad > 0 && several) {
      alu -= (w_.engine == Work::Engine::kAluDepthwise ? 3 : 1) * (w_.alu.taps() - 1);
    }
    rest_ticks_ = alu * t.alu_fixed + (e_.acc_tensors > 0 ? t.load_acc : 0) +
                  (w_.residual ? t.gemm_fixed : 0);
    plane_ = w_.rows == 1 && w_.cols == 1;
    rounds_ = w_.batches * w_.copies;
    pixels_ = int64_t{w_.rows} * w_.cols * rounds_;
    tile_instructions_ = 1 + alu + (e_.acc_tensors > 0 ? 1 : 0) + (w_.residual ? 1 : 0);
    start_ = t.Arrival(0, 1);
    uop_bytes_ = m_.config.uop_bits() / 8;
  }

  bool Run() {
    const Sizes row_sizes = GridOf(w_.rows, true);
    const Sizes col_sizes = GridOf(w_.cols, false);
    outputs_ = GridOf(w_.out_units, true);
    inputs_ = GridOf(w_.in_units, false);
    for (int i = 0; i < inputs_.count; ++i) {
      steps_[i] = (w_.in_units + inputs_.size[i] - 1) / inputs_.size[i];
    }
    for (int i = 0; i < row_sizes.count; ++i) rows_[i] = CutRows(w_, row_sizes.size[i]);
    for (int i = 0; i < col_sizes.count; ++i) cols_[i] = CutCols(w_, col_sizes.size[i]);
    PixelChoice choices[kMostSizes * kMostSizes];
    int choice_count = 0;
    for (int row = 0; row < row_sizes.count; ++row) {
      for (int col = 0; col < col_sizes.count; ++col) {
        // One output, one input block, one context: what every tiling of these pixels takes.
        if (Places(rows_[row], cols_[col]) * w_.out_split > m_.acc_depth ||
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
    int kept = 0;
    for (int i = 0; i < count_; ++i) {
      if (!Hopeless(waiting_[i].bound)) waiting_[kept++] = waiting_[i];
    }
    count_ = kept;
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
    return limit_cycles_ < kAnyCycles && bound > Cycles(limit_cycles_);
  }

  int64_t Places(const PixelCut& rows, const PixelCut& cols) const {
    return int64_t{rows.cut.size} * cols.cut.size +
           (window_ ? int64_t{rows.filled[0]} * cols.filled[0] : 0);
  }

  void MakePixels(const PixelCut& rows, const PixelCut& cols, Pixels* p) {
    kinds_ = MakePixelTiles(m_, rows, cols);
    const PixelTiles& kinds = kinds_;
    p->full_places = Places(rows, cols);
    p->full_filled = int64_t{rows.filled[0]} * cols.filled[0];
    p->full_in = kinds.kind[0][0].in_pixels;
    p->full_input = kinds.kind[0][0].input_load;
    p->tiles = int64_t{rows.cut.tiles()} * cols.cut.tiles() * rounds_;
    // Of pairs that another pair follows: a single tile waits for no second context.
    const auto seconds = [](const Cut& cut, int tail) {
      if (cut.tiles() % 2 == 1) return tail == 0 ? std::max(0, cut.full / 2 - 1) : 0;
      return tail == 0 ? cut.full / 2 : (cut.full % 2 == 1 && cut.tail > 0 ? 1 : 0);
    };
    const bool by_cols = cols.cut.tiles() > 1;
    p->store = p->input_load = p->input_beats = p->second_store = 0;
    p->filled = p->tapped = p->residual_load = p->residual_beats = 0;
    p->second_tiles = p->second_pixels = 0;
    for (int a = 0; a < 2; ++a) {
      const int64_t count_a = a == 0 ? rows.cut.full : (rows.cut.tail > 0 ? 1 : 0);
      for (int b = 0; b < 2 && count_a > 0; ++b) {
        const int64_t count_b = b == 0 ? cols.cut.full : (cols.cut.tail > 0 ? 1 : 0);
        if (count_b == 0) continue;
        const PixelTile& tile = kinds.kind[a][b];
        const int64_t count = count_a * count_b;
        const int64_t second = by_cols ? count_a * seconds(cols.cut, b) : seconds(rows.cut, a);
        p->store += count * tile.store;
        p->input_load += count * tile.input_load;
        p->input_beats += count * tile.input_beats;
        p->filled += count * tile.filled;
        p->tapped += count * tile.tapped;
        p->residual_load += count * tile.residual_load;
        p->residual_beats += count * tile.residual_beats;
        p->last_store = tile.store;
        p->second_tiles += second;
        p->second_pixels += second * tile.out_pixels;
        p->second_store += second * tile.store;
      }
    }
    p->store *= rounds_;
    p->input_load *= rounds_;
    p->input_beats *= rounds_;
    for (Ticks* sum : {&p->filled, &p->tapped, &p->residual_load, &p->residual_beats}) {
      *sum *= rounds_;
    }
    p->second_tiles *= rounds_;
    p->second_pixels *= rounds_;
    p->second_store *= rounds_;
    if (plane_) {  // output units of a tile go out in one row
      p->last_store = (int64_t{w_.unit_bytes} << kCycleShift >> m_.timing.bus_shift) + Cycles(3);
      p->store = rounds_ * p->last_store;
      p->residual_beats =
          w_.residual ? rounds_ * w_.unit_bytes << kCycleShift >> m_.timing.bus_shift : 0;
      p->residual_load = p->residual_beats;
    }
  }

  // Without fixed parts. Multiplies of all input units; everything else on the accumulators.
  Ticks MultiplyCycles(const Pixels& p) const {
    return p.filled * w_.taps() * w_.out_units * w_.in_units * w_.pair_uops;
  }
  Ticks ResetCycles(const Pixels& p) const { return p.filled * w_.out_units * w_.out_blocks; }
  Ticks VectorCycles(const Pixels& p) const {
    const int64_t blocks = int64_t{w_.out_units} * w_.out_blocks;
    return blocks * (e_.filled_cycles * p.filled + e_.tap_cycles * p.tapped) +
           Cycles(pixels_ * (blocks * e_.out_cycles + w_.out_units * e_.residual_uops));
  }

  // Never above the latency of one program with any input split, context and order. `n_o` tiles of
  // outputs.
  Ticks SubtreeBound(const Pixels& p, int64_t n_o) const {
    const Timing& t = m_.timing;
    const int64_t tiles = p.tiles * n_o;
    const Ticks compute = MultiplyCycles(p) + ResetCycles(p) + VectorCycles(p) +
                          tiles * (rest_ticks_ + 2 * t.gemm_fixed) +
                          p.tiles * w_.out_units * acc_beats_;
    const Ticks input_beats = p.input_beats * w_.in_units * (w_.private_inputs ? w_.out_units : 1) +
                              w_.out_units * p.residual_beats;
    int64_t input_loads = w_.one_load ? 1 : w_.in_units;
    input_loads *= w_.private_inputs ? p.tiles * w_.out_units : p.tiles;
    if (w_.residual) input_loads += plane_ ? tiles : p.tiles * w_.out_units;
    const int64_t weight_loads = w_.constant_weights ? 0 : w_.copies * n_o;
    const Ticks weight_beats = w_.copies * w_.out_units * w_.in_units * filter_beats_;
    const Ticks load =
        input_loads * t.load_inp + input_beats + weight_loads * t.load_wgt + weight_beats;
    const int64_t instructions = tiles * (tile_instructions_ + 1) + input_loads + weight_loads +
                                 (plane_ ? tiles : p.tiles * w_.out_units);
    const Ticks fetch = t.Arrival(instructions - 1, instructions) - start_;
    const Ticks bus = input_beats + weight_beats + instructions * t.fetch_beats;
    const Ticks store = w_.out_units * p.store;
    return std::max(
        {t.load_uop + compute + p.last_store + start_, load + p.last_store, store, fetch, bus});
  }

  void Tile() {
    Pixels p;
    MakePixels(rows_[row_], cols_[col_], &p);
    kinds_row_ = row_;
    kinds_col_ = col_;
    multiply_ = MultiplyCycles(p);
    unit_multiply_ = multiply_ / w_.in_units;
    resets_ = ResetCycles(p);
    vectors_ = VectorCycles(p);
    FindFolds();
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

  // Whether the micro-ops of this pixel tile are those of folded rows and columns (hw/micro_ops.h).
  void FindFolds() {
    const PixelCut& rows = rows_[row_];
    const PixelCut& cols = cols_[col_];
    const int64_t acc_limit = m_.acc_depth >> m_.config.log_acc_factor_restrict;
    const int64_t inp_limit = m_.inp_depth >> m_.config.log_inp_factor_restrict;
    const int64_t tw = cols.cut.size;
    const int64_t pitch = ((tw - 1) * w_.stride + w_.s) * w_.in_split * w_.stride;
    folds_ = !window_ && !plane_ && int64_t{w_.stride} * w_.in_split < inp_limit &&
             (rows.cut.size == 1 || (tw * w_.out_split < acc_limit && pitch < inp_limit));
    column_kinds_ = w_.r > 1 && cols.cut.tail > 0 ? 2 : 1;
  }

  void Outputs(const Pixels& p, int tco) {
    if (tco * p.full_places * w_.out_split > m_.acc_depth) return;
    const int64_t n_o = (w_.out_units + tco - 1) / tco;
    if (n_o > 1 && Hopeless(SubtreeBound(p, n_o))) return;
    Inputs(p, n_o, tco, Stationary::kNone);
    if (!w_.constant_weights && p.tiles > 1) Inputs(p, n_o, tco, Stationary::kWeights);
    if (!w_.private_inputs && n_o > 1) Inputs(p, n_o, tco, Stationary::kInputs);
  }

  void Inputs(const Pixels& p, int64_t n_o, int64_t tco, Stationary stationary) {
    // Most of what does not fit is found here, before any bound.
    const bool all_weights = stationary == Stationary::kWeights;
    const bool all_inputs = stationary == Stationary::kInputs;
    const int64_t filters = tco * filter_;  // of one input unit
    const int64_t places = tco * w_.out_split * p.full_places;
    const int64_t unit = (w_.private_inputs ? tco : 1) * w_.in_split * p.full_in;
    if ((all_weights ? w_.in_units : 1) * filters > m_.wgt_depth) return;
    if ((all_inputs ? w_.in_units : 1) * unit > m_.inp_depth) return;
    Share s;
    MakeShare(p, n_o, tco, stationary, &s);
    if (Hopeless(s.least)) return;
    for (int contexts = m_.config.vthread ? 2 : 1; contexts >= 1; --contexts) {
      if (contexts * places > m_.acc_depth) continue;
      s.contexts = contexts;
      for (int i = 0; i < inputs_.count; ++i) {
        const int64_t tci = inputs_.size[i];
        if (contexts * unit * (all_inputs ? w_.in_units : tci) > m_.inp_depth) continue;
        if (!all_weights && contexts * tci * filters > m_.wgt_depth) continue;
        const Ticks bound = Bound(p, s, i);
        if (Hopeless(bound)) continue;
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
      }
    }
  }

  // Sums over all tiles take the place of each tile's times: a sum of maxima is no less than the
  // maximum of the sums.
  void MakeShare(const Pixels& p, int64_t n_o, int64_t tco, Stationary stationary,
                 Share* share) const {
    Share& s = *share;
    const Timing& t = m_.timing;
    const bool weights_stay = stationary == Stationary::kWeights;
    const bool inputs_stay = stationary == Stationary::kInputs;
    const int64_t tiles = p.tiles * n_o;
    const int64_t units = p.tiles * w_.out_units;
    s.stationary = stationary;
    s.tco = tco;
    s.tiles = tiles;
    s.gemms = tiles * t.gemm_fixed;
    s.rest = vectors_ + tiles * rest_ticks_ + units * acc_beats_;
    s.resets = resets_ + s.gemms;
    s.store = w_.out_units * p.store;

    // Loads of one step of `inputs` units, over all tiles.
    const int64_t repeats = w_.private_inputs ? w_.out_units : n_o;
    Ticks step_beats = 0;
    int64_t unit_instructions = 0;
    s.step_load = s.step_fixed = s.step_instructions = 0;
    s.tile_unit = s.tile_fixed = 0;
    const int64_t own = w_.private_inputs ? tco : 1;
    if (!inputs_stay) {
      step_beats = repeats * p.input_beats;
      if (w_.one_load) {
        s.step_load = step_beats;
        s.step_fixed = p.tiles * repeats * t.load_inp;
        s.step_instructions = p.tiles * repeats;
        s.tile_fixed = own * t.load_inp;
      } else {
        s.step_load = repeats * p.input_load;
        unit_instructions = p.tiles * repeats;
        s.tile_unit = own * p.full_input;
      }
    }
    if (!weights_stay && filter_ > 0) {
      step_beats += units * filter_beats_;
      s.step_load += units * filter_beats_;
      s.step_fixed += tiles * t.load_wgt;
      s.step_instructions += tiles;
      s.tile_fixed += t.load_wgt;
      s.tile_unit += tco * filter_beats_;
    }
    const int64_t residuals = !w_.residual ? 0 : plane_ ? tiles : units;
    s.residual = w_.out_units * p.residual_load + (plane_ ? residuals * t.load_inp : 0);
    Ticks resident = 0, resident_beats = 0;
    int64_t resident_instructions = 0;
    s.first = 0;
    if (weights_stay) {
      resident_beats = w_.copies * w_.out_units * w_.in_units * filter_beats_;
      resident = resident_beats + w_.copies * n_o * t.load_wgt;
      resident_instructions = w_.copies * n_o;
      s.first = t.load_wgt + tco * w_.in_units * filter_beats_;
    } else if (inputs_stay) {
      resident_beats = p.input_beats * w_.in_units;
      if (w_.one_load) {
        resident = resident_beats + p.tiles * t.load_inp;
        resident_instructions = p.tiles;
        s.first = t.load_inp;
      } else {
        resident = w_.in_units * p.input_load;
        resident_instructions = w_.in_units * p.tiles;
        s.first = w_.in_units * p.full_input;
      }
    }
    s.load = w_.in_units * s.step_load + s.residual + resident + p.last_store;
    s.instructions = tiles * tile_instructions_ + resident_instructions +
                     w_.in_units * unit_instructions + residuals + (plane_ ? tiles : units);
    s.bus = w_.in_units * step_beats + resident_beats + units * acc_beats_ +
            w_.out_units * p.residual_beats;
    s.first_reset = t.gemm_fixed + Cycles(tco * w_.out_blocks * p.full_filled);

    // The second context's reset waits for its own last store, which follows the first's.
    int64_t second_tiles, second_vectors;
    if (!weights_stay && n_o > 1) {
      const int64_t full = w_.out_units / tco;
      const bool single = n_o % 2 == 1;
      const int64_t tail = w_.out_units - full * tco;
      const bool pair_tail = !single && tail > 0;
      const int64_t pairs = single ? std::max<int64_t>(0, full / 2 - 1) : full / 2;
      const int64_t second_units = pairs * tco + (pair_tail ? tail : 0);
      second_tiles = p.tiles * (pairs + (pair_tail ? 1 : 0));
      s.second_store = plane_ ? 0 : second_units * p.store;
      second_vectors = second_units * w_.out_blocks * pixels_;
    } else {
      second_tiles = p.second_tiles * n_o;
      s.second_store = w_.out_units * p.second_store;
      second_vectors = w_.out_units * w_.out_blocks * p.second_pixels;
    }
    // Of a chain all of it: more than enough.
    // Where nothing follows the multiply, the first's store begins with the second's multiply.
    s.second_multiplies = window_ || w_.residual || tile_instructions_ == 1;
    s.second_rest = s.second_multiplies
                        ? s.rest
                        : second_tiles * rest_ticks_ + Cycles(second_vectors * e_.out_cycles) +
                              second_tiles * tco * acc_beats_;
    s.first_resets =
        s.resets - second_tiles * t.gemm_fixed - (window_ ? 0 : Cycles(second_vectors));

    // One step at least.
    const int64_t instructions = s.instructions + tiles + s.step_instructions;
    const Ticks busy = t.load_uop + multiply_ + s.gemms + s.rest + s.resets + p.last_store;
    s.least = std::max({busy + start_, s.load + s.step_fixed, s.store,
                        t.Arrival(instructions - 1, instructions) - start_,
                        s.bus + instructions * t.fetch_beats});
  }

  // Micro-ops of the program where rows and columns are folded; 0: others, fewer perhaps.
  int64_t FoldedMicroOps(const Pixels& p, const Share& s, int64_t tci, int64_t odd,
                         int64_t n_i) const {
    if (!folds_) return 0;
    int64_t units = tci + (odd > 0 && s.tco > 1 ? odd : 0);
    if (s.stationary == Stationary::kWeights) units = w_.in_units;
    if (s.stationary == Stationary::kInputs) units = w_.in_units * s.contexts;
    const int64_t filter = int64_t{w_.pair_uops} * w_.taps();
    int64_t total = s.tco * (column_kinds_ * units * filter + w_.out_blocks * (w_.bias ? 2 : 1));
    if (w_.residual) total += (n_i > 1 ? 1 : 2) * s.tco * w_.residual_uops;
    const bool several =
        p.tiles > rounds_ || (s.tco < w_.out_units && s.stationary != Stationary::kWeights);
    if (s.contexts == 2 && several) total *= 2;
    return total <= m_.uop_depth ? total : 0;
  }

  // Never above the latency of one program.
  Ticks Bound(const Pixels& p, const Share& s, int input) const {
    const Timing& t = m_.timing;
    const int64_t tci = inputs_.size[input];
    const int64_t n_i = steps_[input];
    const int64_t odd = n_i * tci == w_.in_units ? 0 : w_.in_units - (n_i - 1) * tci;
    const Ticks multiply = multiply_ + n_i * s.gemms;
    Ticks first_load = tci * s.step_load + s.step_fixed;
    Ticks later_load = (w_.in_units - tci) * s.step_load + (n_i - 1) * s.step_fixed;
    (n_i > 1 ? later_load : first_load) += s.residual;  // with the last step
    const int64_t instructions = s.instructions + n_i * (s.tiles + s.step_instructions);
    const Ticks fetch = t.Arrival(instructions - 1, instructions) - start_;

    // The first step's loads of a full tile.
    Ticks tile_load = s.tile_fixed + tci * s.tile_unit;
    if (w_.one_load && s.stationary != Stationary::kInputs) {
      tile_load +=
          (w_.private_inputs ? s.tco : 1) * (tci * w_.unit_bytes << kCycleShift >> t.bus_shift);
    }

    // What compute waits for. Between two tiles of a context its store; within a tile all loads but
    // the first step's, which came before.
    Ticks within, between;
    if (s.contexts == 1) {
      within = later_load;
      // All first loads but the first tile's, which is a full one.
      between = std::max(s.store, first_load - tile_load - s.rest - s.resets);
    } else {
      // The loads of later steps begin after the first multiply and end before the last one.
      const int64_t least = odd > 0 ? odd : tci;
      const Ticks both = unit_multiply_ * least + s.gemms;
      within = n_i > 1 ? std::max<Ticks>(0, later_load + both - multiply) : 0;
      const Ticks second_rest = s.second_rest + (s.second_multiplies ? multiply : 0);
      between = std::max(s.second_store, 2 * s.second_store - second_rest) - s.first_resets;
    }
    // The last tile's store is in the sums, and its successor is not.
    between = std::max<Ticks>(p.last_store, between);
    // The first multiply waits for its loads, and both for the micro-ops.
    const Ticks wait =
        std::max<Ticks>(0, tile_load + s.first - s.contexts * s.first_reset - t.load_uop);
    const int64_t uop_bytes = FoldedMicroOps(p, s, tci, odd, n_i) * uop_bytes_;
    const Ticks uop_beats = (uop_bytes + t.bus_bytes - 1) >> t.bus_shift << kCycleShift;
    const Ticks busy = t.load_uop + multiply + s.rest + s.resets + within + between + wait;
    const Ticks bus = s.bus + instructions * t.fetch_beats;
    return std::max(
        {uop_beats + std::max({busy + start_, s.load + n_i * s.step_fixed, bus}), s.store, fetch});
  }

  const PixelTiles& Kinds(int row, int col) {
    if (row != kinds_row_ || col != kinds_col_) {
      kinds_ = MakePixelTiles(m_, rows_[row], cols_[col]);
      kinds_row_ = row;
      kinds_col_ = col;
    }
    return kinds_;
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
    const Footprint footprint = Measure(m_, tiling, rows, cols);
    if (!Fits(m_, tiling, footprint, nullptr)) return false;
    BuildSchedule(m_, tiling, rows, cols, Kinds(candidate.row, candidate.col), footprint.uop,
                  &schedule_);
    if (schedule_.totals.instructions > kMaxInstructions) return false;
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
  const Epilogue e_;
  BestTiling* best_;
  int64_t limit_cycles_;  // more than that is of no interest
  uint64_t place_ = 0;
  bool window_ = false;                         // there is a part on the ALU
  int64_t tile_instructions_ = 0, filter_ = 0;  // filter_, filter_beats_: of one pair of units
  Ticks acc_beats_ = 0, filter_beats_ = 0;      // acc_beats_: of one output unit
  Ticks rest_ticks_ = 0;                        // of a tile's ALU and accumulator loads
  Ticks multiply_ = 0, unit_multiply_ = 0, resets_ = 0, vectors_ = 0;  // of the open pixel tile
  bool folds_ = false;                                                 // the same
  int64_t column_kinds_ = 1, uop_bytes_ = 0;
  int64_t pixels_ = 0, rounds_ = 1;  // image batches times copies
  bool plane_ = false;
  Ticks start_ = 0;
  Sizes outputs_, inputs_;
  int steps_[kMostSizes];
  Candidate waiting_[kMostWaiting];
  int count_ = 0, row_ = 0, col_ = 0, output_ = 0;
  PixelCut rows_[kMostSizes], cols_[kMostSizes];
  PixelTiles kinds_;  // of these places in the grids
  int kinds_row_ = -1, kinds_col_ = -1;
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
  if (Fits(machine, smallest, Measure(machine, smallest, rows, cols), why)) {
    *why = "instructions of a launch: need more than " + std::to_string(kMaxInstructions) +
           ", have " + std::to_string(kMaxInstructions);
  }
  return false;
}

}  // namespace rhnas::hw
