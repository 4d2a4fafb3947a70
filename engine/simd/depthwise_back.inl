// Rows of a stride-2 depthwise backward-data pass; see engine/simd/depthwise_kernels.h. After
// engine/simd/depthwise.inl.

// kWidth neighbouring outputs from an even column on (the first `valid` are wanted): output q gets
// x[i] * f[s] for all 2 * i + s = q + kOdd. Even and odd outputs are made together, so that each
// column of x is loaded once and lines of y are written whole.
template <int kTaps, int kOdd, int kWidth, bool kEdge, bool kPartial>
RHNAS_INLINE void DepthwiseSpreadTile(const DepthwiseArgs& args, const float* x, int low, int high,
                                      int column, int valid, int channel) {
  constexpr int kFirst = -((kTaps - 1 - kOdd) / 2);
  constexpr int kColumns = (kWidth - 1 + kOdd) / 2 - kFirst + 1;
  const int64_t lanes = args.channels - channel;
  const int64_t x_pixel = args.x_pixel, y_pixel = args.y_pixel;
  float* const y = args.y + column * y_pixel + channel;
  const int first = column / 2 + kFirst;
  const unsigned inside = InsideColumns(kColumns, low - first, high - first);
  Vec acc[kWidth];
  RHNAS_UNROLL for (int q = 0; q < kWidth; q++) acc[q] = Zero();
  if (args.accumulate) {
    RHNAS_UNROLL for (int q = 0; q < kWidth; q++) {
      if (!kEdge || q < valid) acc[q] = LoadLanes<kPartial>(y + q * y_pixel, lanes);
    }
  }
  x += first * x_pixel + channel;
  const float* f = args.f + channel;
  for (int r = 0; r < args.taps; r++, x += args.x_row, f += args.f_row) {
    Vec fv[kTaps];
    RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
      fv[s] = LoadLanes<kPartial>(f + s * args.f_tap, lanes);
    }
    RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
      if (kEdge && (inside >> i & 1u) == 0) continue;
      const Vec xv = LoadHeld<kPartial>(x + i * x_pixel, lanes);
      RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
        const int q = 2 * (i + kFirst) + s - kOdd;
        if (q >= 0 && q < kWidth) acc[q] = Fma(xv, fv[s], acc[q]);
      }
    }
  }
  if (!kPartial && args.stream) {
    RHNAS_UNROLL for (int q = 0; q < kWidth; q++) {
      if (!kEdge || q < valid) StoreStream(y + q * y_pixel, acc[q]);
    }
    return;
  }
  RHNAS_UNROLL for (int q = 0; q < kWidth; q++) {
    if (!kEdge || q < valid) StoreLanes<kPartial>(y + q * y_pixel, acc[q], lanes);
  }
}

template <int kTaps, int kOdd, int kWidth>
RHNAS_NOINLINE static void DepthwiseSpreadTiles(const DepthwiseArgs& args, const float* x, int low,
                                                int high, int column, int valid) {
  constexpr int kFirst = -((kTaps - 1 - kOdd) / 2);
  constexpr int kColumns = (kWidth - 1 + kOdd) / 2 - kFirst + 1;
  const int first = column / 2 + kFirst;
  const int whole = args.channels / kLanes * kLanes;
  if (valid < kWidth || first < low || first + kColumns > high) {
    for (int channel = 0; channel < whole; channel += kLanes) {
      DepthwiseSpreadTile<kTaps, kOdd, kWidth, true, false>(args, x, low, high, column, valid,
                                                            channel);
    }
  } else {
    for (int channel = 0; channel < whole; channel += kLanes) {
      DepthwiseSpreadTile<kTaps, kOdd, kWidth, false, false>(args, x, low, high, column, valid,
                                                             channel);
    }
  }
}

template <int kTaps, int kOdd>
RHNAS_NOINLINE static void DepthwiseSpreadRow(const DepthwiseArgs& args, int shift) {
  const float* const x = args.x + shift * args.x_pixel;
  const int low = args.low - shift, high = args.high - shift;
  int column = 0;
  while (column < args.width) {
    const int left = args.width - column;
    if (left > 4) {
      DepthwiseSpreadTiles<kTaps, kOdd, 8>(args, x, low, high, column, left < 8 ? left : 8);
      column += 8;
    } else {
      DepthwiseSpreadTiles<kTaps, kOdd, 4>(args, x, low, high, column, left);
      column += 4;
    }
  }
  // The channels that do not fill a vector.
  const int channel = args.channels / kLanes * kLanes;
  if (channel == args.channels) return;
  for (column = 0; column < args.width; column += 2) {
    DepthwiseSpreadTile<kTaps, kOdd, 2, true, true>(args, x, low, high, column, args.width - column,
                                                    channel);
  }
}

template <int kTaps>
static void DepthwiseSpread(const DepthwiseArgs& args, int offset) {
  if ((offset & 1) != 0) {
    DepthwiseSpreadRow<kTaps, 1>(args, (offset - 1) / 2);
  } else {
    DepthwiseSpreadRow<kTaps, 0>(args, offset / 2);
  }
  if (args.stream) StreamFence();
}
