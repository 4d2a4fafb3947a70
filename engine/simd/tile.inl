// Register tiles with one row per pixel, for forward, backward-data and matrix products. See
// engine/simd/conv_kernels.h.

#include "engine/simd/accumulators.inl"

template <int kRows, int kVecs, bool kHalf>
RHNAS_INLINE void FinishTile(Accumulators<kRows, kVecs, kHalf>& acc, const Epilogue& epilogue,
                             const float* residual, int last) {
  const int64_t row = epilogue.residual_pixel;
  RHNAS_UNROLL for (int j = 0; j < kVecs; j++) {
    // With 512 bits a masked load costs what a plain one does: one case is enough.
    const bool partial = !kHalf && j == kVecs - 1 && (kLanes == 16 || last != kLanes);
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

// Picks the instantiation for a number of rows known only at run time.
template <int kRows, int kVecs, bool kHalf>
static void TileOfRows(int rows, const TileArgs& args, int64_t first, int64_t until) {
  if constexpr (kRows > 0) {
    if (rows != kRows) return TileOfRows<kRows - 1, kVecs, kHalf>(rows, args, first, until);
    // Tiles are as even as possible, so fewer rows than the most or a few less only in small maps:
    // their own flat case would be code that seldom runs.
    constexpr bool kHasFlat = kFused && 3 * kRows > 2 * MaxTileRows(kVecs + kHalf);
    if (kHasFlat && args.outer == 1 && args.inner == 1) {
      Tile<kRows, kVecs, kHalf, kHasFlat>(args, first, until);
    } else {
      Tile<kRows, kVecs, kHalf, false>(args, first, until);
    }
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
