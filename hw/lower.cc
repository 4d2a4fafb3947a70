#include "hw/lower.h"

#include <algorithm>
#include <array>
#include <utility>

#include "hw/micro_op_set.h"
#include "hw/schedule.h"

namespace rhnas::hw {
namespace {

// Bytes of instructions of one launch: the runtime's transfer queue (TVM runtime.cc, MAX_XFER).
constexpr int64_t kMaxInstructions = (int64_t{1} << 22) / 16;
constexpr int kMaxPad = 15;
constexpr int kLeast = -128;

bool Fail(std::string* why, const std::string& what) {
  if (why != nullptr) *why = what;
  return false;
}

struct TileRef {
  int image = 0, row = 0, col = 0, out = 0;
};

// Tokens that one unit posts to another, numbered from 1.
struct TokenLine {
  int64_t posted = 0, taken = 0;
};

// Instructions of one program, front to back.
class Generator {
 public:
  Generator(const Config& config, const TileLayout& layout, const MicroOpPlan& plan,
            LoweredProgram* lowered)
      : lowered_(*lowered),
        program_(lowered->program),
        layer_(lowered->layer),
        work_(lowered->work),
        tiling_(lowered->tiling),
        layout_(layout),
        plan_(plan),
        encoding_(config, lowered->options.isa),
        uops_(work_, tiling_, layout_, plan_, encoding_, &program_.uops),
        outs_(CutInto(work_.out_units, tiling_.tco)),
        rows_(CutInto(work_.rows, tiling_.th)),
        cols_(CutInto(work_.cols, tiling_.tw)) {
    const int unit = work_.unit_bytes / config.batch();
    if (layer_.kind == LayerKind::kShuffle ||
        (layer_.kind == LayerKind::kConv && work_.private_inputs && !layer_.depthwise())) {
      source_count_ = work_.in_units / split_taps();
      for (int o = 0; o < work_.out_units; ++o) {
        for (const int u : SourceUnits(layer_, source_count_, unit, o)) sources_.push_back(u);
      }
    }
    zeros_ = lowered_.input.elements() + lowered_.residual.elements();
    MakeEpilogue();
  }

  // False: more instructions than a launch takes.
  bool Run() {
    Transfer(Opcode::kLoad, MemoryId::kUop, 0, 0, 1, static_cast<int64_t>(program_.uops.size()));
    if (work_.constant_weights) {
      Transfer(Opcode::kLoad, MemoryId::kWgt, 0, 0, 1, work_.pair_uops);
    }
    if (work_.out_blocks < work_.out_split) ClearPadding();
    for (copy_ = 0; copy_ < work_.copies; ++copy_) {
      if (!Nest()) return false;
    }
    while (stored_.taken < stored_.posted) TakeInNop(&stored_, MemoryId::kUop);
    while (used_.taken < used_.posted) TakeInNop(&used_, MemoryId::kInp);
    Add(Opcode::kFinish);
    return size() <= kMaxInstructions;
  }

  int64_t zero_elements() const { return zero_elements_; }

 private:
  int64_t size() const { return static_cast<int64_t>(program_.instructions.size()); }
  // Input units that one in DRAM is loaded as: one, or one a kernel row.
  int split_taps() const { return tiling_.split_rows ? layer_.r : 1; }

  Instruction& Add(Opcode op) {
    program_.instructions.emplace_back();
    program_.instructions.back().op = op;
    return program_.instructions.back();
  }

  Instruction& At(int64_t index) { return program_.instructions[static_cast<size_t>(index)]; }

  Instruction& Transfer(Opcode op, MemoryId memory, int64_t sram, int64_t dram, int64_t y,
                        int64_t x, int64_t stride = -1) {
    Instruction& in = Add(op);
    in.memory = memory;
    in.sram = static_cast<uint32_t>(sram);
    in.dram = static_cast<uint32_t>(dram);
    in.y_size = static_cast<uint16_t>(y);
    in.x_size = static_cast<uint16_t>(x);
    in.x_stride = static_cast<uint16_t>(stride < 0 ? x : stride);
    return in;
  }

  // --- Tokens ---

  void TakeInNop(TokenLine* line, MemoryId unit) {
    Transfer(Opcode::kLoad, unit, 0, 0, 1, 0).pop_next = true;
    ++line->taken;
  }

