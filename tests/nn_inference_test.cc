// The inference plan against the unfused evaluation it stands for: every block kind, any number of
// images and threads.
#include "nn/inference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/cpu.h"
#include "tests/nn_scramble.h"

namespace rhnas::nn {
namespace {

using engine::Activation;
using engine::Parameter;
using engine::Rng;
using engine::Shape;
using engine::Tape;
using engine::ThreadPool;
using engine::Var;

std::vector<float> Reference(Supernet& net, const Genotype& path, const std::vector<float>& images,
                             int count) {
  ThreadPool pool(2);
  Tape tape(pool);
  const Space& space = net.space();
  const Var x = tape.Alias(Shape(count, space.h, space.w, space.c), images.data());
  const Var y = net.Forward(tape, x, path, false);
  const float* value = tape.value(y);
  return std::vector<float>(value, value + tape.shape(y).size());
}

// Two fp32 evaluations of the same chain of layers: errors relative to the largest logit, 1e-6 a
// layer or so.
void ExpectClose(const std::vector<float>& got, const std::vector<float>& want,
                 const std::string& what) {
  float top = 0;
  for (float y : want) top = std::max(top, std::fabs(y));
  ASSERT_GT(top, 1e-3f) << what << ": logits too small to tell anything";
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(got[i], want[i], 2e-4f * top) << what << ", logit " << i;
  }
}

void CheckNetwork(const Space& space, const Genotype& path, const std::string& what) {
  Supernet net(space, Rng(1));
  Scramble(net, path);
  constexpr int kMost = 11;
  const std::vector<float> images = ScrambledImages(space, kMost);
  const std::vector<float> want = Reference(net, path, images, kMost);
  const InferencePlan plan(net, path);
  const auto classes = static_cast<size_t>(space.classes);
  std::vector<float> first;
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    for (int count : {1, 2, 3, kMost}) {
      std::vector<float> got(static_cast<size_t>(count) * classes + 1, -77.0f);
      plan.Run(images.data(), count, got.data(), pool);
      ASSERT_EQ(got.back(), -77.0f) << what << " writes past its logits";
      got.pop_back();
      if (first.empty() && count == kMost) {
        first = got;
        ExpectClose(got, want, what);
      }
      if (first.empty()) {
        ExpectClose(got, {want.begin(), want.begin() + static_cast<std::ptrdiff_t>(got.size())},
                    what);
      } else {
        ASSERT_EQ(std::memcmp(got.data(), first.data(), got.size() * sizeof(float)), 0)
            << what << ": other bits with " << threads << " threads, " << count << " images";
      }
    }
  }
  EXPECT_GE(plan.memory_bytes(2), plan.memory_bytes(1));
}

TEST(NnInference, EqualsForward) {
  for (const char* text :
       {"resnet20", "lenet5", "lenet5@37x37x3,n3", "resnet20@28x28x1", "resnet20@9x9x3",
        "resnet18@64x64x3", "resnet18@57x57x3", "mobilenet_v1@64x64x3", "mobilenet_v2@33x33x1",
        "mobilenet_v2@96x96x3", "mobilenet_v2_cifar", "fbnet-a@cifar,w0.25",
        "fbnet-b@cifar,w0.25,nopw", "fbnet-c@cifar", "tiny:k3_e1_g2,k3_e3,k3_e6,skip,k5_e1,skip",
        "tiny:k5_e3,k3_e1_g2,k3_e1_g2,k5_e3,k3_e1_g2,k3_e6",
        "tiny@28x28x1,n7:skip,skip,skip,skip,skip,skip"}) {
    const engine::Result<Network> network = ParseNetwork(text);
    ASSERT_TRUE(network.ok()) << network.status().message();
    CheckNetwork(network->space, network->genotype, text);
    if (HasFatalFailure()) return;
  }
}

