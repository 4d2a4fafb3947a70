// Register tiles with one row per input channel, for filter gradients: a sum of outer products over
// pixels. See engine/simd/outer_kernels.h.

#include "engine/simd/accumulators.inl"

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
  // With 512 bits a masked load costs what a plain one does: one case is enough.
  if (!kHalf && (kLanes == 16 || args.last != kLanes)) {
    OuterTile<kRows, kVecs, kHalf, true>(args, tile, a, c);
  } else {
    OuterTile<kRows, kVecs, kHalf, false>(args, tile, a, c);
  }
}

// Picks the instantiation for a number of rows known only at run time.
template <int kRows, int kVecs, bool kHalf>
static void OuterOfRows(int rows, const OuterArgs& args, int64_t tile) {
  if constexpr (kRows > 0) {
    if (rows != kRows) return OuterOfRows<kRows - 1, kVecs, kHalf>(rows, args, tile);
    const int64_t row = tile * args.tile_rows;
    Outer<kRows, kVecs, kHalf>(args, tile, args.a + row, args.c + row * args.c_row);
  }
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