  // What comes next must wait for token `number`: does it take one itself?
  bool Take(TokenLine* line, int64_t number, MemoryId unit) {
    while (line->taken + 1 < number) TakeInNop(line, unit);
    if (line->taken >= number) return false;
    ++line->taken;
    return true;
  }

  // --- The nest of tiles ---

  // Tiles of an axis, one or two at a time; the second is -1 where there is none.
  using Steps = std::vector<std::array<int, 2>>;
  static Steps MakeSteps(int tiles, int repeat, bool paired) {
    Steps steps;
    for (int i = 0; i < repeat; ++i) {
      for (int t = 0; t < tiles; t += paired ? 2 : 1) {
        const bool two = paired && t + 1 < tiles;
        steps.push_back({i * tiles + t, two ? i * tiles + t + 1 : -1});
      }
    }
    return steps;
  }

  bool Nest() {
    const bool two = tiling_.vthreads == 2;
    const bool weights = tiling_.stationary == Stationary::kWeights;
    const bool inputs = tiling_.stationary == Stationary::kInputs;
    const bool pair_outs = two && !weights && outs_.tiles() > 1;
    const bool pair_cols = two && !pair_outs && cols_.tiles() > 1;
    const bool pair_rows = two && !pair_outs && !pair_cols;
    Steps steps[3];  // by Axis
    steps[static_cast<size_t>(Axis::kRows)] =
        MakeSteps(rows_.tiles(), static_cast<int>(work_.batches), pair_rows);
    steps[static_cast<size_t>(Axis::kCols)] = MakeSteps(cols_.tiles(), 1, pair_cols);
    steps[static_cast<size_t>(Axis::kOutputs)] = MakeSteps(outs_.tiles(), 1, pair_outs);
    constexpr Axis kOrders[3][3] = {{Axis::kRows, Axis::kOutputs, Axis::kCols},
                                    {Axis::kOutputs, Axis::kRows, Axis::kCols},
                                    {Axis::kRows, Axis::kCols, Axis::kOutputs}};
    const Axis* order = kOrders[static_cast<size_t>(tiling_.stationary)];
    std::array<int, 2> at[3];
    const auto axis = [](Axis a) { return static_cast<size_t>(a); };
    for (const auto& outer : steps[axis(order[0])]) {
      at[axis(order[0])] = outer;
      load_weights_ = weights;
      for (const auto& middle : steps[axis(order[1])]) {
        at[axis(order[1])] = middle;
        load_inputs_ = inputs;
        for (const auto& inner : steps[axis(order[2])]) {
          at[axis(order[2])] = inner;
          TileRef tiles[2];
          int contexts = 1;
          for (int c = 0; c < 2; ++c) {
            int place[3];
            for (size_t a = 0; a < 3; ++a) {
              const bool second = c == 1 && at[a][1] >= 0;
              if (second) contexts = 2;
              place[a] = at[a][second ? 1 : 0];
            }
            const int row = place[axis(Axis::kRows)];
            tiles[c] = {row / rows_.tiles(), row % rows_.tiles(), place[axis(Axis::kCols)],
                        place[axis(Axis::kOutputs)]};
          }
          Group(tiles, contexts);
          if (size() > kMaxInstructions) return false;
        }
      }
    }
    return true;
  }

  void Group(const TileRef* tiles, int contexts) {
    for (int c = 0; c < contexts; ++c) {
      Bind(tiles[c], c);
      Begin(c);
    }
    for (int step = 0; step < layout_.steps; ++step) {
      for (int c = 0; c < contexts; ++c) Step(c, step);
    }
    for (int c = 0; c < contexts; ++c) End(c);
  }

  // --- One tile ---

  struct Tile {
    TileRef at;
    Span row, col;
    int outs = 1;
    int64_t last_compute = 0;  // its last instruction on the array or the ALU
  };

  void Bind(const TileRef& at, int c) {
    Tile& tile = tile_[c];
    tile.at = at;
    tile.row = RowSpan(at, 0);
    tile.col =
        MakeSpan(layout_.cols, at.col * tiling_.tw, at.col < cols_.full ? tiling_.tw : cols_.tail);
    tile.outs = at.out < outs_.full ? tiling_.tco : outs_.tail;
  }

