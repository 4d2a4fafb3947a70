// See engine/simd/elementwise.h; compiled once per target (engine/simd/vec.h). In parts: functions
// of one variable, then what is flat, by rows, batch normalisation.

RHNAS_INLINE IVec Less(Vec a, Vec b) { return a < b; }
RHNAS_INLINE IVec Equal(Vec a, Vec b) { return a == b; }
#include "engine/simd/math.inl"

// Stores y, or adds it to what stands there; `count` lanes when kPartial.
template <bool kPartial>
RHNAS_INLINE Vec LoadLanes(const float* p, int64_t count) {
  return kPartial ? LoadPartial(p, count) : Load(p);
}
template <bool kPartial>
RHNAS_INLINE void StoreLanes(float* p, Vec v, int64_t count) {
  if (kPartial) {
    StorePartial(p, v, count);
  } else {
    Store(p, v);
  }
}
template <bool kPartial>
RHNAS_INLINE void Put(float* p, Vec v, bool accumulate, int64_t count) {
  StoreLanes<kPartial>(p, accumulate ? LoadLanes<kPartial>(p, count) + v : v, count);
}

// Runs STATEMENT for every vector of [0, LENGTH): `i` is the first element, `Get(p)` loads p + i,
// and kTail tells the partial vector at the end (`lanes` elements) from the whole ones.
#define RHNAS_FOR_VECTORS(LENGTH, STATEMENT)      \
  do {                                            \
    int64_t i = 0;                                \
    for (; i + kLanes <= (LENGTH); i += kLanes) { \
      constexpr bool kTail = false;               \
      constexpr int64_t lanes = kLanes;           \
      STATEMENT;                                  \
    }                                             \
    if (i < (LENGTH)) {                           \
      constexpr bool kTail = true;                \
      const int64_t lanes = (LENGTH)-i;           \
      STATEMENT;                                  \
    }                                             \
  } while (0)
#define RHNAS_GET(p) LoadLanes<kTail>((p) + i, lanes)
#define RHNAS_PUT(p, v, accumulate) Put<kTail>((p) + i, (v), (accumulate), lanes)

// --- Rows that no whole number of vectors fits ---
//
// A partial vector at the end of every row costs more than the row (masked stores are slow, and
// loads after them wait). So a row of constants is repeated until whole vectors fit, and that many
// rows of data are taken as one.

constexpr int kRepeatChannels = 64;  // rows longer than this have little partial work to save
constexpr int kRepeated = kRepeatChannels * kLanes;  // at most kLanes repeats

// How many rows make whole vectors; 1 where repeating does not pay.
RHNAS_INLINE int RowsTogether(int64_t rows, int c) {
  int times = 1;
  while (times * c % kLanes != 0) times *= 2;
  return c <= kRepeatChannels && rows >= 4 * times ? times : 1;
}

RHNAS_INLINE void Repeat(const float* row, int c, int times, float* out) {
  for (int i = 0; i < times; i++) std::memcpy(out + i * c, row, static_cast<size_t>(c) * 4);
}

// --- Functions of one variable ---

// A not-a-number passes through Max and Min in their second place.
RHNAS_INLINE Vec ClampToSix(Vec x) { return Min(Broadcast(6), Max(Zero(), x)); }

template <int kFunction>
RHNAS_INLINE Vec Value(Vec x) {
  if constexpr (kFunction == kRelu) return Max(Zero(), x);
  if constexpr (kFunction == kRelu6) return ClampToSix(x);
  if constexpr (kFunction == kHSwish) return x * ClampToSix(x + 3.0f) * (1.0f / 6.0f);
  if constexpr (kFunction == kExp) return Exp(x);
  if constexpr (kFunction == kLog) return Log(x);
  if constexpr (kFunction == kSigmoid) return Sigmoid(x);
  if constexpr (kFunction == kTanh) return Tanh(x);
  return x;
}

// dout times the slope at input x, output y.
template <int kFunction>
RHNAS_INLINE Vec TimesSlope(Vec dout, Vec x, Vec y) {
  if constexpr (kFunction == kRelu) return Select(Less(Zero(), x), dout, Zero());
  if constexpr (kFunction == kRelu6) {
    return Select(Less(Zero(), x) & Less(x, Broadcast(6)), dout, Zero());
  }
  if constexpr (kFunction == kHSwish) {
    const Vec inner = dout * ((x + x + 3.0f) * (1.0f / 6.0f));
    const Vec above = Select(Less(x, Broadcast(3)), inner, dout);
    return Select(Less(Broadcast(-3), x), above, Zero());
  }
  if constexpr (kFunction == kExp) return dout * y;
  if constexpr (kFunction == kLog) return dout / x;
  if constexpr (kFunction == kSigmoid) return dout * (y * (1.0f - y));
  if constexpr (kFunction == kTanh) return dout * (1.0f - y * y);
  return dout;
}

#include "engine/simd/elementwise_batch_norm.inl"
#include "engine/simd/elementwise_flat.inl"
#include "engine/simd/elementwise_rows.inl"

#undef RHNAS_FOR_VECTORS
#undef RHNAS_GET
#undef RHNAS_PUT

#define RHNAS_ALL_UNARY(f) \
  { f<kIdentity>, f<kRelu>, f<kRelu6>, f<kHSwish>, f<kExp>, f<kLog>, f<kSigmoid>, f<kTanh> }
#define RHNAS_ALL_ACTIVATIONS(f) \
  { f<kIdentity>, f<kRelu>, f<kRelu6>, f<kHSwish> }
static const ElementwiseKernels kTable = {
    FlatAdd,
    FlatSub,
    FlatMul,
    FlatScale,
    FlatAddScalar,
    RHNAS_ALL_UNARY(FlatUnary),
    RHNAS_ALL_UNARY(FlatUnaryBackward),
    FlatSum,
    FlatDot,
    FlatCopyStream,
    FlatMax,
    RouteMax,
    AddRow,
    MulRow,
    BroadcastRow,
    ColumnSum,
    ColumnDot,
    Moments,
    RHNAS_ALL_ACTIVATIONS(Normalize),
    RHNAS_ALL_ACTIVATIONS(NormalizeAdd),
    RHNAS_ALL_ACTIVATIONS(NormalizeSums),
    RHNAS_ALL_ACTIVATIONS(NormalizeBackward),
    SgdStep,
    AdamStep,
};
#undef RHNAS_ALL_UNARY
#undef RHNAS_ALL_ACTIVATIONS
