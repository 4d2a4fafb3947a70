// Winograd convolution, called whether or not it pays, against the definition in double on every
// target: ragged planes and channels, padding, accumulation, guard words, thread counts, the same
// bits from every target that fuses; its rounding; its filters packed ahead and its epilogue.
#include "engine/conv_winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/cpu.h"
#include "engine/status.h"
#include "engine/tensor.h"
#include "engine/threads.h"

namespace rhnas::engine {
namespace {

using conv::Pass;
constexpr Pass kPasses[] = {Pass::kForward, Pass::kBackwardData, Pass::kBackwardFilter};
const char* const kNames[] = {"forward", "backward-data", "backward-filter"};

ConvShape Make(int n, int h, int w, int c, int k, int pad = 1) {
  ConvShape s;
  s.n = n;
  s.h = h;
  s.w = w;
  s.c = c;
  s.k = k;
  s.r = s.s = 3;
  s.pad = pad;
  return s;
}

std::string Describe(const ConvShape& s) {
  return Format("n%d %dx%d c%d k%d pad %d", s.n, s.h, s.w, s.c, s.k, s.pad);
}

// Between NaN guards: a stray read poisons the result, a stray write is found. Odd offset, so that
// nothing is aligned.
class Guarded {
 public:
  explicit Guarded(int64_t size)
      : memory_(static_cast<size_t>(size) + 2 * kGuard, std::numeric_limits<float>::quiet_NaN()) {}
  Guarded(int64_t size, uint32_t seed) : Guarded(size) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < size; i++) data()[i] = normal(random);
  }
  float* data() { return memory_.data() + kGuard; }
  const float* data() const { return memory_.data() + kGuard; }
  bool GuardsIntact() const {
    for (size_t i = 0; i < kGuard; i++) {
      if (!std::isnan(memory_[i]) || !std::isnan(memory_[memory_.size() - 1 - i])) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 67;
  std::vector<float> memory_;
};

int64_t SizeOf(const ConvShape& s, Pass pass, int operand) {
  // Operands: first input, second input, output.
  const int64_t sizes[3][3] = {{s.input_size(), s.filter_size(), s.output_size()},
                               {s.output_size(), s.filter_size(), s.input_size()},
                               {s.input_size(), s.output_size(), s.filter_size()}};
  return sizes[static_cast<int>(pass)][operand];
}

void RunPass(const ConvShape& s, Pass pass, const float* a, const float* b, float* out,
             bool accumulate, ThreadPool& pool) {
  switch (pass) {
    case Pass::kForward:
      return conv::WinogradForward(s, a, b, out, accumulate, pool);
    case Pass::kBackwardData:
      return conv::WinogradBackwardData(s, a, b, out, accumulate, pool);
    case Pass::kBackwardFilter:
      return conv::WinogradBackwardFilter(s, a, b, out, accumulate, pool);
  }
}

std::vector<double> Naive(const ConvShape& s, Pass pass, const float* a, const float* b) {
  std::vector<double> out(static_cast<size_t>(SizeOf(s, pass, 2)));
  for (int n = 0; n < s.n; n++) {
    for (int i = 0; i < s.oh(); i++) {
      for (int j = 0; j < s.ow(); j++) {
        for (int tap = 0; tap < 9; tap++) {
          const int h = i + tap / 3 - s.pad, w = j + tap % 3 - s.pad;
          if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
          for (int c = 0; c < s.c; c++) {
            for (int k = 0; k < s.k; k++) {
              const int64_t x = ((int64_t{n} * s.h + h) * s.w + w) * s.c + c;
              const int64_t y = ((int64_t{n} * s.oh() + i) * s.ow() + j) * s.k + k;
              const int64_t f = (int64_t{tap} * s.c + c) * s.k + k;
              const int64_t first = pass == Pass::kBackwardData ? y : x;
              const int64_t second = pass == Pass::kBackwardFilter ? y : f;
              const int64_t to = pass == Pass::kForward ? y : pass == Pass::kBackwardData ? x : f;
              out[static_cast<size_t>(to)] += double{a[first]} * double{b[second]};
            }
          }
        }
      }
    }
  }
  return out;
}

double Largest(const std::vector<double>& v) {
  double largest = 0;
  for (double x : v) largest = std::max(largest, std::fabs(x));
  return largest;
}

class Winograd : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(SetTarget(TargetName(SupportedTargets().back())).ok()); }
};