  Span RowSpan(const TileRef& at, int tap) const {
    return MakeSpan(layout_.rows, at.row * tiling_.th,
                    at.row < rows_.full ? tiling_.th : rows_.tail, tap);
  }

  // Accumulators an instruction walks: rows `pitch` apart, columns out_split.
  struct Walk {
    int rows, cols;
    int64_t pitch;
  };
  Walk Outputs(const Tile& tile) const {
    return {tile.row.outs, tile.col.outs, int64_t{tile.col.outs} * work_.out_split};
  }
  Walk Mids(const Tile& tile) const {
    return {tile.row.mids, tile.col.mids, int64_t{layout_.mid_cols} * work_.out_split};
  }

  // A factor; one that no iteration uses is left out where its field does not hold it.
  static uint32_t Factor(int64_t count, int64_t value, int bits) {
    return count == 1 && value >> bits != 0 ? 0 : static_cast<uint32_t>(value);
  }

  void Iterate(const Walk& dst, int64_t begin, const Tile& tile, Instruction* in) const {
    in->lp0 = static_cast<uint16_t>(dst.rows);
    in->lp1 = static_cast<uint16_t>(dst.cols);
    in->acc_0 = Factor(dst.rows, dst.pitch, encoding_.acc_factor);
    in->acc_1 = Factor(dst.cols, work_.out_split, encoding_.acc_factor);
    in->uop_begin = static_cast<uint32_t>(begin);
    in->uop_end = static_cast<uint32_t>(begin + int64_t{tile.outs} * work_.out_blocks);
  }

  void Read(const Walk& walk, int64_t pitch, int64_t step, Instruction* in) const {
    in->inp_0 = Factor(walk.rows, pitch, encoding_.inp_factor);
    in->inp_1 = Factor(walk.cols, step, encoding_.inp_factor);
  }

  void Reset(Tile* tile, const Walk& walk, int64_t begin, bool pop) {
    Instruction& in = Add(Opcode::kGemm);
    in.reset = true;
    in.pop_next = pop;
    Iterate(walk, begin, *tile, &in);
  }

  // Results of an ALU instruction go where `walk` says; its source is there too (an immediate), or
  // `src_pitch` and `src_step` apart.
  Instruction& Alu(Tile* tile, AluOp op, const Walk& walk, int64_t begin, int64_t src_pitch,
                   int64_t src_step) {
    tile->last_compute = size();
    Instruction& in = Add(Opcode::kAlu);
    in.alu = op;
    Iterate(walk, begin, *tile, &in);
    Read(walk, src_pitch, src_step, &in);
    return in;
  }

  void Immediate(Tile* tile, AluOp op, int imm, const Walk& walk, int64_t begin) {
    Instruction& in = Alu(tile, op, walk, begin, walk.pitch, work_.out_split);
    in.use_imm = true;
    in.imm = static_cast<int16_t>(imm);
  }

  void Begin(int c) {
    Tile& tile = tile_[c];
    const bool pop = Take(&stored_, store_token_[c], MemoryId::kUop);
    if (layout_.window()) {
      Reset(&tile, Mids(tile), uops_.reset_mid(c), pop);
      if (uops_.taps().covered) return;
      Reset(&tile, Outputs(tile), uops_.immediate(c), false);
      if (work_.engine == Work::Engine::kAluMaxPool) {
        Immediate(&tile, AluOp::kMin, kLeast, Outputs(tile), uops_.immediate(c));
      }
      return;
    }
    Reset(&tile, Outputs(tile), uops_.immediate(c), pop);
  }

  // Blocks of padding channels are stored and never computed: they are 0 once.
  void ClearPadding() {
    for (int c = 0; c < layout_.contexts; ++c) {
      Tile all;
      const Walk walk = {layout_.th, layout_.tw * work_.out_split,
                         int64_t{layout_.tw} * work_.out_split};
      const auto single = [&](Instruction& in) {
        in.acc_1 = 1;
        in.inp_1 = in.use_imm ? 1 : 0;
        in.uop_end = in.uop_begin + 1;
      };
      Reset(&all, walk, uops_.immediate(c), false);
      single(At(size() - 1));
      Immediate(&all, AluOp::kAdd, 0, walk, uops_.immediate(c));
      single(At(size() - 1));
    }
  }

  // --- One step: loads, multiply ---

