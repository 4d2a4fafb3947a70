// Depthwise links of a fused chain: bands of rows of one image, in the second-level cache from the
// normalisation of what is read to the sums over what is written. See chain_internal.h.
//
// The rows that a band reads stand in a window, normalised, with zeros left and right; rows that
// the next band needs again move to its top. Rows above and below the image are left out of the
// sums.
#include <algorithm>
#include <cstring>

#include "engine/chain_internal.h"
#include "engine/conv_internal.h"
#include "engine/simd/depthwise_kernels.h"

namespace rhnas::engine::chain {

namespace {

// Floats of the windows and of what a band writes: within a second-level cache of 1 MiB, beside the
// rows that are read. Not more pixels than float sums stay accurate over.
constexpr int64_t kBandFloats = 144 * 1024;
constexpr int64_t kMostPixels = 512;
// Channels go together while the rows a tile of 8 outputs reads fit half a first-level cache.
constexpr int64_t kTileFloats = 4096, kChannelQuantum = 32;

int64_t ChannelBlock(const LinkShape& shape) {
  const int64_t floats = int64_t{shape.r} * (8 * shape.stride + 2 * shape.s);
  const int64_t block = std::max<int64_t>(1, kTileFloats / floats / kChannelQuantum);
  return std::min<int64_t>(shape.c, block * kChannelQuantum);
}

// Columns of zeros beside a row of dy, so that every input pixel finds all its taps.
struct Margins {
  int left, right;
};
Margins MarginsOf(const LinkShape& shape) {
  return {std::max(0, (shape.s - 1 - shape.pad) / shape.stride),
          std::max(0, (shape.w - 1 + shape.pad) / shape.stride - (shape.ow() - 1))};
}

// Rows [first, end) of one image in scratch memory.
struct Window {
  float* data;
  int64_t row_floats;
  int left, inside, right;  // floats of a row: zeros, values, zeros
  int first = 0, end = 0;

