// Depthwise links of a fused chain: bands of rows of one image, in the second-level cache from the
// normalisation of what is read to the sums over what is written. See chain_internal.h.
//
// The rows that a band reads stand in a window, normalised; rows that the next band needs again
// move to its top. While a band is computed, what the next one reads is fetched from memory.
#include <algorithm>
#include <cstring>

#include "engine/chain_internal.h"
#include "engine/conv_depthwise.h"
#include "engine/conv_internal.h"

namespace rhnas::engine::chain {

namespace {

// Floats of the windows and of what a band writes: within a second-level cache of 1 MiB, beside the
// rows that are read. Not more pixels than float sums stay accurate over.
constexpr int64_t kBandFloats = 144 * 1024;
constexpr int64_t kMostPixels = 512;
// 16 MiB: what a third-level cache keeps of a tensor beside what else passes.
constexpr int64_t kStreamedFloats = 4 * 1024 * 1024;

// Rows [first, end) of one image, packed, in scratch memory or where the image stands.
struct Window {
  float* data;
  int64_t row_floats;
  int first = 0, end = 0;

  // Drops the rows before `row`.
  void Advance(int row) {
    const int from = std::min(std::max(row, first), end);
    std::memmove(data, data + (from - first) * row_floats,
                 static_cast<size_t>((end - from) * row_floats) * sizeof(float));
    first = from < end ? from : row;
    if (from == end) end = row;
  }
};

// What one image's bands read: z, normalised into the window unless it is given as it is.
class SourceRows {
 public:
  SourceRows(const LinkShape& shape, const Source& x, int64_t image, float* scratch)
      : shape_(shape),
        x_(x),
        image_(x.data + image * shape.h * shape.w * shape.c),
        window_{scratch, int64_t{shape.w} * shape.c} {
    if (x.norm != nullptr) return;
    window_.data = const_cast<float*>(image_);  // never written: it is full
    window_.end = shape.h;
  }
  // Rows [first, until).
  const Window& Hold(int first, int until) {
    if (x_.norm == nullptr) return window_;
    window_.Advance(first);
    if (window_.end >= until) return window_;
    simd::Elementwise().normalize[x_.norm->function()](
        image_ + window_.end * window_.row_floats, x_.norm->channels(),
        window_.data + (window_.end - window_.first) * window_.row_floats,
        int64_t{until - window_.end} * shape_.w, shape_.c);
    window_.end = until;
    return window_;
  }
  // Where the rows after the window stand.
  const float* next() const { return image_ + window_.end * window_.row_floats; }
  int64_t floats_left() const { return (shape_.h - window_.end) * window_.row_floats; }

 private:
  const LinkShape& shape_;
  const Source& x_;
  const float* image_;
  Window window_;
};

// The same of dy.
class GradientRows {
 public:
  GradientRows(const LinkShape& shape, const GradSource& dy, int64_t image, float* scratch)
      : shape_(shape),
        dy_(dy),
        at_(image * shape.oh() * shape.ow() * shape.c),
        window_{scratch, int64_t{shape.ow()} * shape.c} {}
  const Window& Hold(int first, int until) {
    window_.Advance(first);
    if (window_.end >= until) return window_;
    const int64_t at = at_ + window_.end * window_.row_floats;
    simd::Elementwise().normalize_backward[dy_.norm->function()](
        dy_.y + at, dy_.dz + at, dy_.norm->channels(), dy_.channels.slope, dy_.channels.offset,
        window_.data + (window_.end - window_.first) * window_.row_floats,
        int64_t{until - window_.end} * shape_.ow(), shape_.c, false);
    window_.end = until;
    return window_;
  }
  int64_t next() const { return at_ + window_.end * window_.row_floats; }
  int64_t floats_left() const { return (shape_.oh() - window_.end) * window_.row_floats; }