void Check(const ConvShape& s, ThreadPool& one, ThreadPool& three) {
  for (Pass pass : kPasses) {
    SCOPED_TRACE(Describe(s) + " " + kNames[static_cast<int>(pass)]);
    const Guarded a(SizeOf(s, pass, 0), 1), b(SizeOf(s, pass, 1), 2);
    const int64_t size = SizeOf(s, pass, 2);
    const size_t bytes = static_cast<size_t>(size) * sizeof(float);
    const std::vector<double> want = Naive(s, pass, a.data(), b.data());
    const Guarded before(size, 3);
    for (bool accumulate : {false, true}) {
      SCOPED_TRACE(accumulate ? "accumulate" : "replace");
      std::vector<float> fused;
      for (Target target : SupportedTargets()) {
        SCOPED_TRACE(TargetName(target));
        ASSERT_TRUE(SetTarget(TargetName(target)).ok());
        Guarded out(size), again(size);
        if (accumulate) {
          std::memcpy(out.data(), before.data(), bytes);
          std::memcpy(again.data(), before.data(), bytes);
        }
        RunPass(s, pass, a.data(), b.data(), out.data(), accumulate, one);
        RunPass(s, pass, a.data(), b.data(), again.data(), accumulate, three);
        ASSERT_TRUE(out.GuardsIntact() && again.GuardsIntact());
        ASSERT_EQ(0, std::memcmp(out.data(), again.data(), bytes)) << "1 and 3 threads differ";
        const double bound = 4e-6 * (Largest(want) + 1);
        for (int64_t i = 0; i < size; i++) {
          const double expected =
              want[static_cast<size_t>(i)] + (accumulate ? before.data()[i] : 0.0f);
          ASSERT_NEAR(out.data()[i], expected, bound) << "element " << i;
        }
        if (target == Target::kBaseline) continue;
        if (fused.empty()) fused.assign(out.data(), out.data() + size);
        ASSERT_EQ(0, std::memcmp(out.data(), fused.data(), bytes)) << "fused targets differ";
      }
    }
  }
}

TEST_F(Winograd, Planes) {
  ThreadPool one(1), three(3);
  const int sizes[][2] = {{1, 1}, {2, 5}, {4, 4}, {7, 7}, {8, 8}, {13, 14}, {9, 33}};
  for (const auto& size : sizes) {
    for (int pad : {0, 1, 2}) {
      if (std::min(size[0], size[1]) + 2 * pad < 3) continue;
      Check(Make(2, size[0], size[1], 5, 18, pad), one, three);
    }
  }
}

TEST_F(Winograd, Channels) {
  ThreadPool one(1), three(3);
  for (int c : {1, 3, 7, 13, 16, 24, 40}) {
    for (int k : {1, 8, 13, 16, 24, 40, 70}) Check(Make(1, 7, 9, c, k), one, three);
  }
}

// Many blocks of tiles and parts of the gradient; filters of several chunks, light and heavy.
TEST_F(Winograd, Blocks) {
  ThreadPool one(1), three(3);
  Check(Make(3, 33, 28, 16, 16), one, three);
  Check(Make(9, 14, 14, 40, 33), one, three);
  Check(Make(1, 28, 28, 70, 75), one, three);
  Check(Make(1, 7, 7, 150, 140), one, three);
  Check(Make(2, 5, 6, 65, 130), one, three);
  // Parts of the gradient that have several blocks: many parts, and one.
  Check(Make(1, 140, 139, 3, 5), one, three);
  Check(Make(1, 33, 28, 175, 172), one, three);
}

TEST_F(Winograd, SameBitsForAnyThreadCount) {
  for (const ConvShape& s : {Make(5, 15, 16, 24, 40), Make(1, 7, 7, 130, 140)}) {
    for (Pass pass : kPasses) {
      const Guarded a(SizeOf(s, pass, 0), 5), b(SizeOf(s, pass, 1), 6);
      std::vector<float> first;
      for (int threads : {1, 2, 3, 7}) {
        ThreadPool pool(threads);
        std::vector<float> out(static_cast<size_t>(SizeOf(s, pass, 2)));
        RunPass(s, pass, a.data(), b.data(), out.data(), false, pool);
        if (first.empty()) first = out;
        EXPECT_EQ(0, std::memcmp(out.data(), first.data(), out.size() * sizeof(float)))
            << Describe(s) << " " << kNames[static_cast<int>(pass)] << ", " << threads
            << " threads";
      }
    }
  }
}

// What engine/conv_winograd.h says about rounding, on standard normal data.
TEST_F(Winograd, Rounding) {
  ThreadPool pool(2);
  const struct {
    int channels;
    double most, rms;
  } limits[] = {{16, 1.3e-6, 6e-7}, {64, 2.1e-6, 9e-7}, {128, 3.0e-6, 1.3e-6}};
  for (const auto& limit : limits) {
    const ConvShape s = Make(1, 32, 32, limit.channels, 16);
    const Guarded x(s.input_size(), 1), f(s.filter_size(), 2);
    const std::vector<double> want = Naive(s, Pass::kForward, x.data(), f.data());
    for (Target target : SupportedTargets()) {
      ASSERT_TRUE(SetTarget(TargetName(target)).ok());
      Guarded y(s.output_size());
      RunPass(s, Pass::kForward, x.data(), f.data(), y.data(), false, pool);
      double most = 0, squares = 0, errors = 0;
      for (size_t i = 0; i < want.size(); i++) {
        const double error = y.data()[i] - want[i];
        most = std::max(most, std::fabs(error));
        errors += error * error;
        squares += want[i] * want[i];
      }
      EXPECT_LT(most / Largest(want), limit.most) << TargetName(target) << " " << limit.channels;
      EXPECT_LT(std::sqrt(errors / squares), limit.rms)
          << TargetName(target) << " " << limit.channels;
    }
  }
}

