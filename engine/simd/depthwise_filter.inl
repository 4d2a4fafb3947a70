// Filter gradients of depthwise correlations; see engine/simd/depthwise_kernels.h. After
// engine/simd/depthwise.inl.

// What the next call will read.
struct Fetch {
  DepthwiseFetch x, dy;
};

// kWidth outputs of one row into kRows x kTaps accumulators. `inside` has a bit for each filter row
// whose row of x is inside the image.
template <int kTaps, int kStride, int kRows, int kWidth, bool kPartial>
RHNAS_INLINE void DepthwiseFilterTile(const DepthwiseFilterArgs& args, Vec (&acc)[kRows][kTaps],
                                      const float* x, const float* dy, unsigned inside, int low,
                                      int high, int64_t lanes) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  const int64_t x_pixel = args.x_pixel;
  Vec dv[kWidth];
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
    dv[j] = LoadLanes<kPartial>(dy + j * args.dy_pixel, lanes);
  }
  const unsigned columns = InsideColumns(kColumns, low, high);
  // Column by column through all rows: neighbouring steps belong to different sums.
  RHNAS_UNROLL for (int i = 0; i < kColumns; i++, x += x_pixel) {
    if ((columns >> i & 1u) == 0) continue;
    RHNAS_UNROLL for (int r = 0; r < kRows; r++) {
      if ((inside >> r & 1u) == 0) continue;
      const Vec xv = LoadHeld<kPartial>(x + r * args.x_row, lanes);
      RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
        if (i >= s && (i - s) % kStride == 0 && (i - s) / kStride < kWidth) {
          acc[r][s] = Fma(xv, dv[(i - s) / kStride], acc[r][s]);
        }
      }
    }
  }
}

template <int kTaps, int kStride, int kRows, bool kPartial>
RHNAS_NOINLINE static void DepthwiseFilterRows(const DepthwiseFilterArgs& args, int first,
                                               int channel, Fetch& fetch) {
  const int64_t lanes = args.channels - channel;
  const int rows = args.taps - first < kRows ? args.taps - first : kRows;
  Vec acc[kRows][kTaps];
  float* const df = args.df + first * args.df_row + channel;
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
      FetchNext(fetch.x);
      FetchNext(fetch.dy);
      if (inside == 0) continue;
      const float* x = args.x + image * args.x_image + top * args.x_row + channel;
      const float* dy = args.dy + image * args.dy_image + i * args.dy_row + channel;
      int low = args.low, high = args.high, left = args.width;
      constexpr bool kWide = !kPartial && kRows * kTaps + 10 <= kRegisters;
      // Channels that do not fill a vector: few widths, to keep the code small.
      constexpr int kFour = kPartial && kLanes < 8 ? 1 : 4, kTwo = kPartial ? 1 : 2;
      while (left > 0) {
        int width = 1;
        if (kWide && left >= 7) {
          if (left == 7 || left == 14) {
            width = 7;
            DepthwiseFilterTile<kTaps, kStride, kRows, kWide ? 7 : 1, kPartial>(
                args, acc, x, dy, inside, low, high, lanes);
          } else {
            width = 8;
            DepthwiseFilterTile<kTaps, kStride, kRows, kWide ? 8 : 1, kPartial>(
                args, acc, x, dy, inside, low, high, lanes);
          }
        } else if (kFour == 4 && left >= 4) {
          width = 4;
          DepthwiseFilterTile<kTaps, kStride, kRows, kFour, kPartial>(args, acc, x, dy, inside, low,
                                                                      high, lanes);
        } else if (kTwo == 2 && left >= 2) {
          width = 2;
          DepthwiseFilterTile<kTaps, kStride, kRows, kTwo, kPartial>(args, acc, x, dy, inside, low,
                                                                     high, lanes);
        } else {
          DepthwiseFilterTile<kTaps, kStride, kRows, 1, kPartial>(args, acc, x, dy, inside, low,
                                                                  high, lanes);
        }
        left -= width;
        x += width * kStride * args.x_pixel;
        dy += width * args.dy_pixel;
        low -= width * kStride;
        high -= width * kStride;
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
// column; with narrow vectors one row for the channels that do not fill one.
template <int kTaps, int kStride>
static void DepthwiseFilter(const DepthwiseFilterArgs& args) {
  constexpr int kFit = (kRegisters - 5) / kTaps;
  constexpr int kRows = kFit < 1 ? 1 : kFit > kTaps ? kTaps : kFit;
  const int64_t rows = int64_t{args.images} * args.height * ((args.taps + kRows - 1) / kRows) *
                       ((args.channels + kLanes - 1) / kLanes);
  Fetch fetch = {StartFetch(args.next_x, args.next_x_floats, rows),
                 StartFetch(args.next_dy, args.next_dy_floats, rows)};
  int channel = 0;
  for (; channel + kLanes <= args.channels; channel += kLanes) {
    for (int first = 0; first < args.taps; first += kRows) {
      DepthwiseFilterRows<kTaps, kStride, kRows, false>(args, first, channel, fetch);
    }
  }
  if (channel == args.channels) return;
  constexpr int kPartialRows = kLanes < 8 ? 1 : kRows;
  for (int first = 0; first < args.taps; first += kPartialRows) {
    DepthwiseFilterRows<kTaps, kStride, kPartialRows, true>(args, first, channel, fetch);
  }
}
