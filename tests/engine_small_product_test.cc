// Matrix products on both sides of the line between small (engine/small_product.h) and planned
// ones: each output is one chain of multiply-adds in the order of the reduction, bit for bit, so it
// does not matter which of the two computes it. And the fused layers beside their unfused twins.
#include "engine/small_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/cpu.h"
#include "engine/ops.h"
#include "engine/random.h"
#include "engine/status.h"

namespace rhnas::engine {
namespace {

constexpr size_t kGuard = 16;

std::vector<float> Numbers(int64_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> numbers(static_cast<size_t>(count) + 2 * kGuard,
                             std::numeric_limits<float>::quiet_NaN());
  for (size_t i = kGuard; i + kGuard < numbers.size(); ++i) numbers[i] = rng.Normal();
  return numbers;
}

float MultiplyAdd(Target target, float a, float b, float c) {
  if (target == Target::kBaseline) return a * b + c;  // no fused multiply-add there
  return std::fma(a, b, c);
}

struct Case {
  int m, n, k;
  bool small;
};

class SmallProductTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(InitTargetFromEnvironment().ok()); }
};

TEST_F(SmallProductTest, OneChainForEachOutput) {
  const Case cases[] = {{1, 1, 1, true},      {1, 64, 4, true},     {1, 64, 64, true},
                        {1, 2, 64, true},     {1, 200, 33, true},   {32, 64, 64, true},
                        {32, 2, 64, true},    {64, 2, 32, true},    {3, 5, 7, true},
                        {7, 13, 24, true},    {31, 40, 9, true},    {65, 33, 17, true},
                        {100, 8, 40, true},   {40, 7, 100, true},   {9, 1, 300, true},
                        {5, 16, 512, true},   {5, 16, 513, false},  {333, 25, 3, false},
                        {65, 333, 17, false}, {97, 10, 101, false}, {33, 300, 31, false}};
  ThreadPool pool(1);
  for (const Case& size : cases) {
    for (int variant = 0; variant < 16; ++variant) {
      GemmShape shape;
      shape.m = size.m;
      shape.n = size.n;
      shape.k = size.k;
      shape.transpose_a = (variant & 1) != 0;
      shape.transpose_b = (variant & 2) != 0;
      const bool accumulate = (variant & 4) != 0, with_bias = (variant & 8) != 0;
      ASSERT_EQ(IsSmallGemm(shape), size.small) << size.m << " " << size.n << " " << size.k;
      if (with_bias && !size.small) continue;
      const std::vector<float> a = Numbers(int64_t{size.m} * size.k, 1);
      const std::vector<float> b = Numbers(int64_t{size.k} * size.n, 2);
      const std::vector<float> before = Numbers(int64_t{size.m} * size.n, 3);
      const std::vector<float> bias = Numbers(size.n, 4);
      const float *pa = a.data() + kGuard, *pb = b.data() + kGuard;
      for (const Target target : SupportedTargets()) {
        SCOPED_TRACE(Format("m%d n%d k%d variant %d %s", size.m, size.n, size.k, variant,
                            TargetName(target)));
        ASSERT_TRUE(SetTarget(TargetName(target)).ok());
        std::vector<float> c = before, want = before;
        float* const pw = want.data() + kGuard;
        for (int i = 0; i < size.m; ++i) {
          for (int j = 0; j < size.n; ++j) {
            float sum = accumulate ? pw[i * size.n + j] : 0;
            for (int s = 0; s < size.k; ++s) {
              sum = MultiplyAdd(target, pa[shape.transpose_a ? s * size.m + i : i * size.k + s],
                                pb[shape.transpose_b ? j * size.k + s : s * size.n + j], sum);
            }
            if (with_bias) sum += bias[kGuard + static_cast<size_t>(j)];
            pw[i * size.n + j] = sum;
          }
        }
        if (with_bias) {
          SmallGemm(shape, pa, pb, bias.data() + kGuard, c.data() + kGuard, accumulate, pool);
        } else {
          Gemm(shape, pa, pb, c.data() + kGuard, accumulate, pool);
        }
        ASSERT_EQ(0, std::memcmp(c.data(), want.data(), c.size() * sizeof(float)));
      }
    }
  }
}

// Values and gradients of a two-layer perceptron, twice through the same weights.
std::vector<float> Perceptron(bool fused, int rows, int hidden, int threads) {
  ThreadPool pool(threads);
  Tape tape(pool);
  Rng rng(5);
  Parameter w1("w1", Shape(4, hidden)), b1("b1", Shape(hidden));
  Parameter w2("w2", Shape(hidden, 4)), b2("b2", Shape(4));
  Parameter* const parameters[] = {&w1, &b1, &w2, &b2};
  for (Parameter* p : parameters) {
    for (int64_t i = 0; i < p->value.size(); ++i) p->value[i] = rng.Normal();
  }
  std::vector<float> input(static_cast<size_t>(rows) * 4);
  for (float& v : input) v = rng.Normal();
  Var x = tape.Constant(Shape(rows, 4), input.data());
  for (int use = 0; use < 2; ++use) {
    const Var vw1 = tape.Leaf(w1), vb1 = tape.Leaf(b1), vw2 = tape.Leaf(w2), vb2 = tape.Leaf(b2);
    if (fused) {
      x = Linear(tape, LinearTanh(tape, x, vw1, vb1), vw2, vb2);
    } else {
      x = Tanh(tape, AddChannels(tape, Matmul(tape, x, vw1), vb1));
      x = AddChannels(tape, Matmul(tape, x, vw2), vb2);
    }
  }
  std::vector<float> result(tape.value(x), tape.value(x) + rows * 4);
  tape.Backward(Sum(tape, Mul(tape, x, x)));
  for (const Parameter* p : parameters) {
    result.insert(result.end(), p->grad.data(), p->grad.data() + p->grad.size());
  }
  return result;
}

TEST_F(SmallProductTest, LinearIsItsUnfusedTwinBitForBit) {
  for (const Target target : SupportedTargets()) {
    ASSERT_TRUE(SetTarget(TargetName(target)).ok());
    for (const int rows : {1, 3, 32, 700}) {
      for (const int hidden : {1, 13, 64, 400}) {
        SCOPED_TRACE(Format("%s: %d rows, %d hidden", TargetName(target), rows, hidden));
        const std::vector<float> fused = Perceptron(true, rows, hidden, 1);
        for (const int threads : {1, 3}) {
          const std::vector<float> twin = Perceptron(false, rows, hidden, threads);
          ASSERT_EQ(0, std::memcmp(fused.data(), twin.data(), fused.size() * sizeof(float)));
        }
      }
    }
  }
}

}  // namespace
}  // namespace rhnas::engine
