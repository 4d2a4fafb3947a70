// Filter gradients of depthwise correlations; see engine/simd/depthwise_kernels.h. After
// engine/simd/depthwise.inl.

// What the next call will read, some of it with each tile: as many lines at once as with a whole
// row delay the loads behind them. But with a row where the stride is 2 or the filter is larger:
// there it measured no faster.
template <int kTaps, int kStride>
constexpr bool kByTile = kTaps == 3 && kStride == 1;

struct Fetch {
  DepthwiseFetch x, dy;
};

// Steps in memory, in floats: copies, as what is written could be the arguments for all the
// compiler knows; or, to keep the code of the larger filters small, looked up.
template <bool kCopies>
struct PixelSteps {
  explicit PixelSteps(const DepthwiseFilterArgs& args)
      : x_row(args.x_row), x_pixel(args.x_pixel), dy_pixel(args.dy_pixel) {}
  const int64_t x_row, x_pixel, dy_pixel;
};
template <>
struct PixelSteps<false> {
  explicit PixelSteps(const DepthwiseFilterArgs& args)
      : x_row(args.x_row), x_pixel(args.x_pixel), dy_pixel(args.dy_pixel) {}
  const int64_t &x_row, &x_pixel, &dy_pixel;
};

// A column of x against the outputs of a tile that it belongs to, through filter row r.
template <int kTaps, int kStride, int kWidth>
RHNAS_INLINE void DepthwiseFilterColumn(int i, Vec xv, const Vec (&dv)[kWidth], Vec (&acc)[kTaps]) {
  RHNAS_UNROLL for (int s = 0; s < kTaps; s++) {
    if (i >= s && (i - s) % kStride == 0 && (i - s) / kStride < kWidth) {
      acc[s] = Fma(xv, dv[(i - s) / kStride], acc[s]);
    }
  }
}

constexpr int kAllColumns = 32;  // of a tile, where any may be outside

// kWidth outputs of one row into kRows x kTaps accumulators. `inside` has a bit for each filter row
// whose row of x is inside the image, `columns` one for each column; only kEdge columns at either
// end may be outside.
template <int kTaps, int kStride, int kRows, int kWidth, int kEdge, bool kPartial, bool kCopies>
RHNAS_INLINE void DepthwiseFilterTile(const PixelSteps<kCopies>& at, Vec (&acc)[kRows][kTaps],
                                      const float* x, const float* dy, unsigned inside,
                                      unsigned columns, int64_t lanes) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  const int64_t x_pixel = at.x_pixel;
  Vec dv[kWidth];
  RHNAS_UNROLL for (int j = 0; j < kWidth; j++) {
    dv[j] = LoadLanes<kPartial>(dy + j * at.dy_pixel, lanes);
  }
  // The usual case of long code without a branch in it; else row by row.
  constexpr bool kFast = kEdge < kAllColumns;
  if (kFast && inside != (1u << kRows) - 1u) {
    RHNAS_UNROLL for (int r = 0; r < kRows; r++) {
      if ((inside >> r & 1u) == 0) continue;
      const float* xr = x + r * at.x_row;
      RHNAS_UNROLL for (int i = 0; i < kColumns; i++, xr += x_pixel) {
        if ((i < kEdge || i >= kColumns - kEdge) && (columns >> i & 1u) == 0) continue;
        DepthwiseFilterColumn<kTaps, kStride, kWidth>(i, LoadHeld<kPartial>(xr, lanes), dv, acc[r]);
      }
    }
    return;
  }
  // Column by column through all rows: neighbouring steps belong to different sums.
  RHNAS_UNROLL for (int i = 0; i < kColumns; i++, x += x_pixel) {
    if ((i < kEdge || i >= kColumns - kEdge) && (columns >> i & 1u) == 0) continue;
    RHNAS_UNROLL for (int r = 0; r < kRows; r++) {
      if (!kFast && (inside >> r & 1u) == 0) continue;
      DepthwiseFilterColumn<kTaps, kStride, kWidth>(i, LoadHeld<kPartial>(x + r * at.x_row, lanes),
                                                    dv, acc[r]);
    }
  }
}

// Whether tiles of 8 outputs fit in registers beside the sums.
RHNAS_INLINE constexpr bool IsWide(int sums) { return sums + 10 <= kRegisters; }

// Whether all columns of a tile but kEdge at either end are inside.
template <int kTaps, int kStride, int kWidth, int kEdge>
RHNAS_INLINE bool MiddleInside(int low, int high) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  return kEdge >= kColumns || (low <= kEdge && high >= kColumns - kEdge);
}

