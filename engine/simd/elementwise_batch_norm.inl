// The batch-normalisation kernels of engine/simd/elementwise.h. The caller gives chunks of rows
// that fit in cache; sums stay in registers while a group of channels runs down the chunk.

// The shift is the mean of this many rows: being off by d from the chunk's mean, it bounds the sum
// of squares from below by 16 d * d, so at most a factor rows / 16 of the digits cancels, whatever
// the data; of any single row it would be a factor `rows`.
constexpr int kShiftRows = 16;

template <int kVectors, bool kPartial>
RHNAS_INLINE void MomentsOfColumns(const float* x, int64_t rows, int c, float* shift, float* sum,
                                   float* sum_squares, int64_t lanes) {
  Vec m[kVectors];
  Vec s[kVectors];
  Vec q[kVectors];
  const int64_t shift_rows = rows < kShiftRows ? rows : kShiftRows;
  const float share = 1.0f / static_cast<float>(shift_rows);
  RHNAS_UNROLL for (int v = 0; v < kVectors; v++) {
    m[v] = Zero();
    for (int64_t r = 0; r < shift_rows; r++) {
      m[v] = m[v] + LoadLanes<kPartial>(x + r * c + v * kLanes, lanes) * share;
    }
    s[v] = q[v] = Zero();
  }
  for (int64_t r = 0; r < rows; r++, x += c) {
    RHNAS_UNROLL for (int v = 0; v < kVectors; v++) {
      const Vec d = LoadLanes<kPartial>(x + v * kLanes, lanes) - m[v];
      s[v] = s[v] + d;
      q[v] = q[v] + d * d;
    }
  }
  RHNAS_UNROLL for (int v = 0; v < kVectors; v++) {
    StoreLanes<kPartial>(shift + v * kLanes, m[v], lanes);
    StoreLanes<kPartial>(sum + v * kLanes, s[v], lanes);
    StoreLanes<kPartial>(sum_squares + v * kLanes, q[v], lanes);
  }
}

static void Moments(const float* x, int64_t rows, int c, float* shift, float* sum,
                    float* sum_squares) {
  int j = 0;
  for (; j + 4 * kLanes <= c; j += 4 * kLanes) {
    MomentsOfColumns<4, false>(x + j, rows, c, shift + j, sum + j, sum_squares + j, kLanes);
  }
  for (; j + kLanes <= c; j += kLanes) {
    MomentsOfColumns<1, false>(x + j, rows, c, shift + j, sum + j, sum_squares + j, kLanes);
  }
  if (j < c) {
    MomentsOfColumns<1, true>(x + j, rows, c, shift + j, sum + j, sum_squares + j, c - j);
  }
}

template <int kFunction, bool kResidual>
RHNAS_INLINE void NormalizeAsGiven(const float* x, const float* residual, const float* mean,
                                   const float* scale, const float* bias, float* y, int64_t rows,
                                   int c) {
  for (int64_t r = 0; r < rows; r++, x += c, residual += c, y += c) {
    RHNAS_FOR_VECTORS(c, {
      Vec before = (RHNAS_GET(x) - RHNAS_GET(mean)) * RHNAS_GET(scale) + RHNAS_GET(bias);
      if constexpr (kResidual) before = before + RHNAS_GET(residual);
      RHNAS_PUT(y, Value<kFunction>(before), false);
    });
  }
}

// The residual is not read unless kResidual.
template <int kFunction, bool kResidual>
RHNAS_INLINE void NormalizeRows(const float* x, const float* residual,
                                const BatchNormChannels& channels, float* y, int64_t rows, int c) {
  const int times = RowsTogether(rows, c);
  if (times > 1) {
    float mean[kRepeated], scale[kRepeated], bias[kRepeated];
    Repeat(channels.mean, c, times, mean);
    Repeat(channels.scale, c, times, scale);
    Repeat(channels.bias, c, times, bias);
    const int64_t groups = rows / times, done = groups * times;
    NormalizeAsGiven<kFunction, kResidual>(x, residual, mean, scale, bias, y, groups, c * times);
    x += done * c;
    residual += done * c;
    y += done * c;
    rows -= done;
  }
  NormalizeAsGiven<kFunction, kResidual>(x, residual, channels.mean, channels.scale, channels.bias,
                                         y, rows, c);
}

template <int kFunction>
static void Normalize(const float* x, const BatchNormChannels& channels, float* y, int64_t rows,
                      int c) {
  NormalizeRows<kFunction, false>(x, x, channels, y, rows, c);
}

template <int kFunction>
static void NormalizeAdd(const float* x, const float* residual, const BatchNormChannels& channels,
                         float* y, int64_t rows, int c) {
  NormalizeRows<kFunction, true>(x, residual, channels, y, rows, c);
}

