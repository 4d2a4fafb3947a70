// The row and column kernels of engine/simd/elementwise.h.

static void AddRow(const float* x, const float* row, float* y, int64_t rows, int c) {
  for (int64_t r = 0; r < rows; r++, x += c, y += c) {
    RHNAS_FOR_VECTORS(c, RHNAS_PUT(y, RHNAS_GET(x) + RHNAS_GET(row), false));
  }
}

static void MulRow(const float* x, const float* row, float* y, int64_t rows, int c,
                   bool accumulate) {
  for (int64_t r = 0; r < rows; r++, x += c, y += c) {
    RHNAS_FOR_VECTORS(c, RHNAS_PUT(y, RHNAS_GET(x) * RHNAS_GET(row), accumulate));
  }
}

static void BroadcastRow(const float* row, float factor, float* y, int64_t rows, int c,
                         bool accumulate) {
  for (int64_t r = 0; r < rows; r++, y += c) {
    RHNAS_FOR_VECTORS(c, RHNAS_PUT(y, RHNAS_GET(row) * factor, accumulate));
  }
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