  void Step(int c, int step) {
    Tile& tile = tile_[c];
    const int first = step * tiling_.tci;
    const int ins = std::min(tiling_.tci, work_.in_units - first);
    const bool inputs_stay = tiling_.stationary == Stationary::kInputs;
    const bool weights_stay = tiling_.stationary == Stationary::kWeights;
    const int64_t before = size();
    if (!inputs_stay) {
      LoadInputs(tile, first, ins, c * layout_.inp_context, input_token_[c]);
    } else if (load_inputs_) {
      half_ = layout_.halves == 2 ? 1 - half_ : 0;
      LoadInputs(tile, 0, work_.in_units, half_ * layout_.inp_context, input_token_[half_]);
      load_inputs_ = false;
    }
    const int inputs = inputs_stay ? half_ : c;
    const int weights = weights_stay ? 0 : c;
    if (weights_stay && load_weights_) {
      LoadWeights(tile, 0, work_.in_units, 0, weight_token_[0]);
      load_weights_ = false;
    } else if (!weights_stay && !work_.constant_weights) {
      LoadWeights(tile, first, ins, c * layout_.wgt_context, weight_token_[c]);
    }
    const bool loads = size() > before;
    if (loads) At(size() - 1).push_next = true;

    LoopStep loops[kLoops];
    MultiplyLoops(work_, tiling_, layout_, tile.row, tile.col, tile.outs, ins, loops);
    tile.last_compute = size();
    Instruction& in = Add(Opcode::kGemm);
    in.pop_prev = loads;
    in.push_prev = true;
    const int64_t begin = uops_.Multiply(c, inputs_stay ? half_ : 0, tile.row, tile.col, step);
    int64_t count = 1;
    for (int i = 0; i < kLoops; ++i) {
      if (i != plan_.fold0 && i != plan_.fold1) count *= loops[i].count;
    }
    in.uop_begin = static_cast<uint32_t>(begin);
    in.uop_end = static_cast<uint32_t>(begin + count);
    const LoopStep& outer = loops[plan_.fold0];
    const LoopStep& inner = loops[plan_.fold1];
    in.lp0 = static_cast<uint16_t>(outer.count);
    in.lp1 = static_cast<uint16_t>(inner.count);
    in.acc_0 = Factor(outer.count, outer.acc, encoding_.acc_factor);
    in.acc_1 = Factor(inner.count, inner.acc, encoding_.acc_factor);
    in.inp_0 = Factor(outer.count, outer.inp, encoding_.inp_factor);
    in.inp_1 = Factor(inner.count, inner.inp, encoding_.inp_factor);
    in.wgt_0 = Factor(outer.count, outer.wgt, encoding_.wgt_factor);
    in.wgt_1 = Factor(inner.count, inner.wgt, encoding_.wgt_factor);
    input_token_[inputs] = weight_token_[weights] = ++used_.posted;
  }

  // Input units [first, first + count) of a tile; the scratchpad there is free after `token`.
  void LoadInputs(const Tile& tile, int first, int count, int64_t sram, int64_t token) {
    const MapLayout& map = lowered_.input;
    const int image = tile.at.image;
    for (int o = 0; o < (work_.private_inputs ? tile.outs : 1); ++o) {
      const int out = tile.at.out * tiling_.tco + o;
      const int64_t place = sram + int64_t{o} * tiling_.tci * layout_.in_unit;
      if (work_.one_load) {
        const int64_t unit = work_.private_inputs ? out : first;
        const int64_t pixel = work_.private_inputs ? int64_t{first} * work_.in_split : 0;
        const bool pop = Take(&used_, token, MemoryId::kInp);
        Transfer(Opcode::kLoad, MemoryId::kInp, place, map.Address(image, unit, 0, 0) + pixel, 1,
                 int64_t{count} * work_.in_split)
            .pop_next = pop;
        continue;
      }
      for (int i = 0; i < count; ++i) {
        const int number = (first + i) / split_taps();
        const Span rows =
            tiling_.split_rows ? RowSpan(tile.at, (first + i) % split_taps()) : tile.row;
        const MapLayout* from = &map;
        int64_t unit = number + copy_ * (map.units / work_.copies);
        if (!sources_.empty()) {
          unit = sources_[static_cast<size_t>(out * source_count_ + number)];
        } else if (work_.private_inputs) {
          unit = out;
          if (number == 1) from = &lowered_.residual;
        }
        const bool pop = Take(&used_, token, MemoryId::kInp);
        LoadWindow(*from, image, unit, rows, tile.col, place + i * layout_.in_unit).pop_next = pop;
      }
    }
  }

