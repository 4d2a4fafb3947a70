// One target's Winograd kernels; see engine/simd/winograd.h and vec.h.
//
// Points 0, +a, -a, +b, -b, infinity with a = 5/8 and b = 3/2: all products of them below are exact
// in a float. One-dimensional transforms by even and odd parts. A two-dimensional one goes first
// down the columns, in two or three passes that each keep their rows in registers, then along rows:
// reading the pixels of a tile again, from the first-level cache, costs less than storing a half
// transformed tile.

constexpr float kA = 0.625f, kB = 1.5f;
constexpr float kA2 = kA * kA, kB2 = kB * kB;
constexpr float kSum = kA2 + kB2, kProduct = kA2 * kB2;
// 1 / product of (point - other points), in the transform of the filter.
constexpr float kN0 = 1.0f / kProduct;
constexpr float kNa = 1.0f / (2 * kA2 * (kA2 - kB2));
constexpr float kNb = 1.0f / (2 * kB2 * (kB2 - kA2));

RHNAS_INLINE void TransformInput(const Vec* d, Vec* v) {
  const Vec even_a = Fma(Broadcast(-kB2), d[2], d[4]), odd_a = Fma(Broadcast(-kB2), d[1], d[3]);
  const Vec even_b = Fma(Broadcast(-kA2), d[2], d[4]), odd_b = Fma(Broadcast(-kA2), d[1], d[3]);
  v[0] = Fma(Broadcast(kProduct), d[0], Fma(Broadcast(-kSum), d[2], d[4]));
  v[1] = even_a + Broadcast(kA) * odd_a;
  v[2] = even_a - Broadcast(kA) * odd_a;
  v[3] = even_b + Broadcast(kB) * odd_b;
  v[4] = even_b - Broadcast(kB) * odd_b;
  v[5] = Fma(Broadcast(kProduct), d[1], Fma(Broadcast(-kSum), d[3], d[5]));
}

// Four values, as a filter of four taps.
RHNAS_INLINE void TransformGradient(const Vec* d, Vec* v) {
  const Vec even_a = Fma(Broadcast(kA2), d[2], d[0]), odd_a = Fma(Broadcast(kA2), d[3], d[1]);
  const Vec even_b = Fma(Broadcast(kB2), d[2], d[0]), odd_b = Fma(Broadcast(kB2), d[3], d[1]);
  v[0] = d[0];
  v[1] = even_a + Broadcast(kA) * odd_a;
  v[2] = even_a - Broadcast(kA) * odd_a;
  v[3] = even_b + Broadcast(kB) * odd_b;
  v[4] = even_b - Broadcast(kB) * odd_b;
  v[5] = d[3];
}

RHNAS_INLINE void TransformFilter(const Vec* g, Vec* v) {
  const Vec even_a = Fma(Broadcast(kNa * kA2), g[2], Broadcast(kNa) * g[0]);
  const Vec even_b = Fma(Broadcast(kNb * kB2), g[2], Broadcast(kNb) * g[0]);
  v[0] = Broadcast(kN0) * g[0];
  v[1] = Fma(Broadcast(kNa * kA), g[1], even_a);
  v[2] = Fma(Broadcast(-kNa * kA), g[1], even_a);
  v[3] = Fma(Broadcast(kNb * kB), g[1], even_b);
  v[4] = Fma(Broadcast(-kNb * kB), g[1], even_b);
  v[5] = g[2];
}

RHNAS_INLINE void TransformOutput(const Vec* m, Vec* y) {
  const Vec sum_a = m[1] + m[2], sum_b = m[3] + m[4];
  const Vec difference_a = m[1] - m[2], difference_b = m[3] - m[4];
  y[0] = m[0] + sum_a + sum_b;
  y[1] = Fma(Broadcast(kA), difference_a, Broadcast(kB) * difference_b);
  y[2] = Fma(Broadcast(kA2), sum_a, Broadcast(kB2) * sum_b);
  y[3] = Fma(Broadcast(kA2 * kA), difference_a, Fma(Broadcast(kB2 * kB), difference_b, m[5]));
}

