// Building a schedule: cuts, footprint, the groups of the loop nest.
#include "hw/schedule.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

int64_t Whole(Ticks ticks) { return (ticks + kCycle / 2) / kCycle; }

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
          const PixelTiles& pixels, int64_t uops, Schedule* schedule)
      : m_(machine),
        work_(machine.work),
        timing_(machine.timing),
        tiling_(tiling),
        rows_(rows),
        cols_(cols),
        pixels_(pixels),
        outputs_(CutInto(machine.work.out_units, tiling.tco)),
        steps_(CutInto(machine.work.in_units, tiling.tci)),
        epilogue_(machine.work),
        s_(*schedule) {
    s_.uops = uops;
  }

  void Run() {
    s_.steps = steps_.full - (work_.residual && steps_.tail == 0 ? 1 : 0);
    s_.has_last = work_.residual || steps_.tail > 0;
    s_.copies = work_.copies;
    const int64_t uop_bytes = s_.uops * (m_.config.uop_bits() / 8);
    const Ticks uop_beats = (uop_bytes + timing_.bus_bytes - 1) >> timing_.bus_shift << kCycleShift;
    s_.uop_load = timing_.load_uop +
                  std::max(uop_beats, timing_.DataTime(kCycle, uop_bytes, timing_.bus_bytes));
    s_.constant_tensors = (work_.constant_weights ? work_.pair_uops : 0) + work_.residual_uops;
    s_.constant_load = s_.constant_tensors > 0
                           ? WeightLoad(1, s_.constant_tensors, WeightBeats(1, s_.constant_tensors))
                           : 0;
    Nest();
    Totals& all = s_.totals;
    all = Totals();
    for (int a = 0; a < s_.level[0].runs; ++a) {
      const int64_t outer = s_.copies * s_.level[0].run[static_cast<size_t>(a)].count;
      for (int b = 0; b < s_.level[1].runs; ++b) {
        const int64_t middle = outer * s_.level[1].run[static_cast<size_t>(b)].count;
        for (int c = 0; c < s_.level[2].runs; ++c) {
          Group& group = s_.group[static_cast<size_t>(4 * a + 2 * b + c)];
          MakeGroup({a, b, c}, &group);
          const int64_t times = middle * s_.level[2].run[static_cast<size_t>(c)].count;
          Add(group.sum, times, &all);
          int64_t resident = 0;
          if (s_.resident_level == 0 && b == 0 && c == 0) resident = outer;
          if (s_.resident_level == 1 && c == 0) resident = middle;
          all.load += resident * group.resident.load;
          all.read_beats += resident * (group.resident.input_beats + group.resident.weight_beats);
          all.instructions += resident * group.resident.instructions;
        }
      }
    }
    s_.clear = 0;
    if (work_.out_blocks < work_.out_split) {
      const int64_t vectors = int64_t{tiling_.th} * tiling_.tw * tiling_.tco * work_.out_split;
      s_.clear = timing_.Gemm(vectors) + timing_.AluImmediate(vectors);
      all.instructions += 2 * s_.contexts();
    }
    all.compute += s_.uop_load + s_.contexts() * s_.clear;
    all.load += s_.constant_load;
    // Micro-op load, constant weights, no-ops that drain the tokens of stores and multiplies,
    // FINISH.
    all.instructions += 2 + (s_.constant_load > 0 ? 1 : 0) + 2 * s_.contexts() + 2 * Singles();
    all.read_beats += (s_.constant_tensors * m_.wgt_bytes >> timing_.bus_shift << kCycleShift) +
                      uop_beats + all.instructions * timing_.fetch_beats;
  }

 private:
  // How often a tile without a neighbour follows pairs, and something follows it: then a no-op of
  // the load and one of the compute unit take the second context's tokens.
  int64_t Singles() const {
    if (s_.contexts() == 1) return 0;
    int64_t outer = s_.copies, inner = 1;
    for (size_t l = 0; l < 3; ++l) {
      const Level& level = s_.level[l];
      const bool paired = level.run[0].tile[1] >= 0;
      if (!paired) {
        outer *= level.count();
        continue;
      }
      if (level.runs == 1 || level.run[1].tile[1] >= 0) return 0;
      for (size_t i = l + 1; i < 3; ++i) inner *= s_.level[i].count();
      break;
    }
    return outer - (inner == 1 ? 1 : 0);
  }

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
    const int64_t bytes = tensors * m_.wgt_bytes;
    return timing_.load_wgt +
           std::max(beats, timing_.DataTime(rows * kCycle, bytes, m_.wgt_bytes)) +
           timing_.RequestWait(rows * kCycle, bytes, m_.wgt_bytes);
  }

  Ticks WeightBeats(int64_t rows, int64_t tensors) const {
    return timing_.Beats(rows * kCycle, tensors * m_.wgt_bytes, m_.wgt_bytes);
  }

  Ticks WeightBurst(int64_t tensors) const {
    const int64_t all = int64_t{work_.in_units} * work_.pair_uops * work_.taps();
    return timing_.Burst(tensors * m_.wgt_bytes, (tensors | all) * m_.wgt_bytes);
  }

  // Loads of `units` input units for a tile of pixels.
  void InputLoad(const PixelTile& pixels, int64_t units, int64_t rows_of_units,
                 Phase* phase) const {
    if (work_.one_load) {
      phase->input_loads = rows_of_units;
      const int64_t bytes = units * work_.unit_bytes;
      const Ticks beats = timing_.Beats(kCycle, bytes, work_.unit_bytes);
      phase->input_load = timing_.load_inp +
                          std::max(beats, timing_.DataTime(kCycle, bytes, work_.unit_bytes)) +
                          timing_.RequestWait(kCycle, bytes, work_.unit_bytes);
      phase->input_beats = rows_of_units * beats;
      phase->input_burst = timing_.Burst(bytes, (units | work_.in_units) * work_.unit_bytes);
    } else {
      phase->input_loads = units * rows_of_units;
      phase->input_load = pixels.input_load;
      phase->input_beats = phase->input_loads * pixels.input_beats;
      phase->input_burst = pixels.input_burst;
    }
  }

  // The same output tile of another map, after the other loads of a last step.
  void ResidualLoad(const PixelTile& pixels, int64_t outputs, Phase* phase) const {
    const bool plane = work_.rows == 1 && work_.cols == 1;  // units are neighbours in DRAM
    int64_t loads = outputs;
    Ticks load = pixels.residual_load, beats = outputs * pixels.residual_beats;
    if (plane) {
      loads = 1;
      beats = timing_.Beats(kCycle, outputs * work_.unit_bytes, work_.unit_bytes);
      load = timing_.load_inp + beats;
    }
    phase->load += loads * load;
    phase->input_beats += beats;
    phase->instructions += loads;
    phase->last_load = load;
    if (phase->input_load == 0) phase->input_load = load;
  }

  void MakePhase(const PixelTile& pixels, int64_t outputs, int64_t inputs, bool residual,
                 Phase* phase) const {
    if (tiling_.stationary != Stationary::kInputs) {
      InputLoad(pixels, inputs, work_.private_inputs ? outputs : 1, phase);
    } else {
      phase->input_loads = 0;
      phase->input_load = phase->input_beats = phase->input_burst = 0;
    }
    phase->instructions = phase->input_loads;
    if (tiling_.stationary != Stationary::kWeights && !work_.constant_weights) {
      const int64_t tensors = inputs * work_.pair_uops * work_.taps();
      phase->weight_beats = WeightBeats(outputs, tensors);
      phase->weight_load = WeightLoad(outputs, tensors, phase->weight_beats);
      phase->weight_burst = WeightBurst(tensors);
      ++phase->instructions;
    } else {
      phase->weight_load = phase->weight_beats = phase->weight_burst = 0;
    }
    phase->load = phase->input_loads * phase->input_load + phase->weight_load;
    phase->last_load = phase->weight_load > 0 ? phase->weight_load : phase->input_load;
    if (residual) ResidualLoad(pixels, outputs, phase);
    const Ticks multiplies = outputs * inputs * work_.pair_uops * work_.taps() * pixels.filled;
    phase->uops = Whole(multiplies);
    phase->multiply = timing_.gemm_fixed + multiplies;
  }

  // Instruction fetch goes before everything else on the bus. Short refills hide in the latency of
  // loads and delay them as often as they meet data; a long one stops them for most of it.
  void Fetches(int64_t instructions, Phase* phase) const {
    phase->fetches = 0;
    if (phase->load == 0) return;
    const Ticks data = phase->input_beats + phase->weight_beats;
    const Ticks use = (data << kCycleShift) / phase->load;
    const Ticks refill = timing_.fetch_group * timing_.fetch_beats;
    const Ticks gap = (phase->load - data) / phase->instructions;
    Ticks share = use * use >> kCycleShift;
    if (refill > gap) {
      share =
          std::max(share, ((refill - gap) >> timing_.fetch_shift) * kCycle / timing_.fetch_beats);
    }
    phase->fetches = instructions * timing_.fetch_beats * share >> kCycleShift;
  }

  void AccumulatorLoad(int64_t tensors, TileCost* tile) const {
    tile->acc_load_tensors = tensors;
    tile->acc_beats = timing_.Beats(kCycle, tensors * m_.acc_bytes, m_.acc_bytes);
    const int64_t bytes = tensors * m_.acc_bytes;
    tile->acc_load = timing_.load_acc +
                     std::max(tile->acc_beats, timing_.DataTime(kCycle, bytes, m_.acc_bytes)) +
                     timing_.RequestWait(kCycle, bytes, m_.acc_bytes);
    ++tile->instructions;
  }

  // `instructions` in ticks, an average; `vectors` of all instructions together.
  void AddAlu(Ticks instructions, Ticks vectors, bool two_sources, TileCost* tile) const {
    const Ticks cycles = (two_sources ? 2 : 1) * vectors;
    tile->alu += (instructions * timing_.alu_fixed >> kCycleShift) + cycles;
    if (instructions > 0)
      tile->last_alu = timing_.alu_fixed + (cycles << kCycleShift) / instructions;
    tile->instructions += Whole(instructions);
    (two_sources ? tile->alu_two_sources : tile->alu_immediate) += Whole(vectors);
  }

  // The window part. A copy is an immediate operation with another source; the first tap's covers
  // all outputs, the other taps those that have them inside the map.
  void Window(const PixelTile& pixels, int64_t blocks, TileCost* tile) const {
    const Ticks vectors = Cycles(blocks * pixels.out_pixels);
    const Ticks tapped = blocks * pixels.tapped;
    const Ticks taps = pixels.taps;
    switch (work_.engine) {
      case Work::Engine::kArray:
        break;
      case Work::Engine::kAluMaxPool:
        AddAlu(kCycle, vectors, false, tile);
        AddAlu(taps - kCycle, tapped - vectors, true, tile);
        break;
      case Work::Engine::kAluAvgPool: {
        AddAlu(kCycle, vectors, false, tile);
        // Two accumulators or more in turn: all taps fit the loops of one instruction.
        const bool loops = pixels.out_pixels == 1 && blocks > 1;
        AddAlu(loops ? kCycle : taps - kCycle, tapped - vectors, true, tile);
        break;
      }
      case Work::Engine::kAluDepthwise:
        AddAlu(taps, tapped, false, tile);
        AddAlu(2 * taps - kCycle, 2 * tapped - vectors, true, tile);
        tile->alu_multiplies += Whole(tapped);
        break;
    }
  }

  void MakeTile(int row, int col, int output, TileCost* out) const {
    TileCost& tile = *out;
    const int64_t outputs = output == 0 ? outputs_.size : outputs_.tail;
    const PixelTile& pixels = pixels_.kind[row][col];
    MakePhase(pixels, outputs, steps_.size, false, &tile.step);
    if (s_.has_last) {
      const int inputs = steps_.tail > 0 ? steps_.tail : steps_.size;
      MakePhase(pixels, outputs, inputs, work_.residual, &tile.last);
    }
    tile.instructions = 1;  // the reset
    tile.acc_load = tile.acc_beats = tile.alu = tile.last_alu = 0;
    tile.alu_immediate = tile.alu_two_sources = tile.alu_multiplies = tile.acc_load_tensors = 0;
    const int64_t blocks = outputs * work_.out_blocks;
    const Ticks vectors = Cycles(blocks * pixels.out_pixels);
    const Ticks filled = blocks * pixels.filled;
    tile.reset_vectors = Whole(filled);
    tile.reset = timing_.gemm_fixed + filled;
    if (epilogue_.acc_tensors > 0) AccumulatorLoad(outputs * epilogue_.acc_tensors, &tile);
    if (work_.filled_bias) AddAlu(kCycle, filled, true, &tile);
    AddAlu(Cycles(work_.filled_ops), work_.filled_ops * filled, false, &tile);
    if (work_.pool_scale != 0) tile.alu_multiplies += Whole(filled);
    Window(pixels, blocks, &tile);
    if (work_.bias) AddAlu(kCycle, vectors, true, &tile);
    AddAlu(Cycles(work_.immediate_ops), work_.immediate_ops * vectors, false, &tile);
    tile.residual_uops = 0;
    if (work_.residual) {
      tile.residual_uops = outputs * work_.residual_uops * pixels.out_pixels;
      tile.alu += timing_.Gemm(tile.residual_uops);
      ++tile.instructions;
      AddAlu(Cycles(work_.residual_ops), work_.residual_ops * vectors, false, &tile);
    }
    tile.store_tensors = outputs * work_.out_split * pixels.out_pixels;
    if (work_.rows == 1 && work_.cols == 1) {  // units are neighbours in DRAM
      tile.store = tile.last_store = timing_.Store(1, outputs * work_.unit_bytes, work_.unit_bytes);
      tile.stores = 1;
    } else {
      tile.store = outputs * pixels.store;
      tile.last_store = pixels.store;
      tile.stores = outputs;
    }
    tile.instructions += tile.stores;
    const int64_t own = tile.instructions / (s_.steps + (s_.has_last ? 1 : 0));
    Fetches(tile.step.instructions + 1 + own, &tile.step);
    if (s_.has_last) Fetches(tile.last.instructions + 1 + own, &tile.last);
  }

  static void Add(const Totals& one, int64_t times, Totals* all) {
    all->load += times * one.load;
    all->compute += times * one.compute;
    all->multiply += times * one.multiply;
    all->store += times * one.store;
    all->read_beats += times * one.read_beats;
    all->instructions += times * one.instructions;
  }

  Totals SumOf(const TileCost& tile) const {
    Totals sum;
    const auto add = [&sum](const Phase& phase, int64_t count) {
      sum.load += count * phase.load;
      sum.multiply += count * phase.multiply;
      sum.read_beats += count * (phase.input_beats + phase.weight_beats);
      sum.instructions += count * (phase.instructions + 1);
    };
    add(tile.step, s_.steps);
    if (s_.has_last) add(tile.last, 1);
    sum.compute = sum.multiply + tile.reset + tile.acc_load + tile.alu;
    sum.read_beats += tile.acc_beats;
    sum.store = tile.store;
    sum.instructions += tile.instructions;
    return sum;
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
    MakeTile(which[0][0], which[0][1], which[0][2], &group->tile[0]);
    group->sum = SumOf(group->tile[0]);
    if (same) {
      group->tile[1] = group->tile[0];
      Add(group->sum, 1, &group->sum);
    } else if (group->contexts == 2) {
      MakeTile(which[1][0], which[1][1], which[1][2], &group->tile[1]);
      Add(SumOf(group->tile[1]), 1, &group->sum);
    }
    Phase& resident = group->resident;
    resident = Phase();
    if (tiling_.stationary == Stationary::kWeights) {
      const int64_t outputs = which[0][2] == 0 ? outputs_.size : outputs_.tail;
      const int64_t tensors = int64_t{work_.in_units} * work_.pair_uops * work_.taps();
      resident.weight_beats = WeightBeats(outputs, tensors);
      resident.load = resident.weight_load = WeightLoad(outputs, tensors, resident.weight_beats);
      resident.weight_burst = WeightBurst(tensors);
      resident.instructions = 1;
    } else if (tiling_.stationary == Stationary::kInputs) {
      InputLoad(pixels_.kind[which[0][0]][which[0][1]], work_.in_units, 1, &resident);
      resident.load = resident.input_loads * resident.input_load;
      resident.instructions = resident.input_loads;
    }
  }

  const Machine& m_;
  const Work& work_;
  const Timing& timing_;
  const Tiling& tiling_;
  const PixelCut& rows_;
  const PixelCut& cols_;
  const PixelTiles& pixels_;
  const Cut outputs_, steps_;
  const Epilogue epilogue_;
  Schedule& s_;
};

}  // namespace

