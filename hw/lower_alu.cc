// What a tile needs besides its multiplies: resets, biases, the ALU, residuals, stores.
#include "hw/chain.h"
#include "hw/lower_generator.h"

namespace rhnas::hw {
namespace {

constexpr int kLeast = -128;
constexpr int64_t kMaxLoop = 16383;  // 14 bits

bool IsAverage(const Layer& layer) {
  return layer.kind == LayerKind::kAvgPool || layer.kind == LayerKind::kGlobalAvgPool;
}

}  // namespace

Generator::Immediates Generator::Clip(bool relu) const {
  if (!relu && program_.config.clp && lowered_.options.isa == Isa::kExtended) {
    return {{AluOp::kClp, 127}};
  }
  return {{AluOp::kMax, relu ? 0 : -127}, {AluOp::kMin, 127}};
}

void Generator::MakeEpilogues() {
  const auto of = [this](const Layer& layer) {
    Immediates ops;
    if (layer.kind == LayerKind::kConv || layer.kind == LayerKind::kDense) {
      ops = Clip(layer.relu);
      ops.insert(ops.begin(), {AluOp::kShr, lowered_.options.shift});
    } else if (IsAverage(layer)) {
      const PoolScale scale = PoolScaleOf(AverageTaps(layer));
      int shift = scale.shift;
      if (work_.fused && work_.pool_scale == 0) {  // its multiplier is part of the shift
        for (int m = scale.multiplier; m > 1; m /= 2) --shift;
      }
      ops = Clip(false);
      ops.insert(ops.begin(), {AluOp::kShr, shift});
    } else if (layer.kind == LayerKind::kAdd) {
      ops = Clip(layer.relu);
    }
    return ops;
  };
  (work_.fused ? filled_ops_ : out_ops_) = of(parts_.array);
  if (work_.pool_scale != 0) filled_ops_.push_back({AluOp::kMul, work_.pool_scale});
  if (parts_.window != nullptr) out_ops_ = of(*parts_.window);
  if (parts_.add != nullptr) residual_ops_ = Clip(parts_.add->relu);
}

// --- Instructions ---

void Generator::Iterate(const Walk& dst, int64_t begin, const Tile& tile, Instruction* in) const {
  in->lp0 = static_cast<uint16_t>(dst.rows);
  in->lp1 = static_cast<uint16_t>(dst.cols);
  in->acc_0 = Factor(dst.rows, dst.pitch, encoding_.acc_factor);
  in->acc_1 = Factor(dst.cols, work_.out_split, encoding_.acc_factor);
  in->uop_begin = static_cast<uint32_t>(begin);
  in->uop_end = static_cast<uint32_t>(begin + int64_t{tile.outs} * work_.out_blocks);
}

void Generator::Reset(const Tile& tile, const Walk& walk, int64_t begin, bool pop) {
  Instruction& in = Add(Opcode::kGemm);
  in.reset = true;
  in.pop_next = pop;
  Iterate(walk, begin, tile, &in);
}

Instruction& Generator::Alu(Tile* tile, AluOp op, const Walk& walk, int64_t begin,
                            int64_t src_pitch, int64_t src_step) {
  tile->last_compute = size();
  Instruction& in = Add(Opcode::kAlu);
  in.alu = op;
  Iterate(walk, begin, *tile, &in);
  in.inp_0 = Factor(walk.rows, src_pitch, encoding_.inp_factor);
  in.inp_1 = Factor(walk.cols, src_step, encoding_.inp_factor);
  return in;
}

void Generator::Immediate(Tile* tile, AluOp op, int imm, const Walk& walk, int64_t begin) {
  Walk flat = walk;
  if (walk.rows > 1 && walk.pitch >> encoding_.inp_factor != 0 &&
      walk.pitch == int64_t{walk.cols} * work_.out_split) {
    flat = {1, walk.rows * walk.cols, 0};  // a source's step has the input's bits
  }
  Instruction& in = Alu(tile, op, flat, begin, flat.pitch, work_.out_split);
  in.use_imm = true;
  in.imm = static_cast<int16_t>(imm);
}

void Generator::Run(const Immediates& immediates, Tile* tile, const Walk& walk, int64_t begin) {
  for (const auto& op : immediates) Immediate(tile, op.first, op.second, walk, begin);
}

// The ALU reads an immediate operation's operand at its source: + 0 copies, a vector a cycle.
void Generator::Copy(Tile* tile, const Walk& walk, int64_t begin, int64_t src_pitch,
                     int64_t src_step) {
  Alu(tile, AluOp::kAdd, walk, begin, src_pitch, src_step).use_imm = true;
}

// --- A tile ---

// Blocks of padding channels are stored and never computed: they are 0 once.
void Generator::ClearPadding() {
  for (int c = 0; c < layout_.contexts; ++c) {
    Tile all;
    const int64_t all_of_it = layout_.out_unit;
    const bool once = all_of_it <= kMaxLoop;
    const Walk walk = {once ? 1 : layout_.th,
                       static_cast<int>(once ? all_of_it : all_of_it / layout_.th),
                       once ? 0 : all_of_it / layout_.th};
    const auto single = [&](Instruction& in) {
      in.acc_1 = 1;
      in.inp_1 = in.use_imm ? 1 : 0;
      in.uop_end = in.uop_begin + 1;
    };
    Reset(all, walk, uops_.immediate(c), false);
    single(At(size() - 1));
    Immediate(&all, AluOp::kAdd, 0, walk, uops_.immediate(c));
    single(At(size() - 1));
  }
}

void Generator::Begin(int c) {
  Tile& tile = tile_[c];
  const bool pop = Take(&stored_, store_token_[c], MemoryId::kUop);
  if (!layout_.window()) {
    Reset(tile, Outputs(tile), uops_.immediate(c), pop);
    return;
  }
  Reset(tile, Mids(tile), uops_.filled(c), pop);
  if (layout_.sum_of_all || uops_.taps().covered) return;
  Reset(tile, Outputs(tile), uops_.immediate(c), false);
  if (work_.engine == Work::Engine::kAluMaxPool) {
    Immediate(&tile, AluOp::kMin, kLeast, Outputs(tile), uops_.immediate(c));
  }
}

void Generator::End(int c) {
  Tile& tile = tile_[c];
  if (layout_.bias_unit > 0) {
    Transfer(Opcode::kLoad, MemoryId::kAcc, layout_.bias_base + c * layout_.bias_context,
             FirstUnit(tile) * layout_.bias_unit, 1, tile.outs * layout_.bias_unit);
  }
  if (work_.filled_bias) Alu(&tile, AluOp::kAdd, Mids(tile), uops_.filled_bias(c), 0, 0);
  Run(filled_ops_, &tile, Mids(tile), uops_.filled(c));
  if (layout_.sum_of_all) {
    SumOfAll(c, &tile);
  } else if (layout_.window()) {
    Window(c, &tile);
  }
  const Walk walk = Outputs(tile);
  if (work_.bias) Alu(&tile, AluOp::kAdd, walk, uops_.bias(c), 0, 0);
  Run(out_ops_, &tile, walk, uops_.immediate(c));
  if (work_.residual) AddResidual(c, &tile);
  // Stores take these tokens in order: a tile without ALU must not post before the one in front.
  if (tile.last_compute < last_post_) {
    tile.last_compute = size();
    Transfer(Opcode::kLoad, MemoryId::kUop, 0, 0, 1, 0);
  }
  last_post_ = tile.last_compute;
  At(tile.last_compute).push_next = true;
  Store(c, tile);
}

void Generator::Window(int c, Tile* tile) {
  const bool multiplies = work_.engine == Work::Engine::kAluDepthwise;
  const AluOp combine = work_.engine == Work::Engine::kAluMaxPool ? AluOp::kMax : AluOp::kAdd;
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
      Alu(tile, combine, walk, uops_.Combine(c, row, col, tile->col.outs), pitch, step);
      continue;
    }
    Copy(tile, walk, uops_.Copy(c, row, col), pitch, step);
    Alu(tile, AluOp::kMul, walk, uops_.Filter(c, tap), 0, 0);
    Alu(tile, AluOp::kAdd, walk, uops_.Sum(c, row, col, tile->col.outs), out_pitch, split);
  }
}