// The three taps of a filter gradient.
RHNAS_INLINE void TransformTaps(const Vec* m, Vec* y) {
  const Vec sum_a = m[1] + m[2], sum_b = m[3] + m[4];
  y[0] = Fma(Broadcast(kN0), m[0], Fma(Broadcast(kNa), sum_a, Broadcast(kNb) * sum_b));
  y[1] = Fma(Broadcast(kNa * kA), m[1] - m[2], Broadcast(kNb * kB) * (m[3] - m[4]));
  y[2] = Fma(Broadcast(kNa * kA2), sum_a, Fma(Broadcast(kNb * kB2), sum_b, m[5]));
}

// A pointer that the compiler takes as it comes. Else it finds the 36 addresses of the points ahead
// of the loop over channels, which often has one round, and keeps them in memory.
template <typename T>
RHNAS_INLINE T* Opaque(T* p) {
  __asm__("" : "+r"(p));
  return p;
}

// --- Pixels to points ---

struct TileAt {
  const float* row[kWinogradInput];
  int64_t pixel, to_point;
  int from, until;  // columns inside the image
  float* to;
};

// Rows kRows... of the transformed tile, which stay in registers: what the transform computes
// beside them is dropped by the compiler.
template <bool kGradient, bool kInner, bool kPartial, int... kRows>
RHNAS_INLINE void LoadRows(const TileAt& at, int64_t channel, int64_t count) {
  constexpr int kSize = kGradient ? kWinogradTile : kWinogradInput;
  constexpr int kCount = sizeof...(kRows);
  constexpr int kRow[kCount] = {kRows...};
  Vec columns[kCount][kSize];
  RHNAS_UNROLL for (int j = 0; j < kSize; j++) {
    RHNAS_UNROLL for (int i = 0; i < kCount; i++) columns[i][j] = Zero();
    if (kInner || (j >= at.from && j < at.until)) {
      const int64_t offset = j * at.pixel + channel;
      Vec d[kSize], v[kWinogradInput];
      RHNAS_UNROLL for (int i = 0; i < kSize; i++) {
        d[i] = kPartial ? LoadPartial(at.row[i] + offset, count) : Load(at.row[i] + offset);
      }
      if (kGradient) {
        TransformGradient(d, v);
      } else {
        TransformInput(d, v);
      }
      RHNAS_UNROLL for (int i = 0; i < kCount; i++) columns[i][j] = v[kRow[i]];
    }
  }
  RHNAS_UNROLL for (int i = 0; i < kCount; i++) {
    Vec v[kWinogradInput];
    if (kGradient) {
      TransformGradient(columns[i], v);
    } else {
      TransformInput(columns[i], v);
    }
    float* const to = Opaque(at.to + kRow[i] * kWinogradInput * at.to_point + channel);
    RHNAS_UNROLL for (int j = 0; j < kWinogradInput; j++) Store(to + j * at.to_point, v[j]);
  }
}

template <bool kGradient, bool kInner, bool kPartial>
RHNAS_INLINE void LoadVector(const TileAt& at, int64_t channel, int64_t count) {
  if constexpr (kRegisters >= 32 || kGradient) {
    LoadRows<kGradient, kInner, kPartial, 0, 1, 2>(at, channel, count);
    LoadRows<kGradient, kInner, kPartial, 3, 4, 5>(at, channel, count);
  } else {
    LoadRows<kGradient, kInner, kPartial, 0, 5>(at, channel, count);
    LoadRows<kGradient, kInner, kPartial, 1, 2>(at, channel, count);
    LoadRows<kGradient, kInner, kPartial, 3, 4>(at, channel, count);
  }
}

template <bool kGradient>
RHNAS_NOINLINE static void LoadTail(const TileAt& at, int64_t channel, int64_t count) {
  LoadVector<kGradient, false, true>(at, channel, count);
}

