// Depthwise filter gradients: the loops around engine/simd/depthwise_filter.inl.
#include "engine/conv_internal.h"

namespace rhnas::engine::conv {

namespace {

constexpr int kChannelQuantum = 32;
// Output pixels of a chunk at least, chunks at most.
constexpr int64_t kChunkPixels = 256, kMaxChunks = 32;
// Floats of x and dy that one kernel call reads: few enough pages for the first level of address
// translation, several rows. Fewer where they are fetched while the call before runs, so that two
// calls have room in a second-level cache.
constexpr int64_t kCallFloats = 128 * 1024, kFetchedCallFloats = 64 * 1024;
// x and dy of more floats than this may come from memory and are fetched, but not where rows are so
// long that a call has fewer than kFetchRows: there the machine's own fetching is as good.
constexpr int64_t kFetchFloats = 1024 * 1024, kFetchRows = 4;

// A call for rows of one image from copies of them, some channels after the others.
void FilterPacked(const simd::DepthwiseFilterArgs& whole, const TapPass& pass,
                  const simd::DepthwiseKernels& kernels, float* memory) {
  simd::DepthwiseFilterArgs args = whole;
  const int64_t low = Max(0, whole.row_low);
  const int64_t high =
      Min(whole.row_high, int64_t{whole.height - 1} * whole.row_stride + whole.taps);
  const int64_t columns = whole.high - whole.low;
  args.x_pixel = args.dy_pixel = kPackedPixel;
  args.x_row = columns * kPackedPixel;
  args.dy_row = whole.width * args.dy_pixel;
  float* const dy = memory;
  float* const x = memory + whole.height * args.dy_row;
  args.dy = dy;
  args.x = x - low * args.x_row - whole.low * args.x_pixel;
  for (int channel = 0; channel < whole.channels; channel += kPackedChannels) {
    args.channels = static_cast<int>(Min(kPackedChannels, whole.channels - channel));
    for (int64_t row = low; row < high; row++) {
      PackPixels(whole.x + row * whole.x_row + whole.low * whole.x_pixel + channel, whole.x_pixel,
                 columns, args.channels, x + (row - low) * args.x_row);
    }
    PackPixels(whole.dy + channel, whole.dy_pixel, whole.height * int64_t{whole.width},
               args.channels, dy);
    args.df = whole.df + channel;
    kernels.filter[pass.taps][pass.stride](args);
    args.next_x = args.next_dy = nullptr;  // once is enough
  }
}

}  // namespace

void FilterGradientDepthwise(const FilterGradient& job, const simd::DepthwiseKernels& kernels,
                             ThreadPool& pool) {
  const int64_t channels = job.groups;
  TapPass passes[kMaxDepthwiseWidth];
  const int pass_count = MakePasses(job.s, job.stride, kernels.filter, passes, kMaxDepthwiseWidth);
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
  const int64_t x_row_floats = job.w * channel_block, dy_row_floats = job.out_w * channel_block;
  const int64_t row_floats = job.stride * x_row_floats + dy_row_floats;
  const bool fetch = channel_blocks == 1 && rows * row_floats > kFetchFloats &&
                     kFetchRows * row_floats <= kFetchedCallFloats;
  const int64_t call_floats = fetch ? kFetchedCallFloats : kCallFloats;
  const int64_t image_floats = job.h * x_row_floats + job.out_h * dy_row_floats;
  const int64_t image_block = Max(1, call_floats / image_floats);
  const int64_t halo = Max(0, job.r - job.stride) * x_row_floats;
  const int64_t row_block =
      Max(1, (call_floats - halo) / (job.stride * x_row_floats + dy_row_floats));
  // Rows of x, counted through all images, that the output rows up to one have read.
  const auto read = [&](int64_t row) {
    const int64_t image = row / job.out_h, first = row % job.out_h;
    const int64_t top = first * job.stride - job.pad + Max(0, job.r - job.stride);
    return image * job.h + (first == 0 ? 0 : Max(0, Min(job.h, top)));
  };
  // An output row comes back to the rows of x of the one before.
  const bool packed = pass_count == 1 && PixelsCollide(channels, job.r * job.w + job.out_w);
  const int64_t packed_rows = Min(row_block, job.out_h) * job.stride + job.r;
  const int64_t packed_floats =
      (packed_rows * job.w + Min(row_block, job.out_h) * job.out_w) * kPackedPixel;
  const Scratch scratch(pool, chunks > 1 ? chunks * filter : 0, packed ? packed_floats : 0);
  float* const partial = scratch.shared();
  pool.ParallelFor(chunks * channel_blocks, 1, [&](int64_t begin, int64_t end, int worker) {
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
        if (args.height == job.out_h && !packed) {
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
        if (fetch) {
          const int64_t after = Min(rows, until + until - row);
          args.next_dy = job.dy + until * args.dy_row;
          args.next_dy_floats = (after - until) * args.dy_row;
          args.next_x = job.x + read(until) * args.x_row;
          args.next_x_floats = (read(after) - read(until)) * args.x_row;
        }
        args.accumulate = accumulate;
        for (int p = 0; p < pass_count; p++) {
          const TapPass& pass = passes[p];
          const ColumnRange inside = InsideColumns(pass.first - job.pad, pass.pixels, job.w);
          args.x = job.x + (image * job.h + top) * args.x_row + (pass.first - job.pad) * channels +
                   channel;
          args.x_pixel = channels * pass.pixels;
          args.low = inside.low;
          args.high = inside.high;
          args.df = df + pass.first * channels;
          if (packed) {
            FilterPacked(args, pass, kernels, scratch.Own(worker));
          } else {
            kernels.filter[pass.taps][pass.stride](args);
          }
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
