// Register tiles: a block of kRows x kVecs accumulators that stays in registers over the whole
// reduction. Tile: one row per pixel, for forward, backward-data and matrix products. OuterTile:
// one row per input channel, for the filter gradient. See engine/simd/conv_kernels.h.
//
// With AVX-512 a panel may end in a half vector, so that 24 channels cost 24 lanes and not 32.

#if RHNAS_SIMD_WIDTH == 512
constexpr int kHalfLanes = 8;
typedef float HalfVec __attribute__((vector_size(32)));
RHNAS_INLINE HalfVec LoadHalf(const float* p) {
  HalfVec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
RHNAS_INLINE __mmask8 FirstHalfLanes(int64_t count) {
  return static_cast<__mmask8>((1u << count) - 1u);
}
RHNAS_INLINE HalfVec LoadHalfPartial(const float* p, int64_t count) {
  return _mm256_maskz_loadu_ps(FirstHalfLanes(count), p);
}
RHNAS_INLINE void StoreHalfPartial(float* p, HalfVec v, int64_t count) {
  _mm256_mask_storeu_ps(p, FirstHalfLanes(count), v);
}
RHNAS_INLINE HalfVec FmaHalf(float a, HalfVec b, HalfVec c) {
  return _mm256_fmadd_ps(_mm256_set1_ps(a), b, c);
}
RHNAS_INLINE HalfVec ClampHalf(HalfVec v, float low, float high) {
  return _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), v));
}
#else
// Never used: no panel of these targets has a half vector.
constexpr int kHalfLanes = 0;
typedef Vec HalfVec;
RHNAS_INLINE HalfVec LoadHalf(const float* p) { return Load(p); }
RHNAS_INLINE HalfVec LoadHalfPartial(const float* p, int64_t count) {
  return LoadPartial(p, count);
}
RHNAS_INLINE void StoreHalfPartial(float* p, HalfVec v, int64_t count) {
  StorePartial(p, v, count);
}
RHNAS_INLINE HalfVec FmaHalf(float a, HalfVec b, HalfVec c) { return Fma(Broadcast(a), b, c); }
RHNAS_INLINE HalfVec ClampHalf(HalfVec v, float low, float high) {
  return Min(Broadcast(high), Max(Broadcast(low), v));
}
#endif

// Accumulators plus one panel row plus one broadcast must fit the registers.
constexpr int MaxTileRows(int vecs) {
  if (kRegisters >= 32) return vecs <= 2 ? 14 : vecs == 3 ? 8 : 6;
  return vecs == 1 ? 12 : vecs == 2 ? 6 : vecs == 3 ? 4 : 0;
}

template <int kRows, int kVecs, bool kHalf>
struct Accumulators {
  Vec full[kRows][kVecs > 0 ? kVecs : 1];
  HalfVec half[kRows];
};

// The last full vector of a panel without half vector may be partial, and the half vector of one
// with.
template <int kRows, int kVecs, bool kHalf>
RHNAS_INLINE void LoadTile(Accumulators<kRows, kVecs, kHalf>& acc, const float* c, int64_t c_row,
                           int last, bool accumulate) {
  if (!accumulate) {
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      RHNAS_UNROLL for (int j = 0; j < kVecs; j++) acc.full[i][j] = Zero();
      if constexpr (kHalf) acc.half[i] = HalfVec{};
    }
    return;
  }
  RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
      const float* p = c + i * c_row + j * kLanes;
      acc.full[i][j] = !kHalf && j == kVecs - 1 ? LoadPartial(p, last) : Load(p);
    }
    if constexpr (kHalf) acc.half[i] = LoadHalfPartial(c + i * c_row + kVecs * kLanes, last);
  }
}

template <int kRows, int kVecs, bool kHalf>
RHNAS_INLINE void FinishTile(Accumulators<kRows, kVecs, kHalf>& acc, const Epilogue& epilogue,
                             const float* residual, int last) {
  const int64_t row = epilogue.residual_pixel;
  RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
    const bool partial = !kHalf && j == kVecs - 1 && last != kLanes;
    if (epilogue.bias != nullptr) {
      const float* p = epilogue.bias + j * kLanes;
      const Vec bias = partial ? LoadPartial(p, last) : Load(p);
      RHNAS_UNROLL for (int i = 0; i < kRows; i++) acc.full[i][j] = acc.full[i][j] + bias;
    }
    if (residual != nullptr) {
      RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
        const float* p = residual + i * row + j * kLanes;
        acc.full[i][j] = acc.full[i][j] + (partial ? LoadPartial(p, last) : Load(p));
      }
    }
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      acc.full[i][j] = Min(Broadcast(epilogue.high), Max(Broadcast(epilogue.low), acc.full[i][j]));
    }
  }
  if constexpr (kHalf) {
    HalfVec bias = HalfVec{};
    if (epilogue.bias != nullptr) bias = LoadHalfPartial(epilogue.bias + kVecs * kLanes, last);
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      if (epilogue.bias != nullptr) acc.half[i] = acc.half[i] + bias;
      if (residual != nullptr) {
        acc.half[i] = acc.half[i] + LoadHalfPartial(residual + i * row + kVecs * kLanes, last);
      }
      acc.half[i] = ClampHalf(acc.half[i], epilogue.low, epilogue.high);
    }
  }
}

