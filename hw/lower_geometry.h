// Where a tile lies along one axis: output pixels, the pixels of the map that the array fills for
// them, and the input pixels that are loaded. Without a window on the ALU the array fills the
// output itself.
#pragma once

#include <algorithm>

#include "hw/schedule.h"

namespace rhnas::hw {

// One axis, rows or columns, of a layer's work.
struct AxisShape {
  int out = 1, mid = 1, in = 1;                         // pixels of the three maps
  int array_taps = 1, array_stride = 1, array_pad = 0;  // input to mid
  int alu_taps = 1, alu_stride = 1, alu_pad = 0;        // mid to output

  // Mid pixels of a tile of `outs` output pixels anywhere, and input pixels of those.
  int MidTile(int outs) const { return (outs - 1) * alu_stride + alu_taps; }
  int InTile(int mids) const { return (mids - 1) * array_stride + array_taps; }
  // The first of the window's taps that lies inside the map for every output pixel; -1: none.
  int CoveringTap() const {
    const bool covers = alu_pad < alu_taps && (out - 1) * alu_stride < mid;
    return covers ? alu_pad : -1;
  }
};
AxisShape RowShape(const Work& work);
AxisShape ColShape(const Work& work);

// One tile on an axis. Only mid pixels inside their map are filled.
struct Span {
  int out0 = 0, outs = 1;
  int mid0 = 0, mids = 1;
  int cut = 0;  // mid pixels in front of mid0 that the window would reach
  int in0 = 0, ins = 1;
  int pad_before = 0, pad_after = 0;
  int extent() const { return pad_before + ins + pad_after; }
};
// `tap`: kernel row that these loads are for, where each has loads of its own.
Span MakeSpan(const AxisShape& axis, int out0, int outs, int tap = 0);

// Output pixels of a tile whose tap is inside the map: `count` from `first`, and the first's tap as
// an offset from mid0.
struct TapSpan {
  int first = 0, count = 0, source = 0;
};
TapSpan MakeTapSpan(const AxisShape& axis, const Span& span, int tap);

}  // namespace rhnas::hw
