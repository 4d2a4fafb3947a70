#include "hw/micro_ops.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

constexpr int64_t kMaxLoop = 16383;  // 14 bits

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

struct FactorLimits {
  int64_t acc, inp, wgt;
};

bool WithinLimits(const LoopStep& loop, const FactorLimits& limits) {
  if (loop.count == 1) return true;  // the factor is left 0
  return loop.count <= kMaxLoop && loop.acc < limits.acc && loop.inp < limits.inp &&
         loop.wgt < limits.wgt;
}

int64_t Unfolded(const LoopStep* loops, MultiplyLoop fold0, MultiplyLoop fold1) {
  int64_t product = 1;
  for (int i = 0; i < kLoops; ++i) {
    if (i != fold0 && i != fold1) product *= loops[i].count;
  }
  return product;
}

// The kinds of column tiles: the borders of a window's map cut some.
ColumnKinds Columns(const Work& work, const TileLayout& layout) {
  ColumnKinds kinds;
  const Cut cut = CutInto(work.cols, layout.tw);
  const auto add = [&](int tile) {
    const int out0 = tile * layout.tw;
    const Span span = MakeSpan(layout.cols, out0, std::min(layout.tw, work.cols - out0));
    if (kinds.Find(span.extent()) >= 0) return;
    if (kinds.count == ColumnKinds::kMost) {
      kinds.ok = false;
      return;
    }
    kinds.extent[kinds.count] = span.extent();
    kinds.cols[kinds.count++] = span.mids;
  };
  if (!layout.window()) {
    add(0);
    if (cut.tail > 0) add(cut.full);
  } else {
    for (int t = 0; t < cut.tiles() && kinds.ok; ++t) add(t);
  }
  return kinds;
}

int64_t Multiplies(const Work& work, const Tiling& tiling, const TileLayout& layout,
                   const MicroOpPlan& plan) {
  const Cut rows = CutInto(work.rows, layout.th);
  const int tail = work.in_units % tiling.tci;
  const bool stationary = tiling.stationary != Stationary::kNone;
  int64_t total = 0;
  for (int row = 0; row < (plan.row_kinds && rows.tail > 0 ? 2 : 1); ++row) {
    for (int col = 0; col < (plan.col_kinds ? plan.columns.count : 1); ++col) {
      Span row_span = MakeSpan(layout.rows, 0, row == 0 ? layout.th : rows.tail);
      if (layout.window()) row_span.mids = layout.mid_rows;
      Span col_span;
      col_span.mids = plan.columns.cols[col];
      col_span.ins = plan.columns.extent[col];
      LoopStep loops[kLoops];
      const auto count = [&](int ins) {
        MultiplyLoops(work, tiling, layout, row_span, col_span, tiling.tco, ins, loops);
        return Unfolded(loops, plan.fold0, plan.fold1);
      };
      const int64_t full = count(tiling.tci);
      if (stationary) {
        total += full * (work.in_units / tiling.tci);
        if (tail > 0) total += count(tail);
      } else {
        total += full;
        if (tail > 0 && plan.step_kinds) total += count(tail);
      }
    }
  }
  return total * layout.halves;
}

void SetKinds(const Work& work, const Tiling& tiling, const LoopStep* loops, MicroOpPlan* plan) {
  const auto folded = [&](MultiplyLoop loop) { return plan->fold0 == loop || plan->fold1 == loop; };
  const auto inside = [&](MultiplyLoop loop) { return !folded(loop) && loops[loop].count > 1; };
  plan->row_kinds = inside(kRows);
  plan->col_kinds = inside(kCols) || inside(kRows) || inside(kTapRows);
  plan->step_kinds =
      (inside(kOutUnits) && !work.constant_weights) || (inside(kOutUnits) && inside(kInUnits));
  (void)tiling;
}

// Sets of one micro-op a vector of the output tile.
int64_t WindowSets(const Work& work, const TileLayout& layout) {
  const TapVariants taps(layout, work.cols % layout.tw != 0);
  const auto both = [](int rows, int cols) { return int64_t{rows} * cols; };
  int64_t sets = 1 + (work.filled_bias ? 1 : 0);  // resets and immediates of what is filled
  if (layout.sum_of_all) return sets + 1 + SumSteps(work, layout);
  if (taps.covered) sets += both(taps.rows.covering, taps.cols.covering);
  if (work.engine == Work::Engine::kAluDepthwise) {
    sets += taps.covered ? 1 : 0;
    sets += both(taps.rows.sources, taps.cols.sources);
    sets += both(layout.rows.alu_taps, layout.cols.alu_taps);
    return sets + both(taps.rows.firsts, taps.cols.firsts) * taps.tails;
  }
  return sets + both(taps.rows.pairs, taps.cols.pairs) * taps.tails;
}

