// The vector types of one target; included by engine/simd/foreach_target.h inside that target's
// namespace and compiler region. Usage: engine/simd/vec.h. No include guard on purpose.

#if RHNAS_SIMD_WIDTH == 512
constexpr int kLanes = 16;
#elif RHNAS_SIMD_WIDTH == 256
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr bool kFused = RHNAS_SIMD_FUSED;
// Vector registers, for choosing the size of register tiles.
constexpr int kRegisters = RHNAS_SIMD_REGISTERS;

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t IVec __attribute__((vector_size(kLanes * 4)));

RHNAS_INLINE Vec Load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
RHNAS_INLINE void Store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
RHNAS_INLINE IVec LoadInt(const int32_t* p) {
  IVec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
// Past the caches, for outputs larger than they are. REQUIRES: p aligned to a vector. StreamFence
// after the last one, before another thread may look.
RHNAS_INLINE void StoreStream(float* p, Vec v) {
#if RHNAS_SIMD_WIDTH == 512
  _mm512_stream_ps(p, v);
#elif RHNAS_SIMD_WIDTH == 256
  _mm256_stream_ps(p, v);
#else
  Store(p, v);
#endif
}
RHNAS_INLINE void StreamFence() {
#if defined(RHNAS_SIMD_X86)
  _mm_sfence();
#endif
}
// Keeps a loaded vector in a register: without it g++ reads memory again for each use.
RHNAS_INLINE Vec Held(Vec v) {
#if RHNAS_SIMD_WIDTH == 512
  __asm__("" : "+v"(v));
#elif defined(RHNAS_SIMD_X86)
  __asm__("" : "+x"(v));
#elif defined(RHNAS_SIMD_NEON)
  __asm__("" : "+w"(v));
#endif
  return v;
}
RHNAS_INLINE Vec Zero() { return Vec{}; }
RHNAS_INLINE IVec Bits(Vec v) { return reinterpret_cast<IVec>(v); }
RHNAS_INLINE Vec FromBits(IVec v) { return reinterpret_cast<Vec>(v); }
RHNAS_INLINE Vec ToFloat(IVec v) { return __builtin_convertvector(v, Vec); }
// REQUIRES: |lane| < 2^31.
RHNAS_INLINE IVec TruncateToInt(Vec v) { return __builtin_convertvector(v, IVec); }
RHNAS_INLINE IVec BroadcastInt(int32_t x) { return IVec{} + x; }

#if RHNAS_SIMD_WIDTH == 512

// The forms without a mask warn about an undefined operand inside g++'s own header.
constexpr __mmask16 kAllLanes = 0xffff;
RHNAS_INLINE Vec Broadcast(float x) { return _mm512_set1_ps(x); }
RHNAS_INLINE Vec Fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
RHNAS_INLINE Vec Min(Vec a, Vec b) { return _mm512_maskz_min_ps(kAllLanes, a, b); }
RHNAS_INLINE Vec Max(Vec a, Vec b) { return _mm512_maskz_max_ps(kAllLanes, a, b); }
RHNAS_INLINE Vec Sqrt(Vec v) { return _mm512_maskz_sqrt_ps(kAllLanes, v); }
RHNAS_INLINE __mmask16 FirstLanes(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1u);
}
RHNAS_INLINE Vec LoadPartial(const float* p, int64_t count) {
  return _mm512_maskz_loadu_ps(FirstLanes(count), p);
}
RHNAS_INLINE void StorePartial(float* p, Vec v, int64_t count) {
  _mm512_mask_storeu_ps(p, FirstLanes(count), v);
}

#elif RHNAS_SIMD_WIDTH == 256

RHNAS_INLINE Vec Broadcast(float x) { return _mm256_set1_ps(x); }
RHNAS_INLINE Vec Fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
RHNAS_INLINE Vec Min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
RHNAS_INLINE Vec Max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
RHNAS_INLINE Vec Sqrt(Vec v) { return _mm256_sqrt_ps(v); }
RHNAS_INLINE __m256i FirstLanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
RHNAS_INLINE Vec LoadPartial(const float* p, int64_t count) {
  return _mm256_maskload_ps(p, FirstLanes(count));
}
RHNAS_INLINE void StorePartial(float* p, Vec v, int64_t count) {
  _mm256_maskstore_ps(p, FirstLanes(count), v);
}

#else  // 128 bits

