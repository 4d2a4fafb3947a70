// Work on blocks of pixels inside one worker against naive loops, on every target: packed filters
// of both orders, runs of any length, strides, groups, accumulation, epilogues, guard words; the
// same bits however the pixels are cut, and from every target that fuses its multiply-adds.
#include "engine/conv_block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/cpu.h"
#include "engine/status.h"

namespace rhnas::engine::conv {
namespace {

// Floats with NaN guards on both sides: a stray read poisons the result, a stray write is found.
class Floats {
 public:
  Floats(int64_t size, uint32_t seed)
      : memory_(static_cast<size_t>(size) + 2 * kGuard, std::numeric_limits<float>::quiet_NaN()) {
    uint32_t state = seed * 2654435761u + 12345u;
    for (int64_t i = 0; i < size; i++) {
      state = state * 1664525u + 1013904223u;
      data()[i] = (static_cast<float>((state >> 9) & 0xffffu) - 32768.0f) / 32768.0f;
    }
  }
  float* data() { return memory_.data() + kGuard; }
  float operator[](int64_t i) const { return memory_[static_cast<size_t>(i) + kGuard]; }
  bool GuardsIntact() const {
    for (size_t i = 0; i < kGuard; i++) {
      if (!std::isnan(memory_[i]) || !std::isnan(memory_[memory_.size() - 1 - i])) return false;
    }
    return true;
  }
  bool SameBits(const Floats& other) const {
    return memory_.size() == other.memory_.size() &&
           std::memcmp(&memory_[0], &other.memory_[0], memory_.size() * sizeof(float)) == 0;
  }

 private:
  static constexpr size_t kGuard = 67;  // odd: data are not aligned to a vector
  std::vector<float> memory_;
};

struct Case {
  int r, s, channels, columns, groups, stride, rows;
  int64_t pixels;
};

enum class Finish { kNone, kBias, kResidual, kAll };

class ConvBlockTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(SetTarget(TargetName(SupportedTargets().back())).ok()); }
};

// Runs every group of a case; the pixels in `cuts` runs.
void Run(const Case& c, bool transposed, bool accumulate, Finish finish, int cuts, Floats& x,
         Floats& f, Floats& bias, Floats& residual, Floats* y) {
  const int64_t x_pixel = c.channels * c.groups + (c.groups > 1 ? 3 : 0);
  const int64_t x_row = ((c.pixels - 1) * c.stride + c.s) * x_pixel;
  const int64_t y_pixel = c.columns * c.groups + 2, y_row = c.pixels * y_pixel + 5;
  const PackedFilter plan = PlanFilter({c.r, c.s, c.channels, c.columns}, c.pixels / cuts + 1);
  const int64_t matrix = int64_t{c.channels} * c.columns;
  Epilogue epilogue;
  for (int group = 0; group < c.groups; group++) {
    Floats packed(plan.floats(), 9);
    const FilterStrides strides = transposed ? FilterStrides{c.s * matrix, matrix, 1, c.channels}
                                             : FilterStrides{c.s * matrix, matrix, c.columns, 1};
    PackFilter(plan, f.data() + group * c.r * c.s * matrix, strides, packed.data());
    EXPECT_TRUE(packed.GuardsIntact());
    for (int cut = 0; cut < cuts; cut++) {
      const int64_t from = c.pixels * cut / cuts, to = c.pixels * (cut + 1) / cuts;
      Block block;
      block.x = x.data() + from * c.stride * x_pixel + group * c.channels;
      block.x_pixel = x_pixel;
      block.x_row = x_row;
      block.y = y->data() + from * y_pixel + group * c.columns;
      block.y_pixel = y_pixel;
      block.y_row = y_row;
      block.pixels = to - from;
      block.rows = c.rows;
      block.stride = c.stride;
      block.accumulate = accumulate;
      if (finish == Finish::kBias || finish == Finish::kAll) {
        epilogue.bias = bias.data() + group * c.columns;
      }
      if (finish == Finish::kResidual || finish == Finish::kAll) {
        // As long as its last element and not longer.
        epilogue.residual_pixel = c.columns * c.groups;
        epilogue.residual_row = c.pixels * epilogue.residual_pixel;
        epilogue.residual = residual.data() + from * epilogue.residual_pixel + group * c.columns;
      }
      if (finish == Finish::kBias) epilogue.low = 0;
      if (finish == Finish::kAll) {
        epilogue.low = -0.5f;
        epilogue.high = 0.75f;
      }
      if (finish != Finish::kNone) block.epilogue = &epilogue;
      CorrelateBlock(plan, packed.data(), block);
    }
  }
}

