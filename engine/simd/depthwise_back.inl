// Bands of a stride-2 depthwise backward-data pass; see engine/simd/depthwise_kernels.h. After
// engine/simd/depthwise.inl.

// A strip of kWidth outputs from an even column on (the first `valid` are wanted), one vector of
// channels: output q gets x[i] * f[s] for all 2 * i + s = q + kOdd. Even and odd outputs are made
// together, so that each column of x is loaded once and lines of y are written whole.
template <int kTaps, int kOdd, int kWidth, bool kPartial>
RHNAS_NOINLINE static void SpreadStrip(const DepthwiseBandArgs& args, int shift, int column,
                                       int valid, int channel, DepthwiseFetch& fetch) {
  constexpr int kFirst = -((kTaps - 1 - kOdd) / 2);
  constexpr int kColumns = (kWidth - 1 + kOdd) / 2 - kFirst + 1;
  const int64_t lanes = args.channels - channel;
  const int64_t x_pixel = args.x_pixel;
  const int first = column / 2 + kFirst + shift;
  const unsigned inside = InsideColumns(kColumns, args.low - first, args.high - first);
  const float* const x = args.x + first * x_pixel + channel;
  const float* const f = args.f + channel;
  float* y = args.y + column * args.y_pixel + channel;
  for (int h = 0; h < args.height; h++) {
    // Row i of x reaches this row through filter row row_offset + h - 2 * i.
    const int last_tap = args.row_offset + h;
    int low = (last_tap - args.taps + 2) >> 1, high = last_tap >> 1;
    if (low < args.row_low) low = args.row_low;
    if (high >= args.row_high) high = args.row_high - 1;
    Vec acc[kWidth];
    StartSums<kWidth, kPartial>(args, Zero(), y, valid, lanes, acc);
    const float* xr = x + low * args.x_row;
    const float* fr = f + (last_tap - 2 * low) * args.f_row;
    for (int r = low; r <= high; r++, xr += args.x_row, fr -= 2 * args.f_row) {
      Vec fv[kTaps];
      RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
        fv[s] = LoadLanes<kPartial>(fr + s * args.f_tap, lanes);
      }
      RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
        if ((inside >> i & 1u) == 0) continue;
        const Vec xv = LoadHeld<kPartial>(xr + i * x_pixel, lanes);
        RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
          const int q = 2 * (i + kFirst) + s - kOdd;
          if (q >= 0 && q < kWidth) acc[q] = Fma(xv, fv[s], acc[q]);
        }
      }
    }
    StoreSums<kWidth, kPartial>(args, false, y, valid, lanes, acc);
    FetchNext(fetch);
    y += args.y_row;
  }
}

template <int kTaps, int kOdd>
static void SpreadColumns(const DepthwiseBandArgs& args, int shift, int column, int width,
                          int channel, DepthwiseFetch& fetch) {
  // Fast widths for the padding that keeps the size; one where it matters less.
  constexpr bool kUsual = kFused && kOdd == (kTaps - 1) / 2 % 2;
  if (channel + kLanes > args.channels) {
    constexpr int kWidth = kLanes < 8 ? 2 : 8;
    for (int i = 0; i < width; i += kWidth) {
      SpreadStrip<kTaps, kOdd, kWidth, true>(args, shift, column + i, width - i, channel, fetch);
    }
  } else if (!kUsual) {
    for (int i = 0; i < width; i += 4) {
      SpreadStrip<kTaps, kOdd, 4, false>(args, shift, column + i, width - i, channel, fetch);
    }
  } else if constexpr (kUsual) {
    if (width > 6) {
      SpreadStrip<kTaps, kOdd, 8, false>(args, shift, column, width, channel, fetch);
    } else if (width > 4) {
      SpreadStrip<kTaps, kOdd, 6, false>(args, shift, column, width, channel, fetch);
    } else {
      SpreadStrip<kTaps, kOdd, 4, false>(args, shift, column, width, channel, fetch);
    }
  }
}

template <int kTaps, int kOdd>
static void SpreadBand(const DepthwiseBandArgs& args, int shift) {
  // Strips of an even number of columns, all but the last.
  const int strips = (args.width + 7) / 8, pairs = (args.width + 1) / 2;
  const int64_t rows = int64_t{args.height} * strips * ((args.channels + kLanes - 1) / kLanes);
  DepthwiseFetch fetch = StartFetch(args.next_x, args.next_x_floats, rows);
  for (int group = 0; group < args.channels; group += kChannelGroup) {
    const int until = group + kChannelGroup < args.channels ? group + kChannelGroup : args.channels;
    for (int strip = 0, pair = 0; strip < strips; strip++) {
      const int count = (pairs - pair) / (strips - strip), column = 2 * pair;
      const int width = column + 2 * count < args.width ? 2 * count : args.width - column;
      for (int channel = group; channel < until; channel += kLanes) {
        SpreadColumns<kTaps, kOdd>(args, shift, column, width, FullVector(args, channel), fetch);
      }
      pair += count;
    }
  }
  if (args.stream) StreamFence();
}

template <int kTaps>
static void DepthwiseSpread(const DepthwiseBandArgs& args) {
  if ((args.offset & 1) != 0) {
    SpreadBand<kTaps, 1>(args, (args.offset - 1) / 2);
  } else {
    SpreadBand<kTaps, 0>(args, args.offset / 2);
  }
}
