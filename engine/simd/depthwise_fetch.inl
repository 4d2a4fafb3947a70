// What a depthwise kernel fetches for the one after it, into a second-level cache: a few lines with
// each row that it works on, in the order of memory.

struct DepthwiseFetch {
  const float* next;
  int lines;  // with each row
};

constexpr int kLineFloats = 16;  // of a 64-byte cache line, where it matters

RHNAS_INLINE DepthwiseFetch StartFetch(const float* next, int64_t floats, int64_t rows) {
  DepthwiseFetch fetch = {next, 0};
  if (next == nullptr || rows == 0) return fetch;
  fetch.lines = static_cast<int>((floats + rows * kLineFloats - 1) / (rows * kLineFloats));
  return fetch;
}

RHNAS_INLINE void FetchNext(DepthwiseFetch& fetch) {
  for (int i = 0; i < fetch.lines; i++) __builtin_prefetch(fetch.next + i * kLineFloats, 0, 2);
  fetch.next += fetch.lines * kLineFloats;
}
