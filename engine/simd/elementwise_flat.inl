// The flat kernels of engine/simd/elementwise.h, and the optimiser updates.

static void FlatAdd(const float* a, const float* b, float* y, int64_t n) {
  RHNAS_FOR_VECTORS(n, RHNAS_PUT(y, RHNAS_GET(a) + RHNAS_GET(b), false));
}

static void FlatSub(const float* a, const float* b, float* y, int64_t n) {
  RHNAS_FOR_VECTORS(n, RHNAS_PUT(y, RHNAS_GET(a) - RHNAS_GET(b), false));
}

static void FlatMul(const float* a, const float* b, float* y, int64_t n, bool accumulate) {
  RHNAS_FOR_VECTORS(n, RHNAS_PUT(y, RHNAS_GET(a) * RHNAS_GET(b), accumulate));
}

static void FlatScale(const float* x, float factor, float* y, int64_t n, bool accumulate) {
  RHNAS_FOR_VECTORS(n, RHNAS_PUT(y, RHNAS_GET(x) * factor, accumulate));
}

static void FlatAddScalar(const float* x, float term, float* y, int64_t n) {
  RHNAS_FOR_VECTORS(n, RHNAS_PUT(y, RHNAS_GET(x) + term, false));
}

static void FlatCopyStream(const float* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) StoreStream(to + i, Load(from + i));
  StreamFence();
}

static void FlatMax(const float* a, const float* b, float* y, int64_t n) {
  RHNAS_FOR_VECTORS(n, RHNAS_PUT(y, Max(RHNAS_GET(a), RHNAS_GET(b)), false));
}

template <int kFunction>
static void FlatUnary(const float* x, float* y, int64_t n) {
  RHNAS_FOR_VECTORS(n, RHNAS_PUT(y, Value<kFunction>(RHNAS_GET(x)), false));
}

template <int kFunction>
static void FlatUnaryBackward(const float* x, const float* y, const float* dout, float* dx,
                              int64_t n, bool accumulate) {
  // Each function reads x or y, not both: the other load must not cost memory traffic.
  constexpr bool kReadsY = kFunction == kExp || kFunction == kSigmoid || kFunction == kTanh;
  RHNAS_FOR_VECTORS(n, {
    const Vec known = RHNAS_GET(kReadsY ? y : x);
    RHNAS_PUT(dx, TimesSlope<kFunction>(RHNAS_GET(dout), known, known), accumulate);
  });
}

static void RouteMax(const float* x, const float* best, float* remaining, float* dx, int64_t n) {
  RHNAS_FOR_VECTORS(n, {
    const Vec left = RHNAS_GET(remaining);
    const IVec here = Equal(RHNAS_GET(x), RHNAS_GET(best));
    RHNAS_PUT(dx, Select(here, left, Zero()), true);
    RHNAS_PUT(remaining, Select(here, Zero(), left), false);
  });
}

// --- Sums over 64 logical lanes: element i goes to lane i mod 64, lanes are added pairwise ---

constexpr int kSumLanes = 64;
constexpr int kSumVectors = kSumLanes / kLanes;

template <bool kProduct>
RHNAS_INLINE float SumOfLanes(const float* a, const float* b, int64_t n) {
  Vec sum[kSumVectors];
  RHNAS_UNROLL for (int v = 0; v < kSumVectors; v++) sum[v] = Zero();
  int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    RHNAS_UNROLL for (int v = 0; v < kSumVectors; v++) {
      const Vec x = Load(a + i + v * kLanes);
      sum[v] = sum[v] + (kProduct ? x * Load(b + i + v * kLanes) : x);
    }
  }
  float lane[kSumLanes];
  for (int v = 0; v < kSumVectors; v++) Store(lane + v * kLanes, sum[v]);
  for (int l = 0; i < n; i++, l++) lane[l] = lane[l] + (kProduct ? a[i] * b[i] : a[i]);
  for (int half = kSumLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; l++) lane[l] = lane[l] + lane[l + half];
  }
  return lane[0];
}

static float FlatSum(const float* x, int64_t n) { return SumOfLanes<false>(x, x, n); }

static float FlatDot(const float* a, const float* b, int64_t n) {
  return SumOfLanes<true>(a, b, n);
}

// --- Optimisers (formulas: engine/optimizer.h) ---

static void SgdStep(const SgdUpdate& update, const float* g, float* velocity, float* w, int64_t n) {
  const float rate = update.learning_rate, momentum = update.momentum;
  const float decay = update.weight_decay;
  const bool nesterov = update.nesterov;
  RHNAS_FOR_VECTORS(n, {
    const Vec weight = RHNAS_GET(w);
    const Vec gradient = RHNAS_GET(g) + weight * decay;
    const Vec v = RHNAS_GET(velocity) * momentum + gradient;
    RHNAS_PUT(velocity, v, false);
    RHNAS_PUT(w, weight - (nesterov ? gradient + v * momentum : v) * rate, false);
  });
}

static void AdamStep(const AdamUpdate& update, const float* g, float* first, float* second,
                     float* w, int64_t n) {
  const AdamUpdate u = update;
  RHNAS_FOR_VECTORS(n, {
    const Vec weight = RHNAS_GET(w);
    const Vec gradient = RHNAS_GET(g) + weight * u.l2_decay;
    const Vec m = RHNAS_GET(first) * u.beta1 + gradient * (1.0f - u.beta1);
    const Vec s = RHNAS_GET(second) * u.beta2 + gradient * gradient * (1.0f - u.beta2);
    RHNAS_PUT(first, m, false);
    RHNAS_PUT(second, s, false);
    const Vec step = m * u.first_correction / (Sqrt(s * u.second_correction) + u.epsilon);
    RHNAS_PUT(w, weight * u.weight_factor - step * u.learning_rate, false);
  });
}
