// Filter gradients of depthwise correlations; see engine/simd/depthwise_kernels.h. After
// engine/simd/depthwise.inl.

// One row of x for kWidth outputs of one row: all taps of one filter row.
template <int kTaps, int kStride, int kWidth, bool kEdge, bool kPartial>
RHNAS_INLINE void DepthwiseFilterRow(Vec (&acc)[kTaps], const Vec (&dv)[kWidth], const float* x,
                                     int64_t x_pixel, unsigned columns, int64_t lanes) {
  constexpr int kColumns = (kWidth - 1) * kStride + kTaps;
  RHNAS_UNROLL for (int i = 0; i < kColumns; i++) {
    if (kEdge && (columns >> i & 1u) == 0) continue;
    const Vec xv = LoadHeld<kPartial>(x + i * x_pixel, lanes);
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
    dv[j] = LoadHeld<kPartial>(dy + j * args.dy_pixel, lanes);
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