template <bool kGradient, bool kInner>
RHNAS_NOINLINE static void LoadTile(const TileAt& given, int64_t channels) {
  const TileAt at = given;
  int64_t channel = 0;
  for (; channel + kLanes <= channels; channel += kLanes) {
    LoadVector<kGradient, kInner, false>(at, channel, kLanes);
  }
  if (channel < channels) LoadTail<kGradient>(given, channel, channels - channel);
}

template <bool kGradient>
static void LoadTiles(const WinogradLoad& args) {
  constexpr int kSize = kGradient ? kWinogradTile : kWinogradInput;
  TileAt at;
  for (int i = 0; i < kSize; i++) at.row[i] = args.row[i];
  at.pixel = args.pixel;
  at.to_point = args.to_point;
  at.to = args.to;
  for (int tile = 0, left = args.left; tile < args.tiles; tile++, left += kWinogradTile) {
    at.from = left < 0 ? -left : 0;
    at.until = args.width - left < kSize ? args.width - left : kSize;
    // Narrow vectors make long code: one form of it.
    if (kLanes > 4 && at.from == 0 && at.until == kSize) {
      LoadTile<kGradient, kLanes != 4>(at, args.channels);
    } else {
      LoadTile<kGradient, false>(at, args.channels);
    }
    for (int i = 0; i < kSize; i++) at.row[i] += args.row_next[i];
    at.to += args.to_tile;
  }
}

// Filters of one panel are short pieces of rows far apart: no hardware looks ahead for them. About
// 1000 cycles of transforms.
constexpr int64_t kFilterAhead = 5;

static void LoadFilter(const WinogradFilterLoad& given) {
  const WinogradFilterLoad args = given;
  for (int64_t channel = 0; channel < args.channels; channel++) {
    for (int64_t column = 0; column < args.width; column += kLanes) {
      const float* const f = args.f + channel * args.f_channel + column;
      const int64_t left = args.columns - column;
      Vec columns[kWinogradInput][3];
      RHNAS_UNROLL for (int s = 0; s < 3; s++) {
        Vec g[3], v[kWinogradInput];
        RHNAS_UNROLL for (int r = 0; r < 3; r++) {
          const float* const tap = f + r * args.f_r + s * args.f_s;
          __builtin_prefetch(tap + kFilterAhead * args.f_channel);
          g[r] = left >= kLanes ? Load(tap) : LoadPartial(tap, left > 0 ? left : 0);
        }
        TransformFilter(g, v);
        RHNAS_UNROLL for (int i = 0; i < kWinogradInput; i++) columns[i][s] = v[i];
      }
      float* const to = args.to + channel * args.width + column;
      RHNAS_UNROLL for (int i = 0; i < kWinogradInput; i++) {
        Vec v[kWinogradInput];
        TransformFilter(columns[i], v);
        RHNAS_UNROLL for (int j = 0; j < kWinogradInput; j++) {
          Store(to + (i * kWinogradInput + j) * args.to_point, v[j]);
        }
      }
    }
  }
}

// --- Points to pixels ---

RHNAS_INLINE Vec Finish(const WinogradStore& args, Vec v, const float* y, const float* residual,
                        int64_t channel, int64_t count) {
  if (args.accumulate) v = v + LoadPartial(y, count);
  if (args.epilogue == nullptr) return v;
  const Epilogue& e = *args.epilogue;
  if (e.bias != nullptr) v = v + LoadPartial(e.bias + channel, count);
  if (residual != nullptr) v = v + LoadPartial(residual, count);
  // The value second: NaN stays.
  return Min(Broadcast(e.high), Max(Broadcast(e.low), v));
}

