// The tape: memory, order, what runs and what does not, misuse; one network step with every thread
// count.
#include "engine/tape.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cfenv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "engine/infer.h"
#include "engine/ops.h"
#include "engine/optimizer.h"
#include "engine/random.h"

namespace {

// Counts what the whole program asks of the heap.
std::atomic<int64_t> g_allocations{0};

void* CountedAllocate(size_t bytes, size_t alignment) {
  ++g_allocations;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment < sizeof(void*) ? sizeof(void*) : alignment, bytes) != 0) {
    std::abort();
  }
  return memory;
}

}  // namespace

void* operator new(size_t bytes) { return CountedAllocate(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return CountedAllocate(bytes, alignof(std::max_align_t));
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return CountedAllocate(bytes, static_cast<size_t>(alignment));
}
void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return CountedAllocate(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace rhnas::engine {
namespace {

// A small network with every kind of layer, and its optimiser.
struct Network {
  Network()
      : conv("conv", Shape(3, 3, 3, 13)),
        depthwise("depthwise", Shape(3, 3, 1, 13)),
        gamma("gamma", Shape(13)),
        beta("beta", Shape(13)),
        linear("linear", Shape(13, 10)),
        bias("bias", Shape(10)),
        mean(13, 0.0f),
        variance(13, 1.0f) {
    Rng rng(1);
    for (Parameter* p : parameters()) {
      for (int64_t i = 0; i < p->value.size(); ++i) p->value[i] = 0.3f * rng.Normal();
    }
    gamma.value.Fill(1);
    for (int i = 0; i < 16 * 12 * 12 * 3; ++i) images.push_back(rng.Normal());
    for (int i = 0; i < 16; ++i) labels.push_back(static_cast<int32_t>(rng.Below(10)));
  }
  std::vector<Parameter*> parameters() {
    return {&conv, &depthwise, &gamma, &beta, &linear, &bias};
  }

  float Step(Tape& tape, Optimizer& optimizer) {
    tape.Reset();
    optimizer.ZeroGrad();
    BatchNormOptions norm;
    norm.activation = Activation::kRelu;
    Conv2dOptions one, two;
    one.pad = two.pad = 1;
    two.groups = 13;
    Var x = tape.Alias(Shape(16, 12, 12, 3), images.data());
    x = Conv2d(tape, x, tape.Leaf(conv), one);
    x = BatchNorm(tape, x, tape.Leaf(gamma), tape.Leaf(beta), mean.data(), variance.data(), norm);
    x = Add(tape, x, Conv2d(tape, x, tape.Leaf(depthwise), two));
    x = MaxPool(tape, x, PoolOptions{3, 2, 1});
    x = GlobalAvgPool(tape, HSwish(tape, x));
    x = AddChannels(tape, Matmul(tape, x, tape.Leaf(linear)), tape.Leaf(bias));
    const Var loss = CrossEntropy(tape, x, labels.data(), 0.1f);
    tape.Backward(loss);
    ClipGradNorm(parameters(), 1);
    optimizer.Step(0.05f, tape.pool());
    return tape.value(loss)[0];
  }

  Parameter conv, depthwise, gamma, beta, linear, bias;
  std::vector<float> mean, variance, images;
  std::vector<int32_t> labels;
};

TEST(Tape, AWarmStepAllocatesNothing) {
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    Tape tape(pool);
    Network network;
    Sgd optimizer(network.parameters(), SgdOptions());
    for (int i = 0; i < 3; ++i) network.Step(tape, optimizer);
    const int64_t blocks = tape.arena().block_allocations();
    const int64_t before = g_allocations;
    for (int i = 0; i < 20; ++i) network.Step(tape, optimizer);
    // The parameter list of ClipGradNorm in Step is the one thing the test itself makes.
    EXPECT_EQ(g_allocations - before, 20) << threads << " threads";
    EXPECT_EQ(tape.arena().block_allocations(), blocks);
  }
}

// Every kind of step of a compiled network, for one image and for many.
TEST(Tape, AWarmInferenceAllocatesNothing) {
  constexpr int kSide = 16, kMost = 9, kClasses = 5;
  std::vector<float> weights(3 * 3 * 48 * 48), images(kMost * kSide * kSide * 3);
  std::vector<float> out(kMost * kClasses);
  Rng rng(1);
  for (float& w : weights) w = 0.1f * rng.Normal();
  for (float& x : images) x = rng.Normal();
  const auto conv = [&](int k, int size, int stride, int groups) {
    InferConv layer;
    layer.k = k;
    layer.r = layer.s = size;
    layer.stride = stride;
    layer.pad = size / 2;
    layer.groups = groups;
    layer.activation = Activation::kRelu;
    layer.filter = layer.bias = weights.data();
    return layer;
  };
  InferProgram program(kSide, kSide, 3);
  const auto stem = program.Conv(InferProgram::kImage, conv(16, 3, 1, 1));
  const auto block = program.Conv(stem, conv(16, 3, 1, 1), stem);
  const InferConv expand = conv(48, 1, 1, 1), project = conv(16, 1, 1, 1);
  const auto mb = program.Bottleneck(block, &expand, conv(48, 5, 1, 48), &project, block);
  const auto pooled = program.MaxPool(mb, 3, 2, 1);
  const auto shortcut = program.Subsample(pooled, 2, 24);
  program.Classifier(program.Conv(pooled, conv(24, 3, 2, 1), shortcut), weights.data(),
                     weights.data(), kClasses);
  program.Finish();
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    program.Run(images.data(), 1, out.data(), pool);
    const int64_t before = g_allocations;
    for (int images_now : {1, 2, kMost, 1}) {
      program.Run(images.data(), images_now, out.data(), pool);
    }
    EXPECT_EQ(g_allocations - before, 0) << threads << " threads";
  }
  EXPECT_GT(program.weight_bytes(), 0);
  EXPECT_GT(program.work_bytes(3), program.work_bytes(1));
}

// A convolution that goes by Winograd, and a block whose passes are fused.
TEST(Tape, AWarmChainStepAllocatesNothing) {
  constexpr int kImages = 8, kSide = 16, kC = 16, kWide = 128;
  Parameter stem("stem", Shape(3, 3, kC, kC)), expand("expand", Shape(1, 1, kC, kWide)),
      depthwise("depthwise", Shape(3, 3, 1, kWide)), project("project", Shape(1, 1, kWide, kC)),
      wide("wide", Shape(kWide)), narrow("narrow", Shape(kC));
  const std::vector<Parameter*> parameters = {&stem, &expand, &depthwise, &project, &wide, &narrow};
  Rng rng(1);
  for (Parameter* p : parameters) {
    for (int64_t i = 0; i < p->value.size(); ++i) p->value[i] = 0.3f * rng.Normal();
  }
  std::vector<float> images(kImages * kSide * kSide * kC);
  for (float& x : images) x = rng.Normal();
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    Tape tape(pool);
    Sgd sgd(parameters, SgdOptions());
    int64_t before = 0;
    for (int i = 0; i < 13; ++i) {
      if (i == 3) before = g_allocations;
      tape.Reset();
      sgd.ZeroGrad();
      const Var in = tape.Alias(Shape(kImages, kSide, kSide, kC), images.data());
      const Var x = Conv2d(tape, in, tape.Leaf(stem), {1, 1, 1});
      ConvLink links[3];
      Parameter* const filters[] = {&expand, &depthwise, &project};
      for (int j = 0; j < 3; ++j) {
        links[j].filter = tape.Leaf(*filters[j]);
        links[j].gamma = links[j].beta = tape.Leaf(j < 2 ? wide : narrow);
        links[j].norm.update_running = false;
        links[j].norm.activation = j < 2 ? Activation::kRelu : Activation::kNone;
      }
      links[1].conv = {1, 1, kWide};
      const Var y = ConvChain(tape, x, links, 3, x);
      tape.Backward(Sum(tape, Mul(tape, y, in)));
      sgd.Step(1e-4f, pool);
    }
    EXPECT_EQ(g_allocations, before) << threads << " threads";
  }
}

// A policy-gradient step, whose every operation is small.
TEST(Tape, AWarmPolicyStepAllocatesNothing) {
  ThreadPool pool(1);
  Tape tape(pool);
  Parameter w1("w1", Shape(4, 64)), b1("b1", Shape(64)), w2("w2", Shape(64, 2)), b2("b2", Shape(2));
  const std::vector<Parameter*> parameters = {&w1, &b1, &w2, &b2};
  Adam adam(parameters, AdamOptions());
  const std::vector<float> observations(32 * 4, 0.5f), weights(32, 0.1f);
  const std::vector<int32_t> actions(32, 1);
  int64_t before = 0;
  for (int i = 0; i < 23; ++i) {
    if (i == 3) before = g_allocations;
    tape.Reset();
    adam.ZeroGrad();
    Var x = tape.Constant(Shape(32, 4), observations.data());
    x = LinearTanh(tape, x, tape.Leaf(w1), tape.Leaf(b1));
    x = LogSoftmax(tape, Linear(tape, x, tape.Leaf(w2), tape.Leaf(b2)));
    x = Mul(tape, Pick(tape, x, actions.data()), tape.Constant(Shape(32), weights.data()));
    tape.Backward(Sum(tape, x));
    ClipGradNorm(parameters, 1);
    adam.Step(1e-3f, pool);
  }
  EXPECT_EQ(g_allocations, before);
}

TEST(Tape, FlushesDenormalsWhereverItRuns) {
#if !defined(__x86_64__) && !defined(__aarch64__)
  GTEST_SKIP() << "no way to flush denormals on this machine";
#endif
  const auto flushed = [] {
    volatile float tiny = std::numeric_limits<float>::min();
    volatile float half = tiny * 0.5f;
    return half == 0.0f;
  };
  ThreadPool pool(1);
  Tape tape(pool);
  std::thread other([&] {
    std::fesetenv(FE_DFL_ENV);  // a thread starts with the settings of the one that made it
    EXPECT_FALSE(flushed()) << "denormals are flushed already: this test shows nothing";
    tape.Reset();
    EXPECT_TRUE(flushed());
  });
  other.join();
}

// Scratch memory of the workers that had no work in the first step is there in the second.
TEST(Tape, MaxPoolReservesScratchOfAllWorkers) {
  ThreadPool pool(3);
  Tape tape(pool);
  Parameter image("image", Shape(1, 2, 2, 2000)), images("images", Shape(64, 2, 2, 2000));
  const auto step = [&](Parameter& x, bool max) {
    tape.Reset();
    const Var leaf = tape.Leaf(x);
    const Var y = max ? MaxPool(tape, leaf, PoolOptions()) : AvgPool(tape, leaf, PoolOptions());
    tape.Backward(Sum(tape, y));
  };
  for (int i = 0; i < 3; ++i) step(images, false);  // the tape's own memory
  step(image, true);
  const int64_t before = g_allocations;
  for (int i = 0; i < 20; ++i) step(images, true);
  EXPECT_EQ(g_allocations, before);
}

TEST(Tape, OneStepHasTheSameBitsForAnyThreadCount) {
  std::vector<float> want;
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    Tape tape(pool);
    Network network;
    Adam optimizer(network.parameters(), AdamOptions());
    std::vector<float> got;
    for (int i = 0; i < 4; ++i) got.push_back(network.Step(tape, optimizer));
    for (const Parameter* p : network.parameters()) {
      got.insert(got.end(), p->value.data(), p->value.data() + p->value.size());
    }
    got.insert(got.end(), network.variance.begin(), network.variance.end());
    if (threads == 1) want = got;
    ASSERT_EQ(got.size(), want.size());
    EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0) << threads;
    EXPECT_LT(got[3], got[0]);  // and it learns
  }
}

