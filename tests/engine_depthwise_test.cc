// Depthwise kernels and bands of rows called directly, as the fused operations do: rows against
// naive double loops (the end of an inference layer, cut-off columns, partial vectors), bands
// against whole passes, bit for bit; on every target.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/conv.h"
#include "engine/conv_depthwise.h"
#include "engine/cpu.h"
#include "engine/simd/depthwise_kernels.h"
#include "engine/status.h"
#include "engine/threads.h"

namespace rhnas::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Numbers(int64_t count, uint32_t seed) {
  std::vector<float> data(static_cast<size_t>(count));
  uint32_t state = seed * 2654435761u + 12345u;
  for (float& value : data) {
    state = state * 1664525u + 1013904223u;
    value = (static_cast<float>((state >> 9) & 0xffffu) - 32768.0f) / 32768.0f;
  }
  return data;
}

struct RowCase {
  int taps_in_row, stride, rows, width, channels, left;
  bool accumulate, bias;
  float low_value, high_value;
};

// One row of outputs from `rows` rows of x whose columns begin at pixel -left.
void CheckRow(const RowCase& c, Target target) {
  const auto kernel = simd::DepthwiseKernelsFor(target).row[c.taps_in_row][c.stride];
  if (kernel == nullptr) return;
  SCOPED_TRACE(Format(
      "%s taps %d stride %d rows %d width %d channels %d left %d accumulate %d "
      "bias %d clamp %g %g",
      TargetName(target), c.taps_in_row, c.stride, c.rows, c.width, c.channels, c.left,
      c.accumulate, c.bias, static_cast<double>(c.low_value), static_cast<double>(c.high_value)));
  // As many columns of x as are inside: the last window loses `left` columns too.
  const int columns = (c.width - 1) * c.stride + c.taps_in_row - 2 * c.left;
  if (columns < 1) return;
  const std::vector<float> x = Numbers(int64_t{c.rows} * columns * c.channels, 1);
  const std::vector<float> f = Numbers(int64_t{c.rows} * c.taps_in_row * c.channels, 2);
  const std::vector<float> bias = Numbers(c.channels, 3);
  std::vector<float> y = Numbers(int64_t{c.width} * c.channels + 1, 4);
  const std::vector<float> before = y;
  simd::DepthwiseArgs args;
  args.x = x.data() - int64_t{c.left} * c.channels;
  args.x_row = int64_t{columns} * c.channels;
  args.x_pixel = c.channels;
  args.low = c.left;
  args.high = c.left + columns;
  args.f = f.data();
  args.f_row = int64_t{c.taps_in_row} * c.channels;
  args.f_tap = c.channels;
  args.taps = c.rows;
  args.y = y.data();
  args.y_pixel = c.channels;
  args.width = c.width;
  args.channels = c.channels;
  args.accumulate = c.accumulate;
  args.stream = false;
  if (c.bias) args.bias = bias.data();
  args.low_value = c.low_value;
  args.high_value = c.high_value;
  kernel(args);
  for (int j = 0; j < c.width; j++) {
    for (int k = 0; k < c.channels; k++) {
      const size_t at = static_cast<size_t>(j * c.channels + k);
      double sum = c.bias ? bias[static_cast<size_t>(k)] : 0.0;
      if (c.accumulate) sum += before[at];
      for (int r = 0; r < c.rows; r++) {
        for (int s = 0; s < c.taps_in_row; s++) {
          const int column = j * c.stride + s - c.left;
          if (column < 0 || column >= columns) continue;
          sum +=
              static_cast<double>(x[static_cast<size_t>((r * columns + column) * c.channels + k)]) *
              f[static_cast<size_t>((r * c.taps_in_row + s) * c.channels + k)];
        }
      }
      sum = std::fmin(std::fmax(sum, c.low_value), c.high_value);
      ASSERT_NEAR(y[at], sum, 2e-5) << "output " << j << ", channel " << k;
    }
  }
  ASSERT_EQ(y.back(), before.back()) << "a float behind the row was written";
}

TEST(DepthwiseRow, BiasAndClampAtTheStore) {
  const float clamps[][2] = {
      {-kInfinity, kInfinity}, {0, kInfinity}, {0, 0.75f}, {-kInfinity, 0.25f}};
  for (Target target : SupportedTargets()) {
    for (int taps : {1, 2, 3, 5, 7}) {
      for (int stride : {1, 2}) {
        for (int channels : {1, 7, 16, 40}) {
          for (int width : {1, 2, 4, 7, 9, 14}) {
            for (const auto& clamp : clamps) {
              for (int variant = 0; variant < 4; variant++) {
                CheckRow({taps, stride, taps, width, channels, variant % 2 * (taps / 2),
                          variant == 3, variant != 1, clamp[0], clamp[1]},
                         target);
              }
            }
          }
        }
      }
    }
  }
}