void CheckCase(const Case& c) {
  SCOPED_TRACE(Format("%dx%d channels %d columns %d groups %d stride %d rows %d pixels %lld", c.r,
                      c.s, c.channels, c.columns, c.groups, c.stride, c.rows,
                      static_cast<long long>(c.pixels)));
  const int64_t x_pixel = c.channels * c.groups + (c.groups > 1 ? 3 : 0);
  const int64_t width = (c.pixels - 1) * c.stride + c.s;
  const int64_t height = int64_t{c.rows - 1} * c.stride + c.r;
  const int64_t y_pixel = c.columns * c.groups + 2, y_row = c.pixels * y_pixel + 5;
  const int64_t matrix = int64_t{c.channels} * c.columns, all = c.columns * c.groups;
  Floats x(height * width * x_pixel, 1), f(c.groups * c.r * c.s * matrix, 2);
  Floats bias(all, 3), residual(c.rows * c.pixels * all, 4);
  for (const bool transposed : {false, true}) {
    for (const bool accumulate : {false, true}) {
      for (const Finish finish : {Finish::kNone, Finish::kBias, Finish::kResidual, Finish::kAll}) {
        const Floats before(c.rows * y_row, 5);
        Floats fused(0, 0);
        bool have_fused = false;
        for (const Target target : SupportedTargets()) {
          SCOPED_TRACE(Format("%s transposed %d accumulate %d finish %d", TargetName(target),
                              transposed, accumulate, static_cast<int>(finish)));
          ASSERT_TRUE(SetTarget(TargetName(target)).ok());
          Floats y = before, again = before;
          Run(c, transposed, accumulate, finish, 1, x, f, bias, residual, &y);
          Run(c, transposed, accumulate, finish, c.pixels >= 3 ? 3 : 1, x, f, bias, residual,
              &again);
          EXPECT_TRUE(y.GuardsIntact());
          EXPECT_TRUE(y.SameBits(again)) << "other bits when cut into three runs";
          if (target != Target::kBaseline) {
            if (have_fused) {
              EXPECT_TRUE(y.SameBits(fused)) << "not the bits of the other targets";
            }
            fused = y;
            have_fused = true;
          }
          for (int64_t at = 0; at < c.rows * y_row; at++) {
            const int64_t i = at / y_row, j = at % y_row / y_pixel, column = at % y_row % y_pixel;
            if (j >= c.pixels || column >= all) {
              ASSERT_EQ(y[at], before[at]) << "wrote into a gap";
              continue;
            }
            const int64_t group = column / c.columns, k = column % c.columns;
            double want = accumulate ? static_cast<double>(before[at]) : 0, size = std::fabs(want);
            for (int r = 0; r < c.r; r++) {
              for (int s = 0; s < c.s; s++) {
                for (int channel = 0; channel < c.channels; channel++) {
                  const int64_t from = (group * c.r + r) * c.s + s;
                  const double product =
                      static_cast<double>(
                          x[((i * c.stride + r) * width + j * c.stride + s) * x_pixel +
                            group * c.channels + channel]) *
                      f[from * matrix +
                        (transposed ? k * c.channels + channel : channel * c.columns + k)];
                  want += product;
                  size += std::fabs(product);
                }
              }
            }
            if (finish == Finish::kBias || finish == Finish::kAll) want += bias[column];
            if (finish == Finish::kResidual || finish == Finish::kAll) {
              want += residual[(i * c.pixels + j) * all + column];
            }
            if (finish == Finish::kBias) want = std::fmax(want, 0);
            if (finish == Finish::kAll) want = std::fmin(std::fmax(want, -0.5), 0.75);
            ASSERT_NEAR(y[at], want, 1e-6 * (size + 2))
                << "row " << i << " pixel " << j << " column " << column;
          }
        }
      }
    }
  }
}

TEST_F(ConvBlockTest, MatricesOfAllWidths) {
  for (const int columns : {1, 3, 7, 8, 13, 16, 24, 29, 40, 48, 61, 80, 100}) {
    for (const int64_t pixels : {1, 5, 14, 29}) CheckCase({1, 1, 11, columns, 1, 1, 1, pixels});
  }
}

TEST_F(ConvBlockTest, LongReductionsAndManyPixels) {
  CheckCase({1, 1, 300, 24, 1, 1, 1, 16});
  CheckCase({1, 1, 1, 33, 1, 1, 1, 100});
  CheckCase({1, 1, 16, 40, 1, 1, 1, 301});
}

TEST_F(ConvBlockTest, Groups) {
  CheckCase({1, 1, 8, 8, 2, 1, 1, 30});
  CheckCase({1, 1, 13, 21, 3, 1, 1, 9});
}