Epilogue::Epilogue(const Work& work) {
  filled_cycles = (work.filled_bias ? 2 : 0) + work.filled_ops;
  out_cycles = (work.bias ? 2 : 0) + work.immediate_ops + work.residual_ops;
  instructions = (work.filled_bias ? 1 : 0) + work.filled_ops + (work.bias ? 1 : 0) +
                 work.immediate_ops + work.residual_ops;
  const int64_t taps = work.alu.taps();
  acc_tensors = (work.filled_bias ? 1 : 0) + (work.bias ? 1 : 0);
  switch (work.engine) {
    case Work::Engine::kArray:
      break;
    case Work::Engine::kAluMaxPool:
    case Work::Engine::kAluAvgPool:
      tap_cycles = 2;
      out_cycles -= 1;
      instructions +=
          work.engine == Work::Engine::kAluAvgPool && work.rows * work.cols == 1 ? 2 : taps;
      break;
    case Work::Engine::kAluDepthwise:
      tap_cycles = 5;
      out_cycles -= 2;
      instructions += 3 * taps - 1;
      acc_tensors += taps;
      break;
  }
  acc_tensors *= work.out_blocks;
  residual_uops = work.residual_uops;
}

void BuildSchedule(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                   const PixelCut& cols, const PixelTiles& pixels, Schedule* schedule) {
  BuildSchedule(machine, tiling, rows, cols, pixels, MicroOps(machine, tiling, rows, cols),
                schedule);
}

void BuildSchedule(const Machine& machine, const Tiling& tiling, const PixelCut& rows,
                   const PixelCut& cols, const PixelTiles& pixels, int64_t uops,
                   Schedule* schedule) {
  Builder(machine, tiling, rows, cols, pixels, uops, schedule).Run();
}

}  // namespace rhnas::hw
