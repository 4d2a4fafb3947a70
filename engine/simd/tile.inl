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
RHNAS_INLINE HalfVec FmaLowHalf(Vec a, HalfVec b, HalfVec c) {
  // Without a mask it warns about an undefined operand inside g++'s own header; no instruction.
  const __m512d all = reinterpret_cast<__m512d>(a);
  return _mm256_fmadd_ps(reinterpret_cast<HalfVec>(_mm512_maskz_extractf64x4_pd(0xf, all, 0)), b,
                         c);
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
RHNAS_INLINE HalfVec FmaLowHalf(Vec a, HalfVec b, HalfVec c) { return Fma(a, b, c); }
RHNAS_INLINE HalfVec ClampHalf(HalfVec v, float low, float high) {
  return Min(Broadcast(high), Max(Broadcast(low), v));
}
#endif

// Rows of a register tile over `vecs` vectors, a half vector counted as one. The filter gradient
// takes as many as the registers hold beside one panel row and one broadcast: its reductions are
// long, and tall tiles load least. The other tiles take some twelve accumulators, enough to hide
// the latency of two multiply-adds a cycle: beyond 15, Zen 4 does not overlap the end of a tile
// with the start of the next (5 to 20 cycles a tile become 60 to 80), which tells on short
// reductions.
constexpr int MaxOuterRows(int vecs) {
  if (kRegisters >= 32) return vecs <= 2 ? 14 : vecs == 3 ? 8 : 6;
  return vecs == 1 ? 12 : vecs == 2 ? 6 : vecs == 3 ? 4 : 0;
}
constexpr int MaxTileRows(int vecs) {
  if (kLanes == 16) return vecs == 1 ? 12 : vecs == 2 ? 7 : 4;
  return MaxOuterRows(vecs);
}

template <int kRows, int kVecs, bool kHalf>
struct Accumulators {
  Vec full[kRows][kVecs > 0 ? kVecs : 1];
  HalfVec half[kRows];
};

// The next row, behind the compiler's back: else it keeps a pointer for each row and spills them.
template <typename Float>
RHNAS_INLINE Float* Next(Float* row, int64_t floats) {
  row += floats;
  __asm__("" : "+r"(row));
  return row;
}

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
  RHNAS_UNROLL for (int i = 0; i < kRows; i++, c = Next(c, c_row)) {
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
      const float* p = c + j * kLanes;
      acc.full[i][j] = !kHalf && j == kVecs - 1 ? LoadPartial(p, last) : Load(p);
    }
    if constexpr (kHalf) acc.half[i] = LoadHalfPartial(c + kVecs * kLanes, last);
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
      const float* p = residual + j * kLanes;
      RHNAS_UNROLL for (int i = 0; i < kRows; i++, p = Next(p, row)) {
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
    RHNAS_UNROLL for (int i = 0; i < kRows; i++, c = Next(c, c_row)) {
      RHNAS_UNROLL for (int j = 0; j < kVecs; j++) StoreStream(c + j * kLanes, acc.full[i][j]);
    }
    return;
  }
  if (!kHalf && last == kLanes) {
    RHNAS_UNROLL for (int i = 0; i < kRows; i++, c = Next(c, c_row)) {
      RHNAS_UNROLL for (int j = 0; j < kVecs; j++) Store(c + j * kLanes, acc.full[i][j]);
    }
    return;
  }
  RHNAS_UNROLL for (int i = 0; i < kRows; i++, c = Next(c, c_row)) {
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
      if (!kHalf && j == kVecs - 1) {
        StorePartial(c + j * kLanes, acc.full[i][j], last);
      } else {
        Store(c + j * kLanes, acc.full[i][j]);
      }
    }
    if constexpr (kHalf) StoreHalfPartial(c + kVecs * kLanes, acc.half[i], last);
  }
}

