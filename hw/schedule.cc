// Building a schedule: cuts, footprint, the groups of the loop nest.
#include "hw/schedule.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

// Fields of the instruction: sizes 16 bits, loop counts 14.
constexpr int64_t kMaxSize = 65535;
constexpr int64_t kMaxLoop = 16383;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Vectors a context multiplies into per (unit pair, tap): output pixels, or the tile it copies.
struct Shape {
  int64_t out_pixels, in_pixels;
};

Shape ShapeOf(const PixelCut& rows, const PixelCut& cols, int row, int col) {
  const auto size = [](const PixelCut& cut, int which) {
    return int64_t{which == 0 ? cut.cut.size : cut.cut.tail};
  };
  return {size(rows, row) * size(cols, col), int64_t{rows.extent[row]} * cols.extent[col]};
}

bool OnArray(const Work& work) { return work.engine == Work::Engine::kArray; }

// Micro-ops of one context's multiply, with the two outermost loops folded into the instruction:
// rows and columns as TVM folds them where that fits, the two longest loops where it must.
int64_t MultiplyUops(const Work& work, int64_t tco, int64_t tci, int64_t rows, int64_t cols,
                     bool tightest) {
  int64_t loops[] = {rows, cols, tco, tci, work.pair_uops, work.r, work.s};
  if (!OnArray(work)) loops[5] = loops[6] = 1;
  int64_t product = 1;
  for (const int64_t loop : loops) product *= loop;
  if (!tightest) return product / (rows * cols);
  std::sort(std::begin(loops), std::end(loops));
  return product / (loops[5] * loops[6]);
}

int64_t AllUops(const Work& work, const Tiling& tiling, const PixelCut& rows, const PixelCut& cols,
                bool tightest) {
  const int row_size = OnArray(work) ? rows.cut.size : rows.extent[0];
  const int col_size = OnArray(work) ? cols.cut.size : cols.extent[0];
  int64_t uops = MultiplyUops(work, tiling.tco, tiling.tci, row_size, col_size, tightest);
  const int tail = work.in_units % tiling.tci;  // a kernel of its own; other tails are prefixes
  if (tail != 0) uops += MultiplyUops(work, tiling.tco, tail, row_size, col_size, tightest);
  const int64_t vectors = int64_t{tiling.tco} * work.out_blocks;
  uops += 2 * vectors;  // reset and immediates; bias
  if (work.engine == Work::Engine::kAluMaxPool) uops += work.taps() * vectors;
  if (work.engine == Work::Engine::kAluDepthwise) uops += 3 * work.taps() * vectors;
  return uops * tiling.vthreads;
}

Level MakeLevel(Axis axis, const Cut& cut, int64_t repeat, bool paired) {
  Level level;
  level.axis = axis;
  level.runs = 0;
  const auto add = [&level, repeat](int64_t count, int first, int second) {
    if (count == 0) return;
    Level::Run& run = level.run[static_cast<size_t>(level.runs++)];
    run.count = count * repeat;
    run.tile[0] = static_cast<int8_t>(first);
    run.tile[1] = static_cast<int8_t>(second);
  };
  const bool tail = cut.tail > 0;
  if (!paired) {
    add(cut.full, 0, -1);
    add(tail ? 1 : 0, 1, -1);
  } else {
    add(cut.full / 2, 0, 0);
    const bool odd = cut.full % 2 == 1;
    if (odd && tail) add(1, 0, 1);
    if (odd && !tail) add(1, 0, -1);
    if (!odd && tail) add(1, 1, -1);
  }
  return level;
}

class Builder {
 public:
  Builder(const Machine& machine, const Tiling& tiling, const PixelCut& rows, const PixelCut& cols,
          Schedule* schedule)
      : m_(machine),
        work_(machine.work),
        timing_(machine.timing),
        tiling_(tiling),
        rows_(rows),
        cols_(cols),
        outputs_(CutInto(machine.work.out_units, tiling.tco)),
        steps_(CutInto(machine.work.in_units, tiling.tci)),
        s_(*schedule) {}

