// Depthwise forward and backward-data passes: bands of rows shared among threads.
#include "engine/conv_depthwise.h"
#include "engine/check.h"
#include "engine/conv.h"
#include "engine/conv_internal.h"

namespace rhnas::engine::conv {

namespace {

// Multiply-adds that are worth handing to a thread.
constexpr int64_t kTaskMacs = 128 * 1024;
// Images of more floats than this, source and result, may come from memory: bands of kBandFloats,
// each fetched while the one before is worked on.
constexpr int64_t kFetchFloats = 1024 * 1024, kBandFloats = 80 * 1024;
// Not where rows are so long that a band has fewer: there the machine's own fetching is as good.
constexpr int64_t kFetchRows = 4;

// A pass over images that follow each other without gaps, cut into bands of rows.
struct Images {
  int count, from_height, to_height;
  int64_t macs;  // of an image
  int halo;      // rows of the source that a band reads beyond its share of them
};

void RunBand(const DepthwiseBand& band, bool backward, const simd::DepthwiseKernels& kernels) {
  if (backward) {
    DepthwiseBackwardRows(band, kernels);
  } else {
    DepthwiseForwardRows(band, kernels);
  }
}

// A band from copies of its source, some channels after the others.
void RunPacked(const DepthwiseBand& whole, bool backward, const simd::DepthwiseKernels& kernels,
               float* packed) {
  const DepthwiseRows rows = SourceRows(whole, backward);
  DepthwiseBand band = whole;
  band.from = packed;
  band.from_first = rows.first;
  band.from_pixel = kPackedPixel;
  band.from_row = band.from_width * band.from_pixel;
  for (int channel = 0; channel < whole.channels; channel += kPackedChannels) {
    band.channels = static_cast<int>(Min(kPackedChannels, whole.channels - channel));
    PackPixels(whole.from + rows.first * whole.from_row + channel, whole.from_pixel,
               int64_t{rows.until - rows.first} * whole.from_width, band.channels, packed);
    band.f = whole.f + channel;
    band.to = whole.to + channel;
    RunBand(band, backward, kernels);
    band.next_from = nullptr;  // once is enough
  }
}

void RunBands(const DepthwiseBand& image, const Images& images, bool backward,
              const simd::DepthwiseKernels& kernels, ThreadPool& pool) {
  const int64_t from_image = images.from_height * image.from_row;
  const int64_t to_image = images.to_height * image.to_row;
  const int64_t wanted = CeilDiv(int64_t{16} * pool.size(), images.count);
  int64_t bands = Max(1, Min(Min(images.to_height, wanted), images.macs / kTaskMacs));
  const bool fetch = images.count * (from_image + to_image) > kFetchFloats &&
                     kBandFloats * images.to_height >= kFetchRows * (from_image + to_image);
  if (fetch) {
    bands = Max(bands, Min(images.to_height, CeilDiv(from_image + to_image, kBandFloats)));
  }
  // Rows of the source, counted through all images, that the bands up to one have read.
  const auto read = [&](int64_t task) {
    const int64_t index = task / bands, part = task % bands;
    if (index >= images.count) return images.count * int64_t{images.from_height};
    const int64_t first =
        part == 0
            ? 0
            : images.to_height * part / bands * images.from_height / images.to_height + images.halo;
    return index * images.from_height + Min(first, images.from_height);
  };
  // Of the source, what the outputs of 8 columns share.
  const int64_t columns = backward ? 7 / image.stride + image.s : 7 * image.stride + image.s;
  const bool packed = PixelsCollide(image.channels, image.r * columns);
  const int64_t band_rows = images.to_height / bands + 1;
  const int64_t source_rows =
      Min(images.from_height, (backward ? band_rows : band_rows * image.stride) + image.r);
  const Scratch scratch(pool, 0, packed ? source_rows * image.from_width * kPackedPixel : 0);
  const int64_t grain = Max(1, kTaskMacs / Max(1, images.macs / bands));
  pool.ParallelFor(images.count * bands, grain, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t task = begin; task < end; task++) {
      const int64_t index = task / bands, part = task % bands;
      DepthwiseBand band = image;
      band.first = static_cast<int>(images.to_height * part / bands);
      band.rows = static_cast<int>(images.to_height * (part + 1) / bands) - band.first;
      band.from += index * from_image;
      band.to += index * to_image + band.first * band.to_row;
      if (fetch && (task + 1 < end || pool.size() == 1)) {
        const int64_t from = read(task + 1);
        band.next_from = image.from + from * image.from_row;
        band.next_from_floats = (read(task + 2) - from) * image.from_row;
      }
      if (packed) {
        RunPacked(band, backward, kernels, scratch.Own(worker));
      } else {
        RunBand(band, backward, kernels);
      }
    }
  });
}