// One broadcast for a row of several vectors; for one vector (and a half) the broadcast is part of
// the multiply-add, which Zen 4 loads twice as often as a broadcast of its own.
template <int kVecs, bool kHalf>
RHNAS_INLINE void MultiplyRow(float a, const Vec* b, HalfVec b_half, Vec* acc, HalfVec* acc_half) {
  if constexpr (kVecs >= 2) {
    const Vec av = Held(Broadcast(a));
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) acc[j] = Fma(av, b[j], acc[j]);
    if constexpr (kHalf) *acc_half = FmaLowHalf(av, b_half, *acc_half);
  } else {
    if constexpr (kVecs == 1) acc[0] = Fma(Broadcast(a), b[0], acc[0]);
    if constexpr (kHalf) *acc_half = FmaHalf(a, b_half, *acc_half);
  }
}

// One segment of the reduction; returns the panel's next step. With kAhead, the rows of the next
// tile are fetched meanwhile, `ahead` floats a step.
template <int kRows, int kVecs, bool kHalf, bool kAhead>
RHNAS_INLINE const float* Segment(Accumulators<kRows, kVecs, kHalf>& acc, const float* a,
                                  int64_t a_row, const float* b, int64_t b_step, int64_t steps,
                                  int64_t ahead) {
  // One pointer for three rows, with the row distance as index; opaque, or the compiler makes a
  // pointer for each row and spills them.
  constexpr int kBases = (kRows + 2) / 3;
  const float* base[kBases];
  const float* next = a + kRows * a_row;
  RHNAS_UNROLL for (int g = 0; g < kBases; g++) {
    base[g] = a;
    __asm__("" : "+r"(base[g]));
    a = base[g] + 3 * a_row;
  }
  for (int64_t step = 0; step < steps; step++, b += b_step) {
    Vec bv[kVecs > 0 ? kVecs : 1];
    HalfVec bh = HalfVec{};
    if constexpr (kAhead) {
      __builtin_prefetch(next);
      next += ahead;
    }
    RHNAS_UNROLL for (int j = 0; j < kVecs; j++) bv[j] = Load(b + j * kLanes);
    if constexpr (kHalf) bh = LoadHalf(b + kVecs * kLanes);
    RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
      const float ai = base[i / 3][step + i % 3 * a_row];
      MultiplyRow<kVecs, kHalf>(ai, bv, bh, acc.full[i], &acc.half[i]);
    }
  }
  return b;
}

RHNAS_NOINLINE static void FetchLines(Fetch* fetch) {
  int lines = fetch->lines_a_tile;
  while (fetch->ranges > 0 && lines > 0) {
    Fetch::Range& range = fetch->range[fetch->ranges - 1];
    const char* at = range.at;
    if (range.write) {
      for (; lines > 0 && at < range.end; lines--, at += Fetch::kLine) __builtin_prefetch(at, 1, 2);
    } else {
      for (; lines > 0 && at < range.end; lines--, at += Fetch::kLine) __builtin_prefetch(at, 0, 2);
    }
    range.at = at;
    if (at >= range.end) fetch->ranges--;
  }
}