template <int kTaps, int kStride, int kRows, bool kPartial>
RHNAS_NOINLINE static void DepthwiseFilterRows(const DepthwiseFilterArgs& args, int first,
                                               int channel, Fetch& fetch) {
  const int64_t missing = args.channels - channel;
  const int64_t lanes = missing < kLanes ? missing : kLanes;
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
  constexpr bool kShort = kTaps == 3 && kRows == 3 && kStride == 1 && !kPartial;
  const int height = args.height, width_of_row = args.width, images = args.images;
  const int row_stride = args.row_stride, low_column = args.low, high_column = args.high;
  const int64_t x_step = row_stride * args.x_row, dy_step = args.dy_row;
  const PixelSteps<kShort> at(args);
  Fetch next = fetch;
  for (int image = 0; image < images; image++) {
    const float* x_start = args.x + image * args.x_image + first * args.x_row + channel;
    const float* dy_start = args.dy + image * args.dy_image + channel;
    int low_row = args.row_low - first, high_row = args.row_high - first;
    for (int i = 0; i < height; i++) {
      const unsigned inside = InsideColumns(rows, low_row, high_row);
      const float *x = x_start, *dy = dy_start;
      x_start += x_step;
      dy_start += dy_step;
      low_row -= row_stride;
      high_row -= row_stride;
      if (!kByTile<kTaps, kStride>) {
        FetchNext(next.x);
        FetchNext(next.dy);
      }
      if (inside == 0) continue;
      int low = low_column, high = high_column, left = width_of_row;
      constexpr int kEdge = kShort ? 1 : kAllColumns;
      constexpr bool kWide = kFused && !kPartial && IsWide(kRows * kTaps);
      // Channels that do not fill a vector: few widths, to keep the code small.
      constexpr int kFour = !kFused || (kPartial && kLanes < 8) ? 1 : 4;
      constexpr int kTwo = !kFused || kPartial ? 1 : 2;
      while (left > 0) {
        const unsigned columns = InsideColumns(7 * kStride + kTaps, low, high);
        int width = 1;
        if (kWide && (left == 7 || left == 14) &&
            MiddleInside<kTaps, kStride, 7, kEdge>(low, high)) {
          width = 7;
          DepthwiseFilterTile<kTaps, kStride, kRows, kWide ? 7 : 1, kEdge, kPartial>(
              at, acc, x, dy, inside, columns, lanes);
        } else if (kWide && left >= 8 && MiddleInside<kTaps, kStride, 8, kEdge>(low, high)) {
          width = 8;
          DepthwiseFilterTile<kTaps, kStride, kRows, kWide ? 8 : 1, kEdge, kPartial>(
              at, acc, x, dy, inside, columns, lanes);
        } else if (kFour == 4 && left >= 4 && MiddleInside<kTaps, kStride, 4, kEdge>(low, high)) {
          width = 4;
          DepthwiseFilterTile<kTaps, kStride, kRows, kFour, kEdge, kPartial>(at, acc, x, dy, inside,
                                                                             columns, lanes);
        } else if (kTwo == 2 && left >= 2) {
          width = 2;
          DepthwiseFilterTile<kTaps, kStride, kRows, kTwo, kAllColumns, kPartial>(
              at, acc, x, dy, inside, columns, lanes);
        } else {
          DepthwiseFilterTile<kTaps, kStride, kRows, 1, kAllColumns, kPartial>(
              at, acc, x, dy, inside, columns, lanes);
        }
        if (kByTile<kTaps, kStride>) {
          FetchNext(next.x);
          FetchNext(next.dy);
        }
        left -= width;
        x += width * kStride * at.x_pixel;
        dy += width * at.dy_pixel;
        low -= width * kStride;
        high -= width * kStride;
      }
    }
  }
  fetch = next;
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
  constexpr int kRows = !kFused || kFit < 1 ? 1 : kFit > kTaps ? kTaps : kFit;
  constexpr int kTile = IsWide(kRows * kTaps) ? 8 : 4;
  const int64_t tiles = int64_t{args.images} * args.height * ((args.taps + kRows - 1) / kRows) *
                        ((args.channels + kLanes - 1) / kLanes) *
                        (kByTile<kTaps, kStride> ? (args.width + kTile - 1) / kTile : 1);
  Fetch fetch = {StartFetch(args.next_x, args.next_x_floats, tiles),
                 StartFetch(args.next_dy, args.next_dy_floats, tiles)};
  int channel = 0;
  // With 512 bits masked loads cost little, and 7x7 filters are rare: one case for all channels.
  constexpr bool kAllPartial = kLanes == 16 && kTaps == 7;
  for (; channel + kLanes <= args.channels; channel += kLanes) {
    for (int first = 0; first < args.taps; first += kRows) {
      DepthwiseFilterRows<kTaps, kStride, kRows, kAllPartial>(args, first, channel, fetch);
    }
  }
  if (channel == args.channels) return;
  constexpr int kPartialRows = kLanes < 8 ? 1 : kRows;
  for (int first = 0; first < args.taps; first += kPartialRows) {
    DepthwiseFilterRows<kTaps, kStride, kPartialRows, true>(args, first, channel, fetch);
  }
}
