// Convolution and matrix kernels against naive double loops, on every target this machine runs:
// ragged sizes, every class of convolution, guard words, accumulation, thread counts, and the same
// bits from every target that fuses its multiply-adds.
#include "engine/conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "engine/conv_winograd.h"
#include "engine/cpu.h"
#include "engine/status.h"
#include "engine/tensor.h"
#include "engine/threads.h"

namespace rhnas::engine {
namespace {

enum class Pass { kForward, kData, kFilter };
constexpr Pass kPasses[] = {Pass::kForward, Pass::kData, Pass::kFilter};
const char* const kPassNames[] = {"forward", "backward-data", "backward-filter"};

std::string Describe(const ConvShape& s) {
  return Format("n%d %dx%d c%d k%d %dx%d stride %d pad %d groups %d", s.n, s.h, s.w, s.c, s.k, s.r,
                s.s, s.stride, s.pad, s.groups);
}

// Small multiples of 1/32768, so that wrong indices cannot hide in rounding.
void FillNumbers(float* data, int64_t count, uint32_t seed) {
  uint32_t state = seed * 2654435761u + 12345u;
  for (int64_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    data[i] = (static_cast<float>((state >> 9) & 0xffffu) - 32768.0f) / 32768.0f;
  }
}

// Floats with NaN guards on both sides: a stray read poisons the result, a stray write is found.
class Guarded {
 public:
  explicit Guarded(int64_t size) : size_(size), memory_(static_cast<size_t>(size) + 2 * kGuard) {
    for (float& x : memory_) x = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(&pattern_, &memory_[0], sizeof pattern_);
  }
  Guarded(int64_t size, uint32_t seed) : Guarded(size) { FillNumbers(data(), size, seed); }
  float* data() { return memory_.data() + kGuard; }
  const float* data() const { return memory_.data() + kGuard; }
  int64_t size() const { return size_; }
  bool GuardsIntact() const {
    for (size_t i = 0; i < memory_.size(); i++) {
      if (i >= kGuard && i < kGuard + static_cast<size_t>(size_)) continue;
      uint32_t bits;
      std::memcpy(&bits, &memory_[i], sizeof bits);
      if (bits != pattern_) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 67;  // odd: data are not aligned to a vector
  int64_t size_;
  std::vector<float> memory_;
  uint32_t pattern_ = 0;
};

int64_t OutputSize(const ConvShape& s, Pass pass) {
  return pass == Pass::kForward ? s.output_size()
         : pass == Pass::kData  ? s.input_size()
                                : s.filter_size();
}
int64_t FirstSize(const ConvShape& s, Pass pass) {
  return pass == Pass::kData ? s.output_size() : s.input_size();
}
int64_t SecondSize(const ConvShape& s, Pass pass) {
  return pass == Pass::kFilter ? s.output_size() : s.filter_size();
}

void RunPass(const ConvShape& s, Pass pass, const float* a, const float* b, float* out,
             bool accumulate, ThreadPool& pool) {
  if (pass == Pass::kForward) {
    ConvForward(s, a, b, out, accumulate, pool);
  } else if (pass == Pass::kData) {
    ConvBackwardData(s, a, b, out, accumulate, pool);
  } else {
    ConvBackwardFilter(s, a, b, out, accumulate, pool);
  }
}

// The definition, in double; `weight` gets the sum of absolute products for the error bound.
void Naive(const ConvShape& s, Pass pass, const float* a, const float* b, double* out,
           double* weight) {
  const int cg = s.c / s.groups, kg = s.k / s.groups, oh = s.oh(), ow = s.ow();
  for (int n = 0; n < s.n; n++) {
    for (int i = 0; i < oh; i++) {
      for (int j = 0; j < ow; j++) {
        for (int r = 0; r < s.r; r++) {
          const int h = i * s.stride + r - s.pad;
          if (h < 0 || h >= s.h) continue;
          for (int t = 0; t < s.s; t++) {
            const int w = j * s.stride + t - s.pad;
            if (w < 0 || w >= s.w) continue;
            for (int k = 0; k < s.k; k++) {
              const int group = k / kg;
              for (int c = 0; c < cg; c++) {
                const int64_t x = ((int64_t{n} * s.h + h) * s.w + w) * s.c + group * cg + c;
                const int64_t y = ((int64_t{n} * oh + i) * ow + j) * s.k + k;
                const int64_t f = ((int64_t{r} * s.s + t) * cg + c) * s.k + k;
                const int64_t first = pass == Pass::kData ? y : x;
                const int64_t second = pass == Pass::kFilter ? y : f;
                const int64_t to = pass == Pass::kForward ? y : pass == Pass::kData ? x : f;
                const double product = static_cast<double>(a[first]) * b[second];
                out[to] += product;
                weight[to] += std::fabs(product);
              }
            }
          }
        }
      }
    }
  }
}

class ConvTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(SetTarget(TargetName(SupportedTargets().back())).ok()); }
};

// One shape: all passes, targets and accumulation against the definition; guards; bits equal for 1
// and 3 threads and for all fused targets.
void CheckShape(const ConvShape& s, ThreadPool& one, ThreadPool& three) {
  for (Pass pass : kPasses) {
    SCOPED_TRACE(Describe(s) + " " + kPassNames[static_cast<int>(pass)]);
    const Guarded a(FirstSize(s, pass), 1), b(SecondSize(s, pass), 2);
    const int64_t size = OutputSize(s, pass);
    std::vector<double> want(static_cast<size_t>(size)), weight(want.size());
    Naive(s, pass, a.data(), b.data(), want.data(), weight.data());
    std::vector<float> before(want.size());
    FillNumbers(before.data(), size, 3);
    // Winograd mixes the elements of a tile: each rounds like the largest of them.
    const conv::Pass passes[] = {conv::Pass::kForward, conv::Pass::kBackwardData,
                                 conv::Pass::kBackwardFilter};
    const bool winograd = conv::WinogradPays(s, passes[static_cast<int>(pass)]);
    const double largest = 1 + *std::max_element(weight.begin(), weight.end());
    for (bool accumulate : {false, true}) {
      SCOPED_TRACE(accumulate ? "accumulate" : "replace");
      std::vector<float> fused;
      for (Target target : SupportedTargets()) {
        SCOPED_TRACE(TargetName(target));
        ASSERT_TRUE(SetTarget(TargetName(target)).ok());
        Guarded out(size), again(size);
        for (Guarded* to : {&out, &again}) {
          if (accumulate) std::memcpy(to->data(), before.data(), before.size() * sizeof(float));
        }
        RunPass(s, pass, a.data(), b.data(), out.data(), accumulate, one);
        RunPass(s, pass, a.data(), b.data(), again.data(), accumulate, three);
        ASSERT_TRUE(out.GuardsIntact() && again.GuardsIntact());
        ASSERT_EQ(0, std::memcmp(out.data(), again.data(), before.size() * sizeof(float)))
            << "1 and 3 threads differ";
        for (int64_t i = 0; i < size; i++) {
          const size_t u = static_cast<size_t>(i);
          const double expected = want[u] + (accumulate ? before[u] : 0.0);
          // Each of the steps rounds once or twice; 8 ulp of the absolute sum covers hundreds.
          const double bound =
              8 * 1.2e-7 * (winograd ? largest : weight[u] + std::fabs(before[u])) + 1e-7;
          ASSERT_NEAR(out.data()[i], expected, bound) << "element " << i;
        }
        if (target == Target::kBaseline) continue;
        if (fused.empty()) fused.assign(out.data(), out.data() + size);
        ASSERT_EQ(0, std::memcmp(out.data(), fused.data(), before.size() * sizeof(float)))
            << "bits differ between fused targets";
      }
    }
  }
}

ConvShape Make(int n, int h, int w, int c, int k, int r, int stride, int pad, int groups) {
  ConvShape s;
  s.n = n;
  s.h = h;
  s.w = w;
  s.c = c;
  s.k = k;
  s.r = s.s = r;
  s.stride = stride;
  s.pad = pad;
  s.groups = groups;
  return s;
}

TEST_F(ConvTest, Pointwise) {
  ThreadPool one(1), three(3);
  for (int c : {1, 3, 7, 13, 16, 24, 40}) {
    for (int k : {1, 3, 7, 13, 16, 24, 40, 72}) {
      CheckShape(Make(2, 5, 7, c, k, 1, 1, 0, 1), one, three);
    }
  }
  CheckShape(Make(1, 1, 1, 5, 9, 1, 1, 0, 1), one, three);
  CheckShape(Make(9, 13, 17, 20, 33, 1, 1, 0, 1), one, three);
  CheckShape(Make(2, 9, 6, 13, 24, 1, 2, 0, 1), one, three);
  CheckShape(Make(2, 7, 7, 16, 40, 1, 2, 0, 1), one, three);
  CheckShape(Make(2, 7, 5, 6, 18, 1, 3, 0, 1), one, three);
  CheckShape(Make(1, 5, 5, 6, 18, 1, 1, 1, 1), one, three);
  // More filters than pixels, and more pixels than one band: threads keep to panels.
  CheckShape(Make(1, 9, 9, 480, 100, 1, 1, 0, 1), one, three);
}

TEST_F(ConvTest, Dense) {
  ThreadPool one(1), three(3);
  for (int c : {1, 3, 7, 16}) {
    for (int k : {3, 13, 16, 24, 40}) {
      CheckShape(Make(2, 7, 9, c, k, 3, 1, 1, 1), one, three);
      CheckShape(Make(2, 8, 7, c, k, 3, 2, 1, 1), one, three);
    }
  }
  for (int r : {2, 3, 5, 7}) {
    for (int stride : {1, 2, 3}) {
      for (int pad : {0, 1, 3}) CheckShape(Make(1, 11, 9, 5, 17, r, stride, pad, 1), one, three);
    }
  }
  CheckShape(Make(1, 1, 1, 4, 5, 3, 1, 1, 1), one, three);
  CheckShape(Make(3, 2, 2, 10, 12, 5, 1, 2, 1), one, three);
  CheckShape(Make(1, 20, 31, 3, 32, 7, 2, 3, 1), one, three);
  ConvShape oblong = Make(2, 9, 12, 6, 10, 1, 1, 1, 1);
  oblong.r = 1;
  oblong.s = 4;
  CheckShape(oblong, one, three);
  oblong.r = 5;
  oblong.s = 2;
  oblong.stride = 2;
  CheckShape(oblong, one, three);
}

TEST_F(ConvTest, DepthwiseRagged) {
  ThreadPool one(1), three(3);
  for (int c : {2, 3, 7, 13, 16, 24, 40}) {
    for (int r : {3, 5, 7}) {
      for (int stride : {1, 2}) {
        CheckShape(Make(2, 9, 11, c, c, r, stride, r / 2, c), one, three);
        CheckShape(Make(1, 8, 16, c, c, r, stride, r / 2, c), one, three);
      }
    }
  }
}

TEST_F(ConvTest, DepthwiseOdd) {
  ThreadPool one(1), three(3);
  for (int r : {1, 2, 3, 4, 6, 7, 8, 9}) {
    for (int stride : {1, 2, 3}) {
      for (int pad : {0, 1, 4}) {
        if (pad == 0 || pad < r) CheckShape(Make(2, 13, 10, 9, 9, r, stride, pad, 9), one, three);
      }
    }
  }
  CheckShape(Make(2, 1, 1, 19, 19, 3, 1, 1, 19), one, three);
  CheckShape(Make(2, 1, 1, 19, 19, 7, 2, 3, 19), one, three);
  CheckShape(Make(1, 3, 2, 33, 33, 5, 2, 2, 33), one, three);
  CheckShape(Make(1, 5, 30, 300, 300, 3, 1, 1, 300), one, three);
  CheckShape(Make(3, 4, 4, 130, 130, 7, 1, 3, 130), one, three);
}

// Pixels that share sets of the cache: their channels are copied.
TEST_F(ConvTest, DepthwisePacked) {
  ThreadPool one(1), three(3);
  CheckShape(Make(2, 6, 5, 512, 512, 3, 1, 1, 512), one, three);
  CheckShape(Make(1, 9, 8, 512, 512, 5, 2, 2, 512), one, three);
  CheckShape(Make(1, 7, 4, 1536, 1536, 3, 2, 0, 1536), one, three);
  CheckShape(Make(1, 20, 19, 512, 512, 3, 1, 1, 512), one, three);
}

// Big enough to be fetched in bands while the band before is worked on.
TEST_F(ConvTest, DepthwiseFetched) {
  ThreadPool one(1), three(3);
  CheckShape(Make(6, 40, 41, 72, 72, 3, 1, 1, 72), one, three);
  CheckShape(Make(5, 56, 51, 80, 80, 5, 2, 2, 80), one, three);
}

TEST_F(ConvTest, Grouped) {
  ThreadPool one(1), three(3);
  CheckShape(Make(2, 6, 5, 16, 16, 1, 1, 0, 2), one, three);
  CheckShape(Make(2, 6, 5, 6, 14, 1, 1, 0, 2), one, three);
  CheckShape(Make(2, 6, 5, 12, 9, 1, 2, 0, 3), one, three);
  CheckShape(Make(2, 6, 5, 12, 40, 3, 1, 1, 2), one, three);
  CheckShape(Make(2, 7, 5, 20, 12, 3, 2, 1, 4), one, three);
  CheckShape(Make(2, 7, 5, 5, 10, 3, 1, 1, 5), one, three);  // channel multiplier 2
  CheckShape(Make(2, 7, 5, 10, 5, 3, 2, 1, 5), one, three);  // two channels into one
}

// Big enough for several bands, panels, chunks and reduction blocks.
TEST_F(ConvTest, Blocked) {
  ThreadPool one(1), three(3);
  CheckShape(Make(1, 5, 6, 300, 150, 3, 1, 1, 1), one, three);
  CheckShape(Make(2, 40, 41, 17, 35, 3, 1, 1, 1), one, three);
  CheckShape(Make(1, 64, 70, 3, 16, 3, 2, 1, 1), one, three);
  CheckShape(Make(3, 30, 32, 48, 40, 1, 1, 0, 1), one, three);
  CheckShape(Make(5, 17, 19, 50, 50, 5, 1, 2, 50), one, three);
}

TEST_F(ConvTest, SameBitsForAnyThreadCount) {
  const ConvShape shapes[] = {
      Make(4, 16, 15, 24, 40, 1, 1, 0, 1),  Make(4, 16, 15, 13, 24, 3, 1, 1, 1),
      Make(4, 15, 16, 40, 40, 5, 2, 2, 40), Make(3, 16, 16, 16, 48, 3, 2, 1, 2),
      Make(1, 9, 9, 480, 100, 1, 1, 0, 1),  Make(1, 25, 25, 48, 40, 3, 2, 1, 1)};
  for (const ConvShape& s : shapes) {
    for (Pass pass : kPasses) {
      const Guarded a(FirstSize(s, pass), 5), b(SecondSize(s, pass), 6);
      std::vector<float> first;
      for (int threads : {1, 2, 3, 7}) {
        ThreadPool pool(threads);
        std::vector<float> out(static_cast<size_t>(OutputSize(s, pass)));
        RunPass(s, pass, a.data(), b.data(), out.data(), false, pool);
        if (first.empty()) first = out;
        EXPECT_EQ(0, std::memcmp(out.data(), first.data(), out.size() * sizeof(float)))
            << Describe(s) << " " << kPassNames[static_cast<int>(pass)] << ", " << threads
            << " threads";
      }
    }
  }
}

// Outputs of over 2 Mi floats are written past the caches where they are aligned: the same bits.
TEST_F(ConvTest, StreamedOutputHasTheSameBits) {
  ThreadPool pool(3);
  for (const ConvShape& s :
       {Make(3, 64, 64, 16, 192, 3, 1, 1, 1), Make(3, 64, 64, 192, 192, 3, 1, 1, 192),
        Make(12, 64, 64, 192, 192, 3, 2, 1, 192)}) {
    const int64_t size = s.output_size();
    ASSERT_GT(size, 2 * 1024 * 1024);
    std::vector<float> x(static_cast<size_t>(s.input_size()));
    std::vector<float> f(static_cast<size_t>(s.filter_size()));
    FillNumbers(x.data(), s.input_size(), 1);
    FillNumbers(f.data(), s.filter_size(), 2);
    Buffer aligned(size), shifted(size + 1);
    for (Target target : SupportedTargets()) {
      ASSERT_TRUE(SetTarget(TargetName(target)).ok());
      ConvForward(s, x.data(), f.data(), aligned.data(), false, pool);
      ConvForward(s, x.data(), f.data(), shifted.data() + 1, false, pool);
      EXPECT_EQ(0, std::memcmp(aligned.data(), shifted.data() + 1,
                               static_cast<size_t>(size) * sizeof(float)))
          << Describe(s) << " " << TargetName(target);
    }
  }
}

TEST_F(ConvTest, Gemm) {
  ThreadPool one(1), three(3);
  const int sizes[][3] = {{1, 1, 1},     {1, 5, 7},    {3, 1, 4},    {7, 13, 24},
                          {16, 16, 16},  {31, 40, 9},  {65, 33, 17}, {4, 200, 70},
                          {200, 10, 64}, {3, 3, 1500}, {3, 4500, 20}};
  for (const auto& size : sizes) {
    for (int variant = 0; variant < 8; variant++) {
      GemmShape shape;
      shape.m = size[0];
      shape.n = size[1];
      shape.k = size[2];
      shape.transpose_a = (variant & 1) != 0;
      shape.transpose_b = (variant & 2) != 0;
      const bool accumulate = (variant & 4) != 0;
      const int64_t m = shape.m, n = shape.n, k = shape.k;
      const Guarded a(m * k, 7), b(k * n, 8);
      const Guarded before(m * n, 9);
      std::vector<float> fused;
      for (Target target : SupportedTargets()) {
        SCOPED_TRACE(Format("m%d n%d k%d variant %d %s", shape.m, shape.n, shape.k, variant,
                            TargetName(target)));
        ASSERT_TRUE(SetTarget(TargetName(target)).ok());
        Guarded c(m * n), again(m * n);
        const size_t bytes = static_cast<size_t>(m * n) * sizeof(float);
        if (accumulate) {
          std::memcpy(c.data(), before.data(), bytes);
          std::memcpy(again.data(), before.data(), bytes);
        }
        Gemm(shape, a.data(), b.data(), c.data(), accumulate, one);
        Gemm(shape, a.data(), b.data(), again.data(), accumulate, three);
        ASSERT_TRUE(c.GuardsIntact() && again.GuardsIntact());
        ASSERT_EQ(0, std::memcmp(c.data(), again.data(), bytes));
        for (int64_t i = 0; i < m; i++) {
          for (int64_t j = 0; j < n; j++) {
            double sum = accumulate ? before.data()[i * n + j] : 0.0, weight = 1;
            for (int64_t p = 0; p < k; p++) {
              const double product =
                  static_cast<double>(a.data()[shape.transpose_a ? p * m + i : i * k + p]) *
                  b.data()[shape.transpose_b ? j * k + p : p * n + j];
              sum += product;
              weight += std::fabs(product);
            }
            ASSERT_NEAR(c.data()[i * n + j], sum, 1e-6 * weight) << i << "," << j;
          }
        }
        if (target == Target::kBaseline) continue;
        if (fused.empty()) fused.assign(c.data(), c.data() + m * n);
        ASSERT_EQ(0, std::memcmp(c.data(), fused.data(), bytes));
      }
    }
  }
}

TEST_F(ConvTest, WrongShapesStop) {
  ThreadPool pool(1);
  float x[64] = {}, f[64] = {}, y[64] = {};
  EXPECT_DEATH(ConvForward(Make(1, 2, 2, 3, 4, 1, 1, 0, 2), x, f, y, false, pool),
               "3 input and 4 output channels in 2 groups");
  EXPECT_DEATH(ConvBackwardData(Make(1, 2, 2, 1, 1, 5, 1, 1, 1), x, f, y, false, pool),
               "filter 5x5 on a padded image of 4x4");
  EXPECT_DEATH(ConvBackwardFilter(Make(1, 2, 2, 1, 1, 1, 0, 0, 1), x, f, y, false, pool),
               "stride 0");
  EXPECT_DEATH(ConvForward(Make(1, 70, 70, 2, 2, 65, 1, 0, 2), x, f, y, false, pool),
               "a depthwise filter of width 65, at most 64");
  GemmShape shape;
  shape.k = 0;
  EXPECT_DEATH(Gemm(shape, x, f, y, false, pool), "k 0");
}

}  // namespace
}  // namespace rhnas::engine
