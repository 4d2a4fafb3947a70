// The row and column kernels of engine/simd/elementwise.h.

enum RowOperation { kAddRow, kMulRow, kBroadcastRow };

// y (+)= x + row, x * row or row * factor.
template <int kOperation>
RHNAS_INLINE void RowsAsGiven(const float* x, const float* row, float factor, float* y,
                              int64_t rows, int c, bool accumulate) {
  for (int64_t r = 0; r < rows; r++, x += c, y += c) {
    RHNAS_FOR_VECTORS(c, {
      Vec v = RHNAS_GET(row);
      if constexpr (kOperation == kAddRow) v = RHNAS_GET(x) + v;
      if constexpr (kOperation == kMulRow) v = RHNAS_GET(x) * v;
      if constexpr (kOperation == kBroadcastRow) v = v * factor;
      RHNAS_PUT(y, v, accumulate);
    });
  }
}

template <int kOperation>
RHNAS_INLINE void WithRow(const float* x, const float* row, float factor, float* y, int64_t rows,
                          int c, bool accumulate) {
  const int times = RowsTogether(rows, c);
  if (times > 1) {
    float wide[kRepeated];
    Repeat(row, c, times, wide);
    const int64_t groups = rows / times, done = groups * times;
    RowsAsGiven<kOperation>(x, wide, factor, y, groups, c * times, accumulate);
    x += done * c;
    y += done * c;
    rows -= done;
  }
  RowsAsGiven<kOperation>(x, row, factor, y, rows, c, accumulate);
}

static void AddRow(const float* x, const float* row, float* y, int64_t rows, int c) {
  WithRow<kAddRow>(x, row, 1, y, rows, c, false);
}

static void MulRow(const float* x, const float* row, float* y, int64_t rows, int c,
                   bool accumulate) {
  WithRow<kMulRow>(x, row, 1, y, rows, c, accumulate);
}

static void BroadcastRow(const float* row, float factor, float* y, int64_t rows, int c,
                         bool accumulate) {
  WithRow<kBroadcastRow>(y, row, factor, y, rows, c, accumulate);  // x is not read
}

// kVectors vectors of channels (kPartial: one, of `lanes`) down all rows, sums in registers.
template <int kVectors, bool kPartial, bool kProduct>
RHNAS_INLINE void SumColumns(const float* a, const float* b, int64_t rows, int c, float* sum,
                             int64_t lanes) {
  Vec s[kVectors];
  RHNAS_UNROLL for (int v = 0; v < kVectors; v++) s[v] = Zero();
  for (int64_t r = 0; r < rows; r++, a += c, b += c) {
    RHNAS_UNROLL for (int v = 0; v < kVectors; v++) {
      const Vec x = LoadLanes<kPartial>(a + v * kLanes, lanes);
      s[v] = s[v] + (kProduct ? x * LoadLanes<kPartial>(b + v * kLanes, lanes) : x);
    }
  }
  RHNAS_UNROLL for (int v = 0; v < kVectors; v++) {
    StoreLanes<kPartial>(sum + v * kLanes, s[v], lanes);
  }
}

template <bool kProduct>
RHNAS_INLINE void Columns(const float* a, const float* b, int64_t rows, int c, float* sum) {
  int j = 0;
  for (; j + 4 * kLanes <= c; j += 4 * kLanes) {
    SumColumns<4, false, kProduct>(a + j, b + j, rows, c, sum + j, kLanes);
  }
  for (; j + kLanes <= c; j += kLanes) {
    SumColumns<1, false, kProduct>(a + j, b + j, rows, c, sum + j, kLanes);
  }
  if (j < c) SumColumns<1, true, kProduct>(a + j, b + j, rows, c, sum + j, c - j);
}

static void ColumnSum(const float* x, int64_t rows, int c, float* sum) {
  Columns<false>(x, x, rows, c, sum);
}

static void ColumnDot(const float* a, const float* b, int64_t rows, int c, float* sum) {
  Columns<true>(a, b, rows, c, sum);
}
