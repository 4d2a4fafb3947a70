// Accumulators of register tiles: a block of kRows x kVecs vectors that stays in registers over a
// whole reduction; what engine/simd/tile.inl and engine/simd/outer.inl share.
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
// Without fused multiply-add (old processors) code that is small matters more than tiles that are.
constexpr int MaxOuterRows(int vecs) {
  if (kRegisters >= 32) return vecs <= 2 ? 12 : vecs == 3 ? 8 : 6;
  if (!kFused && vecs == 1) return 6;
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
