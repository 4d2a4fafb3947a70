// Depthwise correlations: a vector holds the channels of one pixel. The source is read in place;
// columns and rows outside the image are left out of the sum, not multiplied by zero. See
// engine/simd/depthwise_kernels.h.
//
// A strip of up to 8 columns is walked from top to bottom, one vector of channels after the other:
// the rows that neighbouring outputs share stay in the first-level cache whatever the number of
// channels, and a 3x3 filter stays in registers where there are 32.

#include "engine/simd/depthwise_fetch.inl"

template <bool kPartial>
RHNAS_INLINE Vec LoadLanes(const float* p, int64_t count) {
  return kPartial ? LoadPartial(p, count) : Load(p);
}
// Loads once, into a register. Through volatile: with Held g++ 12 keeps a copy on the stack.
template <bool kPartial>
RHNAS_INLINE Vec LoadHeld(const float* p, int64_t count) {
  typedef float Anywhere __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
  return kPartial ? LoadPartial(p, count) : *reinterpret_cast<const volatile Anywhere*>(p);
}
template <bool kPartial>
RHNAS_INLINE void StoreLanes(float* p, Vec v, int64_t count) {
  if (kPartial) {
    StorePartial(p, v, count);
  } else {
    Store(p, v);
  }
}

// A bit for each of the first `columns` columns inside [low, high): one test and branch a column.
RHNAS_INLINE unsigned InsideColumns(int columns, int low, int high) {
  low = low < 0 ? 0 : low > columns ? columns : low;
  high = high < low ? low : high > columns ? columns : high;
  return ((1u << high) - 1u) & ~((1u << low) - 1u);
}

// Sums of a row of outputs at their start: the bias, or what y holds, or both.
template <int kWidth, bool kPartial>
RHNAS_INLINE void StartSums(const DepthwiseBandArgs& args, Vec start, const float* y, int valid,
                            int64_t lanes, Vec (&acc)[kWidth]) {
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) acc[j] = start;
  if (!args.accumulate) return;
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
    if (j < valid) acc[j] = acc[j] + LoadLanes<kPartial>(y + j * args.y_pixel, lanes);
  }
}

// The end of an inference layer, and the way to memory.
template <int kWidth, bool kPartial>
RHNAS_INLINE void StoreSums(const DepthwiseBandArgs& args, bool clamps, float* y, int valid,
                            int64_t lanes, Vec (&acc)[kWidth]) {
  if (clamps) {
    const Vec lowest = Broadcast(args.low_value), highest = Broadcast(args.high_value);
    RHNAS_UNROLL for (int j = 0; j < kWidth; j++) acc[j] = Min(highest, Max(lowest, acc[j]));
  }
  if (!kPartial && args.stream) {
    RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
      if (j < valid) StoreStream(y + j * args.y_pixel, acc[j]);
    }
    return;
  }
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
    if (j < valid) StoreLanes<kPartial>(y + j * args.y_pixel, acc[j], lanes);
  }
}

// One row of x through one filter row. `inside` has a bit for each column inside the image.
template <int kTaps, int kStride, int kWidth, bool kPartial>
RHNAS_INLINE void AddFilterRow(const float* x, int64_t x_pixel, unsigned inside,
                               const Vec (&fv)[kTaps], int64_t lanes, Vec (&acc)[kWidth]) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
    if ((inside >> i & 1u) == 0) continue;
    const Vec xv = LoadHeld<kPartial>(x + i * x_pixel, lanes);
    RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
      if (i >= s && (i - s) % kStride == 0 && (i - s) / kStride < kWidth) {
        acc[(i - s) / kStride] = Fma(xv, fv[s], acc[(i - s) / kStride]);
      }
    }
  }
}

// A strip of kWidth columns of outputs (the first `valid` are wanted), one vector of channels.
// kHeld: up to kTaps filter rows, all kept in registers.
template <int kTaps, int kStride, int kWidth, bool kHeld, bool kPartial>
RHNAS_NOINLINE static void CorrelateStrip(const DepthwiseBandArgs& args, int column, int valid,
                                          int channel, DepthwiseFetch& fetch) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  const int64_t lanes = args.channels - channel;
  const int64_t x_pixel = args.x_pixel, x_row = args.x_row, f_row = args.f_row;
  const unsigned inside =
      InsideColumns(kColumns, args.low - column * kStride, args.high - column * kStride);
  const bool clamps = args.low_value > -__builtin_inff() || args.high_value < __builtin_inff();
  const Vec start = args.bias != nullptr ? LoadLanes<kPartial>(args.bias + channel, lanes) : Zero();
  const float* x = args.x + column * kStride * x_pixel + channel;
  const float* const f = args.f + channel;
  float* y = args.y + column * args.y_pixel + channel;
  Vec held[kHeld ? kTaps : 1][kTaps];
  if (kHeld) {
    RHNAS_UNROLL for (int r = 0; r < (kHeld ? kTaps : 1); r++) {
      RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
        held[r][s] =
            r < args.taps ? LoadLanes<kPartial>(f + r * f_row + s * args.f_tap, lanes) : Zero();
      }
    }
  }
  int row_low = args.row_low, row_high = args.row_high;
  for (int i = 0; i < args.height; i++) {
    const int r_low = row_low > 0 ? row_low : 0;
    const int r_high = row_high < args.taps ? row_high : args.taps;
    Vec acc[kWidth];
    StartSums<kWidth, kPartial>(args, start, y, valid, lanes, acc);
    if (kHeld) {
      RHNAS_UNROLL for (int r = 0; r < (kHeld ? kTaps : 1); r++) {
        if (r < r_low || r >= r_high) continue;
        AddFilterRow<kTaps, kStride, kWidth, kPartial>(x + r * x_row, x_pixel, inside, held[r],
                                                       lanes, acc);
      }
    } else {
      const float* xr = x + r_low * x_row;
      const float* fr = f + r_low * f_row;
      for (int r = r_low; r < r_high; r++, xr += x_row, fr += f_row) {
        Vec fv[kTaps];
        RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
          fv[s] = LoadLanes<kPartial>(fr + s * args.f_tap, lanes);
        }
        AddFilterRow<kTaps, kStride, kWidth, kPartial>(xr, x_pixel, inside, fv, lanes, acc);
      }
    }
    StoreSums<kWidth, kPartial>(args, clamps, y, valid, lanes, acc);
    FetchNext(fetch);
    x += args.row_stride * x_row;
    y += args.y_row;
    row_low -= args.row_stride;
    row_high -= args.row_stride;
  }
}

