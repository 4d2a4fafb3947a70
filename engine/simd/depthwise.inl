// Depthwise kernels: a vector holds the channels of one pixel. The source is read in place; columns
// outside the image are left out of the sum, not multiplied by zero. See
// engine/simd/depthwise_kernels.h.

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

RHNAS_INLINE bool Clamps(const DepthwiseArgs& args) {
  return args.low_value > -__builtin_inff() || args.high_value < __builtin_inff();
}

// kWidth neighbouring outputs (the first `valid` are wanted) of one vector of channels. Each column
// of x is loaded once per filter row and goes into all outputs it belongs to. kEdge: [low, high)
// cuts columns off.
template <int kTaps, int kStride, int kWidth, bool kEdge, bool kPartial>
RHNAS_INLINE void DepthwiseTile(const DepthwiseArgs& args, int column, int valid, int channel) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  const int64_t lanes = args.channels - channel;
  const int64_t x_pixel = args.x_pixel, y_pixel = args.y_pixel;
  float* const y = args.y + column * y_pixel + channel;
  const unsigned inside =
      InsideColumns(kColumns, args.low - column * kStride, args.high - column * kStride);
  Vec acc[kWidth];
  const Vec start = args.bias != nullptr ? LoadLanes<kPartial>(args.bias + channel, lanes) : Zero();
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) acc[j] = start;
  if (args.accumulate) {
    RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
      if (!kEdge || j < valid) acc[j] = acc[j] + LoadLanes<kPartial>(y + j * y_pixel, lanes);
    }
  }
  const float* x = args.x + column * kStride * x_pixel + channel;
  const float* f = args.f + channel;
  const int64_t ahead = column + kWidth < args.width
                            ? kWidth * kStride * x_pixel
                            : kStride * args.x_row - column * kStride * x_pixel;
  for (int r = 0; r < args.taps; r++, x += args.x_row, f += args.f_row) {
    // The rows no output row above has read: the next tile's part of them.
    if (!kPartial && r + kStride >= args.taps) {
      const float* const next = x + ahead;
      RHNAS_UNROLL for (int i = kTaps - kStride; i < kColumns; i++) {
        if (i >= 0) __builtin_prefetch(next + i * x_pixel);
      }
    }
    Vec fv[kTaps];
    RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
      fv[s] = LoadLanes<kPartial>(f + s * args.f_tap, lanes);
    }
    RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
      if (kEdge && (inside >> i & 1u) == 0) continue;
      const Vec xv = LoadHeld<kPartial>(x + i * x_pixel, lanes);
      RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
        if (i >= s && (i - s) % kStride == 0 && (i - s) / kStride < kWidth) {
          acc[(i - s) / kStride] = Fma(xv, fv[s], acc[(i - s) / kStride]);
        }
      }
    }
  }
  if (Clamps(args)) {
    const Vec lowest = Broadcast(args.low_value), highest = Broadcast(args.high_value);
    RHNAS_UNROLL for (int j = 0; j < kWidth; j++) acc[j] = Min(highest, Max(lowest, acc[j]));
  }
  if (!kPartial && args.stream) {
    RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
      if (!kEdge || j < valid) StoreStream(y + j * y_pixel, acc[j]);
    }
    return;
  }
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
    if (!kEdge || j < valid) StoreLanes<kPartial>(y + j * y_pixel, acc[j], lanes);
  }
}

template <int kTaps, int kStride, int kWidth>
RHNAS_NOINLINE static void DepthwiseTiles(const DepthwiseArgs& args, int column, int valid) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  const int first = column * kStride;
  const bool edge = valid < kWidth || first < args.low || first + kColumns > args.high;
  const int whole = args.channels / kLanes * kLanes;
  if (edge) {
    for (int channel = 0; channel < whole; channel += kLanes) {
      DepthwiseTile<kTaps, kStride, kWidth, true, false>(args, column, valid, channel);
    }
  } else {
    for (int channel = 0; channel < whole; channel += kLanes) {
      DepthwiseTile<kTaps, kStride, kWidth, false, false>(args, column, valid, channel);
    }
  }
}

// The channels that do not fill a vector: narrow tiles, to keep the code small.
template <int kTaps, int kStride>
RHNAS_NOINLINE static void DepthwisePartial(const DepthwiseArgs& args) {
  const int channel = args.channels / kLanes * kLanes;
  if (channel == args.channels) return;
  for (int column = 0; column < args.width; column += 2) {
    DepthwiseTile<kTaps, kStride, 2, true, true>(args, column, args.width - column, channel);
  }
}

template <int kTaps, int kStride>
static void DepthwiseRow(const DepthwiseArgs& args) {
  int column = 0;
  while (column < args.width) {
    const int left = args.width - column;
    if (left > 4) {
      DepthwiseTiles<kTaps, kStride, 8>(args, column, left < 8 ? left : 8);
      column += 8;
    } else {
      DepthwiseTiles<kTaps, kStride, 4>(args, column, left);
      column += 4;
    }
  }
  DepthwisePartial<kTaps, kStride>(args);
  if (args.stream) StreamFence();
}