TEST(Tape, ALongChainOfScalars) {
  ThreadPool pool(1);
  Tape tape(pool);
  Parameter p("p", Shape());
  p.value[0] = 1;
  constexpr int kLength = 100000;
  Var x = tape.Leaf(p);
  for (int i = 0; i < kLength; ++i) x = AddScalar(tape, x, 1);
  EXPECT_EQ(tape.value(x)[0], kLength + 1);
  tape.Backward(x);
  EXPECT_EQ(p.grad[0], 1);
  // Shared nodes: 2^60 paths, and each record runs once.
  tape.Reset();
  p.ZeroGrad();
  x = tape.Leaf(p);
  for (int i = 0; i < 60; ++i) x = Add(tape, x, x);
  tape.Backward(x);
  EXPECT_EQ(p.grad[0], 0x1p60f);
}

TEST(Tape, BranchesWithoutGradientAreNotRun) {
  ThreadPool pool(1);
  Tape tape(pool);
  Parameter used("used", Shape(2)), unused("unused", Shape(2)), gated("gated", Shape(2));
  const Var u = tape.Leaf(used), v = Scale(tape, tape.Leaf(unused), 2);
  const Var g = Scale(tape, tape.Leaf(gated), 2);
  static int runs = 0;
  const Var probe = tape.NewValue(Shape(2), true);
  tape.mutable_value(probe)[0] = tape.mutable_value(probe)[1] = 0;
  tape.OnBackward(probe, [] { ++runs; });
  const Var xs[] = {u, g};
  Parameter weights("weights", Shape(2));
  const float forward[] = {1, 0};
  const Var loss = Sum(tape, WeightedSum(tape, xs, 2, tape.Leaf(weights), forward));
  tape.Backward(loss);
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(used.touched);
  EXPECT_TRUE(weights.touched);
  EXPECT_FALSE(unused.touched);
  EXPECT_FALSE(gated.touched);  // forward weight 0: exactly no gradient
  EXPECT_EQ(tape.grad(v), nullptr);
  EXPECT_NE(tape.grad(u), nullptr);
  used.ZeroGrad();
  EXPECT_FALSE(used.touched);
  EXPECT_EQ(used.grad[0], 0);
}