template <int kRows, int kVecs, bool kHalf>
RHNAS_INLINE void StoreTile(const Accumulators<kRows, kVecs, kHalf>& acc, float* c, int64_t c_row,
                            int last, bool stream) {
  if (!kHalf && stream) {
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
        StoreStream(c + i * c_row + j * kLanes, acc.full[i][j]);
      }
    }
    return;
  }
  if (!kHalf && last == kLanes) {
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
        Store(c + i * c_row + j * kLanes, acc.full[i][j]);
      }
    }
    return;
  }
  RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
      float* p = c + i * c_row + j * kLanes;
      if (!kHalf && j == kVecs - 1) {
        StorePartial(p, acc.full[i][j], last);
      } else {
        Store(p, acc.full[i][j]);
      }
    }
    if constexpr (kHalf) StoreHalfPartial(c + i * c_row + kVecs * kLanes, acc.half[i], last);
  }
}

template <int kRows, int kVecs, bool kHalf>
RHNAS_NOINLINE static void Tile(const TileArgs& args, int64_t first, int64_t until) {
  const int64_t a_row = args.a_row;
  const int64_t b_step = args.b_step;
  const float* a = args.a + first * a_row;
  float* c = args.c + first * args.c_row;
  for (int64_t row = first; row < until;
       row += kRows, a += kRows * a_row, c += kRows * args.c_row) {
    Accumulators<kRows, kVecs, kHalf> acc;
    LoadTile<kRows, kVecs, kHalf>(acc, c, args.c_row, args.last, args.accumulate);
    const float* b = args.b;
    // The rows of the next tile, a line a step, when they follow these in memory.
    const float* ahead = a + kRows * a_row;
    for (int outer = 0; outer < args.outer; outer++) {
      for (int inner = 0; inner < args.inner; inner++) {
        // One pointer for three rows, with the row distance as index; opaque, or the compiler
        // makes a pointer for each row and spills them.
        constexpr int kBases = (kRows + 2) / 3;
        const float* base[kBases];
        RHNAS_UNROLL for (int g = 0; g < kBases; g++) {
          base[g] = a + outer * args.a_outer + inner * args.a_inner + 3 * g * a_row;
          __asm__("" : "+r"(base[g]));
        }
        for (int64_t step = 0; step < args.steps; step++, b += b_step) {
          Vec bv[kVecs > 0 ? kVecs : 1];
          HalfVec bh = HalfVec{};
          __builtin_prefetch(ahead);
          ahead += args.ahead;
          RHNAS_UNROLL for (int j = 0; j < kVecs; j++) bv[j] = Load(b + j * kLanes);
          if constexpr (kHalf) bh = LoadHalf(b + kVecs * kLanes);
          RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
            const float ai = base[i / 3][step + i % 3 * a_row];
            const Vec av = Broadcast(ai);
            RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
              acc.full[i][j] = Fma(av, bv[j], acc.full[i][j]);
            }
            if constexpr (kHalf) acc.half[i] = FmaHalf(ai, bh, acc.half[i]);
          }
        }
      }
    }
    if (args.epilogue != nullptr) {
      const Epilogue& epilogue = *args.epilogue;
      FinishTile<kRows, kVecs, kHalf>(acc, epilogue,
                                      epilogue.residual == nullptr
                                          ? nullptr
                                          : epilogue.residual + row * epilogue.residual_pixel,
                                      args.last);
    }
    StoreTile<kRows, kVecs, kHalf>(acc, c, args.c_row, args.last, args.stream);
  }
}

template <int kRows, int kVecs, bool kHalf, bool kPartial>
RHNAS_INLINE void OuterTile(const OuterArgs& args, const float* a, float* c) {
  const int64_t a_step = args.a_step, b_step = args.b_step;
  Accumulators<kRows, kVecs, kHalf> acc;
  LoadTile<kRows, kVecs, kHalf>(acc, c, args.c_row, args.last, args.accumulate);
  for (int image = 0; image < args.images; image++) {
    for (int outer = 0; outer < args.outer; outer++) {
      const float* ap = a + image * args.a_image + outer * args.a_outer;
      const float* b = args.b + image * args.b_image + outer * args.b_outer;
      for (int64_t step = 0; step < args.steps; step++, ap += a_step, b += b_step) {
        Vec bv[kVecs > 0 ? kVecs : 1];
        HalfVec bh = HalfVec{};
        RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
          bv[j] = kPartial && !kHalf && j == kVecs - 1 ? LoadPartial(b + j * kLanes, args.last)
                                                       : Load(b + j * kLanes);
        }
        if constexpr (kHalf) bh = LoadHalfPartial(b + kVecs * kLanes, args.last);
        RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
          const float ai = ap[i];
          const Vec av = Broadcast(ai);
          RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
            acc.full[i][j] = Fma(av, bv[j], acc.full[i][j]);
          }
          if constexpr (kHalf) acc.half[i] = FmaHalf(ai, bh, acc.half[i]);
        }
      }
    }
  }
  StoreTile<kRows, kVecs, kHalf>(acc, c, args.c_row, args.last, false);
}