// kFlat: the reduction is one segment, a case of its own because the loops around a segment cost
// some 40 cycles a tile when another program shares the core.
template <int kRows, int kVecs, bool kHalf, bool kFlat>
RHNAS_NOINLINE static void Tile(const TileArgs& args, int64_t first, int64_t until) {
  // What outlives a segment stays in memory: g++ would rather spill it to vector registers, and
  // reading it back from there waits for the multiply-adds in flight.
  struct {
    int64_t row;
    const float* a;
    float* c;
    const float *a_outer, *a_inner, *b;
    int outer, inner;
  } at;
#define RHNAS_TILE_SPILL __asm__ volatile("" : : "r"(&at) : "memory")
  at.row = first;
  at.a = args.a + first * args.a_row;
  at.c = args.c + first * args.c_row;
  for (; at.row < until; at.row += kRows, at.a += kRows * args.a_row, at.c += kRows * args.c_row) {
    if (args.fetch != nullptr) FetchLines(args.fetch);
    Accumulators<kRows, kVecs, kHalf> acc;
    LoadTile<kRows, kVecs, kHalf>(acc, at.c, args.c_row, args.last, args.accumulate);
    if constexpr (kFlat) {
      RHNAS_TILE_SPILL;
      Segment<kRows, kVecs, kHalf, true>(acc, at.a, args.a_row, args.b, args.b_step, args.steps,
                                         args.ahead);
    } else {
      at.b = args.b;
      at.a_outer = at.a;
      for (at.outer = args.outer; at.outer > 0; at.outer--, at.a_outer += args.a_outer) {
        at.a_inner = at.a_outer;
        for (at.inner = args.inner; at.inner > 0; at.inner--, at.a_inner += args.a_inner) {
          RHNAS_TILE_SPILL;
          at.b = Segment<kRows, kVecs, kHalf, false>(acc, at.a_inner, args.a_row, at.b, args.b_step,
                                                     args.steps, 0);
          RHNAS_TILE_SPILL;
        }
      }
    }
    if (args.epilogue != nullptr) {
      const Epilogue& epilogue = *args.epilogue;
      FinishTile<kRows, kVecs, kHalf>(acc, epilogue,
                                      epilogue.residual == nullptr
                                          ? nullptr
                                          : epilogue.residual + at.row * epilogue.residual_pixel,
                                      args.last);
    }
    StoreTile<kRows, kVecs, kHalf>(acc, at.c, args.c_row, args.last, args.stream);
  }
#undef RHNAS_TILE_SPILL
}

template <int kRows, int kVecs, bool kHalf, bool kPartial>
RHNAS_INLINE void OuterTile(const OuterArgs& args, int64_t tile, const float* a, float* c) {
  const int64_t a_step = args.a_step, b_step = args.b_step;
  const float* next0 = args.next[0] + tile * args.steps * args.next_step[0];
  const float* next1 = args.next[1] + tile * args.steps * args.next_step[1];
  Accumulators<kRows, kVecs, kHalf> acc;
  LoadTile<kRows, kVecs, kHalf>(acc, c, args.c_row, args.last, args.accumulate);
  for (int image = 0; image < args.images; image++) {
    for (int outer = 0; outer < args.outer; outer++) {
      const float* ap = a + image * args.a_image + outer * args.a_outer;
      const float* b = args.b + image * args.b_image + outer * args.b_outer;
      for (int64_t step = 0; step < args.steps; step++, ap += a_step, b += b_step) {
        Vec bv[kVecs > 0 ? kVecs : 1];
        HalfVec bh = HalfVec{};
        // Not beside so few multiply-adds that loads are what they wait for.
        if constexpr (kRows * (kVecs + kHalf) >= 12) {
          __builtin_prefetch(next0, 0, 2);
          __builtin_prefetch(next0 + args.next_more[0], 0, 2);
          __builtin_prefetch(next1, 0, 2);
          __builtin_prefetch(next1 + args.next_more[1], 0, 2);
          next0 += args.next_step[0];
          next1 += args.next_step[1];
        }
        RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
          bv[j] = kPartial && !kHalf && j == kVecs - 1 ? LoadPartial(b + j * kLanes, args.last)
                                                       : Load(b + j * kLanes);
        }
        if constexpr (kHalf) bh = LoadHalfPartial(b + kVecs * kLanes, args.last);
        RHNAS_UNROLL for (int i = 0; i < kRows; i++) {
          const float ai = ap[i];
          MultiplyRow<kVecs, kHalf>(ai, bv, bh, acc.full[i], &acc.half[i]);
        }
      }
    }
  }
  StoreTile<kRows, kVecs, kHalf>(acc, c, args.c_row, args.last, false);
}

template <int kRows, int kVecs, bool kHalf>
RHNAS_NOINLINE static void Outer(const OuterArgs& args, int64_t tile, const float* a, float* c) {
  if (!kHalf && args.last != kLanes) {
    OuterTile<kRows, kVecs, kHalf, true>(args, tile, a, c);
  } else {
    OuterTile<kRows, kVecs, kHalf, false>(args, tile, a, c);
  }
}