RHNAS_INLINE Vec Broadcast(float x) { return Vec{x, x, x, x}; }
#if defined(RHNAS_SIMD_NEON)
#if RHNAS_SIMD_FUSED
RHNAS_INLINE Vec Fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
#else
RHNAS_INLINE Vec Fma(Vec a, Vec b, Vec c) { return a * b + c; }
#endif
RHNAS_INLINE Vec Min(Vec a, Vec b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
RHNAS_INLINE Vec Max(Vec a, Vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
RHNAS_INLINE Vec Sqrt(Vec v) { return vsqrtq_f32(v); }
#elif defined(RHNAS_SIMD_X86)
RHNAS_INLINE Vec Fma(Vec a, Vec b, Vec c) { return a * b + c; }
RHNAS_INLINE Vec Min(Vec a, Vec b) { return _mm_min_ps(a, b); }
RHNAS_INLINE Vec Max(Vec a, Vec b) { return _mm_max_ps(a, b); }
RHNAS_INLINE Vec Sqrt(Vec v) { return _mm_sqrt_ps(v); }
#else
RHNAS_INLINE Vec Fma(Vec a, Vec b, Vec c) { return a * b + c; }
RHNAS_INLINE Vec Min(Vec a, Vec b) {
  for (int i = 0; i < 4; i++) a[i] = a[i] < b[i] ? a[i] : b[i];
  return a;
}
RHNAS_INLINE Vec Max(Vec a, Vec b) {
  for (int i = 0; i < 4; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
  return a;
}
RHNAS_INLINE Vec Sqrt(Vec v) {
  for (int i = 0; i < 4; i++) v[i] = __builtin_sqrtf(v[i]);
  return v;
}
#endif
// The baseline calls them: its branches in every place that has a tail would be a tenth of the
// program, and it is there to run everywhere, not to be fast.
#if RHNAS_SIMD_FUSED
#define RHNAS_TAIL_INLINE RHNAS_INLINE
#else
#define RHNAS_TAIL_INLINE static inline RHNAS_NOINLINE
#endif
RHNAS_TAIL_INLINE Vec LoadPartial(const float* p, int64_t count) {
  float lanes[4] = {0, 0, 0, 0};
  if (count >= 4) return Load(p);
  if (count > 0) lanes[0] = p[0];
  if (count > 1) lanes[1] = p[1];
  if (count > 2) lanes[2] = p[2];
  return Load(lanes);
}
RHNAS_TAIL_INLINE void StorePartial(float* p, Vec v, int64_t count) {
  if (count >= 4) return Store(p, v);
  if (count > 0) p[0] = v[0];
  if (count > 1) p[1] = v[1];
  if (count > 2) p[2] = v[2];
}

#undef RHNAS_TAIL_INLINE

#endif

// mask: lanes 0 or -1, as comparisons give. a where set, b elsewhere.
RHNAS_INLINE Vec Select(IVec mask, Vec a, Vec b) {
  return FromBits((mask & Bits(a)) | (~mask & Bits(b)));
}
RHNAS_INLINE Vec Abs(Vec v) { return FromBits(Bits(v) & 0x7fffffff); }

// to[j * to_row + i] = from[i * from_row + j] for i, j < 4.
RHNAS_INLINE void Transpose4(const float* from, int64_t from_row, float* to, int64_t to_row) {
#if defined(RHNAS_SIMD_X86)
  __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + from_row);
  __m128 c = _mm_loadu_ps(from + 2 * from_row), d = _mm_loadu_ps(from + 3 * from_row);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(to, a);
  _mm_storeu_ps(to + to_row, b);
  _mm_storeu_ps(to + 2 * to_row, c);
  _mm_storeu_ps(to + 3 * to_row, d);
#else
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 4; j++) to[j * to_row + i] = from[i * from_row + j];
  }
#endif
}

// to[j * to_row + i] = from[i * from_row + j] for i < kLanes, j < 4: four whole vectors.
RHNAS_INLINE void TransposeToColumns(const float* from, int64_t from_row, float* to,
                                     int64_t to_row) {
#if RHNAS_SIMD_WIDTH == 512 || RHNAS_SIMD_WIDTH == 256
  // Vector i holds four columns of rows i, i + 4, i + 8, ..: transposing each quarter by itself
  // puts the rows of a column in order.
  Vec v[4];
  RHNAS_UNROLL for (int i = 0; i < 4; i++) {
    const float* p = from + i * from_row;
#if RHNAS_SIMD_WIDTH == 512
    __m512 r = _mm512_castps128_ps512(_mm_loadu_ps(p));
    r = _mm512_maskz_insertf32x4(kAllLanes, r, _mm_loadu_ps(p + 4 * from_row), 1);
    r = _mm512_maskz_insertf32x4(kAllLanes, r, _mm_loadu_ps(p + 8 * from_row), 2);
    v[i] = _mm512_maskz_insertf32x4(kAllLanes, r, _mm_loadu_ps(p + 12 * from_row), 3);
#else
    v[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)),
                                _mm_loadu_ps(p + 4 * from_row), 1);
#endif
  }
#if RHNAS_SIMD_WIDTH == 512
#define RHNAS_LOW(a, b) _mm512_maskz_unpacklo_ps(kAllLanes, a, b)
#define RHNAS_HIGH(a, b) _mm512_maskz_unpackhi_ps(kAllLanes, a, b)
#define RHNAS_SHUFFLE(a, b, order) _mm512_maskz_shuffle_ps(kAllLanes, a, b, order)
#else
#define RHNAS_LOW(a, b) _mm256_unpacklo_ps(a, b)
#define RHNAS_HIGH(a, b) _mm256_unpackhi_ps(a, b)
#define RHNAS_SHUFFLE(a, b, order) _mm256_shuffle_ps(a, b, order)
#endif
  const Vec low01 = RHNAS_LOW(v[0], v[1]), high01 = RHNAS_HIGH(v[0], v[1]);
  const Vec low23 = RHNAS_LOW(v[2], v[3]), high23 = RHNAS_HIGH(v[2], v[3]);
  Store(to, RHNAS_SHUFFLE(low01, low23, 0x44));
  Store(to + to_row, RHNAS_SHUFFLE(low01, low23, 0xee));
  Store(to + 2 * to_row, RHNAS_SHUFFLE(high01, high23, 0x44));
  Store(to + 3 * to_row, RHNAS_SHUFFLE(high01, high23, 0xee));
#undef RHNAS_LOW
#undef RHNAS_HIGH
#undef RHNAS_SHUFFLE
#else
  Transpose4(from, from_row, to, to_row);
#endif
}