 private:
  const LinkShape& shape_;
  const GradSource& dy_;
  int64_t at_;
  Window window_;
};

int64_t SourceFloats(const LinkShape& shape, const Source& x, int band) {
  if (x.norm == nullptr) return 0;
  const int rows = std::min(shape.h, (band - 1) * shape.stride + shape.r);
  return conv::CeilDiv(int64_t{rows} * shape.w * shape.c, 16) * 16;
}

conv::DepthwiseBand BandOf(const LinkShape& shape, const Window& from, const float* filter) {
  conv::DepthwiseBand band;
  band.r = shape.r;
  band.s = shape.s;
  band.stride = shape.stride;
  band.pad = shape.pad;
  band.from = from.data;
  band.from_first = from.first;
  band.from_row = from.row_floats;
  band.from_pixel = band.f_tap = band.to_pixel = shape.c;
  band.f = filter;
  band.channels = shape.c;
  return band;
}

// What the next band of an image reads for the filter gradient, to be fetched.
struct NextRows {
  const float *z, *dy;
  int64_t z_floats, dy_floats;
};

// partial (+)= z * dy over output rows [first, until).
void FilterRows(const LinkShape& shape, const Window& z, const Window& dy, int first, int until,
                const NextRows& next, float* partial, bool accumulate) {
  const int c = shape.c, top = first * shape.stride - shape.pad;
  simd::DepthwiseFilterArgs args{};
  args.x = z.data + (top - z.first) * z.row_floats - int64_t{shape.pad} * c;
  args.x_row = z.row_floats;
  args.x_pixel = c;
  args.row_stride = shape.stride;
  args.row_low = -top;
  args.row_high = shape.h - top;
  args.low = shape.pad;
  args.high = shape.pad + shape.w;
  args.dy = dy.data + (first - dy.first) * dy.row_floats;
  args.dy_row = dy.row_floats;
  args.dy_pixel = c;
  args.images = 1;
  args.height = until - first;
  args.width = shape.ow();
  args.df = partial;
  args.df_row = int64_t{shape.s} * c;
  args.df_tap = c;
  args.taps = shape.r;
  args.channels = c;
  args.next_x = next.z;
  args.next_x_floats = next.z_floats;
  args.next_dy = next.dy;
  args.next_dy_floats = next.dy_floats;
  args.accumulate = accumulate;
  simd::DepthwiseKernelsFor(ActiveTarget()).filter[shape.s][shape.stride](args);
}

// Bands of results. A tensor too large for a third-level cache would be fetched before it is
// written, line by line in the order of the strips that the kernel walks down, and be gone when it
// is read: its bands are computed in scratch memory and, when their sums are taken, written past
// the caches.
struct Result {
  float* data;
  bool streams;
  float* Band(int64_t at, float* scratch) const { return streams ? scratch : data + at; }
  void Write(int64_t at, const float* band, int64_t floats) const {
    if (streams) simd::Elementwise().copy_stream(band, data + at, floats);
  }
};
Result ResultOf(float* data, int64_t floats, int64_t row_floats) {
  return {data, floats >= kStreamedFloats && row_floats % 16 == 0 &&
                    reinterpret_cast<uintptr_t>(data) % 64 == 0};
}

}  // namespace

int DepthwiseBand(const LinkShape& shape, bool backward) {
  const int64_t in = int64_t{shape.stride} * shape.w * shape.c;
  const int64_t out = int64_t{shape.ow()} * shape.c;
  const int64_t halo = in * shape.r / shape.stride;
  int64_t band = (kBandFloats - halo) / (backward ? 2 * in + out : in + out);
  band = std::min(band, kMostPixels / (shape.ow() * (backward ? shape.stride : 1)));
  band = std::clamp<int64_t>(band, 1, shape.oh());
  // As even as possible.
  return static_cast<int>(conv::CeilDiv(shape.oh(), conv::CeilDiv(shape.oh(), band)));
}

void DepthwiseForward(const LinkShape& shape, const Source& x, const float* filter, float* y,
                      const internal::MomentPartials& moments, ThreadPool& pool) {
  const int rows = DepthwiseBand(shape, false), oh = shape.oh(), c = shape.c;
  const int bands = static_cast<int>(conv::CeilDiv(oh, rows));
  const int64_t row_floats = int64_t{shape.ow()} * c;
  const int64_t z_floats = SourceFloats(shape, x, rows);
  const Result result = ResultOf(y, shape.n * oh * row_floats, row_floats);
  const conv::Scratch scratch(pool, 0, z_floats + (result.streams ? rows * row_floats : 0));
  const auto& products = simd::DepthwiseKernelsFor(ActiveTarget());
  pool.ParallelFor(shape.n, 1, [&](int64_t image, int64_t, int worker) {
    SourceRows source(shape, x, image, scratch.Own(worker));
    for (int b = 0; b < bands; ++b) {
      const int first = b * rows, until = std::min(oh, first + rows);
      const int top = first * shape.stride - shape.pad;
      const Window& z = source.Hold(
          std::max(0, top), std::min(shape.h, top + (until - first - 1) * shape.stride + shape.r));
      conv::DepthwiseBand band = BandOf(shape, z, filter);
      band.from_height = shape.h;
      band.from_width = shape.w;
      const int64_t to = (image * oh + first) * row_floats;
      band.to = result.Band(to, scratch.Own(worker) + z_floats);
      band.first = first;
      band.rows = until - first;
      band.to_width = shape.ow();
      band.to_row = row_floats;
      band.next_from = source.next();
      band.next_from_floats =
          std::min(source.floats_left(), int64_t{rows} * shape.stride * shape.w * c);
      conv::DepthwiseForwardRows(band, products);
      internal::TakeMoments(band.to, int64_t{band.rows} * shape.ow(), c, image * bands + b,
                            moments);
      result.Write(to, band.to, band.rows * row_floats);
    }
  });
}

void DepthwiseBackward(const LinkShape& shape, const Source& x, const GradSource& dy,
                       const float* filter, const GradTarget& dx, float* dfilter,
                       ThreadPool& pool) {
  const int rows = DepthwiseBand(shape, true), oh = shape.oh(), c = shape.c;
  const int bands = static_cast<int>(conv::CeilDiv(oh, rows));
  const int halo = (shape.r - 1) / shape.stride;  // rows of dy above a band that it needs
  const int64_t row_floats = int64_t{shape.w} * c;
  const int64_t z_floats = SourceFloats(shape, x, rows);
  const int64_t dy_floats = int64_t{rows + halo} * shape.ow() * c;
  const int64_t filter_floats = shape.filter_size();
  const Parts parts = PartsOf(shape.n, filter_floats);
  // A band completes the input rows that no later one reaches: as many as it has, and the last of
  // an image all that are left.
  const int64_t dz_rows =
      std::min(shape.h, rows * shape.stride + std::max(0, shape.r - 1 - shape.pad));
  Result result = ResultOf(dx.dz, shape.n * shape.h * row_floats, row_floats);
  if (dx.dz == nullptr || dx.accumulate) result.streams = false;
  const int64_t dz_at = z_floats + conv::CeilDiv(dy_floats, 16) * 16;
  const conv::Scratch scratch(pool, dfilter != nullptr ? parts.count * filter_floats : 0,
                              dz_at + (result.streams ? dz_rows * row_floats : 0));
  const auto& kernels = simd::Elementwise();
  const auto& products = simd::DepthwiseKernelsFor(ActiveTarget());
  pool.ParallelFor(parts.count, 1, [&](int64_t part, int64_t, int worker) {
    float* const partial = scratch.shared() + part * filter_floats;
    for (int64_t image = parts.begin(part); image < parts.begin(part + 1); ++image) {
      SourceRows source(shape, x, image, scratch.Own(worker));
      GradientRows gradient(shape, dy, image, scratch.Own(worker) + z_floats);
      int done = 0;  // input rows
      for (int b = 0; b < bands; ++b) {
        const int first = b * rows, until = std::min(oh, first + rows);
        const Window& g = gradient.Hold(std::max(0, first - halo), until);
        if (dfilter != nullptr) {
          const int top = first * shape.stride - shape.pad;
          const Window& z =
              source.Hold(std::max(0, top),
                          std::min(shape.h, top + (until - first - 1) * shape.stride + shape.r));
          const NextRows next = {source.next(), dy.dz + gradient.next(),
                                 std::min(source.floats_left(), rows * shape.stride * row_floats),
                                 std::min(gradient.floats_left(), rows * int64_t{shape.ow()} * c)};
          FilterRows(shape, z, g, first, until, next, partial, image > parts.begin(part) || b > 0);
        }
        if (dx.dz == nullptr) continue;
        // Input rows that no later row of dy reaches.
        const int complete =
            b == bands - 1 ? shape.h : std::clamp(until * shape.stride - shape.pad, done, shape.h);
        const int64_t to = (image * shape.h + done) * row_floats;
        float* const dz = result.Band(to, scratch.Own(worker) + dz_at);
        if (complete > done) {
          conv::DepthwiseBand band = BandOf(shape, g, filter);
          band.from_height = oh;
          band.from_width = shape.ow();
          band.to = dz;
          band.first = done;
          band.rows = complete - done;
          band.to_width = shape.w;
          band.to_row = row_floats;
          band.accumulate = dx.accumulate;
          band.next_from = dy.y + gradient.next();
          band.next_from_floats = std::min(gradient.floats_left(), rows * int64_t{shape.ow()} * c);
          conv::DepthwiseBackwardRows(band, products);
        }
        if (x.norm != nullptr) {
          const int64_t at = (image * bands + b) * c;
          kernels.normalize_sums[x.norm->function()](
              x.data + (image * shape.h + done) * row_floats, dz, x.norm->channels(),
              int64_t{complete - done} * shape.w, c, dx.partials.sum + at,
              dx.partials.centred + at);
        }
        result.Write(to, dz, (complete - done) * row_floats);
        done = complete;
      }
    }
  });
  if (dfilter != nullptr) AddPartials(scratch.shared(), parts.count, filter_floats, dfilter, pool);
}

}  // namespace rhnas::engine::chain