int64_t AluMicroOps(const Work& work, const Tiling& tiling, const TileLayout& layout) {
  int64_t sets = 1 + (work.bias ? 1 : 0);  // reset, immediates; bias
  if (layout.window()) sets += WindowSets(work, layout);
  return sets * layout.vectors + int64_t{layout.residual_places} * tiling.tco * work.residual_uops;
}

}  // namespace

int ColumnKinds::Find(int in_extent) const {
  for (int i = 0; i < count; ++i) {
    if (extent[i] == in_extent) return i;
  }
  return -1;
}

int SumSteps(const Work& work, const TileLayout& layout) {
  // Two vectors or more take turns in one instruction; a single one is halved in place.
  const int tail = work.out_units % static_cast<int>(layout.vectors / work.out_blocks);
  const bool single = layout.vectors == 1 || (tail == 1 && work.out_blocks == 1);
  int steps = layout.vectors > 1 ? 1 : 0;
  for (int64_t left = layout.filled(); single && left > 1; left = (left + 1) / 2) ++steps;
  return steps;
}

TileLayout::TileLayout(const Work& work, const Tiling& tiling)
    : rows(RowShape(work)), cols(ColShape(work)), th(tiling.th), tw(tiling.tw) {
  const int64_t vthreads = tiling.vthreads;
  mid_rows = rows.MidTile(th);
  mid_cols = cols.MidTile(tw);
  in_unit = int64_t{rows.InTile(mid_rows)} * cols.InTile(mid_cols) * work.in_split;
  out_unit = int64_t{th} * tw * work.out_split;
  const bool has_window = work.engine != Work::Engine::kArray;
  mid_unit = has_window ? int64_t{mid_rows} * mid_cols * work.out_split : 0;
  filter = int64_t{work.pair_uops} * (int64_t{rows.array_taps} * cols.array_taps);
  const bool inputs_stay = tiling.stationary == Stationary::kInputs;
  const bool weights_stay = tiling.stationary == Stationary::kWeights;
  halves = inputs_stay && vthreads == 2 ? 2 : 1;
  steps = CeilDiv(work.in_units, tiling.tci);
  int64_t units = work.private_inputs ? int64_t{tiling.tco} * tiling.tci : tiling.tci;
  if (inputs_stay) units = work.in_units;
  inp_context = units * in_unit;
  inp = vthreads * inp_context;
  if (work.constant_weights) {
    wgt = work.pair_uops;
    wgt_context = 0;
  } else if (weights_stay) {
    wgt = tiling.tco * work.in_units * filter;
    wgt_context = 0;
  } else {
    wgt_context = int64_t{tiling.tco} * tiling.tci * filter;
    wgt = vthreads * wgt_context;
  }
  const bool multiplies = work.engine == Work::Engine::kAluDepthwise;
  mid_base = tiling.tco * out_unit;
  scratch_base = mid_base + tiling.tco * mid_unit;
  acc_context = scratch_base + (multiplies ? tiling.tco * out_unit : 0);
  vectors = int64_t{tiling.tco} * work.out_blocks;
  const int taps = multiplies ? rows.alu_taps * cols.alu_taps : 0;
  bias_unit = int64_t{work.out_blocks} * ((work.filled_bias ? 1 : 0) + (work.bias ? 1 : 0) + taps);
  bias_base = vthreads * acc_context;
  bias_context = tiling.tco * bias_unit;
  acc = bias_base + vthreads * bias_context;
  if (work.residual) {
    // Where a tile has one step, its residual may come before the one in front is added.
    residual_places = steps > 1 ? 1 : 2;
    residual_unit = int64_t{th} * tw * work.in_split;
    residual_context = residual_places * tiling.tco * residual_unit;
    residual_base = inp;
    inp += vthreads * residual_context;
    identity_base = wgt;
    wgt += work.residual_uops;
  }
  sum_of_all = work.engine == Work::Engine::kAluAvgPool && work.rows == 1 && work.cols == 1 &&
               work.alu.pad == 0;
  const bool pixels = work.rows > th || work.cols > tw;
  const bool outputs = work.out_units > tiling.tco && !weights_stay;
  contexts = vthreads == 2 && (pixels || outputs) ? 2 : 1;
}