  Instruction& LoadWindow(const MapLayout& map, int64_t image, int64_t unit, const Span& row,
                          const Span& col, int64_t sram) {
    const int split = work_.in_split;
    if (row.ins > 0 && col.ins > 0) {
      const int64_t dram = map.Address(image, unit, row.in0, col.in0);
      Instruction& in = Transfer(Opcode::kLoad, MemoryId::kInp, sram, dram, row.ins,
                                 int64_t{col.ins} * split, int64_t{map.cols} * split);
      in.y_pad_0 = static_cast<uint8_t>(row.pad_before);
      in.y_pad_1 = static_cast<uint8_t>(row.pad_after);
      in.x_pad_0 = static_cast<uint8_t>(col.pad_before * split);
      in.x_pad_1 = static_cast<uint8_t>(col.pad_after * split);
      return in;
    }
    // Nothing of it lies in the image: a load must have data, so it reads zeros.
    const int pads = std::min(kMaxPad, row.extent() - 1);
    const int64_t y = row.extent() - pads, x = int64_t{col.extent()} * split;
    zero_elements_ = std::max(zero_elements_, y * x);
    Instruction& in = Transfer(Opcode::kLoad, MemoryId::kInp, sram, zeros_, y, x);
    in.y_pad_0 = static_cast<uint8_t>(pads);
    return in;
  }

  void LoadWeights(const Tile& tile, int first, int ins, int64_t sram, int64_t token) {
    const int64_t row = work_.in_units * layout_.filter;
    const int64_t out = copy_ * work_.out_units + int64_t{tile.at.out} * tiling_.tco;
    const bool pop = Take(&used_, token, MemoryId::kInp);
    Transfer(Opcode::kLoad, MemoryId::kWgt, sram, out * row + first * layout_.filter, tile.outs,
             ins * layout_.filter, row)
        .pop_next = pop;
  }

  // --- The rest of a tile: biases, ALU, stores ---

  void End(int c) {
    Tile& tile = tile_[c];
    const int64_t out = copy_ * work_.out_units + int64_t{tile.at.out} * tiling_.tco;
    if (layout_.bias_unit > 0) {
      Transfer(Opcode::kLoad, MemoryId::kAcc, layout_.bias_base + c * layout_.bias_context,
               out * layout_.bias_unit, 1, tile.outs * layout_.bias_unit);
    }
    if (layout_.window()) Window(c, &tile);
    const Walk walk = Outputs(tile);
    if (work_.bias) Alu(&tile, AluOp::kAdd, walk, uops_.bias(c), 0, 0);
    for (const auto& op : epilogue_) {
      Immediate(&tile, op.first, op.second, walk, uops_.immediate(c));
    }
    // Stores take these tokens in order: a tile without ALU must not post before the one in front.
    if (tile.last_compute < last_post_) {
      tile.last_compute = size();
      Transfer(Opcode::kLoad, MemoryId::kUop, 0, 0, 1, 0);
    }
    last_post_ = tile.last_compute;
    At(tile.last_compute).push_next = true;
    Store(c, tile, out);
  }