TEST(Tape, LeavesAccumulateOverTapesAndUses) {
  ThreadPool pool(1);
  Parameter p("p", Shape(1));
  for (int pass = 0; pass < 2; ++pass) {
    Tape tape(pool);
    tape.Backward(Sum(tape, Add(tape, tape.Leaf(p), tape.Leaf(p))));
  }
  EXPECT_EQ(p.grad[0], 4);
}

TEST(Tape, ConstantsAreCopiedAndAliasesAreNot) {
  ThreadPool pool(1);
  Tape tape(pool);
  float data[] = {1, 2};
  const Var copy = tape.Constant(Shape(2), data), alias = tape.Alias(Shape(2), data);
  EXPECT_EQ(tape.value(alias), data);
  data[0] = 5;
  EXPECT_EQ(tape.value(copy)[0], 1);
  EXPECT_EQ(tape.value(alias)[0], 5);
  EXPECT_FALSE(tape.needs_grad(Add(tape, copy, alias)));
  // A loss that depends on no parameter has no gradients, and that is no error.
  tape.Backward(Sum(tape, copy));
}

TEST(Arena, KeepsAndMergesItsBlocks) {
  Arena arena;
  for (int round = 0; round < 4; ++round) {
    for (size_t bytes : {size_t{1}, size_t{100000}, size_t{3000000}, size_t{64}}) {
      void* memory = arena.Allocate(bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
      std::memset(memory, 0xff, bytes);
    }
    if (round > 0) {
      EXPECT_EQ(arena.block_allocations(), 4) << "three blocks, then one for all";
    }
    EXPECT_GE(arena.bytes_reserved(), arena.bytes_in_use());
    arena.Reset();
    EXPECT_EQ(arena.bytes_in_use(), 0u);
  }
  EXPECT_NE(arena.Allocate(0), arena.Allocate(0));
}

TEST(Buffers, MoveAndFill) {
  Buffer a(5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(a[i], 0);
  a.Fill(3);
  Buffer b = std::move(a);
  EXPECT_EQ(a.size(), 0);
  EXPECT_EQ(b[4], 3);
  Buffer& same = b;
  b = std::move(same);
  EXPECT_EQ(b.size(), 5);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data()) % 64, 0u);
}