Slot MakeSlot(int cin, int cout, int side, int stride, const Block& block) {
  Slot slot;
  slot.cin = cin;
  slot.cout = cout;
  slot.h = side;
  slot.w = side + 3;
  slot.stride = stride;
  slot.candidates = {block};
  return slot;
}

Block MakeBlock(BlockKind kind, int kernel, Activation activation) {
  Block block;
  block.name = "block";
  block.kind = kind;
  block.kernel = kernel;
  block.activation = activation;
  return block;
}

// One block between a stem and the classifier, images not square.
void CheckBlock(const Block& block, int cin, int cout, int side, int stride,
                const std::string& what) {
  Space space;
  space.name = "one";
  space.h = side;
  space.w = side + 3;
  space.classes = 5;
  Block stem = MakeBlock(BlockKind::kConvBn, 3, block.activation), out;
  stem.name = "stem";
  out.name = "classifier";
  out.kind = BlockKind::kPoolLinear;
  Slot last = MakeSlot(cout, space.classes, 1, 1, out);
  const Slot middle = MakeSlot(cin, cout, side, stride, block);
  const std::vector<LayerShape> layers = LayersOf(middle, block, "");
  last.h = layers.empty() ? middle.h : layers.back().oh();
  last.w = layers.empty() ? middle.w : layers.back().ow();
  space.slots = {MakeSlot(3, cin, side, 1, stem), middle, last};
  CheckNetwork(space, Genotype(), what);
}

TEST(NnInference, EveryBlockAndActivation) {
  for (Activation activation : {Activation::kRelu, Activation::kRelu6, Activation::kHSwish}) {
    const std::string suffix = engine::Format(", activation %d", static_cast<int>(activation));
    for (int stride : {1, 2, 3}) {
      const std::string at = engine::Format(" at stride %d", stride) + suffix;
      for (int kernel : {1, 3, 5, 7, 9}) {
        const std::string of = engine::Format(" %dx%d", kernel, kernel) + at;
        if (kernel >= 3) {
          Block mb = MakeBlock(BlockKind::kMbConv, kernel, activation);
          mb.expansion = 3;
          CheckBlock(mb, 13, stride == 1 ? 13 : 7, 12, stride, "mb" + of);
          mb.groups = 2;
          CheckBlock(mb, 16, 24, 12, stride, "mb in groups" + of);
          mb.always_pointwise = false;
          mb.expansion = 1;
          CheckBlock(mb, 16, 24, 12, stride, "mb in groups without expansion" + of);
          CheckBlock(MakeBlock(BlockKind::kMaxPool, kernel, activation), 13, 13, 12, stride,
                     "pool" + of);
          CheckBlock(MakeBlock(BlockKind::kSeparable, kernel, activation), 24, 40, 12, stride,
                     "separable" + of);
          CheckBlock(MakeBlock(BlockKind::kSeparable, kernel, activation), 1, 5, 12, stride,
                     "separable of one channel" + of);
        }
        Block conv = MakeBlock(BlockKind::kConvBn, kernel, activation);
        CheckBlock(conv, 7, 40, 12, stride, "conv" + of);
        conv.groups = 4;
        CheckBlock(conv, 8, 24, 12, stride, "conv in groups" + of);
        conv.groups = 24;
        CheckBlock(conv, 24, 24, 12, stride, "depthwise" + of);
        if (HasFatalFailure()) return;
      }
      Block residual = MakeBlock(BlockKind::kResidual, 3, activation);
      CheckBlock(residual, 16, 24, 12, stride, "projection" + at);
      residual.shortcut = Shortcut::kPadded;
      CheckBlock(residual, 16, 24, 12, stride, "padded" + at);
      CheckBlock(residual, 16, 16, 12, stride, "residual" + at);
      residual.expansion = 4;
      CheckBlock(residual, 16, 32, 12, stride, "padded bottleneck" + at);
      residual.shortcut = Shortcut::kProjection;
      CheckBlock(residual, 16, 32, 12, stride, "bottleneck" + at);
      CheckBlock(residual, 32, 32, 12, stride, "bottleneck of one size" + at);
      CheckBlock(MakeBlock(BlockKind::kSkip, 1, activation), 16, 24, 12, stride, "skip" + at);
      if (HasFatalFailure()) return;
    }
  }
}

