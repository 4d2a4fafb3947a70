// The limits of one core, per target; see bench/bench_peak.cc and engine/simd/vec.h.

constexpr int kChains = 12;  // hide the latency of a multiply-add, and fit 16 registers

static float MultiplyAdds(int64_t rounds) {
  Vec acc[kChains];
  const Vec factor = Held(Broadcast(0.999f)), term = Held(Broadcast(0.001f));
  RHNAS_UNROLL for (int i = 0; i < kChains; i++) acc[i] = Broadcast(static_cast<float>(i));
  for (int64_t round = 0; round < rounds; round++) {
    RHNAS_UNROLL for (int i = 0; i < kChains; i++) acc[i] = Held(Fma(acc[i], factor, term));
  }
  Vec sum = acc[0];
  for (int i = 1; i < kChains; i++) sum = sum + acc[i];
  return sum[0];
}

constexpr int kAtOnce = 8;  // vectors

// REQUIRES: n a multiple of kPeakFloats.
static float Read(const float* x, int64_t n) {
  Vec acc[kAtOnce];
  RHNAS_UNROLL for (int i = 0; i < kAtOnce; i++) acc[i] = Zero();
  for (int64_t at = 0; at < n; at += kAtOnce * kLanes) {
    RHNAS_UNROLL for (int i = 0; i < kAtOnce; i++) acc[i] = acc[i] + Load(x + at + i * kLanes);
  }
  Vec sum = acc[0];
  for (int i = 1; i < kAtOnce; i++) sum = sum + acc[i];
  return sum[0];
}

static void Copy(const float* x, float* y, int64_t n) {
  for (int64_t at = 0; at < n; at += kAtOnce * kLanes) {
    RHNAS_UNROLL for (int i = 0; i < kAtOnce; i++) {
      Store(y + at + i * kLanes, Load(x + at + i * kLanes));
    }
  }
}

static const PeakKernels kTable = {kChains * kLanes * 2, MultiplyAdds, Read, Copy};