// The gradient before the activation, which is recomputed as Normalize computed it.
template <int kFunction>
RHNAS_INLINE Vec GradientBefore(Vec dout, Vec centred, Vec scale, Vec bias) {
  if constexpr (kFunction == kIdentity) return dout;
  const Vec before = centred * scale + bias;
  return TimesSlope<kFunction>(dout, before, before);
}

template <int kFunction, int kVectors, bool kPartial>
RHNAS_INLINE void NormalizeSumsOfColumns(const float* x, const float* dout,
                                         const BatchNormChannels& channels, int64_t rows, int c,
                                         int j, float* sum, float* sum_centred, int64_t lanes) {
  Vec mean[kVectors];
  Vec scale[kVectors];
  Vec bias[kVectors];
  Vec s[kVectors];
  Vec q[kVectors];
  RHNAS_UNROLL for (int v = 0; v < kVectors; v++) {
    mean[v] = LoadLanes<kPartial>(channels.mean + j + v * kLanes, lanes);
    scale[v] = LoadLanes<kPartial>(channels.scale + j + v * kLanes, lanes);
    bias[v] = LoadLanes<kPartial>(channels.bias + j + v * kLanes, lanes);
    s[v] = q[v] = Zero();
  }
  x += j;
  dout += j;
  for (int64_t r = 0; r < rows; r++, x += c, dout += c) {
    RHNAS_UNROLL for (int v = 0; v < kVectors; v++) {
      const Vec centred = LoadLanes<kPartial>(x + v * kLanes, lanes) - mean[v];
      const Vec g = GradientBefore<kFunction>(LoadLanes<kPartial>(dout + v * kLanes, lanes),
                                              centred, scale[v], bias[v]);
      s[v] = s[v] + g;
      q[v] = q[v] + g * centred;
    }
  }
  RHNAS_UNROLL for (int v = 0; v < kVectors; v++) {
    StoreLanes<kPartial>(sum + j + v * kLanes, s[v], lanes);
    StoreLanes<kPartial>(sum_centred + j + v * kLanes, q[v], lanes);
  }
}

template <int kFunction>
static void NormalizeSums(const float* x, const float* dout, const BatchNormChannels& channels,
                          int64_t rows, int c, float* sum, float* sum_centred) {
  int j = 0;
  for (; j + 2 * kLanes <= c; j += 2 * kLanes) {
    NormalizeSumsOfColumns<kFunction, 2, false>(x, dout, channels, rows, c, j, sum, sum_centred,
                                                kLanes);
  }
  for (; j + kLanes <= c; j += kLanes) {
    NormalizeSumsOfColumns<kFunction, 1, false>(x, dout, channels, rows, c, j, sum, sum_centred,
                                                kLanes);
  }
  if (j < c) {
    NormalizeSumsOfColumns<kFunction, 1, true>(x, dout, channels, rows, c, j, sum, sum_centred,
                                               c - j);
  }
}

template <int kFunction>
RHNAS_INLINE void NormalizeBackwardAsGiven(const float* x, const float* dout,
                                           const BatchNormChannels& channels, const float* slope,
                                           const float* offset, float* dx, int64_t rows, int c,
                                           bool accumulate) {
  const float* mean = channels.mean;
  const float* scale = channels.scale;
  const float* bias = channels.bias;
  for (int64_t r = 0; r < rows; r++, x += c, dout += c, dx += c) {
    RHNAS_FOR_VECTORS(c, {
      const Vec centred = RHNAS_GET(x) - RHNAS_GET(mean);
      const Vec factor = RHNAS_GET(scale);
      const Vec g = GradientBefore<kFunction>(RHNAS_GET(dout), centred, factor, RHNAS_GET(bias));
      RHNAS_PUT(dx, g * factor - centred * RHNAS_GET(slope) - RHNAS_GET(offset), accumulate);
    });
  }
}

template <int kFunction>
static void NormalizeBackward(const float* x, const float* dout, const BatchNormChannels& channels,
                              const float* slope, const float* offset, float* dx, int64_t rows,
                              int c, bool accumulate) {
  const int times = RowsTogether(rows, c);
  if (times > 1) {
    float wide[5][kRepeated];
    Repeat(channels.mean, c, times, wide[0]);
    Repeat(channels.scale, c, times, wide[1]);
    Repeat(channels.bias, c, times, wide[2]);
    Repeat(slope, c, times, wide[3]);
    Repeat(offset, c, times, wide[4]);
    const BatchNormChannels repeated = {wide[0], wide[1], wide[2]};
    const int64_t groups = rows / times, done = groups * times;
    NormalizeBackwardAsGiven<kFunction>(x, dout, repeated, wide[3], wide[4], dx, groups, c * times,
                                        accumulate);
    x += done * c;
    dout += done * c;
    dx += done * c;
    rows -= done;
  }
  NormalizeBackwardAsGiven<kFunction>(x, dout, channels, slope, offset, dx, rows, c, accumulate);
}