  void Run() {
    s_.steps = steps_.full;
    s_.has_last = steps_.tail > 0;
    s_.programs = work_.copies;
    const bool tight = AllUops(work_, tiling_, rows_, cols_, false) > m_.uop_depth;
    s_.uops = AllUops(work_, tiling_, rows_, cols_, tight);
    const int64_t uop_bytes = m_.config.uop_bits() / 8;
    s_.uop_load = timing_.load_uop + CeilDiv(s_.uops * uop_bytes, timing_.bus_bytes) * kCycle;
    s_.constant_tensors = work_.constant_weights ? work_.pair_uops : 0;
    s_.constant_load =
        work_.constant_weights ? timing_.load_wgt + WeightBeats(1, work_.pair_uops) : 0;
    Nest();
    for (int a = 0; a < s_.level[0].runs; ++a) {
      for (int b = 0; b < s_.level[1].runs; ++b) {
        for (int c = 0; c < s_.level[2].runs; ++c) {
          MakeGroup({a, b, c}, &s_.group[static_cast<size_t>(4 * a + 2 * b + c)]);
        }
      }
    }
  }

 private:
  void Nest() {
    const bool two = tiling_.vthreads == 2;
    const bool weights = tiling_.stationary == Stationary::kWeights;
    const bool pair_outputs = two && !weights && outputs_.tiles() > 1;
    const bool pair_pixels = two && !pair_outputs;
    const bool pair_cols = pair_pixels && cols_.cut.tiles() > 1;
    const Level rows = MakeLevel(Axis::kRows, rows_.cut, work_.batches, pair_pixels && !pair_cols);
    const Level cols = MakeLevel(Axis::kCols, cols_.cut, 1, pair_cols);
    const Level outputs = MakeLevel(Axis::kOutputs, outputs_, 1, pair_outputs);
    switch (tiling_.stationary) {
      case Stationary::kNone:
        s_.level = {rows, outputs, cols};
        s_.resident_level = -1;
        break;
      case Stationary::kWeights:
        s_.level = {outputs, rows, cols};
        s_.resident_level = 0;
        s_.resident_waits = true;
        break;
      case Stationary::kInputs:
        s_.level = {rows, cols, outputs};
        s_.resident_level = 1;
        s_.resident_waits = !two;
        break;
    }
  }

  Ticks WeightLoad(int64_t rows, int64_t tensors, Ticks beats) const {
    return timing_.load_wgt + beats +
           timing_.RequestWait(rows * kCycle, tensors * m_.wgt_bytes, m_.wgt_bytes);
  }

  Ticks WeightBeats(int64_t rows, int64_t tensors) const {
    return timing_.Beats(rows * kCycle, tensors * m_.wgt_bytes, m_.wgt_bytes);
  }

  // Loads of `units` input units for a tile of rows and columns.
  void InputLoad(int row, int col, int64_t units, int64_t rows_of_units, Phase* phase) const {
    if (work_.one_load) {
      phase->input_loads = rows_of_units;
      phase->input_beats = timing_.Beats(kCycle, units * work_.unit_bytes, work_.unit_bytes);
      phase->input_load = timing_.load_inp + phase->input_beats +
                          timing_.RequestWait(kCycle, units * work_.unit_bytes, work_.unit_bytes);
      return;
    }
    phase->input_loads = units * rows_of_units;
    const Ticks bytes = cols_.valid[col] * work_.unit_bytes;
    int64_t alignment = work_.in_cols;
    if (cols_.cut.tiles() > 1) {
      alignment = Gcd(alignment, Gcd(int64_t{cols_.cut.size} * work_.stride, work_.col_pad));
    }
    alignment *= work_.unit_bytes;
    phase->input_beats =
        alignment % timing_.bus_bytes == 0 || work_.unit_bytes % timing_.bus_bytes == 0
            ? rows_.valid[row] * (bytes / timing_.bus_bytes) / kCycle
            : timing_.Beats(rows_.valid[row], (bytes + kCycle / 2) / kCycle, alignment);
    const Ticks tensors = Cycles(int64_t{rows_.extent[row]} * cols_.extent[col]) -
                          rows_.valid[row] * cols_.valid[col] / kCycle;
    const Ticks pads = tensors * work_.in_split;
    // One pad a cycle, in cycles without data; rows of padding above delay the first request.
    phase->input_load = std::max(timing_.load_inp + rows_.pad_before[row] + phase->input_beats,
                                 Cycles(3) + pads + phase->input_beats);
  }