// Of one tile, at `from`, y and residual.
template <bool kPlain, int... kRows>
RHNAS_INLINE void StoreRows(const WinogradStore& args, const float* from, float* y,
                            const float* residual, int columns, int64_t channel, int64_t count) {
  constexpr int kCount = sizeof...(kRows);
  constexpr int kRow[kCount] = {kRows...};
  const int64_t from_row = kWinogradInput * args.from_point;
  Vec points[kCount][kWinogradInput];
  RHNAS_UNROLL for (int j = 0; j < kWinogradInput; j++) {
    Vec m[kWinogradInput], v[kWinogradTile];
    const float* const column = Opaque(from + j * args.from_point + channel);
    RHNAS_UNROLL for (int i = 0; i < kWinogradInput; i++) m[i] = Load(column + i * from_row);
    TransformOutput(m, v);
    RHNAS_UNROLL for (int i = 0; i < kCount; i++) points[i][j] = v[kRow[i]];
  }
  RHNAS_UNROLL for (int i = 0; i < kCount; i++) {
    if (kRow[i] >= args.rows) continue;
    Vec v[kWinogradTile];
    TransformOutput(points[i], v);
    float* const to = Opaque(y + kRow[i] * args.y_row + channel);
    RHNAS_UNROLL for (int j = 0; j < kWinogradTile; j++) {
      if (j >= columns) continue;
      float* const pixel = to + j * args.y_pixel;
      if (kPlain) {
        Store(pixel, v[j]);
      } else {
        const float* add = residual;
        if (add != nullptr) {
          add +=
              kRow[i] * args.epilogue->residual_row + j * args.epilogue->residual_pixel + channel;
        }
        StorePartial(pixel, Finish(args, v[j], pixel, add, channel, count), count);
      }
    }
  }
}

template <bool kPlain>
RHNAS_NOINLINE static void StoreTile(const WinogradStore& given, const float* from, float* y,
                                     const float* residual, int columns) {
  const WinogradStore args = given;
  for (int64_t channel = 0; channel < args.channels; channel += kLanes) {
    const int64_t left = args.channels - channel, count = left < kLanes ? left : kLanes;
    if constexpr (kRegisters >= 32) {
      StoreRows<kPlain, 0, 1, 2, 3>(args, from, y, residual, columns, channel, count);
    } else {
      StoreRows<kPlain, 0, 2>(args, from, y, residual, columns, channel, count);
      StoreRows<kPlain, 1, 3>(args, from, y, residual, columns, channel, count);
    }
  }
}

static void StoreOutput(const WinogradStore& args) {
  const bool plain = !args.accumulate && args.epilogue == nullptr && args.channels % kLanes == 0;
  const float* from = args.from;
  const float* residual = args.epilogue != nullptr ? args.epilogue->residual : nullptr;
  float* y = args.y;
  for (int left = args.width; left > 0; left -= kWinogradTile) {
    const int columns = left < kWinogradTile ? left : kWinogradTile;
    if (plain) {
      StoreTile<true>(args, from, y, residual, columns);
    } else {
      StoreTile<false>(args, from, y, residual, columns);
    }
    from += args.from_tile;
    y += kWinogradTile * args.y_pixel;
    if (residual != nullptr) residual += kWinogradTile * args.epilogue->residual_pixel;
  }
}

static void StoreFilter(const WinogradFilterStore& given) {
  const WinogradFilterStore args = given;
  for (int64_t column = 0; column < args.columns; column += kLanes) {
    const int64_t left = args.columns - column, count = left < kLanes ? left : kLanes;
    Vec columns[3][kWinogradInput];
    RHNAS_UNROLL for (int j = 0; j < kWinogradInput; j++) {
      Vec m[kWinogradInput], v[3];
      RHNAS_UNROLL for (int i = 0; i < kWinogradInput; i++) {
        m[i] = Load(args.from + (i * kWinogradInput + j) * args.from_point + column);
      }
      TransformTaps(m, v);
      RHNAS_UNROLL for (int i = 0; i < 3; i++) columns[i][j] = v[i];
    }
    RHNAS_UNROLL for (int i = 0; i < 3; i++) {
      Vec v[3];
      TransformTaps(columns[i], v);
      RHNAS_UNROLL for (int j = 0; j < 3; j++) {
        float* const df = args.df + i * args.df_r + j * args.df_s + column;
        StorePartial(df, args.accumulate ? LoadPartial(df, count) + v[j] : v[j], count);
      }
    }
  }
}

