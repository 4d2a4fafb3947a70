#include "hw/micro_op_set.h"

#include <algorithm>

namespace rhnas::hw {

MicroOpSet::MicroOpSet(const Work& work, const Tiling& tiling, const TileLayout& layout,
                       const MicroOpPlan& plan, const Encoding& encoding,
                       std::vector<MicroOp>* uops)
    : work_(work),
      tiling_(tiling),
      layout_(layout),
      plan_(plan),
      taps_(layout, work.cols % tiling.tw != 0),
      index_bits_(encoding.inp_index),
      row_tail_(work.rows % tiling.th),
      col_tail_(work.cols % tiling.tw),
      step_tail_(work.in_units % tiling.tci),
      uops_(*uops) {
  row_kinds_ = plan.row_kinds && row_tail_ > 0 ? 2 : 1;
  col_kinds_ = plan.col_kinds ? plan.columns.count : 1;
  if (tiling.stationary != Stationary::kNone) {
    step_kinds_ = layout.steps;
  } else {
    step_kinds_ = plan.step_kinds && step_tail_ > 0 ? 2 : 1;
  }
  uops_.reserve(uops_.size() + static_cast<size_t>(plan.total));
  contexts_.resize(static_cast<size_t>(layout.contexts));
  for (int c = 0; c < layout.contexts; ++c) {
    Context& context = contexts_[static_cast<size_t>(c)];
    const int64_t out = c * layout_.acc_context;
    const int64_t bias = layout_.bias_base + c * layout_.bias_context;
    MultiplyKernels(c);
    if (layout_.window()) WindowKernels(c, bias);
    if (work_.bias) {
      const int64_t slot = work_.filled_bias ? work_.out_blocks : 0;
      context.bias = Vectors(out, layout_.out_unit, bias + slot, layout_.bias_unit);
    }
    context.immediate = Vectors(out, layout_.out_unit, out, layout_.out_unit);
    if (work_.residual) ResidualKernels(c);
  }
}

// One micro-op for each vector of an output unit; units lie `dst_unit` and `src_unit` apart.
int64_t MicroOpSet::Vectors(int64_t dst, int64_t dst_unit, int64_t src, int64_t src_unit) {
  const int64_t begin = size();
  for (int o = 0; o < tiling_.tco; ++o) {
    for (int block = 0; block < work_.out_blocks; ++block) {
      // A source's index stands in the input's field, its high bits in the weight's.
      const int64_t source = src + o * src_unit + block;
      MicroOp uop;
      uop.acc = static_cast<uint32_t>(dst + o * dst_unit + block);
      uop.inp = static_cast<uint32_t>(source & ((int64_t{1} << index_bits_) - 1));
      uop.wgt = static_cast<uint32_t>(source >> index_bits_);
      uops_.push_back(uop);
    }
  }
  return begin;
}

int64_t MicroOpSet::Expand(const LoopStep* loops, const MicroOp& base) {
  // The last tile of output units runs a prefix: units go outermost where they do not divide.
  // Otherwise further in: the fewer neighbours hit the same accumulator.
  constexpr int kPrefix[] = {kOutUnits, kInUnits, kTapCols, kTapRows, kPairs, kRows, kCols};
  constexpr int kSpread[] = {kInUnits, kTapCols, kTapRows, kOutUnits, kPairs, kRows, kCols};
  const int* order = work_.out_units % tiling_.tco != 0 ? kPrefix : kSpread;
  const int64_t begin = size();
  uops_.push_back(base);
  for (int i = kLoops - 1; i >= 0; --i) {  // innermost first, repeating what stands
    if (order[i] == plan_.fold0 || order[i] == plan_.fold1) continue;
    const LoopStep& loop = loops[order[i]];
    const int64_t inner = size() - begin;
    for (int64_t n = 1; n < loop.count; ++n) {
      for (int64_t u = 0; u < inner; ++u) {
        MicroOp uop = uops_[static_cast<size_t>(begin + u)];
        uop.acc += static_cast<uint32_t>(n * loop.acc);
        uop.inp += static_cast<uint32_t>(n * loop.inp);
        uop.wgt += static_cast<uint32_t>(n * loop.wgt);
        uops_.push_back(uop);
      }
    }
  }
  return begin;
}

size_t MicroOpSet::Index(int half, int row, int col, int step) const {
  return static_cast<size_t>(((half * row_kinds_ + row) * col_kinds_ + col) * step_kinds_ + step);
}

void MicroOpSet::MultiplyKernels(int c) {
  std::vector<int64_t>& begins = contexts_[static_cast<size_t>(c)].multiply;
  begins.resize(Index(layout_.halves - 1, row_kinds_ - 1, col_kinds_ - 1, step_kinds_ - 1) + 1);
  const bool inputs_stay = tiling_.stationary == Stationary::kInputs;
  const bool weights_stay = tiling_.stationary == Stationary::kWeights;
  for (int half = 0; half < layout_.halves; ++half) {
    for (int row = 0; row < row_kinds_; ++row) {
      for (int col = 0; col < col_kinds_; ++col) {
        for (int step = 0; step < step_kinds_; ++step) {
          // Counts and distances of the kind, not of one place.
          Span row_span, col_span;
          row_span.mids = row == 0 ? layout_.mid_rows : row_tail_;
          col_span.mids = plan_.columns.cols[col];
          col_span.ins = plan_.columns.extent[col];
          const bool tail = step > 0 && (step + 1) * tiling_.tci > work_.in_units;
          const bool last = tiling_.stationary == Stationary::kNone ? step > 0 : tail;
          const int ins = last && step_tail_ > 0 ? step_tail_ : tiling_.tci;
          LoopStep loops[kLoops];
          MultiplyLoops(work_, tiling_, layout_, row_span, col_span, tiling_.tco, ins, loops);
          int64_t inp = (inputs_stay ? half : c) * layout_.inp_context;
          int64_t wgt = c * layout_.wgt_context;
          if (inputs_stay) inp += int64_t{step} * tiling_.tci * layout_.in_unit;
          if (weights_stay) wgt += int64_t{step} * tiling_.tci * layout_.filter;
          MicroOp base;
          base.acc = static_cast<uint32_t>(c * layout_.acc_context +
                                           (layout_.window() ? layout_.mid_base : 0));
          base.inp = static_cast<uint32_t>(inp);
          base.wgt = static_cast<uint32_t>(wgt);
          begins[Index(half, row, col, step)] = Expand(loops, base);
        }
      }
    }
  }
}

void MicroOpSet::WindowKernels(int c, int64_t bias) {
  Context& k = contexts_[static_cast<size_t>(c)];
  const int64_t out = c * layout_.acc_context, out_unit = layout_.out_unit;
  const int64_t mid = out + layout_.mid_base, mid_unit = layout_.mid_unit;
  const int64_t scratch = out + layout_.scratch_base;
  const int64_t split = work_.out_split;
  const AxisShape& rows = layout_.rows;
  const AxisShape& cols = layout_.cols;
  const auto place = [&](int row, int col) {
    return mid + (int64_t{row} * layout_.mid_cols + col) * split;
  };
  const auto filter = [&](int tap) {
    const int slot = (work_.filled_bias ? 1 : 0) + (work_.bias ? 1 : 0) + tap;
    return bias + int64_t{work_.out_blocks} * slot;
  };
  const auto target = [&](int tail, int row, int col) {
    return out + (int64_t{row} * (tail == 0 ? tiling_.tw : col_tail_) + col) * split;
  };
  k.filled = Vectors(mid, mid_unit, mid, mid_unit);
  if (work_.filled_bias) k.filled_bias = Vectors(mid, mid_unit, bias, layout_.bias_unit);
  k.first_copy = size();
  if (layout_.sum_of_all) {
    Vectors(out, out_unit, mid, mid_unit);
    k.sum = size();
    if (layout_.vectors > 1) Vectors(out, out_unit, mid + split, mid_unit);
    const int halvings = SumSteps(work_, layout_) - (layout_.vectors > 1 ? 1 : 0);
    int64_t left = layout_.filled();
    for (int step = 0; step < halvings; ++step) {
      left = (left + 1) / 2;
      Vectors(mid, mid_unit, mid + left * split, mid_unit);
    }
    return;
  }
  for (int row = 0; row < (taps_.covered ? taps_.rows.covering : 0); ++row) {
    for (int col = 0; col < taps_.cols.covering; ++col) {
      Vectors(out, out_unit, place(row, col), mid_unit);
    }
  }
  if (work_.engine != Work::Engine::kAluDepthwise) {
    k.sum = size();
    for (int tail = 0; tail < taps_.tails; ++tail) {
      for (int row = 0; row < taps_.rows.pairs; ++row) {
        const TapSpan r = taps_.rows.Pair(row);
        for (int col = 0; col < taps_.cols.pairs; ++col) {
          const TapSpan s = taps_.cols.Pair(col);
          Vectors(target(tail, r.first, s.first), out_unit, place(r.source, s.source), mid_unit);
        }
      }
    }
    return;
  }
  if (taps_.covered) {
    const int tap = rows.CoveringTap() * cols.alu_taps + cols.CoveringTap();
    k.first_multiply = Vectors(out, out_unit, filter(tap), layout_.bias_unit);
  }
  k.copy = size();
  for (int row = 0; row < taps_.rows.sources; ++row) {
    for (int col = 0; col < taps_.cols.sources; ++col) {
      Vectors(scratch, out_unit, place(row, col), mid_unit);
    }
  }
  k.filter = size();
  for (int tap = 0; tap < rows.alu_taps * cols.alu_taps; ++tap) {
    Vectors(scratch, out_unit, filter(tap), layout_.bias_unit);
  }
  k.sum = size();
  for (int tail = 0; tail < taps_.tails; ++tail) {
    for (int row = 0; row < taps_.rows.firsts; ++row) {
      for (int col = 0; col < taps_.cols.firsts; ++col) {
        Vectors(target(tail, row, col), out_unit, scratch, out_unit);
      }
    }
  }
}

int64_t MicroOpSet::Multiply(int context, int half, const Span& row, const Span& col,
                             int step) const {
  const int row_kind = row_kinds_ > 1 && row.mids != tiling_.th ? 1 : 0;
  const int col_kind = col_kinds_ > 1 ? plan_.columns.Find(col.extent()) : 0;
  int step_kind = 0;
  if (tiling_.stationary != Stationary::kNone) {
    step_kind = step;
  } else if (step_kinds_ > 1 && (step + 1) * tiling_.tci > work_.in_units) {
    step_kind = 1;
  }
  return At(context).multiply[Index(half, row_kind, col_kind, step_kind)];
}

void MicroOpSet::ResidualKernels(int c) {
  contexts_[static_cast<size_t>(c)].residual = size();
  for (int place = 0; place < layout_.residual_places; ++place) {
    for (int o = 0; o < tiling_.tco; ++o) {
      for (int pair = 0; pair < work_.residual_uops; ++pair) {
        const int64_t inp = layout_.residual_base + c * layout_.residual_context +
                            (int64_t{place} * tiling_.tco + o) * layout_.residual_unit;
        MicroOp uop;
        uop.acc = static_cast<uint32_t>(c * layout_.acc_context + o * layout_.out_unit +
                                        (work_.out_split > 1 ? pair : 0));
        uop.inp = static_cast<uint32_t>(inp + (work_.in_split > 1 ? pair : 0));
        uop.wgt = static_cast<uint32_t>(layout_.identity_base + pair);
        uops_.push_back(uop);
      }
    }
  }
}

int64_t MicroOpSet::Residual(int context, int place) const {
  return At(context).residual + int64_t{place} * tiling_.tco * work_.residual_uops;
}

int64_t MicroOpSet::SumHalf(int context, int step) const {
  return At(context).sum + (step + (layout_.vectors > 1 ? 1 : 0)) * layout_.vectors;
}

int64_t MicroOpSet::FirstCopy(int context, const TapSpan& row, const TapSpan& col) const {
  const int64_t set = int64_t{row.source} * taps_.cols.covering + col.source;
  return At(context).first_copy + set * layout_.vectors;
}

int64_t MicroOpSet::Copy(int context, const TapSpan& row, const TapSpan& col) const {
  const int64_t set = int64_t{row.source} * taps_.cols.sources + col.source;
  return At(context).copy + set * layout_.vectors;
}

int64_t MicroOpSet::Filter(int context, int tap) const {
  return At(context).filter + tap * layout_.vectors;
}

int64_t MicroOpSet::Sum(int context, const TapSpan& row, const TapSpan& col, int outs) const {
  const int64_t set =
      (int64_t{Tail(outs)} * taps_.rows.firsts + row.first) * taps_.cols.firsts + col.first;
  return At(context).sum + set * layout_.vectors;
}

int64_t MicroOpSet::Combine(int context, const TapSpan& row, const TapSpan& col, int outs) const {
  const int64_t set =
      (int64_t{Tail(outs)} * taps_.rows.pairs + taps_.rows.PairIndex(row)) * taps_.cols.pairs +
      taps_.cols.PairIndex(col);
  return At(context).sum + set * layout_.vectors;
}

}  // namespace rhnas::hw