void MultiplyLoops(const Work& work, const Tiling& tiling, const TileLayout& layout,
                   const Span& row, const Span& col, int outs, int ins, LoopStep* loops) {
  const bool constant = work.constant_weights;
  const int64_t step_units = tiling.stationary == Stationary::kWeights ? work.in_units : ins;
  const int64_t in_split = work.in_split, out_split = work.out_split;
  const int64_t pitch = int64_t{col.extent()} * in_split;
  const int stride = layout.rows.array_stride;
  const int64_t pairs = work.pair_uops;
  LoopStep& out = loops[kOutUnits];
  out.count = outs;
  out.acc = layout.window() ? layout.mid_unit : layout.out_unit;
  out.inp = work.private_inputs ? tiling.tci * layout.in_unit : 0;
  out.wgt = constant ? 0 : step_units * layout.filter;
  loops[kInUnits] = {ins, 0, layout.in_unit, constant ? 0 : layout.filter};
  const int64_t tap = constant ? 0 : pairs;
  loops[kTapRows] = {layout.rows.array_taps, 0, pitch, layout.cols.array_taps * tap};
  loops[kTapCols] = {layout.cols.array_taps, 0, in_split, tap};
  loops[kPairs] = {pairs, out_split > 1 ? 1 : 0, in_split > 1 ? 1 : 0, 1};
  const int64_t acc_pitch = (layout.window() ? layout.mid_cols : col.mids) * out_split;
  loops[kRows] = {row.mids, acc_pitch, stride * pitch, 0};
  loops[kCols] = {col.mids, out_split, stride * in_split, 0};
}

TapSpan TapVariants::Axis::Pair(int index) const {
  TapSpan tap;
  const int missing = index - uncut + 1;
  if (missing > 0) tap.first = CeilDiv(missing, stride);
  tap.source = missing > 0 ? tap.first * stride - missing : index;
  return tap;
}

TapVariants::TapVariants(const TileLayout& layout, bool out_tail) {
  const auto axis = [](const AxisShape& shape, bool several) {
    Axis a;
    a.stride = shape.alu_stride;
    a.uncut = several ? shape.alu_taps : std::max(1, shape.alu_taps - shape.alu_pad);
    a.pairs = a.uncut + shape.alu_pad;
    a.firsts = 1 + CeilDiv(shape.alu_pad, shape.alu_stride);
    a.sources = std::max(a.uncut, shape.alu_pad > 0 ? shape.alu_stride : 1);
    a.covering = shape.CoveringTap() < 0 ? 0 : (several ? shape.alu_pad + 1 : 1);
    return a;
  };
  rows = axis(layout.rows, layout.rows.out > layout.th);
  cols = axis(layout.cols, layout.cols.out > layout.tw);
  covered = rows.covering > 0 && cols.covering > 0;
  tails = out_tail && rows.firsts > 1 ? 2 : 1;
}

MicroOpPlan PlanMicroOps(const Work& work, const Config& config, const Tiling& tiling,
                         const TileLayout& layout, int64_t limit) {
  MicroOpPlan plan;
  plan.columns = Columns(work, layout);
  const FactorLimits limits = {
      int64_t{1} << (config.log_acc_depth() - config.log_acc_factor_restrict),
      int64_t{1} << (config.log_inp_depth() - config.log_inp_factor_restrict),
      int64_t{1} << (config.log_wgt_depth() - config.log_wgt_factor_restrict)};
  LoopStep loops[kLoops];
  Span row = MakeSpan(layout.rows, 0, layout.th);
  Span col = MakeSpan(layout.cols, 0, layout.tw);
  row.mids = layout.mid_rows;
  MultiplyLoops(work, tiling, layout, row, col, tiling.tco, tiling.tci, loops);
  const int64_t alu = AluMicroOps(work, tiling, layout);
  const auto attempt = [&](MultiplyLoop fold0, MultiplyLoop fold1) {
    if (!WithinLimits(loops[fold0], limits) || !WithinLimits(loops[fold1], limits)) return;
    MicroOpPlan other;
    other.columns = plan.columns;
    other.fold0 = fold0;
    other.fold1 = fold1;
    SetKinds(work, tiling, loops, &other);
    if (other.col_kinds && !other.columns.ok) return;
    other.total = layout.contexts * (Multiplies(work, tiling, layout, other) + alu);
    other.ok = other.total <= limit;
    if (plan.total == 0 || other.total < plan.total) plan = other;
  };
  attempt(kRows, kCols);
  // A map of one pixel has nothing to fold there.
  const bool pixel = work.rows * work.cols == 1;
  if (layout.window() || (plan.ok && !pixel)) return plan;
  for (int a = 0; a < kLoops; ++a) {
    for (int b = a + 1; b < kLoops; ++b) {
      attempt(static_cast<MultiplyLoop>(a), static_cast<MultiplyLoop>(b));
    }
  }
  return plan;
}

}  // namespace rhnas::hw