DepthwiseBand WholeImage(const ConvShape& shape, const float* f, bool accumulate) {
  DepthwiseBand band;
  band.r = shape.r;
  band.s = shape.s;
  band.stride = shape.stride;
  band.pad = shape.pad;
  band.f = f;
  band.f_tap = band.from_pixel = band.to_pixel = band.channels = shape.c;
  band.accumulate = accumulate;
  return band;
}

// Strips write one vector of a pixel after the other pixels': only where a vector is a whole line,
// or each line would go to memory in pieces (six times the time with AVX2).
bool Streams(const DepthwiseBand& band, int64_t floats, bool one_pass) {
  const bool whole_lines = simd::ConvKernelsFor(ActiveTarget()).lanes == 16;
  return one_pass && whole_lines && !band.accumulate && band.channels % 16 == 0 &&
         floats > kStreamFloats && reinterpret_cast<uintptr_t>(band.to) % 64 == 0;
}

}  // namespace

void DepthwiseForward(const ConvShape& shape, const float* x, const float* f, float* y,
                      bool accumulate, const simd::DepthwiseKernels& kernels, ThreadPool& pool) {
  DepthwiseBand band = WholeImage(shape, f, accumulate);
  band.from = x;
  band.from_height = shape.h;
  band.from_width = shape.w;
  band.from_row = int64_t{shape.w} * shape.c;
  band.to = y;
  band.to_width = shape.ow();
  band.to_row = int64_t{shape.ow()} * shape.c;
  const bool one_pass =
      shape.stride <= 2 && shape.s <= 7 && kernels.band[shape.s][shape.stride] != nullptr;
  band.stream = Streams(band, shape.output_size(), one_pass);
  const Images images = {shape.n, shape.h, shape.oh(),
                         shape.output_size() / shape.n * (1 + shape.r * shape.s),
                         shape.r - 1 - shape.pad};
  RunBands(band, images, false, kernels, pool);
}

void DepthwiseBackwardData(const ConvShape& shape, const float* dy, const float* f, float* dx,
                           bool accumulate, const simd::DepthwiseKernels& kernels,
                           ThreadPool& pool) {
  DepthwiseBand band = WholeImage(shape, f, accumulate);
  band.from = dy;
  band.from_height = shape.oh();
  band.from_width = shape.ow();
  band.from_row = int64_t{shape.ow()} * shape.c;
  band.to = dx;
  band.to_width = shape.w;
  band.to_row = int64_t{shape.w} * shape.c;
  const bool one_pass =
      shape.s <= 7 && ((shape.stride == 1 && kernels.band[shape.s][1] != nullptr) ||
                       (shape.stride == 2 && kernels.spread[shape.s] != nullptr));
  band.stream = Streams(band, shape.input_size(), one_pass);
  const Images images = {shape.n, shape.oh(), shape.h,
                         (shape.input_size() + shape.output_size() * shape.r * shape.s) / shape.n,
                         shape.pad / shape.stride};
  RunBands(band, images, true, kernels, pool);
}

}  // namespace rhnas::engine::conv