// Picks the instantiation for a number of rows known only at run time.
template <int kRows, int kVecs, bool kHalf>
static void TileOfRows(int rows, const TileArgs& args, int64_t first, int64_t until) {
  if constexpr (kRows > 0) {
    if (rows != kRows) return TileOfRows<kRows - 1, kVecs, kHalf>(rows, args, first, until);
    if (args.outer == 1 && args.inner == 1) {
      Tile<kRows, kVecs, kHalf, true>(args, first, until);
    } else {
      Tile<kRows, kVecs, kHalf, false>(args, first, until);
    }
  }
}
template <int kRows, int kVecs, bool kHalf>
static void OuterOfRows(int rows, const OuterArgs& args, int64_t tile) {
  if constexpr (kRows > 0) {
    if (rows != kRows) return OuterOfRows<kRows - 1, kVecs, kHalf>(rows, args, tile);
    const int64_t row = tile * args.tile_rows;
    Outer<kRows, kVecs, kHalf>(args, tile, args.a + row, args.c + row * args.c_row);
  }
}

// The fewest tiles, as even as possible.
template <int kVecs, bool kHalf>
static void TilePanel(const TileArgs& args) {
  constexpr int kMost = MaxTileRows(kVecs + kHalf);
  const int64_t tiles = (args.rows + kMost - 1) / kMost;
  const int less = static_cast<int>(args.rows / tiles);
  const int64_t more = (args.rows - less * tiles) * (less + 1);  // rows in tiles of one more
  TileOfRows<kMost, kVecs, kHalf>(less + 1, args, 0, more);
  TileOfRows<kMost, kVecs, kHalf>(less, args, more, args.rows);
  if (args.stream) StreamFence();
}

template <int kVecs, bool kHalf>
static void OuterPanel(const OuterArgs& args) {
  constexpr int kMost = MaxOuterRows(kVecs + kHalf);
  for (int64_t tile = 0; tile * args.tile_rows < args.rows; tile++) {
    const int64_t left = args.rows - tile * args.tile_rows;
    const int rows = left < args.tile_rows ? static_cast<int>(left) : args.tile_rows;
    OuterOfRows<kMost, kVecs, kHalf>(rows, args, tile);
  }
}

#if RHNAS_SIMD_WIDTH == 512
#define RHNAS_TILE_MAX_ROWS(most)                                                            \
  {                                                                                          \
    {0, most(1)}, {most(1), most(2)}, {most(2), most(3)}, {most(3), most(4)}, { most(4), 0 } \
  }
#define RHNAS_TILE_TABLE(Panel)                                                 \
  {                                                                             \
    {nullptr, Panel<0, true>}, {Panel<1, false>, Panel<1, true>},               \
        {Panel<2, false>, Panel<2, true>}, {Panel<3, false>, Panel<3, true>}, { \
      Panel<4, false>, nullptr                                                  \
    }                                                                           \
  }
#elif RHNAS_SIMD_REGISTERS == 32
#define RHNAS_TILE_MAX_ROWS(most)                                    \
  {                                                                  \
    {0, 0}, {most(1), 0}, {most(2), 0}, {most(3), 0}, { most(4), 0 } \
  }
#define RHNAS_TILE_TABLE(Panel)                                                 \
  {                                                                             \
    {nullptr, nullptr}, {Panel<1, false>, nullptr}, {Panel<2, false>, nullptr}, \
        {Panel<3, false>, nullptr}, {                                           \
      Panel<4, false>, nullptr                                                  \
    }                                                                           \
  }
#else
#define RHNAS_TILE_MAX_ROWS(most)                              \
  {                                                            \
    {0, 0}, {most(1), 0}, {most(2), 0}, {most(3), 0}, { 0, 0 } \
  }
#define RHNAS_TILE_TABLE(Panel)                                                 \
  {                                                                             \
    {nullptr, nullptr}, {Panel<1, false>, nullptr}, {Panel<2, false>, nullptr}, \
        {Panel<3, false>, nullptr}, {                                           \
      nullptr, nullptr                                                          \
    }                                                                           \
  }
#endif