template <int kTaps, int kStride, int kWidth, bool kHeld, bool kPartial>
RHNAS_INLINE void CorrelateStrips(const DepthwiseBandArgs& args, int column, int width, int channel,
                                  DepthwiseFetch& fetch) {
  for (int i = 0; i < width; i += kWidth) {
    CorrelateStrip<kTaps, kStride, kWidth, kHeld, kPartial>(args, column + i, width - i, channel,
                                                            fetch);
  }
}

// Fast widths for the usual; one width where it matters less, to keep the code small: channels that
// do not fill a vector, even filters, targets without fused multiply-add.
template <int kTaps, int kStride>
static void CorrelateColumns(const DepthwiseBandArgs& args, int column, int width, int channel,
                             DepthwiseFetch& fetch) {
  constexpr bool kFits = kTaps <= 3 && kTaps * kTaps + 10 <= kRegisters;
  constexpr bool kUsual = kFused && kTaps % 2 == 1 && kTaps > 1;
  constexpr int kPartialWidth = kLanes < 8 ? 2 : 8;
  if (channel + kLanes > args.channels) {
    CorrelateStrips<kTaps, kStride, kPartialWidth, false, true>(args, column, width, channel,
                                                                fetch);
  } else if (!kUsual || (kFits && args.taps > kTaps)) {
    CorrelateStrips<kTaps, kStride, 4, false, false>(args, column, width, channel, fetch);
  } else if constexpr (kUsual) {
    if (width == 8) {
      CorrelateStrip<kTaps, kStride, 8, kFits, false>(args, column, width, channel, fetch);
    } else if (width > 4) {
      CorrelateStrip<kTaps, kStride, 7, kFits, false>(args, column, width, channel, fetch);
    } else {
      CorrelateStrip<kTaps, kStride, 4, kFits, false>(args, column, width, channel, fetch);
    }
  }
}

// Channels that go down a strip one vector after the other: neighbours in memory.
constexpr int kChannelGroup = 2 * kLanes;

// The last channels are done with some before them once more where they do not fill a vector; not
// where they are added to y.
RHNAS_INLINE int FullVector(const DepthwiseBandArgs& args, int channel) {
  if (channel + kLanes <= args.channels || args.channels < kLanes || args.accumulate) {
    return channel;
  }
  return args.channels - kLanes;
}

// Strips as equal as they can be: 14 columns are two strips of 7.
template <int kTaps, int kStride>
static void DepthwiseBandKernel(const DepthwiseBandArgs& args) {
  const int strips = (args.width + 7) / 8;
  const int64_t rows = int64_t{args.height} * strips * ((args.channels + kLanes - 1) / kLanes);
  DepthwiseFetch fetch = StartFetch(args.next_x, args.next_x_floats, rows);
  for (int group = 0; group < args.channels; group += kChannelGroup) {
    const int until = group + kChannelGroup < args.channels ? group + kChannelGroup : args.channels;
    for (int strip = 0, column = 0; strip < strips; strip++) {
      const int width = (args.width - column) / (strips - strip);
      for (int channel = group; channel < until; channel += kLanes) {
        CorrelateColumns<kTaps, kStride>(args, column, width, FullVector(args, channel), fetch);
      }
      column += width;
    }
  }
  if (args.stream) StreamFence();
}

template <int kTaps, int kStride>
static void DepthwiseRow(const DepthwiseArgs& args) {
  DepthwiseBandArgs band;
  band.x = args.x;
  band.x_row = args.x_row;
  band.x_pixel = args.x_pixel;
  band.low = args.low;
  band.high = args.high;
  band.row_low = 0;
  band.row_high = args.taps;
  band.row_stride = 0;
  band.f = args.f;
  band.f_row = args.f_row;
  band.f_tap = args.f_tap;
  band.taps = args.taps;
  band.y = args.y;
  band.y_row = 0;
  band.y_pixel = args.y_pixel;
  band.height = 1;
  band.width = args.width;
  band.channels = args.channels;
  band.accumulate = args.accumulate;
  band.stream = args.stream;
  band.bias = args.bias;
  band.low_value = args.low_value;
  band.high_value = args.high_value;
  DepthwiseBandKernel<kTaps, kStride>(band);
}