TEST(DepthwiseRow, ClampKeepsNan) {
  for (Target target : SupportedTargets()) {
    std::vector<float> x(20, std::numeric_limits<float>::quiet_NaN()), f(20, 1.0f), y(20, 0.0f);
    simd::DepthwiseArgs args;
    args.x = x.data();
    args.x_row = args.x_pixel = args.f_row = args.f_tap = args.y_pixel = 20;
    args.low = 0;
    args.high = args.taps = args.width = 1;
    args.f = f.data();
    args.y = y.data();
    args.channels = 20;
    args.accumulate = args.stream = false;
    args.low_value = 0;
    args.high_value = 6;
    simd::DepthwiseKernelsFor(target).row[1][1](args);
    for (float value : y) EXPECT_TRUE(std::isnan(value)) << TargetName(target);
  }
}

// Bands of a whole image, each from a block that holds the rows it needs and not one more.
void CheckBands(const ConvShape& shape, bool backward, int band_rows, Target target) {
  SCOPED_TRACE(Format("%s %dx%d c%d %dx%d stride %d pad %d %s bands of %d", TargetName(target),
                      shape.h, shape.w, shape.c, shape.r, shape.s, shape.stride, shape.pad,
                      backward ? "backward" : "forward", band_rows));
  ASSERT_TRUE(SetTarget(TargetName(target)).ok());
  ThreadPool pool(1);
  const int from_h = backward ? shape.oh() : shape.h, from_w = backward ? shape.ow() : shape.w;
  const int to_h = backward ? shape.h : shape.oh(), to_w = backward ? shape.w : shape.ow();
  const std::vector<float> from = Numbers(int64_t{from_h} * from_w * shape.c, 1);
  const std::vector<float> f = Numbers(shape.filter_size(), 2);
  std::vector<float> want(static_cast<size_t>(to_h * to_w * shape.c)), got(want);
  if (backward) {
    ConvBackwardData(shape, from.data(), f.data(), want.data(), false, pool);
  } else {
    ConvForward(shape, from.data(), f.data(), want.data(), false, pool);
  }
  for (int first = 0; first < to_h; first += band_rows) {
    conv::DepthwiseBand band;
    band.r = shape.r;
    band.s = shape.s;
    band.stride = shape.stride;
    band.pad = shape.pad;
    band.rows = to_h - first < band_rows ? to_h - first : band_rows;
    const int last = first + band.rows - 1;
    int low = 0, high = -1;  // rows of `from` in the block
    for (int i = 0, any = 0; i < from_h; i++) {
      bool needed = false;
      for (int r = 0; r < shape.r; r++) {
        for (int t = first; t <= last; t++) {
          needed |= backward ? i * shape.stride + r - shape.pad == t
                             : t * shape.stride + r - shape.pad == i;
        }
      }
      if (!needed) continue;
      if (any++ == 0) low = i;
      high = i;
    }
    const auto row = [&](int i) { return from.begin() + int64_t{i} * from_w * shape.c; };
    const std::vector<float> block(row(low), row(high + 1));
    band.from = block.data();
    band.from_first = low;
    band.from_height = from_h;
    band.from_width = from_w;
    band.from_row = int64_t{from_w} * shape.c;
    band.f = f.data();
    band.f_tap = band.from_pixel = band.to_pixel = band.channels = shape.c;
    band.to_row = int64_t{to_w} * shape.c;
    band.to = got.data() + first * band.to_row;
    band.first = first;
    band.to_width = to_w;
    if (backward) {
      conv::DepthwiseBackwardRows(band, simd::DepthwiseKernelsFor(target));
    } else {
      conv::DepthwiseForwardRows(band, simd::DepthwiseKernelsFor(target));
    }
  }
  ASSERT_EQ(0, std::memcmp(want.data(), got.data(), want.size() * sizeof(float)));
}

TEST(DepthwiseBands, SameBitsAsWholeImages) {
  for (Target target : SupportedTargets()) {
    for (int r : {3, 4, 5, 7, 9}) {
      for (int stride : {1, 2, 3}) {
        for (int pad : {0, 1, r / 2}) {
          for (int channels : {5, 16, 72}) {
            ConvShape shape;
            shape.h = 11;
            shape.w = 14;
            shape.c = shape.k = shape.groups = channels;
            shape.r = shape.s = r;
            shape.stride = stride;
            shape.pad = pad;
            for (int rows : {1, 3, 4, 11}) {
              CheckBands(shape, false, rows, target);
              CheckBands(shape, true, rows, target);
            }
          }
        }
      }
    }
  }
  ASSERT_TRUE(SetTarget(TargetName(SupportedTargets().back())).ok());
}

}  // namespace
}  // namespace rhnas::engine