  Phase MakePhase(int row, int col, int64_t outputs, int64_t inputs) const {
    Phase phase;
    const Shape shape = ShapeOf(rows_, cols_, row, col);
    if (tiling_.stationary != Stationary::kInputs) {
      InputLoad(row, col, inputs, work_.private_inputs ? outputs : 1, &phase);
    }
    if (tiling_.stationary != Stationary::kWeights && !work_.constant_weights) {
      const int64_t tensors = inputs * work_.pair_uops * work_.taps();
      phase.weight_beats = WeightBeats(outputs, tensors);
      phase.weight_load = WeightLoad(outputs, tensors, phase.weight_beats);
    }
    const int64_t pairs = outputs * inputs * work_.pair_uops;
    phase.uops = OnArray(work_) ? pairs * work_.taps() * shape.out_pixels : pairs * shape.in_pixels;
    phase.multiply = timing_.Gemm(phase.uops);
    return phase;
  }

  void AccumulatorLoad(int64_t tensors, TileCost* tile) const {
    tile->acc_load_tensors = tensors;
    tile->acc_beats = timing_.Beats(kCycle, tensors * m_.acc_bytes, m_.acc_bytes);
    tile->acc_load = timing_.load_acc + tile->acc_beats +
                     timing_.RequestWait(kCycle, tensors * m_.acc_bytes, m_.acc_bytes);
    ++tile->instructions;
  }

  void AddAlu(int64_t instructions, int64_t vectors, bool two_sources, TileCost* tile) const {
    tile->alu += instructions *
                 (two_sources ? timing_.AluTwoSources(vectors) : timing_.AluImmediate(vectors));
    tile->instructions += instructions;
    (two_sources ? tile->alu_two_sources : tile->alu_immediate) += instructions * vectors;
  }

  TileCost MakeTile(int row, int col, int output) const {
    TileCost tile;
    const int64_t outputs = output == 0 ? outputs_.size : outputs_.tail;
    tile.step = MakePhase(row, col, outputs, steps_.size);
    if (steps_.tail > 0) tile.last = MakePhase(row, col, outputs, steps_.tail);
    const Shape shape = ShapeOf(rows_, cols_, row, col);
    const int64_t blocks = outputs * work_.out_blocks;
    const int64_t vectors = blocks * shape.out_pixels;
    switch (work_.engine) {
      case Work::Engine::kArray:
        tile.reset_vectors = vectors;
        break;
      case Work::Engine::kAluMaxPool:
        // The first tap is an addition to a reset accumulator.
        tile.reset_vectors = vectors + blocks * shape.in_pixels;
        AddAlu(work_.taps(), vectors, true, &tile);
        break;
      case Work::Engine::kAluDepthwise:
        // A tap: MOV the shifted input to a temporary, MUL by the filter, ADD; MUL writes over one
        // of its sources, so four cycles a vector become six. The first tap needs no ADD.
        tile.reset_vectors = blocks * shape.in_pixels;
        AddAlu(3 * work_.taps() - 1, vectors, true, &tile);
        tile.alu_multiplies = work_.taps() * vectors;
        break;
    }
    tile.reset = timing_.Gemm(tile.reset_vectors);
    ++tile.instructions;
    int64_t tensors = work_.bias ? blocks : 0;
    if (work_.engine == Work::Engine::kAluDepthwise) tensors += blocks * work_.taps();
    if (tensors > 0) AccumulatorLoad(tensors, &tile);
    if (work_.bias) AddAlu(1, vectors, true, &tile);
    AddAlu(work_.immediate_ops, vectors, false, &tile);
    Store(row, col, outputs, &tile);
    return tile;
  }

  void Store(int row, int col, int64_t outputs, TileCost* tile) const {
    const int64_t rows = row == 0 ? rows_.cut.size : rows_.cut.tail;
    const int64_t cols = col == 0 ? cols_.cut.size : cols_.cut.tail;
    tile->store_tensors = outputs * work_.out_split * rows * cols;
    const bool plane = work_.rows == 1 && work_.cols == 1;  // units are neighbours in DRAM
    if (plane) {
      tile->store = timing_.Store(1, outputs * work_.unit_bytes, work_.unit_bytes);
      ++tile->instructions;
      return;
    }
    const int64_t alignment =
        cols_.cut.tiles() > 1 ? Gcd(work_.cols, cols_.cut.size) : int64_t{work_.cols};
    tile->store =
        outputs * timing_.Store(rows, cols * work_.unit_bytes, alignment * work_.unit_bytes);
    tile->instructions += outputs;
  }

