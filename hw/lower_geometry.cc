#include "hw/lower_geometry.h"

namespace rhnas::hw {
namespace {

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

AxisShape Shape(const Work& work, int out, int in, int taps, int pad) {
  AxisShape axis;
  axis.out = out;
  axis.in = in;
  if (work.engine == Work::Engine::kArray) {
    axis.mid = out;
    axis.array_taps = taps;
    axis.array_stride = work.stride;
    axis.array_pad = pad;
  } else {
    axis.mid = in;
    axis.alu_taps = taps;
    axis.alu_stride = work.stride;
    axis.alu_pad = pad;
  }
  return axis;
}

}  // namespace

AxisShape RowShape(const Work& work) {
  return Shape(work, work.rows, work.in_rows, work.r, work.pad);
}

AxisShape ColShape(const Work& work) {
  return Shape(work, work.cols, work.in_cols, work.s, work.col_pad);
}

Span MakeSpan(const AxisShape& axis, int out0, int outs, int tap) {
  Span span;
  span.out0 = out0;
  span.outs = outs;
  const int first = out0 * axis.alu_stride - axis.alu_pad;
  const int end = first + (outs - 1) * axis.alu_stride + axis.alu_taps;
  span.mid0 = std::max(first, 0);
  span.mids = std::min(end, axis.mid) - span.mid0;
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
