// What a depthwise kernel fetches for the one after it, a few lines with each row of a strip.

struct DepthwiseFetch {
  const float* x;
  int lines;  // with each row
};

constexpr int kLineFloats = 16;  // of a 64-byte cache line, where it matters

RHNAS_INLINE DepthwiseFetch StartFetch(const DepthwiseBandArgs& args, int strips) {
  DepthwiseFetch fetch = {args.next_x, 0};
  if (fetch.x == nullptr) return fetch;
  const int64_t rows = int64_t{args.height} * strips * ((args.channels + kLanes - 1) / kLanes);
  fetch.lines =
      static_cast<int>((args.next_x_floats + rows * kLineFloats - 1) / (rows * kLineFloats));
  return fetch;
}

RHNAS_INLINE void FetchNext(DepthwiseFetch& fetch) {
  for (int i = 0; i < fetch.lines; i++) __builtin_prefetch(fetch.x + i * kLineFloats, 0, 2);
  fetch.x += fetch.lines * kLineFloats;
}