  float* Row(int row) const { return data + (row - first) * row_floats; }
  // Drops the rows before `row`.
  void Advance(int row) {
    const int from = std::min(std::max(row, first), end);
    std::memmove(data, Row(from), static_cast<size_t>((end - from) * row_floats) * sizeof(float));
    first = from < end ? from : row;
    if (from == end) end = row;
  }
  // Appends a row and returns where its values go.
  float* Append() {
    float* const row = Row(end++);
    std::memset(row, 0, static_cast<size_t>(left) * sizeof(float));
    std::memset(row + left + inside, 0, static_cast<size_t>(right) * sizeof(float));
    return row + left;
  }
};

void FillSource(const LinkShape& shape, const Source& x, int image, int until, Window* window) {
  const auto& kernels = simd::Elementwise();
  const int64_t row_floats = int64_t{shape.w} * shape.c;
  while (window->end < until) {
    const float* const from = x.data + (int64_t{image} * shape.h + window->end) * row_floats;
    float* const to = window->Append();
    if (x.norm == nullptr) {
      std::memcpy(to, from, static_cast<size_t>(row_floats) * sizeof(float));
    } else {
      kernels.normalize[x.norm->function()](from, x.norm->channels(), to, shape.w, shape.c);
    }
  }
}

void FillGradient(const LinkShape& shape, const GradSource& dy, int image, int until,
                  Window* window) {
  const auto& kernels = simd::Elementwise();
  const int64_t row_floats = int64_t{shape.ow()} * shape.c;
  while (window->end < until) {
    const int64_t at = (int64_t{image} * shape.oh() + window->end) * row_floats;
    kernels.normalize_backward[dy.norm->function()](dy.y + at, dy.dz + at, dy.norm->channels(),
                                                    dy.channels.slope, dy.channels.offset,
                                                    window->Append(), shape.ow(), shape.c, false);
  }
}

Window SourceWindow(const LinkShape& shape, float* memory) {
  const int pad = shape.pad * shape.c, inside = shape.w * shape.c;
  return {memory, 2 * pad + inside, pad, inside, pad};
}
int64_t SourceWindowFloats(const LinkShape& shape, int band) {
  const int rows = std::min(shape.h, (band - 1) * shape.stride + shape.r);
  return conv::CeilDiv(int64_t{rows} * (shape.w + 2 * shape.pad) * shape.c, 16) * 16;
}

// Output rows [first, until) from the window.
void ForwardRows(const LinkShape& shape, const Window& window, const float* filter, int first,
                 int until, float* y) {
  const auto row_kernel = simd::DepthwiseKernelsFor(ActiveTarget()).row[shape.s][shape.stride];
  const int c = shape.c, ow = shape.ow();
  const int64_t block = ChannelBlock(shape);
  for (int64_t channel = 0; channel < c; channel += block) {
    for (int i = first; i < until; ++i) {
      const int top = i * shape.stride - shape.pad;
      const int r_low = std::max(0, -top), r_high = std::min(shape.r, shape.h - top);
      simd::DepthwiseArgs args{};
      args.x = window.Row(top + r_low) + channel;
      args.x_row = window.row_floats;
      args.x_pixel = c;
      args.low = 0;
      args.high = shape.w + 2 * shape.pad;
      args.f = filter + int64_t{r_low} * shape.s * c + channel;
      args.f_row = int64_t{shape.s} * c;
      args.f_tap = c;
      args.taps = r_high - r_low;
      args.y = y + int64_t{i} * ow * c + channel;
      args.y_pixel = c;
      args.width = ow;
      args.channels = static_cast<int>(std::min(block, c - channel));
      row_kernel(args);
    }
  }
}

// The taps of one dimension that reach an input position: with the phase's first position, output
// `top` - t at tap phase + stride * t.
int TapsOf(int phase, int filter, int stride) {
  return phase < filter ? (filter - 1 - phase) / stride + 1 : 0;
}

// Input rows [first, until): dz = sum over taps of dy * filter.
void BackwardRows(const LinkShape& shape, const Window& dy, int margin, const float* filter,
                  int first, int until, float* dz, bool accumulate) {
  const auto& kernels = simd::DepthwiseKernelsFor(ActiveTarget());
  const int c = shape.c, stride = shape.stride;
  const int64_t block = ChannelBlock(shape);
  for (int64_t channel = 0; channel < c; channel += block) {
    for (int row = first; row < until; ++row) {
      const int phase = (row + shape.pad) % stride, top = (row + shape.pad) / stride;
      const int t_low = std::max(0, top - shape.oh() + 1);
      const int t_high = std::min(TapsOf(phase, shape.r, stride) - 1, top);
      float* const dz_row = dz + int64_t{row} * shape.w * c + channel;
      for (int u = 0; u < stride; ++u) {
        const int column = ((u - shape.pad) % stride + stride) % stride;
        const int taps = TapsOf(u, shape.s, stride);
        simd::DepthwiseArgs args{};
        args.taps = std::max(0, t_high - t_low + 1);
        if (args.taps > 0) {
          const int start = margin + (column + shape.pad - u) / stride - (taps - 1);
          args.x = dy.Row(top - t_high) + int64_t{start} * c + channel;
          args.f = filter +
                   (int64_t{phase + stride * t_high} * shape.s + u + stride * (taps - 1)) * c +
                   channel;
        } else {
          args.x = dy.data;
          args.f = filter;
        }
        args.x_row = dy.row_floats;
        args.x_pixel = c;
        args.low = 0;
        args.high = shape.w + shape.s;
        args.f_row = -int64_t{stride} * shape.s * c;
        args.f_tap = -int64_t{stride} * c;
        args.y = dz_row + int64_t{column} * c;
        args.y_pixel = int64_t{stride} * c;
        args.width = (shape.w - column + stride - 1) / stride;
        args.channels = static_cast<int>(std::min(block, c - channel));
        args.accumulate = accumulate;
        kernels.row[taps][1](args);
      }
    }
  }
}

// partial (+)= z * dy over output rows [first, until).
void FilterRows(const LinkShape& shape, const Window& z, const Window& dy, int margin, int first,
                int until, float* partial, bool accumulate) {
  const int c = shape.c;
  const int top = first * shape.stride - shape.pad;
  simd::DepthwiseFilterArgs args{};
  args.x = z.data + (top - z.first) * z.row_floats;
  args.x_row = z.row_floats;
  args.x_pixel = c;
  args.row_stride = shape.stride;
  args.row_low = -top;
  args.row_high = shape.h - top;
  args.low = 0;
  args.high = shape.w + 2 * shape.pad;
  args.dy = dy.Row(first) + int64_t{margin} * c;
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
  args.accumulate = accumulate;
  simd::DepthwiseKernelsFor(ActiveTarget()).filter[shape.s][shape.stride](args);
}

}  // namespace

int DepthwiseBand(const LinkShape& shape, bool backward) {
  const int64_t in = int64_t{shape.stride} * (shape.w + 2 * shape.pad) * shape.c;
  const int64_t out = int64_t{shape.ow()} * shape.c;
  const int64_t halo = in * shape.r / shape.stride;
  int64_t band = (kBandFloats - halo) / (backward ? 2 * in + out : in + out);
  band = std::min(band, kMostPixels / (shape.ow() * (backward ? shape.stride : 1)));
  return static_cast<int>(std::clamp<int64_t>(band, 1, shape.oh()));
}

void DepthwiseForward(const LinkShape& shape, const Source& x, const float* filter, float* y,
                      const internal::MomentPartials& moments, ThreadPool& pool) {
  const int band = DepthwiseBand(shape, false), oh = shape.oh(), ow = shape.ow(), c = shape.c;
  const int bands = static_cast<int>(conv::CeilDiv(oh, band));
  const conv::Scratch scratch(pool, 0, SourceWindowFloats(shape, band));
  const auto& kernels = simd::Elementwise();
  pool.ParallelFor(shape.n, 1, [&](int64_t image, int64_t, int worker) {
    Window window = SourceWindow(shape, scratch.Own(worker));
    float* const y_image = y + image * oh * ow * c;
    for (int b = 0; b < bands; ++b) {
      const int first = b * band, until = std::min(oh, first + band);
      window.Advance(std::max(0, first * shape.stride - shape.pad));
      FillSource(shape, x, static_cast<int>(image),
                 std::min(shape.h, (until - 1) * shape.stride - shape.pad + shape.r), &window);
      ForwardRows(shape, window, filter, first, until, y_image);
      const int64_t at = (image * bands + b) * c;
      kernels.moments(y_image + int64_t{first} * ow * c, int64_t{until - first} * ow, c,
                      moments.shift + at, moments.sum + at, moments.sum_squares + at);
    }
  });
}

void DepthwiseBackward(const LinkShape& shape, const Source& x, const GradSource& dy,
                       const float* filter, const GradTarget& dx, float* dfilter,
                       ThreadPool& pool) {
  const int band = DepthwiseBand(shape, true), oh = shape.oh(), c = shape.c;
  const int bands = static_cast<int>(conv::CeilDiv(oh, band));
  const int halo = (shape.r - 1) / shape.stride;  // rows of dy above a band that it needs
  const Margins margins = MarginsOf(shape);
  const int dy_row = (margins.left + shape.ow() + margins.right) * c;
  const int64_t z_floats = SourceWindowFloats(shape, band);
  const int64_t dy_floats = conv::CeilDiv(int64_t{band + halo} * dy_row, 16) * 16;
  const int64_t filter_floats = shape.filter_size();
  const Parts parts = PartsOf(shape.n, filter_floats);
  const conv::Scratch scratch(pool, dfilter != nullptr ? parts.count * filter_floats : 0,
                              z_floats + dy_floats);
  const auto& kernels = simd::Elementwise();
  pool.ParallelFor(parts.count, 1, [&](int64_t part, int64_t, int worker) {
    float* const partial = scratch.shared() + part * filter_floats;
    for (int64_t image = parts.begin(part); image < parts.begin(part + 1); ++image) {
      Window z = SourceWindow(shape, scratch.Own(worker));
      Window gradient{scratch.Own(worker) + z_floats, dy_row, margins.left * c, shape.ow() * c,
                      margins.right * c};
      int done = 0;  // input rows
      for (int b = 0; b < bands; ++b) {
        const int first = b * band, until = std::min(oh, first + band);
        gradient.Advance(std::max(0, first - halo));
        FillGradient(shape, dy, static_cast<int>(image), until, &gradient);
        if (dfilter != nullptr) {
          z.Advance(std::max(0, first * shape.stride - shape.pad));
          FillSource(shape, x, static_cast<int>(image),
                     std::min(shape.h, (until - 1) * shape.stride - shape.pad + shape.r), &z);
          FilterRows(shape, z, gradient, margins.left, first, until, partial,
                     image > parts.begin(part) || b > 0);
        }
        if (dx.dz == nullptr) continue;
        // Input rows that no later row of dy reaches.
        const int complete =
            b == bands - 1 ? shape.h
                           : std::max(done, std::min(shape.h, until * shape.stride - shape.pad));
        float* const dz_image = dx.dz + image * shape.h * shape.w * c;
        BackwardRows(shape, gradient, margins.left, filter, done, complete, dz_image,
                     dx.accumulate);
        if (x.norm != nullptr) {
          const int64_t at = (image * bands + b) * c, from = int64_t{done} * shape.w * c;
          kernels.normalize_sums[x.norm->function()](
              x.data + image * shape.h * shape.w * c + from, dz_image + from, x.norm->channels(),
              int64_t{complete - done} * shape.w, c, dx.partials.sum + at,
              dx.partials.centred + at);
        }
        done = complete;
      }
    }
  });
  if (dfilter != nullptr) AddPartials(scratch.shared(), parts.count, filter_floats, dfilter, pool);
}

}  // namespace rhnas::engine::chain