template <int kRows, int kVecs, bool kHalf>
RHNAS_NOINLINE static void Outer(const OuterArgs& args, const float* a, float* c) {
  if (!kHalf && args.last != kLanes) {
    OuterTile<kRows, kVecs, kHalf, true>(args, a, c);
  } else {
    OuterTile<kRows, kVecs, kHalf, false>(args, a, c);
  }
}

// Picks the instantiation for a number of rows known only at run time.
template <int kRows, int kVecs, bool kHalf>
static void TileOfRows(int rows, const TileArgs& args, int64_t first, int64_t until) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return Tile<kRows, kVecs, kHalf>(args, first, until);
    return TileOfRows<kRows - 1, kVecs, kHalf>(rows, args, first, until);
  }
}
template <int kRows, int kVecs, bool kHalf>
static void OuterOfRows(int rows, const OuterArgs& args, const float* a, float* c) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return Outer<kRows, kVecs, kHalf>(args, a, c);
    return OuterOfRows<kRows - 1, kVecs, kHalf>(rows, args, a, c);
  }
}

template <int kVecs, bool kHalf>
static void TilePanel(const TileArgs& args) {
  constexpr int kMost = MaxTileRows(kVecs + kHalf);
  const int rest = static_cast<int>(args.rows % args.tile_rows);
  TileOfRows<kMost, kVecs, kHalf>(args.tile_rows, args, 0, args.rows - rest);
  TileOfRows<kMost, kVecs, kHalf>(rest, args, args.rows - rest, args.rows);
  if (args.stream) StreamFence();
}

template <int kVecs, bool kHalf>
static void OuterPanel(const OuterArgs& args) {
  constexpr int kMost = MaxTileRows(kVecs + kHalf);
  for (int64_t row = 0; row < args.rows; row += args.tile_rows) {
    const int64_t left = args.rows - row;
    const int rows = left < args.tile_rows ? static_cast<int>(left) : args.tile_rows;
    OuterOfRows<kMost, kVecs, kHalf>(rows, args, args.a + row, args.c + row * args.c_row);
  }
}

#if RHNAS_SIMD_WIDTH == 512
#define RHNAS_TILE_MAX_ROWS                                                                  \
  {                                                                                          \
    {0, MaxTileRows(1)}, {MaxTileRows(1), MaxTileRows(2)}, {MaxTileRows(2), MaxTileRows(3)}, \
        {MaxTileRows(3), MaxTileRows(4)}, {                                                  \
      MaxTileRows(4), 0                                                                      \
    }                                                                                        \
  }
#define RHNAS_TILE_TABLE(Panel)                                                 \
  {                                                                             \
    {nullptr, Panel<0, true>}, {Panel<1, false>, Panel<1, true>},               \
        {Panel<2, false>, Panel<2, true>}, {Panel<3, false>, Panel<3, true>}, { \
      Panel<4, false>, nullptr                                                  \
    }                                                                           \
  }
#elif RHNAS_SIMD_REGISTERS == 32
#define RHNAS_TILE_MAX_ROWS                                                                      \
  {                                                                                              \
    {0, 0}, {MaxTileRows(1), 0}, {MaxTileRows(2), 0}, {MaxTileRows(3), 0}, { MaxTileRows(4), 0 } \
  }
#define RHNAS_TILE_TABLE(Panel)                                                 \
  {                                                                             \
    {nullptr, nullptr}, {Panel<1, false>, nullptr}, {Panel<2, false>, nullptr}, \
        {Panel<3, false>, nullptr}, {                                           \
      Panel<4, false>, nullptr                                                  \
    }                                                                           \
  }
#else
#define RHNAS_TILE_MAX_ROWS                                                         \
  {                                                                                 \
    {0, 0}, {MaxTileRows(1), 0}, {MaxTileRows(2), 0}, {MaxTileRows(3), 0}, { 0, 0 } \
  }
#define RHNAS_TILE_TABLE(Panel)                                                 \
  {                                                                             \
    {nullptr, nullptr}, {Panel<1, false>, nullptr}, {Panel<2, false>, nullptr}, \
        {Panel<3, false>, nullptr}, {                                           \
      nullptr, nullptr                                                          \
    }                                                                           \
  }
#endif