TEST_F(Winograd, PackedFilterAndEpilogue) {
  ThreadPool one(1), three(3);
  for (const ConvShape& s : {Make(2, 7, 9, 5, 16), Make(1, 14, 6, 24, 40), Make(3, 8, 8, 16, 35)}) {
    SCOPED_TRACE(Describe(s));
    const Guarded x(s.input_size(), 1), f(s.filter_size(), 2), bias(s.k, 3);
    const Guarded residual(s.output_size(), 4);
    for (Target target : SupportedTargets()) {
      SCOPED_TRACE(TargetName(target));
      ASSERT_TRUE(SetTarget(TargetName(target)).ok());
      Guarded plain(s.output_size());
      RunPass(s, Pass::kForward, x.data(), f.data(), plain.data(), false, one);
      const conv::WinogradFilter plan = conv::PlanWinogradFilter(s.c, s.k);
      Buffer packed(plan.floats());
      conv::PackWinogradFilter(plan, f.data(), packed.data(), three);
      for (int variant = 0; variant < 8; variant++) {
        simd::Epilogue epilogue;
        if (variant & 1) epilogue.bias = bias.data();
        if (variant & 2) {
          epilogue.residual = residual.data();
          epilogue.residual_pixel = s.k;
          epilogue.residual_row = int64_t{s.k} * s.ow();
        }
        if (variant & 4) {
          epilogue.low = 0;
          epilogue.high = 6;
        }
        conv::WinogradImages job;
        job.images = s.n;
        job.h = job.out_h = s.h;
        job.w = job.out_w = s.w;
        job.x = x.data();
        Guarded y(s.output_size());
        job.y = y.data();
        job.epilogue = &epilogue;
        conv::WinogradCorrelate(plan, packed.data(), job, variant & 1 ? one : three);
        ASSERT_TRUE(y.GuardsIntact());
        for (int64_t i = 0; i < s.output_size(); i++) {
          float want = plain.data()[i];
          if (variant & 1) want += bias.data()[i % s.k];
          if (variant & 2) want += residual.data()[i];
          want = std::min(epilogue.high, std::max(epilogue.low, want));
          ASSERT_EQ(y.data()[i], want) << "variant " << variant << " element " << i;
        }
      }
    }
  }
}

TEST_F(Winograd, ChosenWhereItPays) {
  for (Pass pass : kPasses) {
    // Among them the shape in the operation table whose gradients are checked.
    for (const ConvShape& s : {Make(2, 13, 14, 16, 16), Make(64, 8, 8, 64, 64),
                               Make(64, 32, 32, 16, 16), Make(1, 56, 56, 64, 64)}) {
      EXPECT_TRUE(conv::WinogradPays(s, pass)) << Describe(s) << " " << static_cast<int>(pass);
    }
    for (const ConvShape& s :
         {Make(1, 4, 4, 8, 8), Make(1, 4, 4, 64, 64), Make(1, 1, 1, 512, 512)}) {
      EXPECT_FALSE(conv::WinogradPays(s, pass)) << Describe(s) << " " << static_cast<int>(pass);
    }
    ConvShape other = Make(64, 8, 8, 64, 64, 3);
    EXPECT_FALSE(conv::WinogradPays(other, pass));
    other.pad = 1;
    other.stride = 2;
    EXPECT_FALSE(conv::WinogradPays(other, pass));
    other.stride = 1;
    other.groups = 2;
    EXPECT_FALSE(conv::WinogradPays(other, pass));
    other.groups = 1;
    other.r = 5;
    EXPECT_FALSE(conv::WinogradPays(other, pass));
  }
}

// What the estimate chooses is what engine/conv.h does.
TEST_F(Winograd, ConvolutionsTakeIt) {
  ThreadPool pool(1);
  const ConvShape s = Make(2, 14, 14, 32, 32);
  for (Pass pass : kPasses) {
    ASSERT_TRUE(conv::WinogradPays(s, pass));
    const Guarded a(SizeOf(s, pass, 0), 1), b(SizeOf(s, pass, 1), 2);
    const int64_t size = SizeOf(s, pass, 2);
    Guarded want(size), got(size);
    RunPass(s, pass, a.data(), b.data(), want.data(), false, pool);
    if (pass == Pass::kForward) {
      ConvForward(s, a.data(), b.data(), got.data(), false, pool);
    } else if (pass == Pass::kBackwardData) {
      ConvBackwardData(s, a.data(), b.data(), got.data(), false, pool);
    } else {
      ConvBackwardFilter(s, a.data(), b.data(), got.data(), false, pool);
    }
    EXPECT_EQ(0, std::memcmp(want.data(), got.data(), static_cast<size_t>(size) * sizeof(float)));
  }
}

}  // namespace
}  // namespace rhnas::engine
