// The micro-ops of a program, built as PlanMicroOps counts them: where the ones of each instruction
// begin.
#pragma once

#include <cstdint>
#include <vector>

#include "hw/isa.h"
#include "hw/micro_ops.h"

namespace rhnas::hw {

class MicroOpSet {
 public:
  // Appends to `uops`. REQUIRES: plan.ok; all outlive the set.
  MicroOpSet(const Work& work, const Tiling& tiling, const TileLayout& layout,
             const MicroOpPlan& plan, const Encoding& encoding, std::vector<MicroOp>* uops);

  // Begins of ranges; one of output vectors has out_blocks micro-ops an output unit.
  int64_t Multiply(int context, int half, const Span& row, const Span& col, int step) const;
  int64_t immediate(int context) const { return At(context).immediate; }  // and resets
  int64_t bias(int context) const { return At(context).bias; }
  int64_t filled(int context) const { return At(context).filled; }  // as immediate
  int64_t filled_bias(int context) const { return At(context).filled_bias; }
  int64_t Residual(int context, int place) const;
  // Windows: the covering tap, copied to the output; any tap copied to the scratch, its filter, the
  // scratch added to the output; any tap combined with the output.
  int64_t FirstCopy(int context, const TapSpan& row, const TapSpan& col) const;
  int64_t first_multiply(int context) const { return At(context).first_multiply; }
  int64_t Copy(int context, const TapSpan& row, const TapSpan& col) const;
  int64_t Filter(int context, int tap) const;
  int64_t Sum(int context, const TapSpan& row, const TapSpan& col, int outs) const;
  int64_t Combine(int context, const TapSpan& row, const TapSpan& col, int outs) const;

  // Where all that is filled becomes one pixel: pixel 0 copied to the output, the pixels behind it
  // added to the output, the pixels `step` halvings leave added to the ones in front.
  int64_t sum_copy(int context) const { return At(context).first_copy; }
  int64_t sum_rest(int context) const { return At(context).sum; }
  int64_t SumHalf(int context, int step) const;

  const TapVariants& taps() const { return taps_; }

 private:
  struct Context {
    std::vector<int64_t> multiply;  // by half, row kind, column kind, step kind
    int64_t immediate = 0, bias = 0, filled = 0, filled_bias = 0, residual = 0;
    int64_t first_copy = 0, first_multiply = 0, copy = 0, filter = 0, sum = 0;
  };
  const Context& At(int context) const { return contexts_[static_cast<size_t>(context)]; }
  int64_t size() const { return static_cast<int64_t>(uops_.size()); }
  int64_t Vectors(int64_t dst, int64_t dst_unit, int64_t src, int64_t src_unit);
  int64_t Expand(const LoopStep* loops, const MicroOp& base);
  void MultiplyKernels(int c);
  void WindowKernels(int c, int64_t bias);
  void ResidualKernels(int c);
  int Tail(int outs) const { return taps_.tails > 1 && outs != tiling_.tw ? 1 : 0; }
  size_t Index(int half, int row, int col, int step) const;

  const Work& work_;
  const Tiling& tiling_;
  const TileLayout& layout_;
  const MicroOpPlan& plan_;
  const TapVariants taps_;
  const int index_bits_;
  const int row_tail_, col_tail_, step_tail_;
  int row_kinds_, col_kinds_, step_kinds_;
  std::vector<MicroOp>& uops_;
  std::vector<Context> contexts_;
};

}  // namespace rhnas::hw
