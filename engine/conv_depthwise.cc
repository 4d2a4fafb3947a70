// Depthwise correlations and filter gradients: the loops around engine/simd/depthwise.inl.
//
// The source is read in place. Filters wider than the widest kernel, and strides above two, are
// taken apart by columns of taps, each pass adding to the one before.
#include "engine/conv_internal.h"

namespace rhnas::engine::conv {

namespace {

// Channels are taken in blocks so that the rows and filters a tile of 8 outputs needs stay in half
// of a 32 KiB first-level cache.
constexpr int64_t kTileFloats = 4096;
constexpr int kChannelQuantum = 32;
constexpr int64_t kTaskMacs = 128 * 1024;
// Of the filter gradient: output pixels of a chunk at least, chunks at most.
constexpr int64_t kChunkPixels = 256, kMaxChunks = 32;
// Of the filter gradient: floats of x and dy that one kernel call reads; fewer where they come from
// beyond the second-level cache, to be fetched while the call before runs.
constexpr int64_t kCallFloats = 64 * 1024, kFetchedCallFloats = 32 * 1024;
// x and dy of more floats than this are fetched early: they do not stay in a second-level cache.
constexpr int64_t kFetchFloats = 128 * 1024;

// Taps [first, first + taps) of each filter row in one pass; the stride of the kernel, and how many
// pixels of x one of its columns stands for.
struct Pass {
  int first, taps, stride, pixels;
};

template <typename Kernel>
int MakePasses(int s, int stride, const Kernel (&kernels)[8][3], Pass* passes, int limit) {
  int count = 0;
  for (int first = 0; first < s && count < limit; count++) {
    int taps = s - first < 7 ? s - first : 7;
    if (stride <= 2) {
      while (taps > 1 && kernels[taps][stride] == nullptr) taps--;
    } else {
      taps = 1;
    }
    const bool direct = stride <= 2 && kernels[taps][stride] != nullptr;
    if (!direct) taps = 1;  // one tap of any stride is a stride-1 pass over spread pixels
    passes[count] = direct ? Pass{first, taps, stride, 1} : Pass{first, 1, 1, stride};
    first += taps;
  }
  return count;
}

constexpr int kMaxPasses = kMaxDepthwiseWidth;  // at the worst a pass for each column of taps

// Columns of a pass, of which [low, high) are inside an image of width w when the first is pixel
// `start` (which may be negative) and each is `pixels` further.
struct Columns {
  int low, high;
};
Columns InsideColumns(int start, int pixels, int w) {
  Columns inside;
  inside.low = start < 0 ? static_cast<int>(CeilDiv(-start, pixels)) : 0;
  inside.high = w > start ? (w - 1 - start) / pixels + 1 : 0;
  return inside;
}

int64_t ChannelBlock(int64_t channels, int64_t floats_per_channel) {
  if (channels * floats_per_channel <= kTileFloats) return channels;
  const int64_t block =
      Max(1, kTileFloats / floats_per_channel / kChannelQuantum) * kChannelQuantum;
  return Min(channels, block);
}

}  // namespace

namespace {

// Output rows [first, until) of one image.
void CorrelateRows(const Correlation& job, const Pass* passes, int pass_count,
                   const simd::DepthwiseKernels& kernels, int64_t image, int first, int until,
                   bool stream) {
  const int64_t channels = job.groups;
  const int64_t block = ChannelBlock(channels, Max(1, job.r) * int64_t{8 * job.stride + 2 * job.s});
  for (int64_t channel = 0; channel < channels; channel += block) {
    for (int i = first; i < until; i++) {
      const int top = i * job.stride - job.top;
      const int r_low = top < 0 ? -top : 0;
      const int r_high = static_cast<int>(Min(job.r, job.h - top));
      simd::DepthwiseArgs args;
      args.taps = r_high > r_low ? r_high - r_low : 0;
      args.x_row = job.w * job.x_pixel;
      args.f_row = job.f_r;
      args.f_tap = job.f_s;
      args.y = job.y + image * job.y_image + i * job.y_row + channel;
      args.y_pixel = job.y_pixel;
      args.width = job.out_w;
      args.channels = static_cast<int>(Min(block, channels - channel));
      args.accumulate = job.accumulate;
      args.stream = stream;
      if (args.taps == 0 || pass_count == 0) {
        // Nothing reaches this row: zeros, through a pass of no taps.
        args.taps = 0;
        args.x = job.x;
        args.f = job.f;
        args.x_pixel = job.x_pixel;
        args.low = args.high = 0;
        kernels.row[1][1](args);
        continue;
      }
      const float* const x = job.x + (image * job.h + top + r_low) * args.x_row + channel;
      const float* const f = job.f + r_low * job.f_r + channel;
      for (int p = 0; p < pass_count; p++) {
        const Pass& pass = passes[p];
        const Columns inside = InsideColumns(pass.first - job.left, pass.pixels, job.w);
        args.x = x + (pass.first - job.left) * job.x_pixel;
        args.f = f + pass.first * job.f_s;
        args.x_pixel = job.x_pixel * pass.pixels;
        args.low = inside.low;
        args.high = inside.high;
        kernels.row[pass.taps][pass.stride](args);
        args.accumulate = true;
      }
    }
  }
}

}  // namespace

void CorrelateDepthwise(const Correlation* jobs, int count, const simd::DepthwiseKernels& kernels,
                        ThreadPool& pool) {
  if (count == 0) return;
  // Bands of rows, the same share of each phase in a band; whole images where these are small.
  int64_t macs = 0, floats = 0, rows = 1;
  bool stream = true;
  for (int p = 0; p < count; p++) {
    const Correlation& job = jobs[p];
    const int64_t pixels = int64_t{job.out_h} * job.out_w * job.groups;
    macs += pixels * (1 + job.r * job.s);
    floats += pixels * job.images;
    rows = Max(rows, job.out_h);
    stream = stream && !job.accumulate && job.groups % 16 == 0 &&
             reinterpret_cast<uintptr_t>(job.y) % 64 == 0 &&
             (job.stride <= 2 && job.s <= 7 && kernels.row[job.s][job.stride] != nullptr);
  }
  stream = stream && floats > kStreamFloats;
  const int64_t images = jobs[0].images;
  const int64_t wanted = CeilDiv(int64_t{16} * pool.size(), images);
  const int64_t bands = Max(1, Min(Min(rows, wanted), macs / kTaskMacs));
  const int64_t grain = Max(1, kTaskMacs / Max(1, macs / bands));
  pool.ParallelFor(images * bands, grain, [&](int64_t begin, int64_t end, int) {
    Pass passes[kMaxPasses];
    for (int64_t task = begin; task < end; task++) {
      const int64_t image = task / bands, band = task % bands;
      for (int p = 0; p < count; p++) {
        const Correlation& job = jobs[p];
        const int pass_count = MakePasses(job.s, job.stride, kernels.row, passes, kMaxPasses);
        CorrelateRows(job, passes, pass_count, kernels, image,
                      static_cast<int>(job.out_h * band / bands),
                      static_cast<int>(job.out_h * (band + 1) / bands), stream);
      }
    }
  });
}

void FilterGradientDepthwise(const FilterGradient& job, const simd::DepthwiseKernels& kernels,
                             ThreadPool& pool) {
  const int64_t channels = job.groups;
  Pass passes[kMaxPasses];
  const int pass_count = MakePasses(job.s, job.stride, kernels.filter, passes, kMaxPasses);
  const int64_t filter = int64_t{job.r} * job.s * channels;
  const int64_t rows = int64_t{job.images} * job.out_h;
  int64_t chunks = Max(1, Min(kMaxChunks, rows * job.out_w / kChunkPixels));
  int64_t chunk = CeilDiv(rows, Min(chunks, rows));
  if (chunk > job.out_h) chunk = CeilDiv(chunk, job.out_h) * job.out_h;
  chunks = CeilDiv(rows, chunk);
  // A kernel call takes some rows of an image, or some whole images, one vector of channels after
  // the other. Channels are split only to have tasks for all threads.
  const int64_t threads = pool.size();
  const int64_t splits = threads == 1 ? 1 : CeilDiv(4 * threads, chunks);
  const int64_t channel_block =
      Min(channels, CeilDiv(CeilDiv(channels, splits), kChannelQuantum) * kChannelQuantum);
  const int64_t channel_blocks = CeilDiv(channels, channel_block);
  const bool big =
      job.images * (int64_t{job.h} * job.w + int64_t{job.out_h} * job.out_w) * channels >
      kFetchFloats;
  const int64_t call_floats = big ? kFetchedCallFloats : kCallFloats;
  const int64_t x_row_floats = job.w * channel_block, dy_row_floats = job.out_w * channel_block;
  const int64_t image_floats = job.h * x_row_floats + job.out_h * dy_row_floats;
  const int64_t image_block = Max(1, call_floats / image_floats);
  const int64_t halo = Max(0, job.r - job.stride) * x_row_floats;
  const int64_t row_block =
      Max(1, (call_floats - halo) / (job.stride * x_row_floats + dy_row_floats));
  const Scratch scratch(pool, chunks > 1 ? chunks * filter : 0, 0);
  float* const partial = scratch.shared();
  pool.ParallelFor(chunks * channel_blocks, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; item++) {
      const int64_t part = item / channel_blocks, channel = item % channel_blocks * channel_block;
      float* const df = (chunks > 1 ? partial + part * filter : job.df) + channel;
      const int64_t last = Min(rows, (part + 1) * chunk);
      bool accumulate = chunks == 1 && job.accumulate;
      for (int64_t row = part * chunk; row < last;) {
        const int64_t image = row / job.out_h;
        const int first = static_cast<int>(row - image * job.out_h);
        int64_t until = Min(last, Min(row + row_block, (image + 1) * job.out_h));
        simd::DepthwiseFilterArgs args;
        args.height = static_cast<int>(until - row);
        args.images = 1;
        if (args.height == job.out_h) {
          args.images = static_cast<int>(Min(image_block, (last - row) / job.out_h));
          until = row + int64_t{args.images} * job.out_h;
        }
        const int top = first * job.stride - job.pad;
        args.x_row = job.w * channels;
        args.x_image = job.h * args.x_row;
        args.row_stride = job.stride;
        args.row_low = -top;
        args.row_high = job.h - top;
        args.dy = job.dy + row * job.out_w * channels + channel;
        args.dy_pixel = channels;
        args.dy_row = job.out_w * channels;
        args.dy_image = job.out_h * args.dy_row;
        args.width = job.out_w;
        args.df_row = job.s * channels;
        args.df_tap = channels;
        args.taps = job.r;
        args.channels = static_cast<int>(Min(channel_block, channels - channel));
        args.next_x = args.next_dy = nullptr;
        if (big) {
          const int64_t below = top + args.height * job.stride + Max(0, job.r - job.stride);
          args.next_dy = job.dy + until * job.out_w * channels;
          args.next_x =
              job.x + (args.height == job.out_h ? (image + args.images) * args.x_image
                                                : image * args.x_image + below * args.x_row);
        }
        args.accumulate = accumulate;
        for (int p = 0; p < pass_count; p++) {
          const Pass& pass = passes[p];
          const Columns inside = InsideColumns(pass.first - job.pad, pass.pixels, job.w);
          args.x = job.x + (image * job.h + top) * args.x_row + (pass.first - job.pad) * channels +
                   channel;
          args.x_pixel = channels * pass.pixels;
          args.low = inside.low;
          args.high = inside.high;
          args.df = df + pass.first * channels;
          kernels.filter[pass.taps][pass.stride](args);
        }
        accumulate = true;
        row = until;
      }
    }
  });
  if (chunks == 1) return;
  const simd::ConvKernels& shared = simd::ConvKernelsFor(ActiveTarget());
  const int64_t grain = Max(1024, CeilDiv(filter, int64_t{4} * pool.size()) / 16 * 16);
  pool.ParallelFor(filter, grain, [&](int64_t begin, int64_t end, int) {
    shared.add_parts(job.df + begin, partial + begin, filter, static_cast<int>(chunks), end - begin,
                     job.accumulate);
  });
}

}  // namespace rhnas::engine::conv
