// Depthwise kernels: a vector holds the channels of one pixel. The source is read in place; columns
// outside the image are left out of the sum, not multiplied by zero. See
// engine/simd/depthwise_kernels.h.

template <bool kPartial>
RHNAS_INLINE Vec LoadLanes(const float* p, int64_t count) {
  return kPartial ? LoadPartial(p, count) : Load(p);
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
      const Vec xv = Held(LoadLanes<kPartial>(x + i * x_pixel, lanes));
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

// One row of x for kWidth outputs of one row: all taps of one filter row.
template <int kTaps, int kStride, int kWidth, bool kEdge, bool kPartial>
RHNAS_INLINE void DepthwiseFilterRow(Vec (&acc)[kTaps], const Vec (&dv)[kWidth], const float* x,
                                     int64_t x_pixel, unsigned columns, int64_t lanes) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
    if (kEdge && (columns >> i & 1u) == 0) continue;
    const Vec xv = Held(LoadLanes<kPartial>(x + i * x_pixel, lanes));
    RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
      if (i >= s && (i - s) % kStride == 0 && (i - s) / kStride < kWidth) {
        acc[s] = Fma(xv, dv[(i - s) / kStride], acc[s]);
      }
    }
  }
}

// What the next call reads, fetched a few lines with each tile; null: nothing.
struct Fetch {
  const float* x;
  const float* dy;
};

// kWidth outputs of one row into kRows x kTaps accumulators. `inside` has a bit for each filter row
// whose row of x is inside the image.
template <int kTaps, int kStride, int kRows, int kWidth, bool kPartial>
RHNAS_INLINE void DepthwiseFilterTile(const DepthwiseFilterArgs& args, Vec (&acc)[kRows][kTaps],
                                      const float* x, const float* dy, unsigned inside, int low,
                                      int high, int64_t lanes, Fetch& fetch) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  const int64_t x_pixel = args.x_pixel;
  Vec dv[kWidth];
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
    dv[j] = Held(LoadLanes<kPartial>(dy + j * args.dy_pixel, lanes));
  }
  if (!kPartial && fetch.x != nullptr) {
    RHNAS_UNROLL for (int j = 0; j < kWidth; j++) __builtin_prefetch(fetch.dy + j * kLanes);
    fetch.dy += kWidth * kLanes;
    for (int r = 0; r < args.row_stride; r++) {
      RHNAS_UNROLL for (int i = 0; i < kWidth * kStride; i++) {
        __builtin_prefetch(fetch.x + i * kLanes);
      }
      fetch.x += kWidth * kStride * kLanes;
    }
  }
  const bool edge = low > 0 || high < kColumns;
  const unsigned columns = InsideColumns(kColumns, low, high);
  RHNAS_UNROLL for (int r = 0; r < kRows; r++, x += args.x_row) {
    if ((inside >> r & 1u) == 0) continue;
    if (kWidth < 4 || kPartial || edge) {
      DepthwiseFilterRow<kTaps, kStride, kWidth, true, kPartial>(acc[r], dv, x, x_pixel, columns,
                                                                 lanes);
    } else {
      DepthwiseFilterRow<kTaps, kStride, kWidth, false, kPartial>(acc[r], dv, x, x_pixel, columns,
                                                                  lanes);
    }
  }
}

template <int kTaps, int kStride, int kRows, bool kPartial>
RHNAS_NOINLINE static void DepthwiseFilterRows(const DepthwiseFilterArgs& args, int first,
                                               int channel) {
  const int64_t lanes = args.channels - channel;
  const int rows = args.taps - first < kRows ? args.taps - first : kRows;
  Vec acc[kRows][kTaps];
  float* const df = args.df + first * args.df_row + channel;
  // Each vector of channels fetches its share of what the next call reads, from front to back.
  Fetch fetch = {nullptr, nullptr};
  if (args.next_x != nullptr && first + kRows >= args.taps) {
    const int64_t share = int64_t{args.images} * args.height * args.width * channel;
    fetch.x = args.next_x + share * kStride * args.row_stride;
    fetch.dy = args.next_dy + share;
  }
  RHNAS_UNROLL for (int r = 0; r < kRows; r++) {
    RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
      acc[r][s] = Zero();
      if (args.accumulate && r < rows) {
        acc[r][s] = LoadLanes<kPartial>(df + r * args.df_row + s * args.df_tap, lanes);
      }
    }
  }
  for (int image = 0; image < args.images; image++) {
    for (int i = 0; i < args.height; i++) {
      const int top = i * args.row_stride + first;
      unsigned inside = 0;
      for (int r = 0; r < rows; r++) {
        if (top + r >= args.row_low && top + r < args.row_high) inside |= 1u << r;
      }
      if (inside == 0) continue;
      const float* x = args.x + image * args.x_image + top * args.x_row + channel;
      const float* dy = args.dy + image * args.dy_image + i * args.dy_row + channel;
      int low = args.low, high = args.high, left = args.width;
      constexpr int kWidth = kPartial ? 1 : 4;
      for (; left >= kWidth; left -= kWidth) {
        DepthwiseFilterTile<kTaps, kStride, kRows, kWidth, kPartial>(args, acc, x, dy, inside, low,
                                                                     high, lanes, fetch);
        x += kWidth * kStride * args.x_pixel;
        dy += kWidth * args.dy_pixel;
        low -= kWidth * kStride;
        high -= kWidth * kStride;
      }
      if (kPartial) continue;
      if (left == 3) {
        DepthwiseFilterTile<kTaps, kStride, kRows, 3, kPartial>(args, acc, x, dy, inside, low, high,
                                                                lanes, fetch);
      } else if (left == 2) {
        DepthwiseFilterTile<kTaps, kStride, kRows, 2, kPartial>(args, acc, x, dy, inside, low, high,
                                                                lanes, fetch);
      } else if (left == 1) {
        DepthwiseFilterTile<kTaps, kStride, kRows, 1, kPartial>(args, acc, x, dy, inside, low, high,
                                                                lanes, fetch);
      }
    }
  }
  RHNAS_UNROLL for (int r = 0; r < kRows; r++) {
    RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
      if (r < rows) {
        StoreLanes<kPartial>(df + r * args.df_row + s * args.df_tap, acc[r][s], lanes);
      }
    }
  }
}

// Accumulators for as many filter rows at a time as the registers hold beside 4 outputs and a
// column; one row for the channels that do not fill a vector.
template <int kTaps, int kStride>
static void DepthwiseFilter(const DepthwiseFilterArgs& args) {
  constexpr int kFit = (kRegisters - 5) / kTaps;
  constexpr int kRows = kFit < 1 ? 1 : kFit > kTaps ? kTaps : kFit;
  int channel = 0;
  for (; channel + kLanes <= args.channels; channel += kLanes) {
    for (int first = 0; first < args.taps; first += kRows) {
      DepthwiseFilterRows<kTaps, kStride, kRows, false>(args, first, channel);
    }
  }
  if (channel == args.channels) return;
  for (int first = 0; first < args.taps; first++) {
    DepthwiseFilterRows<kTaps, kStride, 1, true>(args, first, channel);
  }
}
