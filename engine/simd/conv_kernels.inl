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

static void Transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
                      int64_t to_row) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    int64_t column = 0;
    for (; column + 4 <= columns; column += 4) {
      Transpose4(from + row * from_row + column, from_row, to + column * to_row + row, to_row);
    }
    for (; column < columns; column++) {
      for (int64_t i = row; i < row + 4; i++) to[column * to_row + i] = from[i * from_row + column];
    }
  }
  for (; row < rows; row++) {
    for (int64_t column = 0; column < columns; column++) {
      to[column * to_row + row] = from[row * from_row + column];
    }
  }
}

static const ConvKernels kTable = {
    kLanes,
    kHalfLanes,
    RHNAS_TILE_MAX_ROWS(MaxTileRows),
    RHNAS_TILE_MAX_ROWS(MaxOuterRows),
    RHNAS_TILE_TABLE(TilePanel),
    RHNAS_TILE_TABLE(OuterPanel),
    Transpose,
    AddParts,
};

#undef RHNAS_TILE_MAX_ROWS
#undef RHNAS_TILE_TABLE