// --- Products ---

// Accumulators plus one row of b plus one broadcast must fit the registers.
constexpr int MaxWinogradRows(int vecs) {
  return kRegisters >= 32 || (kFused && vecs == 1) ? 12 : 6;
}

template <int kRows, int kVecs, bool kTurned>
RHNAS_NOINLINE static void WinogradTile(const WinogradGemm& args, const float* a, const float* b,
                                        float* c) {
  const int64_t a_row = args.a_row, b_step = args.b_step, steps = args.steps;
  Vec acc[kRows][kVecs];
  RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
      acc[i][j] = args.accumulate ? Load(c + i * args.c_row + j * kLanes) : Zero();
    }
  }
  // A pointer to every third row: two more are in reach of an address.
  const float* base[(kRows + 2) / 3];
  RHNAS_UNROLL for (int i = 0; i < kRows; i += 3) base[i / 3] = a + i * a_row;
  for (int64_t step = 0; step < steps; step++, b += b_step) {
    Vec bv[kVecs];
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) bv[j] = Load(b + j * kLanes);
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      const Vec av = Broadcast(kTurned ? a[i] : base[i / 3][step + i % 3 * a_row]);
      RHNAS_UNROLL for (int j = 0; j < kVecs; j++) acc[i][j] = Fma(av, bv[j], acc[i][j]);
    }
    if (kTurned) a += a_row;
  }
  RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
      Store(c + i * args.c_row + j * kLanes, acc[i][j]);
    }
  }
}

typedef void (*WinogradTileFunction)(const WinogradGemm& args, const float* a, const float* b,
                                     float* c);

// For a number of rows known only at run time.
template <int kRows, int kVecs, bool kTurned>
static WinogradTileFunction WinogradTileOfRows(int64_t rows) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return WinogradTileOfRows<kRows - 1, kVecs, kTurned>(rows);
  }
  return WinogradTile<kRows, kVecs, kTurned>;
}

template <int kVecs, bool kTurned>
static void MultiplyPoints(const WinogradGemm& args) {
  constexpr int kMost = MaxWinogradRows(kVecs);
  // The fewest tiles, as even as possible.
  const int64_t tiles = (args.rows + kMost - 1) / kMost;
  const int64_t low = args.rows / tiles, higher = args.rows - low * tiles;
  const WinogradTileFunction low_tile = WinogradTileOfRows<kMost, kVecs, kTurned>(low);
  const WinogradTileFunction high_tile =
      WinogradTileOfRows<kMost, kVecs, kTurned>(low + (higher > 0));
  const int64_t step = kTurned ? 1 : args.a_row;
  for (int point = 0; point < kWinogradPoints; point++) {
    const float* a = args.a + point * args.a_point;
    const float* const b = args.b + point * args.b_point;
    float* c = args.c + point * args.c_point;
    for (int64_t i = 0; i < tiles; i++) {
      const bool high = i < higher;
      (high ? high_tile : low_tile)(args, a, b, c);
      a += (low + high) * step;
      c += (low + high) * args.c_row;
    }
  }
}

static void MultiplyAllPoints(const WinogradGemm& args) {
  if (args.vecs == 1) {
    args.turned ? MultiplyPoints<1, true>(args) : MultiplyPoints<1, false>(args);
  } else {
    args.turned ? MultiplyPoints<2, true>(args) : MultiplyPoints<2, false>(args);
  }
}

static const WinogradKernels kTable = {
    kLanes,           {0, MaxWinogradRows(1), MaxWinogradRows(2)},
    LoadTiles<false>, LoadTiles<true>,
    LoadFilter,       MultiplyAllPoints,
    StoreOutput,      StoreFilter,
};