  void Window(int c, Tile* tile) {
    const bool multiplies = work_.engine == Work::Engine::kAluDepthwise;
    const AxisShape& rows = layout_.rows;
    const AxisShape& cols = layout_.cols;
    const int64_t split = work_.out_split;
    const int64_t pitch = int64_t{rows.alu_stride} * layout_.mid_cols * split;
    const int64_t step = cols.alu_stride * split;
    const int64_t out_pitch = tile->col.outs * split;
    int first = -1;
    if (uops_.taps().covered) {
      first = rows.CoveringTap() * cols.alu_taps + cols.CoveringTap();
      const TapSpan row = MakeTapSpan(rows, tile->row, rows.CoveringTap());
      const TapSpan col = MakeTapSpan(cols, tile->col, cols.CoveringTap());
      const Walk walk = Outputs(*tile);
      Copy(tile, walk, uops_.FirstCopy(c, row, col), pitch, step);
      if (multiplies) Alu(tile, AluOp::kMul, walk, uops_.first_multiply(c), 0, 0);
    }
    for (int tap = 0; tap < rows.alu_taps * cols.alu_taps; ++tap) {
      if (tap == first) continue;
      const TapSpan row = MakeTapSpan(rows, tile->row, tap / cols.alu_taps);
      const TapSpan col = MakeTapSpan(cols, tile->col, tap % cols.alu_taps);
      if (row.count == 0 || col.count == 0) continue;
      const Walk walk = {row.count, col.count, out_pitch};
      if (!multiplies) {
        Alu(tile, AluOp::kMax, walk, uops_.Combine(c, row, col, tile->col.outs), pitch, step);
        continue;
      }
      Copy(tile, walk, uops_.Copy(c, row, col), pitch, step);
      Alu(tile, AluOp::kMul, walk, uops_.Filter(c, tap), 0, 0);
      Alu(tile, AluOp::kAdd, walk, uops_.Sum(c, row, col, tile->col.outs), out_pitch, split);
    }
  }

  // The ALU reads an immediate operation's operand at its source: + 0 copies, a vector a cycle.
  void Copy(Tile* tile, const Walk& walk, int64_t begin, int64_t src_pitch, int64_t src_step) {
    Alu(tile, AluOp::kAdd, walk, begin, src_pitch, src_step).use_imm = true;
  }

  void Store(int c, const Tile& tile, int64_t out) {
    const MapLayout& map = lowered_.output;
    const int64_t split = work_.out_split;
    const int64_t sram = c * layout_.acc_context;
    const int64_t begin = size();
    if (work_.rows == 1 && work_.cols == 1) {  // units are neighbours in DRAM
      Transfer(Opcode::kStore, MemoryId::kOut, sram, map.Address(tile.at.image, out, 0, 0), 1,
               tile.outs * split);
    } else {
      for (int o = 0; o < tile.outs; ++o) {
        Transfer(Opcode::kStore, MemoryId::kOut, sram + o * layout_.out_unit,
                 map.Address(tile.at.image, out + o, tile.row.out0, tile.col.out0), tile.row.outs,
                 tile.col.outs * split, map.cols * split);
      }
    }
    At(begin).pop_prev = true;
    At(size() - 1).push_prev = true;
    store_token_[c] = ++stored_.posted;
  }

  // Shift and clip: what work.immediate_ops counts.
  void MakeEpilogue() {
    const bool weighted = layer_.kind == LayerKind::kConv || layer_.kind == LayerKind::kDense;
    const bool average =
        layer_.kind == LayerKind::kAvgPool || layer_.kind == LayerKind::kGlobalAvgPool;
    if (!weighted && !average && layer_.kind != LayerKind::kAdd) return;
    if (weighted) epilogue_.push_back({AluOp::kShr, lowered_.options.shift});
    if (average) epilogue_.push_back({AluOp::kShr, ScaleOf(AverageTaps(layer_)).shift});
    const bool relu = layer_.relu && !average;
    if (program_.config.clp && lowered_.options.isa == Isa::kExtended && !relu) {
      epilogue_.push_back({AluOp::kClp, 127});
    } else {
      epilogue_.push_back({AluOp::kMax, relu ? 0 : -127});
      epilogue_.push_back({AluOp::kMin, 127});
    }
  }

