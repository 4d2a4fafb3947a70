// What the operations' sources share: the sizes work is split by, and sums over rows in an order
// that does not depend on threads. Not part of the API page (engine/ops.h).
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/check.h"
#include "engine/simd/elementwise.h"
#include "engine/tape.h"

namespace rhnas::engine::internal {

// Elements a block of a streaming loop: 64 KB, a few microseconds, within a core's second cache.
constexpr int64_t kGrain = 16384;

inline int64_t RowGrain(int c) { return std::max<int64_t>(1, kGrain / c); }

// Rows a chunk of a sum over rows: within the second cache, at least as many as make the partial
// sums cheap beside the rows, at most as many as float sums stay accurate over.
inline int64_t ChunkRows(int c) { return std::clamp<int64_t>(kGrain / c, 64, 512); }
inline int64_t Chunks(int64_t rows, int c) { return (rows + ChunkRows(c) - 1) / ChunkRows(c); }

inline void CheckSameShape(const Tape& tape, Var a, Var b, const char* operation) {
  const Shape sa = tape.shape(a), sb = tape.shape(b);
  RHNAS_CHECK(sa == sb, "%s of %s and %s", operation, sa.ToString().c_str(), sb.ToString().c_str());
}

inline void CheckRank(const Shape& shape, int rank, const char* operation) {
  RHNAS_CHECK(shape.rank == rank, "%s takes %d dimensions, got %s", operation, rank,
              shape.ToString().c_str());
}

// fn(begin, count) over the blocks of [0, n).
template <typename F>
void ForElements(Tape& tape, int64_t n, const F& fn) {
  tape.pool().ParallelFor(n, kGrain,
                          [&](int64_t begin, int64_t end, int) { fn(begin, end - begin); });
}

// out[j] (+)= sum over rows of what chunk(first_row, rows, partial[c]) gives, partial sums added in
// order in double (one needs no adding).
template <typename F>
void SumChunks(Tape& tape, int64_t rows, int c, float* out, bool accumulate, const F& chunk) {
  ThreadPool& pool = tape.pool();
  const int64_t chunk_rows = ChunkRows(c);
  if (rows <= chunk_rows && !accumulate) return chunk(int64_t{0}, rows, out);
  const int64_t chunks = Chunks(rows, c);
  // Worker 0 is this thread, and no chunk asks for scratch.
  float* partial = static_cast<float*>(
      pool.Scratch(0, static_cast<size_t>(chunks) * static_cast<size_t>(c) * sizeof(float)));
  pool.ParallelFor(rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
    chunk(begin, end - begin, partial + begin / chunk_rows * c);
  });
  for (int j = 0; j < c; ++j) {
    double sum = 0;
    for (int64_t i = 0; i < chunks; ++i) sum += double{partial[i * c + j]};
    out[j] = (accumulate ? out[j] : 0) + static_cast<float>(sum);
  }
}

// Copies plain data into the tape's arena, for the backward pass.
template <typename T>
T* Keep(Tape& tape, const T* data, int64_t count) {
  T* copy = static_cast<T*>(tape.arena().Allocate(static_cast<size_t>(count) * sizeof(T)));
  std::copy(data, data + count, copy);
  return copy;
}

}  // namespace rhnas::engine::internal