TEST_F(ConvBlockTest, Correlations) {
  CheckCase({3, 3, 3, 32, 1, 2, 4, 15});
  CheckCase({7, 7, 3, 24, 1, 2, 2, 9});
  CheckCase({3, 3, 16, 16, 1, 1, 3, 8});
  CheckCase({3, 3, 5, 9, 2, 2, 2, 7});
  CheckCase({2, 1, 6, 20, 1, 1, 3, 4});
}

// Above the length of a panel that is cut by filter rows.
TEST_F(ConvBlockTest, CorrelationCutByFilterRows) { CheckCase({3, 3, 700, 33, 1, 1, 1, 3}); }

TEST_F(ConvBlockTest, NaNPassesTheEpilogue) {
  for (const Target target : SupportedTargets()) {
    SCOPED_TRACE(TargetName(target));
    ASSERT_TRUE(SetTarget(TargetName(target)).ok());
    const PackedFilter plan = PlanFilter({1, 1, 1, 24}, 1);
    Floats packed(plan.floats(), 1), f(24, 2), x(1, 3), y(24, 4);
    PackFilter(plan, f.data(), {0, 0, 24, 1}, packed.data());
    x.data()[0] = std::numeric_limits<float>::quiet_NaN();
    Epilogue epilogue;
    epilogue.low = 0;
    epilogue.high = 6;
    Block block;
    block.x = x.data();
    block.x_pixel = 1;
    block.y = y.data();
    block.y_pixel = 24;
    block.pixels = 1;
    block.epilogue = &epilogue;
    CorrelateBlock(plan, packed.data(), block);
    for (int i = 0; i < 24; i++) EXPECT_TRUE(std::isnan(y[i])) << i;
  }
}

void CheckOuter(int channels, int columns, int64_t pixels, int cuts) {
  SCOPED_TRACE(Format("channels %d columns %d pixels %lld in %d", channels, columns,
                      static_cast<long long>(pixels), cuts));
  const int64_t x_pixel = channels + 4, dy_pixel = columns + 1, row = columns + 3;
  Floats x(pixels * x_pixel - 4, 1), dy(pixels * dy_pixel - 1, 2);
  const Floats before(channels * row, 3);
  for (const bool accumulate : {false, true}) {
    Floats fused(0, 0);
    bool have_fused = false;
    for (const Target target : SupportedTargets()) {
      SCOPED_TRACE(TargetName(target));
      ASSERT_TRUE(SetTarget(TargetName(target)).ok());
      Floats whole = before, pieces = before;
      OuterBlock block;
      block.x_pixel = x_pixel;
      block.dy_pixel = dy_pixel;
      block.channels = channels;
      block.columns = columns;
      block.df_channel = row;
      for (int cut = 0; cut <= cuts; cut++) {  // the last turn: all of it
        const int64_t from = cut < cuts ? pixels * cut / cuts : 0;
        block.x = x.data() + from * x_pixel;
        block.dy = dy.data() + from * dy_pixel;
        block.pixels = (cut < cuts ? pixels * (cut + 1) / cuts : pixels) - from;
        block.df = cut < cuts ? pieces.data() : whole.data();
        block.accumulate = accumulate || (cut > 0 && cut < cuts);
        AccumulateOuterBlock(block);
      }
      EXPECT_TRUE(whole.GuardsIntact());
      EXPECT_TRUE(whole.SameBits(pieces)) << "other bits when cut into blocks";
      if (target != Target::kBaseline) {
        if (have_fused) {
          EXPECT_TRUE(whole.SameBits(fused)) << "not the bits of the other targets";
        }
        fused = whole;
        have_fused = true;
      }
      for (int channel = 0; channel < channels; channel++) {
        for (int column = 0; column < row; column++) {
          const int64_t at = channel * row + column;
          double want = accumulate || column >= columns ? static_cast<double>(before[at]) : 0;
          double size = std::fabs(want);
          for (int64_t p = 0; p < pixels && column < columns; p++) {
            const double product =
                static_cast<double>(x[p * x_pixel + channel]) * dy[p * dy_pixel + column];
            want += product;
            size += std::fabs(product);
          }
          ASSERT_NEAR(whole[at], want, 1e-6 * (size + 1)) << channel << " " << column;
        }
      }
    }
  }
}

TEST_F(ConvBlockTest, OuterProducts) {
  for (const int channels : {1, 3, 7, 14, 16, 24, 29}) {
    for (const int columns : {1, 7, 8, 16, 24, 33, 48, 61, 96})
      CheckOuter(channels, columns, 37, 3);
  }
  CheckOuter(40, 100, 200, 1);
}

}  // namespace
}  // namespace rhnas::engine::conv