// Rows at the end of an image that no output reads are expanded with the others.
TEST(NnInference, UnreadRows) {
  for (int stride : {2, 3}) {
    for (int side : {6, 7, 8}) {
      Block mb = MakeBlock(BlockKind::kMbConv, 3, Activation::kRelu);
      mb.expansion = 4;
      mb.pad = 0;
      CheckBlock(mb, 16, 12, side, stride, engine::Format("side %d, stride %d", side, stride));
    }
  }
}

// Planes too large for one band: rows that bands share are kept, and computed at the seams between
// threads.
TEST(NnInference, Bands) {
  for (int kernel : {3, 5}) {
    for (int stride : {1, 2}) {
      Block mb = MakeBlock(BlockKind::kMbConv, kernel, Activation::kRelu);
      mb.expansion = 6;
      CheckBlock(mb, 24, 24, 67, stride, engine::Format("bands of %d / %d", kernel, stride));
    }
  }
}

// 3x3 filters whose transforms several threads share by panels, and planes of few tiles.
TEST(NnInference, Winograd) {
  Block residual = MakeBlock(BlockKind::kResidual, 3, Activation::kRelu6);
  CheckBlock(residual, 176, 176, 14, 1, "filters beyond the caches");
  CheckBlock(residual, 40, 72, 8, 1, "few tiles");
  CheckBlock(residual, 64, 64, 17, 2, "ragged tiles");
}

// AVX2, AVX-512 and NEON give the same bits; the baseline without fused multiply-add its own.
TEST(NnInference, TargetsAgree) {
  const engine::Target before = engine::ActiveTarget();
  for (const char* text :
       {"resnet20", "fbnet-c@cifar,w0.5", "tiny:k5_e3,k3_e1_g2,k3_e1_g2,k5_e3,k3_e1_g2,k3_e6"}) {
    const Network network = *ParseNetwork(text);
    Supernet net(network.space, Rng(1));
    Scramble(net, network.genotype);
    const std::vector<float> images = ScrambledImages(network.space, 3);
    std::vector<float> fused;
    for (engine::Target target : engine::SupportedTargets()) {
      ASSERT_TRUE(engine::SetTarget(engine::TargetName(target)).ok());
      ThreadPool pool(2);
      const InferencePlan plan(net, network.genotype);
      std::vector<float> got(static_cast<size_t>(3 * network.space.classes));
      plan.Run(images.data(), 3, got.data(), pool);
      ExpectClose(got, Reference(net, network.genotype, images, 3), text);
      if (target == engine::Target::kBaseline) continue;
      if (fused.empty()) fused = got;
      EXPECT_EQ(std::memcmp(got.data(), fused.data(), got.size() * sizeof(float)), 0)
          << text << " on " << engine::TargetName(target);
    }
  }
  ASSERT_TRUE(engine::SetTarget(engine::TargetName(before)).ok());
}

// A plan is what the weights were when it was made.
TEST(NnInference, ReadsTheWeightsOnce) {
  const Network network = *ParseNetwork("tiny:k3_e3,k3_e3,k3_e3,skip,k3_e3,k3_e3");
  Supernet net(network.space, Rng(1));
  Scramble(net, network.genotype);
  const InferencePlan plan(net, network.genotype);
  const std::vector<float> images = ScrambledImages(network.space, 1);
  const std::vector<float> want = Reference(net, network.genotype, images, 1);
  for (Parameter* weight : net.weights()) weight->value.Fill(0);
  ThreadPool pool(1);
  std::vector<float> got(want.size());
  plan.Run(images.data(), 1, got.data(), pool);
  ExpectClose(got, want, "tiny");
}

}  // namespace
}  // namespace rhnas::nn