// The same accumulator must not be hit twice running: two vectors or more take turns over the
// pixels; of a single one, the back half is added to the front half until one pixel is left.
void Generator::SumOfAll(int c, Tile* tile) {
  const auto line = [this](int64_t pixels) {
    return Walk{1, static_cast<int>(pixels), pixels * work_.out_split};
  };
  const int64_t split = work_.out_split;
  int64_t left = layout_.filled();
  const bool turns = tile->outs * work_.out_blocks > 1;
  for (int step = 0; !turns && left > 1; ++step) {
    const int64_t front = (left + 1) / 2;
    Alu(tile, AluOp::kAdd, line(left - front), uops_.SumHalf(c, step), 0, split);
    left = front;
  }
  Copy(tile, line(1), uops_.sum_copy(c), 0, split);
  if (left > 1) Alu(tile, AluOp::kAdd, line(left - 1), uops_.sum_rest(c), 0, split).acc_1 = 0;
}

void Generator::AddResidual(int c, Tile* tile) {
  const Walk walk = Outputs(*tile);
  tile->last_compute = size();
  Instruction& in = Add(Opcode::kGemm);
  Iterate(walk, uops_.Residual(c, tile->place), *tile, &in);
  in.uop_end = in.uop_begin + static_cast<uint32_t>(tile->outs * work_.residual_uops);
  in.inp_0 = Factor(walk.rows, int64_t{walk.cols} * work_.in_split, encoding_.inp_factor);
  in.inp_1 = Factor(walk.cols, work_.in_split, encoding_.inp_factor);
  // Free once a token that a later multiply posts is taken.
  residual_token_[c][tile->place] = used_.posted + 1;
  Run(residual_ops_, tile, walk, uops_.immediate(c));
}

void Generator::Store(int c, const Tile& tile) {
  const MapLayout& map = lowered_.output;
  const int64_t split = work_.out_split;
  const int64_t sram = c * layout_.acc_context;
  const int64_t first = FirstUnit(tile);
  const int64_t begin = size();
  if (work_.rows == 1 && work_.cols == 1) {  // units are neighbours in DRAM
    Transfer(Opcode::kStore, MemoryId::kOut, sram, map.Address(tile.at.image, first, 0, 0), 1,
             tile.outs * split);
  } else {
    for (int o = 0; o < tile.outs; ++o) {
      Transfer(Opcode::kStore, MemoryId::kOut, sram + o * layout_.out_unit,
               map.Address(tile.at.image, first + o, tile.row.out0, tile.col.out0), tile.row.outs,
               tile.col.outs * split, map.cols * split);
    }
  }
  At(begin).pop_prev = true;
  At(size() - 1).push_prev = true;
  store_token_[c] = ++stored_.posted;
}

}  // namespace rhnas::hw
