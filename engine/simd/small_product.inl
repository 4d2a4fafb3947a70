// See engine/simd/small_product.h; compiled once per target (engine/simd/vec.h).

// Accumulators of a tile: as many as leave room for a row of b and a broadcast, at least enough
// chains to hide the latency of a multiply-add.
constexpr int kTileRows = 6;
constexpr int kTileVecs = kRegisters >= 32 ? 4 : 2;
// One row alone has only its columns to be parallel in.
constexpr int kRowVecs = kRegisters >= 32 ? 16 / (kLanes / 4) * 2 : 8;

template <int kRows, int kVecs, bool kPartial>
RHNAS_INLINE void ProductTile(const SmallProduct& job, const float* a, const float* b, float* c,
                              const float* bias, int64_t lanes) {
  Vec acc[kRows][kVecs];
  RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
      const float* p = c + i * job.c_row + j * kLanes;
      acc[i][j] = !job.accumulate ? Zero() : kPartial ? LoadPartial(p, lanes) : Load(p);
    }
  }
  const int64_t a_row = job.a_row, a_step = job.a_step, b_step = job.b_step;
  for (int step = 0; step < job.steps; step++, a += a_step, b += b_step) {
    Vec bv[kVecs];
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
      bv[j] = kPartial ? LoadPartial(b, lanes) : Load(b + j * kLanes);
    }
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      const Vec av = Broadcast(a[i * a_row]);
      RHNAS_UNROLL for (int j = 0; j < kVecs; j++) acc[i][j] = Fma(av, bv[j], acc[i][j]);
    }
  }
  RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
    if (bias != nullptr) {
      const Vec v = kPartial ? LoadPartial(bias, lanes) : Load(bias + j * kLanes);
      RHNAS_UNROLL for (int i = 0; i < kRows; i++) acc[i][j] = acc[i][j] + v;
    }
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      float* p = c + i * job.c_row + j * kLanes;
      if (kPartial) {
        StorePartial(p, acc[i][j], lanes);
      } else {
        Store(p, acc[i][j]);
      }
    }
  }
}

// All rows of one panel of columns.
template <int kVecs, bool kPartial>
RHNAS_NOINLINE static void ProductPanel(const SmallProduct& job, int column, int64_t lanes) {
  const float* const b = job.b + column;
  const float* const bias = job.bias != nullptr ? job.bias + column : nullptr;
  const float* a = job.a;
  float* c = job.c + column;
  int row = 0;
  for (; row + kTileRows <= job.rows; row += kTileRows) {
    ProductTile<kTileRows, kVecs, kPartial>(job, a, b, c, bias, lanes);
    a += kTileRows * job.a_row;
    c += kTileRows * job.c_row;
  }
  for (; row + 2 <= job.rows; row += 2) {
    ProductTile<2, kVecs, kPartial>(job, a, b, c, bias, lanes);
    a += 2 * job.a_row;
    c += 2 * job.c_row;
  }
  if (row < job.rows) ProductTile<1, kVecs, kPartial>(job, a, b, c, bias, lanes);
}

RHNAS_NOINLINE static void RowPanel(const SmallProduct& job, int column) {
  ProductTile<1, kRowVecs, false>(job, job.a, job.b + column, job.c + column,
                                  job.bias != nullptr ? job.bias + column : nullptr, kLanes);
}

static void Product(const SmallProduct& job) {
  int column = 0;
  if (job.rows == 1) {
    for (; column + kRowVecs * kLanes <= job.columns; column += kRowVecs * kLanes) {
      RowPanel(job, column);
    }
  }
  for (; column + kTileVecs * kLanes <= job.columns; column += kTileVecs * kLanes) {
    ProductPanel<kTileVecs, false>(job, column, kLanes);
  }
  for (; column + kLanes <= job.columns; column += kLanes) {
    ProductPanel<1, false>(job, column, kLanes);
  }
  if (column < job.columns) ProductPanel<1, true>(job, column, job.columns - column);
}

// Four columns of 4 * (kLanes / 4) rows at a time: one vector takes four floats of each of kLanes /
// 4 rows four apart, so that a transposition within quarters leaves whole vectors of rows.
static void SmallTranspose(const float* from, int64_t from_row, int64_t rows, int64_t columns,
                           float* to, int64_t to_row) {
  int64_t row = 0;
  for (; row + kLanes <= rows; row += kLanes) {
    int64_t column = 0;
    for (; column + 4 <= columns; column += 4) {
      TransposeToColumns(from + row * from_row + column, from_row, to + column * to_row + row,
                         to_row);
    }
    for (; column < columns; column++) {
      for (int64_t i = row; i < row + kLanes; i++) {
        to[column * to_row + i] = from[i * from_row + column];
      }
    }
  }
  for (; row < rows; row++) {
    for (int64_t column = 0; column < columns; column++) {
      to[column * to_row + row] = from[row * from_row + column];
    }
  }
}

static const SmallKernels kTable = {kLanes, Product, SmallTranspose};