  LoweredProgram& lowered_;
  Program& program_;
  const Layer& layer_;
  const Work& work_;
  const Tiling& tiling_;
  const TileLayout& layout_;
  const MicroOpPlan& plan_;
  const Encoding encoding_;
  const MicroOpSet uops_;
  const Cut outs_, rows_, cols_;
  // Input units of each output unit, `source_count_` each, where they are not simply its own.
  std::vector<int> sources_;
  int source_count_ = 0;
  std::vector<std::pair<AluOp, int>> epilogue_;
  int64_t zeros_ = 0, zero_elements_ = 0;
  int64_t copy_ = 0;
  Tile tile_[2];
  TokenLine used_, stored_;  // from multiplies to loads, from stores to compute
  // The token after which a part of a scratchpad is free, by context or half.
  int64_t input_token_[2] = {0, 0}, weight_token_[2] = {0, 0}, store_token_[2] = {0, 0};
  bool load_weights_ = false, load_inputs_ = false;  // the resident operand comes next
  int half_ = 1;
  int64_t last_post_ = 0;  // the instruction that posted the last token to the stores
};

std::string MapText(const char* name, const MapLayout& map, const Config& config, int block) {
  return std::string(name) + " [" + std::to_string(map.batches) + "][" + std::to_string(map.units) +
         "][" + std::to_string(map.rows) + "][" + std::to_string(map.cols) + "][" +
         std::to_string(map.split) + "][" + std::to_string(config.batch()) + "][" +
         std::to_string(block) + "]";
}

void PlaceMaps(const Config& config, LoweredProgram* lowered) {
  const Layer& layer = lowered->layer;
  const Work& work = lowered->work;
  const int unit = work.unit_bytes / config.batch();
  MapLayout& in = lowered->input;
  in.batches = work.batches;
  in.units = (layer.c + unit - 1) / unit;
  in.rows = layer.h;
  in.border = work.engine == Work::Engine::kArray && layer.pad > 0 && work.col_pad == 0 &&
                      layer.kind != LayerKind::kDense && work.in_cols > layer.w
                  ? layer.pad
                  : 0;
  in.cols = layer.w + 2 * in.border;
  in.split = work.in_split;
  lowered->residual = MapLayout();
  lowered->residual.batches = 0;
  if (layer.kind == LayerKind::kAdd) {
    lowered->residual = in;
    lowered->residual.base = in.elements();
  }
  MapLayout& out = lowered->output;
  out = MapLayout();
  out.batches = work.batches;
  out.units = work.copies * work.out_units;
  out.rows = work.rows;
  out.cols = work.cols;
  out.split = work.out_split;
}

void PlaceTensors(const TileLayout& layout, int64_t zeros, LoweredProgram* lowered) {
  const Work& work = lowered->work;
  Program& program = lowered->program;
  const Config& config = program.config;
  const auto place = [&program](const char* name, MemoryId memory, int64_t elements,
                                std::string text) {
    if (elements == 0) return;
    int64_t& size = program.region(memory);
    program.tensors.push_back({name, memory, size, elements, std::move(text)});
    size += elements;
  };
  program.elements = {};
  program.region(MemoryId::kUop) = static_cast<int64_t>(program.uops.size());
  const int in = config.block_in(), out = config.block_out();
  place("input", MemoryId::kInp, lowered->input.elements(),
        MapText("[image][unit][row][column][block][batch][channel]", lowered->input, config, in));
  place("residual", MemoryId::kInp, lowered->residual.elements(),
        MapText("as input", lowered->residual, config, in));
  place("zeros", MemoryId::kInp, zeros, "zeros");
  const int64_t units = work.copies * work.out_units;
  const int64_t weights =
      work.constant_weights ? work.pair_uops : units * work.in_units * layout.filter;
  place("weights", MemoryId::kWgt, weights,
        work.constant_weights
            ? "[block pair][out][in], the same for all units and taps"
            : "[unit out][unit in][row][column][block pair][out][in] [" + std::to_string(units) +
                  "][" + std::to_string(work.in_units) + "][" +
                  std::to_string(layout.rows.array_taps) + "][" +
                  std::to_string(layout.cols.array_taps) + "][" + std::to_string(work.pair_uops) +
                  "][" + std::to_string(out) + "][" + std::to_string(in) + "]");
  place("bias", MemoryId::kAcc, units * layout.bias_unit,
        "[unit][bias, taps of the filter][block][batch][channel] [" + std::to_string(units) + "][" +
            std::to_string(layout.bias_unit / std::max(1, work.out_blocks)) + "][" +
            std::to_string(work.out_blocks) + "][" + std::to_string(config.batch()) + "][" +
            std::to_string(out) + "]");
  place("output", MemoryId::kOut, lowered->output.elements(),
        MapText("[image][unit][row][column][block][batch][channel]", lowered->output, config, out));
}

bool CheckEncoding(const Program& program, std::string* why) {
  const Encoding encoding(program.config, program.isa);
  Word128 word;
  uint64_t uop = 0;
  std::string what;
  for (const Instruction& instruction : program.instructions) {
    if (!Encode(encoding, instruction, &word, &what)) return Fail(why, what);
  }
  for (const MicroOp& op : program.uops) {
    if (!EncodeMicroOp(encoding, op, &uop, &what)) return Fail(why, what);
  }
  return true;
}

// The work of a layer in the form that the tiling asks for, and the tiling clipped to it.
bool MakeTiledWork(const Layer& layer, const Config& config, const Tiling& asked, Work* work,
                   Tiling* tiling, std::string* why) {
  if (!MakeWork(layer, config, work, why)) return false;
  const bool splits =
      work->engine == Work::Engine::kArray && work->r > 1 && !work->constant_weights;
  if ((asked.on_alu && !(layer.depthwise() && config.clp)) || (asked.split_rows && !splits)) {
    return Fail(
        why, "layer " + layer.name + " with tiling " + asked.ToString() + ": it has no such form");
  }
  if (asked.on_alu) *work = OnAlu(*work);
  if (asked.split_rows) *work = SplitRows(*work);
  *tiling = asked;
  for (int* size : {&tiling->th, &tiling->tw, &tiling->tco, &tiling->tci}) {
    if (*size < 1) return Fail(why, "layer " + layer.name + ": tile sizes start at 1");
  }
  tiling->th = std::min(tiling->th, work->rows);
  tiling->tw = std::min(tiling->tw, work->cols);
  tiling->tco = std::min(tiling->tco, work->out_units);
  tiling->tci = std::min(tiling->tci, work->in_units);
  tiling->vthreads = tiling->vthreads >= 2 ? 2 : 1;
  return true;
}

}  // namespace

Config ConfigFor(const Config& config, Isa isa) {
  constexpr int kStockLogMicroOpBytes = 13;
  Config view = config;
  if (isa == Isa::kStock) {
    view.clp = false;
    view.log_uop_buff = std::min(view.log_uop_buff, kStockLogMicroOpBytes);
  }
  return view;
}

bool Lower(const Layer& layer, const Config& config, const Tiling& tiling,
           const LowerOptions& options, LoweredProgram* lowered, std::string* why) {
  const Config view = ConfigFor(config, options.isa);
  const auto refuse = [&](const std::string& what) {
    return Fail(why, "layer " + layer.name + " with tiling " + tiling.ToString() + ": " + what);
  };
  *lowered = LoweredProgram();
  lowered->layer = layer;
  lowered->options = options;
  if (!MakeTiledWork(layer, view, tiling, &lowered->work, &lowered->tiling, why)) return false;
  const Work& work = lowered->work;
  if (options.isa == Isa::kStock && view.batch() > 1) {
    return refuse("BATCH " + std::to_string(view.batch()) +
                  ": the stock ALU works on one image at a time");
  }
  if (options.shift < 0 || options.shift > 31) {
    return refuse("shift " + std::to_string(options.shift) + ", have 0 to 31");
  }
  if ((layer.kind == LayerKind::kAvgPool || layer.kind == LayerKind::kGlobalAvgPool) &&
      ScaleOf(AverageTaps(layer)).multiplier == 0) {
    return refuse("an average of " + std::to_string(AverageTaps(layer)) + " values");
  }
  const Machine machine(work, view, MemoryModel::kQueued);
  std::string what;
  const PixelCut rows = CutRows(work, lowered->tiling.th);
  const PixelCut cols = CutCols(work, lowered->tiling.tw);
  if (!Fits(machine, lowered->tiling, Measure(machine, lowered->tiling, rows, cols), &what)) {
    return refuse(what);
  }
  const TileLayout layout(work, lowered->tiling);
  const MicroOpPlan plan = PlanMicroOps(work, view, lowered->tiling, layout, machine.uop_depth);
  if (!plan.ok) {
    return refuse("micro-ops: need " + std::to_string(plan.total) + ", have " +
                  std::to_string(machine.uop_depth));
  }
  Program& program = lowered->program;
  program.config = config;
  program.isa = options.isa;
  program.title = layer.name + " " + lowered->tiling.ToString();
  PlaceMaps(view, lowered);
  Generator generator(view, layout, plan, lowered);
  if (!generator.Run()) {
    return refuse("instructions of a launch: need more than " + std::to_string(kMaxInstructions) +
                  ", have " + std::to_string(kMaxInstructions) + " (4 MiB)");
  }
  PlaceTensors(layout, generator.zero_elements(), lowered);
  return CheckEncoding(program, &what) || refuse(what);
}

}  // namespace rhnas::hw