  void MakeGroup(const std::array<int, 3>& runs, Group* group) const {
    int which[2][3] = {{0, 0, 0}, {0, 0, 0}};  // [context][axis]
    group->contexts = 1;
    for (size_t l = 0; l < 3; ++l) {
      const Level& level = s_.level[l];
      const Level::Run& run = level.run[static_cast<size_t>(runs[l])];
      const auto axis = static_cast<size_t>(level.axis);
      which[0][axis] = which[1][axis] = run.tile[0];
      if (run.tile[1] >= 0) {
        which[1][axis] = run.tile[1];
        group->contexts = 2;
      }
    }
    bool same = group->contexts == 2;
    for (int axis = 0; axis < 3; ++axis) same = same && which[0][axis] == which[1][axis];
    for (int c = 0; c < group->contexts; ++c) {
      group->tile[c] =
          c == 1 && same ? group->tile[0] : MakeTile(which[c][0], which[c][1], which[c][2]);
    }
    group->resident_load = group->resident_beats = 0;
    group->resident_instructions = 0;
    if (tiling_.stationary == Stationary::kWeights) {
      const int64_t outputs = which[0][2] == 0 ? outputs_.size : outputs_.tail;
      const int64_t tensors = int64_t{work_.in_units} * work_.pair_uops * work_.taps();
      group->resident_beats = WeightBeats(outputs, tensors);
      group->resident_load = WeightLoad(outputs, tensors, group->resident_beats);
      group->resident_instructions = 1;
    } else if (tiling_.stationary == Stationary::kInputs) {
      Phase phase;
      InputLoad(which[0][0], which[0][1], work_.in_units, 1, &phase);
      group->resident_load = phase.input_loads * phase.input_load;
      group->resident_beats = phase.input_loads * phase.input_beats;
      group->resident_instructions = phase.input_loads;
    }
  }

  const Machine& m_;
  const Work& work_;
  const Timing& timing_;
  const Tiling& tiling_;
  const PixelCut& rows_;
  const PixelCut& cols_;
  const Cut outputs_, steps_;
  Schedule& s_;
};

bool Miss(std::string* why, const char* operand, int64_t need, int64_t have) {
  if (why != nullptr) {
    *why =
        std::string(operand) + ": need " + std::to_string(need) + ", have " + std::to_string(have);
  }
  return false;
}

PixelCut CutPixels(int out, int in, int window, int stride, int pad, int size) {
  PixelCut cut;
  cut.cut = CutInto(out, size);
  const auto add = [&](int start, int count, int which) {
    cut.extent[which] = (count - 1) * stride + window;
    const int begin = start * stride - pad;
    const int end = begin + cut.extent[which];
    cut.valid[which] += Cycles(std::max(1, std::min(end, in) - std::max(begin, 0)));
    cut.pad_before[which] += Cycles(std::max(0, -begin));
  };
  for (int t = 0; t < cut.cut.full; ++t) add(t * size, size, 0);
  cut.valid[0] /= cut.cut.full;
  cut.pad_before[0] /= cut.cut.full;
  if (cut.cut.tail > 0) add(cut.cut.full * size, cut.cut.tail, 1);
  return cut;
}

}  // namespace

Cut CutInto(int extent, int size) {
  Cut cut;
  cut.size = size;
  cut.full = extent / size;
  cut.tail = extent % size;
  return cut;
}

PixelCut CutRows(const Work& work, int size) {
  return CutPixels(work.rows, work.in_rows, work.r, work.stride, work.pad, size);
}

PixelCut CutCols(const Work& work, int size) {
  return CutPixels(work.cols, work.in_cols, work.s, work.stride, work.col_pad, size);
}

Machine::Machine(const Work& layer_work, const Config& machine_config, MemoryModel memory)
    : work(layer_work),
      config(machine_config),
      timing(machine_config, memory),
      inp_depth(int64_t{1} << machine_config.log_inp_depth()),
      wgt_depth(int64_t{1} << machine_config.log_wgt_depth()),
      acc_depth(int64_t{1} << machine_config.log_acc_depth()),
      uop_depth(int64_t{1} << machine_config.log_uop_depth()),
      wgt_bytes(machine_config.wgt_elem_bits() / 8),
      acc_bytes(machine_config.acc_elem_bits() / 8) {}

