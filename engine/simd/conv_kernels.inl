// One target's table of convolution kernels; see engine/simd/conv_kernels.h and vec.h.

#include "engine/simd/tile.inl"

static void AddParts(float* to, const float* from, int64_t stride, int parts, int64_t count,
                     bool keep) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Vec sum = keep ? Load(to + i) : Zero();
    for (int part = 0; part < parts; part++) sum = sum + Load(from + part * stride + i);
    Store(to + i, sum);
  }
  const int64_t rest = count - i;
  if (rest == 0) return;
  Vec sum = keep ? LoadPartial(to + i, rest) : Zero();
  for (int part = 0; part < parts; part++) {
    sum = sum + LoadPartial(from + part * stride + i, rest);
  }
  StorePartial(to + i, sum, rest);
}

// Rows of the source are far apart in memory: fetched early, because no hardware follows them.
static void CopyRows(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
                     int64_t to_row) {
  constexpr int64_t kAhead = 16, kLine = 16;
  for (int64_t row = 0; row < rows; row++, from += from_row, to += to_row) {
    const float* const next = from + kAhead * from_row;
    for (int64_t i = 0; i < columns; i += kLine) __builtin_prefetch(next + i);
    int64_t i = 0;
    for (; i + kLanes <= columns; i += kLanes) Store(to + i, Load(from + i));
    for (; i < columns; i++) to[i] = from[i];
    for (; i < to_row; i++) to[i] = 0;
  }
}

// In strips of so many columns that their part of `to` stays in the first-level cache.
static void Transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
                      int64_t to_row) {
  constexpr int64_t kStrip = 32;
  for (int64_t first = 0; first < columns; first += kStrip) {
    const int64_t until = first + kStrip < columns ? first + kStrip : columns;
    int64_t row = 0;
    for (; row + 4 <= rows; row += 4) {
      const float* const source = from + row * from_row;
      // The same rows of the next strip, two lines each.
      RHNAS_UNROLL for (int i = 0; i < 4; i++) {
        __builtin_prefetch(source + i * from_row + first + kStrip);
        __builtin_prefetch(source + i * from_row + first + kStrip + kStrip / 2);
      }
      int64_t column = first;
      for (; column + 4 <= until; column += 4) {
        Transpose4(source + column, from_row, to + column * to_row + row, to_row);
      }
      for (; column < until; column++) {
        for (int64_t i = 0; i < 4; i++)
          to[column * to_row + row + i] = source[i * from_row + column];
      }
    }
    for (; row < rows; row++) {
      for (int64_t column = first; column < until; column++) {
        to[column * to_row + row] = from[row * from_row + column];
      }
    }
  }
}

static const ConvKernels kTable = {
    kLanes,    kHalfLanes, RHNAS_TILE_MAX_ROWS(MaxTileRows), RHNAS_TILE_TABLE(TilePanel), CopyRows,
    Transpose, AddParts,
};

#undef RHNAS_TILE_MAX_ROWS
#undef RHNAS_TILE_TABLE