TEST(Shapes, TextAndEquality) {
  EXPECT_EQ(Shape(64, 32, 32, 3).ToString(), "[64,32,32,3]");
  EXPECT_EQ(Shape().ToString(), "[]");
  EXPECT_EQ(Shape().size(), 1);
  EXPECT_NE(Shape(2), Shape(2, 1));
  EXPECT_EQ(Shape(2, 3).rows(), 2);
}

TEST(TapeDeathTest, MisuseIsFound) {
  ThreadPool pool(1);
  Tape tape(pool), other(pool);
  const Var old = tape.Scalar(1);
  tape.Reset();
  const Var x = tape.Scalar(1), foreign = other.Scalar(2);
  EXPECT_DEATH(tape.value(old), "before Reset");
  EXPECT_DEATH(Add(tape, x, foreign), "of another tape");
  EXPECT_DEATH(tape.value(Var()), "no operation returned");
  Var beyond = x;
  beyond.id = 100;
  EXPECT_DEATH(tape.value(beyond), "on a tape of 1 records");
  EXPECT_DEATH(tape.NewValue(Shape(3, 0), false), "dimension 1 of \\[3,0\\]");
  const float two[] = {1, 2};
  EXPECT_DEATH(tape.Backward(tape.Constant(Shape(2), two)), "the loss is \\[2\\], not a scalar");
  tape.Backward(x);
  EXPECT_DEATH(tape.Backward(x), "a second Backward");
}

}  // namespace
}  // namespace rhnas::engine