Footprint Measure(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                  const PixelCut& cols) {
  const Work& work = machine.work;
  Footprint footprint;
  const Shape shape = ShapeOf(rows, cols, 0, 0);
  const int64_t contexts = tiling.vthreads;
  const int64_t tco = tiling.tco;
  int64_t units = work.private_inputs ? tco * tiling.tci : tiling.tci;
  if (tiling.stationary == Stationary::kInputs) units = work.in_units;
  footprint.inp = contexts * units * work.in_split * shape.in_pixels;
  const int64_t filter = int64_t{work.pair_uops} * work.taps();
  if (work.constant_weights) {
    footprint.wgt = work.pair_uops;
  } else if (tiling.stationary == Stationary::kWeights) {
    footprint.wgt = tco * work.in_units * filter;
  } else {
    footprint.wgt = contexts * tco * tiling.tci * filter;
  }
  int64_t pixels = shape.out_pixels + (work.bias ? 1 : 0);
  if (work.engine != Work::Engine::kArray) pixels += shape.in_pixels;
  if (work.engine == Work::Engine::kAluDepthwise) pixels += shape.out_pixels + work.taps();
  footprint.acc = contexts * tco * work.out_split * pixels;
  footprint.uop = AllUops(work, tiling, rows, cols, false);
  if (footprint.uop > machine.uop_depth) {
    footprint.uop = AllUops(work, tiling, rows, cols, true);
  }
  return footprint;
}

bool Fits(const Machine& machine, const Tiling& tiling, const Footprint& footprint,
          std::string* why) {
  const Config& config = machine.config;
  const Work& work = machine.work;
  // The stationary operand must be used again by the inner loop.
  bool reused = true;
  if (tiling.stationary == Stationary::kWeights) {
    reused = OnArray(work) && !work.constant_weights;
  } else if (tiling.stationary == Stationary::kInputs) {
    reused = OnArray(work) && !work.private_inputs && tiling.tco < work.out_units;
  }
  if (!reused) {
    if (why != nullptr) *why = "this tiling does not use the stationary operand again";
    return false;
  }
  if (tiling.vthreads > 1 && !config.vthread) {
    return Miss(why, "virtual threads (ENABLE_VTHREAD)", tiling.vthreads, 1);
  }
  if (footprint.acc > machine.acc_depth) {
    return Miss(why, "accumulator scratchpad elements", footprint.acc, machine.acc_depth);
  }
  if (footprint.inp > machine.inp_depth) {
    return Miss(why, "input scratchpad elements", footprint.inp, machine.inp_depth);
  }
  if (footprint.wgt > machine.wgt_depth) {
    return Miss(why, "weight scratchpad elements", footprint.wgt, machine.wgt_depth);
  }
  if (footprint.uop > machine.uop_depth) {
    return Miss(why, "micro-ops", footprint.uop, machine.uop_depth);
  }
  // Address steps between rows are factors of the instruction, of fewer bits where restricted.
  const int64_t acc_step = int64_t{tiling.tw} * machine.work.out_split;
  const int64_t inp_step = (int64_t{tiling.tw - 1} * machine.work.stride + machine.work.s) *
                           machine.work.stride * machine.work.in_split;
  const int64_t acc_limit = machine.acc_depth >> config.log_acc_factor_restrict;
  const int64_t inp_limit = machine.inp_depth >> config.log_inp_factor_restrict;
  if (tiling.th > 1 && acc_step >= acc_limit) {
    return Miss(why, "accumulator row step", acc_step, acc_limit - 1);
  }
  if (tiling.th > 1 && inp_step >= inp_limit) {
    return Miss(why, "input row step", inp_step, inp_limit - 1);
  }
  if (tiling.th > kMaxLoop || tiling.tw > kMaxLoop) {
    return Miss(why, "loop count", std::max(tiling.th, tiling.tw), kMaxLoop);
  }
  const int64_t widest = std::max<int64_t>(
      inp_step, int64_t{machine.work.in_units} * machine.work.pair_uops * machine.work.taps());
  if (widest > kMaxSize) return Miss(why, "elements in a row of a load", widest, kMaxSize);
  return true;
}

void BuildSchedule(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                   const PixelCut& cols, Schedule* schedule) {
  Builder(machine, tiling, rows, cols, schedule).Run();
}

}  // namespace rhnas::hw
