#include "hw/lower_geometry.h"

namespace rhnas::hw {
namespace {

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

}  // namespace

AxisShape RowShape(const Work& work) {
  AxisShape axis;
  axis.out = work.rows;
  axis.mid = work.filled_rows;
  axis.in = work.in_rows;
  axis.array_taps = work.r;
  axis.array_stride = work.stride;
  axis.array_pad = work.pad;
  axis.alu_taps = work.alu.r;
  axis.alu_stride = work.alu.stride;
  axis.alu_pad = work.alu.pad;
  return axis;
}

AxisShape ColShape(const Work& work) {
  AxisShape axis;
  axis.out = work.cols;
  axis.mid = work.filled_cols;
  axis.in = work.in_cols;
  axis.array_taps = work.s;
  axis.array_stride = work.stride;
  axis.array_pad = work.col_pad;
  axis.alu_taps = work.alu.s;
  axis.alu_stride = work.alu.stride;
  axis.alu_pad = work.alu.pad;
  return axis;
}

Span MakeSpan(const AxisShape& axis, int out0, int outs, int tap) {
  Span span;
  span.out0 = out0;
  span.outs = outs;
  const int first = out0 * axis.alu_stride - axis.alu_pad;
  const int end = first + (outs - 1) * axis.alu_stride + axis.alu_taps;
  // Where no tap is inside (a window smaller than its padding), one pixel that none takes.
  span.mid0 = std::min(std::max(first, 0), axis.mid - 1);
  span.mids = std::max(1, std::min(end, axis.mid) - span.mid0);
  span.cut = span.mid0 - first;
  const int begin = span.mid0 * axis.array_stride - axis.array_pad + tap;
  const int stop = begin + axis.InTile(span.mids);
  span.in0 = std::max(begin, 0);
  span.ins = std::max(0, std::min(stop, axis.in) - span.in0);
  span.pad_before = std::min(stop, span.in0) - begin;
  span.pad_after = stop - begin - span.pad_before - span.ins;
  return span;
}

TapSpan MakeTapSpan(const AxisShape& axis, const Span& span, int tap) {
  TapSpan result;
  const int missing = span.cut - tap;  // mid pixels between this tap of output 0 and mid0
  result.first = missing > 0 ? CeilDiv(missing, axis.alu_stride) : 0;
  result.source = result.first * axis.alu_stride - missing;
  const int room = span.mids - result.source;
  result.count = std::min(span.outs - result.first, room > 0 ? CeilDiv(room, axis.alu_stride) : 0);
  result.count = std::max(result.count, 0);
  return result;
}

}  // namespace rhnas::hw
