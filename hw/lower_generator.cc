#include "hw/lower_generator.h"

#include <algorithm>
#include <array>

namespace rhnas::hw {
namespace {

constexpr int kMaxPad = 15;

// Tiles of an axis, one or two at a time; the second is -1 where there is none.
using Steps = std::vector<std::array<int, 2>>;

Steps MakeSteps(int tiles, int repeat, bool paired) {
  Steps steps;
  for (int i = 0; i < repeat; ++i) {
    for (int t = 0; t < tiles; t += paired ? 2 : 1) {
      const bool two = paired && t + 1 < tiles;
      steps.push_back({i * tiles + t, two ? i * tiles + t + 1 : -1});
    }
  }
  return steps;
}

}  // namespace

ChainParts::ChainParts(const std::vector<Layer>& chain) : array(chain[0]) {
  for (size_t i = 1; i < chain.size(); ++i) {
    switch (chain[i].kind) {
      case LayerKind::kShuffle:
        shuffle = &chain[i];
        array.groups = 1;
        break;
      case LayerKind::kAdd:
        add = &chain[i];
        break;
      default:
        window = &chain[i];
        break;
    }
  }
}

Generator::Generator(const Config& config, const TileLayout& layout, const MicroOpPlan& plan,
                     LoweredProgram* lowered)
    : lowered_(*lowered),
      program_(lowered->program),
      parts_(lowered->chain),
      work_(lowered->work),
      tiling_(lowered->tiling),
      layout_(layout),
      plan_(plan),
      encoding_(config, lowered->options.isa),
      uops_(work_, tiling_, layout_, plan_, encoding_, &program_.uops),
      outs_(CutInto(work_.out_units, tiling_.tco)),
      rows_(CutInto(work_.rows, tiling_.th)),
      cols_(CutInto(work_.cols, tiling_.tw)) {
  const Layer& layer = parts_.array;
  const int unit = work_.unit_bytes / config.batch();
  if (layer.kind == LayerKind::kShuffle ||
      (layer.kind == LayerKind::kConv && work_.private_inputs && !layer.depthwise())) {
    source_count_ = work_.in_units / split_taps();
    for (int o = 0; o < work_.out_units; ++o) {
      for (const int u : SourceUnits(layer, source_count_, unit, o)) sources_.push_back(u);
    }
  }
  zeros_ = lowered_.input.elements() + lowered_.residual.elements();
  MakeEpilogues();
}

bool Generator::Run() {
  Transfer(Opcode::kLoad, MemoryId::kUop, 0, 0, 1, static_cast<int64_t>(program_.uops.size()));
  if (work_.constant_weights) Transfer(Opcode::kLoad, MemoryId::kWgt, 0, 0, 1, work_.pair_uops);
  if (work_.residual) {
    const int64_t weights = work_.copies * work_.out_units * work_.in_units * layout_.filter;
    Transfer(Opcode::kLoad, MemoryId::kWgt, layout_.identity_base, weights, 1, work_.residual_uops);
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

Instruction& Generator::Add(Opcode op) {
  program_.instructions.emplace_back();
  program_.instructions.back().op = op;
  return program_.instructions.back();
}

Instruction& Generator::Transfer(Opcode op, MemoryId memory, int64_t sram, int64_t dram, int64_t y,
                                 int64_t x, int64_t stride) {
  constexpr int64_t kMaxSize = 65535;
  widest_ = std::max({widest_, y, x, stride});
  if (widest_ > kMaxSize) y = x = stride = 1;  // refused in the end
  Instruction& in = Add(op);
  in.memory = memory;
  in.sram = static_cast<uint32_t>(sram);
  in.dram = static_cast<uint32_t>(dram);
  in.y_size = static_cast<uint16_t>(y);
  in.x_size = static_cast<uint16_t>(x);
  in.x_stride = static_cast<uint16_t>(stride < 0 ? x : stride);
  return in;
}

void Generator::TakeInNop(TokenLine* line, MemoryId unit) {
  Transfer(Opcode::kLoad, unit, 0, 0, 1, 0).pop_next = true;
  ++line->taken;
}

bool Generator::Take(TokenLine* line, int64_t number, MemoryId unit) {
  while (line->taken + 1 < number) TakeInNop(line, unit);
  if (line->taken >= number) return false;
  ++line->taken;
  return true;
}

bool Generator::Nest() {
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

void Generator::Group(const TileRef* tiles, int contexts) {
  for (int c = 0; c < contexts; ++c) {
    Bind(tiles[c], c);
    Begin(c);
  }
  for (int step = 0; step < layout_.steps; ++step) {
    for (int c = 0; c < contexts; ++c) Step(c, step);
  }
  for (int c = 0; c < contexts; ++c) End(c);
}

void Generator::Bind(const TileRef& at, int c) {
  Tile& tile = tile_[c];
  tile.at = at;
  tile.row = RowSpan(at, 0);
  tile.col =
      MakeSpan(layout_.cols, at.col * tiling_.tw, at.col < cols_.full ? tiling_.tw : cols_.tail);
  tile.outs = at.out < outs_.full ? tiling_.tco : outs_.tail;
}

Span Generator::RowSpan(const TileRef& at, int tap) const {
  return MakeSpan(layout_.rows, at.row * tiling_.th, at.row < rows_.full ? tiling_.th : rows_.tail,
                  tap);
}

void Generator::Step(int c, int step) {
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
  if (work_.residual && step + 1 == layout_.steps) LoadResidual(c, &tile);
  const bool loads = size() > before;
  if (loads) At(size() - 1).push_next = true;

  Multiply(c, step, ins, loads, &tile);
  input_token_[inputs] = weight_token_[weights] = ++used_.posted;
}

void Generator::Multiply(int c, int step, int ins, bool loads, Tile* tile) {
  LoopStep loops[kLoops];
  MultiplyLoops(work_, tiling_, layout_, tile->row, tile->col, tile->outs, ins, loops);
  tile->last_compute = size();
  Instruction& in = Add(Opcode::kGemm);
  in.pop_prev = loads;
  in.push_prev = true;
  const int64_t begin =
      uops_.Multiply(c, layout_.halves > 1 ? half_ : 0, tile->row, tile->col, step);
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
}

// Input units [first, first + count) of a tile; the scratchpad there is free after `token`.
void Generator::LoadInputs(const Tile& tile, int first, int count, int64_t sram, int64_t token) {
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

Instruction& Generator::LoadWindow(const MapLayout& map, int64_t image, int64_t unit,
                                   const Span& row, const Span& col, int64_t sram) {
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

void Generator::LoadWeights(const Tile& tile, int first, int ins, int64_t sram, int64_t token) {
  const int64_t row = work_.in_units * layout_.filter;
  const bool pop = Take(&used_, token, MemoryId::kInp);
  Transfer(Opcode::kLoad, MemoryId::kWgt, sram, FirstUnit(tile) * row + first * layout_.filter,
           tile.outs, ins * layout_.filter, row)
      .pop_next = pop;
}

// The output tile of the map that is added, among the loads of the last step.
void Generator::LoadResidual(int c, Tile* tile) {
  const MapLayout& map = lowered_.residual;
  const int split = work_.in_split;
  tile->place = place_[c];
  place_[c] = (place_[c] + 1) % layout_.residual_places;
  const int64_t token = residual_token_[c][tile->place];
  int64_t sram = layout_.residual_base + c * layout_.residual_context +
                 int64_t{tile->place} * tiling_.tco * layout_.residual_unit;
  const bool plane = work_.rows == 1 && work_.cols == 1;  // units are neighbours in DRAM
  for (int o = 0; o < (plane ? 1 : tile->outs); ++o, sram += layout_.residual_unit) {
    const int64_t dram =
        map.Address(tile->at.image, FirstUnit(*tile) + o, tile->row.out0, tile->col.out0);
    const bool pop = Take(&used_, token, MemoryId::kInp);
    const int64_t width = plane ? tile->outs : tile->col.outs;
    Transfer(Opcode::kLoad, MemoryId::kInp, sram, dram, tile->row.outs, width * split,
             plane ? width * split : int64_t{map.cols} * split)
        .pop_next = pop;
  }
}

}  // namespace rhnas::hw
