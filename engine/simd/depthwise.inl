// Depthwise kernels: a vector holds the channels of one pixel. The source is read in place; columns
// outside the image are left out of the sum, not multiplied by zero. See
// engine/simd/conv_kernels.h.

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

// kWidth neighbouring outputs (the first `valid` are wanted) of one vector of channels. Each column
// of x is loaded once per filter row and goes into all outputs it belongs to. kEdge: [low, high)
// cuts columns off.
template <int kTaps, int kStride, int kWidth, bool kEdge, bool kPartial>
RHNAS_INLINE void DepthwiseTile(const DepthwiseArgs& args, int column, int valid, int channel) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  const int64_t lanes = args.channels - channel;
  const int64_t x_pixel = args.x_pixel, y_pixel = args.y_pixel;
  float* const y = args.y + column * y_pixel + channel;
  const int low = args.low - column * kStride, high = args.high - column * kStride;
  Vec acc[kWidth];
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) acc[j] = Zero();
  if (args.accumulate) {
    RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
      if (!kEdge || j < valid) acc[j] = LoadLanes<kPartial>(y + j * y_pixel, lanes);
    }
  }
  const float* x = args.x + column * kStride * x_pixel + channel;
  const float* f = args.f + channel;
  for (int r = 0; r < args.taps; r++, x += args.x_row, f += args.f_row) {
    Vec fv[kTaps];
    RHNAS_UNROLL for (int s = 0; s < kTaps; s++) fv[s] =
        LoadLanes<kPartial>(f + s * args.f_tap, lanes);
    RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
      if (kEdge && (i < low || i >= high)) continue;
      const Vec xv = LoadLanes<kPartial>(x + i * x_pixel, lanes);
      RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
        if (i >= s && (i - s) % kStride == 0 && (i - s) / kStride < kWidth) {
          acc[(i - s) / kStride] = Fma(xv, fv[s], acc[(i - s) / kStride]);
        }
      }
    }
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
  int channel = 0;
  if (edge) {
    for (; channel + kLanes <= args.channels; channel += kLanes) {
      DepthwiseTile<kTaps, kStride, kWidth, true, false>(args, column, valid, channel);
    }
  } else {
    for (; channel + kLanes <= args.channels; channel += kLanes) {
      DepthwiseTile<kTaps, kStride, kWidth, false, false>(args, column, valid, channel);
    }
  }
  if (channel < args.channels) {
    DepthwiseTile<kTaps, kStride, kWidth, true, true>(args, column, valid, channel);
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
}

// kWidth outputs of one row into kRows x kTaps accumulators. `rows` has a bit for each filter row
// whose row of x is inside the image.
template <int kTaps, int kStride, int kRows, int kWidth, bool kPartial>
RHNAS_INLINE void DepthwiseFilterTile(const DepthwiseFilterArgs& args, Vec (&acc)[kRows][kTaps],
                                      const float* x, const float* dy, unsigned rows, int low,
                                      int high, int64_t lanes) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  const int64_t x_pixel = args.x_pixel;
  const bool edge = low > 0 || high < kColumns;
  Vec dv[kWidth];
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
    dv[j] = LoadLanes<kPartial>(dy + j * args.dy_pixel, lanes);
  }
  RHNAS_UNROLL for (int r = 0; r < kRows; r++, x += args.x_row) {
    if ((rows >> r & 1u) == 0) continue;
    if (!edge) {
      RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
        const Vec xv = LoadLanes<kPartial>(x + i * x_pixel, lanes);
        RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
          if (i >= s && (i - s) % kStride == 0 && (i - s) / kStride < kWidth) {
            acc[r][s] = Fma(xv, dv[(i - s) / kStride], acc[r][s]);
          }
        }
      }
    } else {
      RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
        if (i < low || i >= high) continue;
        const Vec xv = LoadLanes<kPartial>(x + i * x_pixel, lanes);
        RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
          if (i >= s && (i - s) % kStride == 0 && (i - s) / kStride < kWidth) {
            acc[r][s] = Fma(xv, dv[(i - s) / kStride], acc[r][s]);
          }
        }
      }
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
  RHNAS_UNROLL for (int r = 0; r < kRows; r++) {
    RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
      acc[r][s] =
          r < rows ? LoadLanes<kPartial>(df + r * args.df_row + s * args.df_tap, lanes) : Zero();
    }
  }
  for (int i = 0; i < args.height; i++) {
    const int top = i * args.row_stride + first;
    unsigned inside = 0;
    for (int r = 0; r < rows; r++) {
      if (top + r >= args.row_low && top + r < args.row_high) inside |= 1u << r;
    }
    if (inside == 0) continue;
    const float* x = args.x + top * args.x_row + channel;
    const float* dy = args.dy + i * args.dy_row + channel;
    int j = 0;
    for (; j + 4 <= args.width; j += 4) {
      DepthwiseFilterTile<kTaps, kStride, kRows, 4, kPartial>(
          args, acc, x + j * kStride * args.x_pixel, dy + j * args.dy_pixel, inside,
          args.low - j * kStride, args.high - j * kStride, lanes);
    }
    for (; j < args.width; j++) {
      DepthwiseFilterTile<kTaps, kStride, kRows, 1, kPartial>(
          args, acc, x + j * kStride * args.x_pixel, dy + j * args.dy_pixel, inside,
          args.low - j * kStride, args.high - j * kStride, lanes);
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
// column.
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
  for (int first = 0; first < args.taps; first += kRows) {
    DepthwiseFilterRows<kTaps, kStride, kRows, true>(args, first, channel);
  }
}
