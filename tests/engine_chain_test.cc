// Fused chains against the same links as operations of their own: values, gradients and running
// statistics, over kernels, strides, channel counts and threads.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/chain_internal.h"
#include "engine/ops.h"

namespace rhnas::engine {
namespace {

struct LinkSpec {
  bool depthwise;
  int kernel, stride, pad, k;
  Activation activation;
};

struct Case {
  const char* name;
  int n, h, w, c;
  std::vector<LinkSpec> links;
  bool residual;
};

struct Outcome {
  std::vector<float> value;
  std::vector<std::vector<float>> gradients;  // of x, then filter, gamma, beta of each link
  std::vector<float> running;
};

enum class How { kFused, kPlain, kTwin };

class Chain {
 public:
  explicit Chain(const Case& spec) : spec_(spec), x_("x", Shape(spec.n, spec.h, spec.w, spec.c)) {
    Rng rng(11);
    Fill(&x_, 1, 0, rng.Split(0));
    int c = spec.c;
    for (size_t i = 0; i < spec.links.size(); ++i) {
      const LinkSpec& link = spec.links[i];
      const int k = link.depthwise ? c : link.k;
      auto filter = std::make_unique<Parameter>(
          "filter", Shape(link.kernel, link.kernel, link.depthwise ? 1 : c, k));
      auto gamma = std::make_unique<Parameter>("gamma", Shape(k));
      auto beta = std::make_unique<Parameter>("beta", Shape(k));
      Fill(filter.get(), 0.5f, 0, rng.Split(3 * i + 1));
      Fill(gamma.get(), 0.2f, 1, rng.Split(3 * i + 2));
      Fill(beta.get(), 0.3f, 0.1f, rng.Split(3 * i + 3));
      parameters_.push_back(std::move(filter));
      parameters_.push_back(std::move(gamma));
      parameters_.push_back(std::move(beta));
      running_.push_back(std::vector<float>(static_cast<size_t>(2 * k), 0.5f));
      c = k;
    }
  }

  Outcome Run(How how, int threads) {
    ThreadPool pool(threads);
    Tape tape(pool);
    Outcome outcome;
    for (int step = 0; step < 2; ++step) {  // the second reuses the arena
      auto running = running_;
      x_.ZeroGrad();
      for (auto& parameter : parameters_) parameter->ZeroGrad();
      tape.Reset();
      std::vector<ConvLink> links;
      for (size_t i = 0; i < spec_.links.size(); ++i) {
        ConvLink link;
        link.filter = tape.Leaf(*parameters_[3 * i]);
        link.gamma = tape.Leaf(*parameters_[3 * i + 1]);
        link.beta = tape.Leaf(*parameters_[3 * i + 2]);
        link.conv.stride = spec_.links[i].stride;
        link.conv.pad = spec_.links[i].pad;
        const int k = tape.shape(link.gamma).last();
        link.conv.groups = spec_.links[i].depthwise ? k : 1;
        link.running_mean = running[i].data();
        link.running_var = running[i].data() + k;
        link.norm.activation = spec_.links[i].activation;
        links.push_back(link);
      }
      const int count = static_cast<int>(links.size());
      // Through an activation, so that the gradient of x has two contributions.
      const Var x = tape.Leaf(x_), input = Scale(tape, x, 1.5f);
      Var y;
      if (how != How::kTwin) {
        EXPECT_TRUE(chain::CanChain(tape, input, links.data(), count, input));
        y = chain::Run(tape, input, links.data(), count, spec_.residual ? input : Var(),
                       how == How::kFused ? chain::Passes::kFused : chain::Passes::kPlain);
      } else {
        y = input;
        for (const ConvLink& link : links) {
          y = Conv2d(tape, y, link.filter, link.conv);
          const bool adds = spec_.residual && &link == &links.back();
          BatchNormOptions norm = link.norm;
          if (adds) norm.activation = Activation::kNone;
          y = BatchNorm(tape, y, link.gamma, link.beta, link.running_mean, link.running_var, norm);
          if (adds) y = Activate(tape, Add(tape, y, input), link.norm.activation);
        }
      }
      outcome = {};
      outcome.value.assign(tape.value(y), tape.value(y) + tape.shape(y).size());
      // A loss whose gradient differs from element to element.
      std::vector<float> weight(outcome.value.size());
      Rng rng(5);
      for (float& v : weight) v = rng.Normal();
      const Var weighted = Mul(tape, y, tape.Constant(tape.shape(y), weight.data()));
      tape.Backward(Sum(tape, weighted));
      outcome.gradients.push_back(ToVector(x_.grad));
      for (auto& parameter : parameters_) outcome.gradients.push_back(ToVector(parameter->grad));
      for (const auto& r : running) {
        outcome.running.insert(outcome.running.end(), r.begin(), r.end());
      }
    }
    return outcome;
  }

 private:
  static void Fill(Parameter* parameter, float deviation, float mean, Rng rng) {
    for (int64_t i = 0; i < parameter->value.size(); ++i) {
      parameter->value[i] = mean + deviation * rng.Normal();
    }
  }
  static std::vector<float> ToVector(const Buffer& buffer) {
    return {buffer.data(), buffer.data() + buffer.size()};
  }

  Case spec_;
  Parameter x_;
  std::vector<std::unique_ptr<Parameter>> parameters_;
  std::vector<std::vector<float>> running_;
};

void ExpectClose(const std::vector<float>& a, const std::vector<float>& b, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  double scale = 1e-6, worst = 0;
  size_t at = 0;
  for (float v : b) scale = std::max(scale, std::abs(double{v}));
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(double{a[i]} - double{b[i]}) / scale;
    if (!(error <= worst)) worst = error, at = i;
  }
  EXPECT_LE(worst, tolerance) << what << " [" << at << "]: " << a[at] << ", the twin has " << b[at];
}

constexpr Activation kNone = Activation::kNone, kRelu = Activation::kRelu,
                     kRelu6 = Activation::kRelu6, kHSwish = Activation::kHSwish;

std::vector<Case> Cases() {
  return {
      {"mbconv3",
       9,
       9,
       9,
       8,
       {{false, 1, 1, 0, 24, kRelu}, {true, 3, 1, 1, 0, kRelu}, {false, 1, 1, 0, 8, kNone}},
       true},
      {"mbconv3 large",
       8,
       32,
       32,
       16,
       {{false, 1, 1, 0, 96, kRelu}, {true, 3, 1, 1, 0, kRelu6}, {false, 1, 1, 0, 16, kNone}},
       true},
      {"mbconv5 stride 2",
       9,
       16,
       13,
       7,
       {{false, 1, 1, 0, 40, kRelu}, {true, 5, 2, 2, 0, kRelu}, {false, 1, 1, 0, 13, kNone}},
       false},
      {"mbconv3 stride 2",
       10,
       15,
       16,
       24,
       {{false, 1, 1, 0, 72, kRelu6}, {true, 3, 2, 1, 0, kRelu}, {false, 1, 1, 0, 24, kNone}},
       false},
      {"mbconv7",
       8,
       14,
       14,
       5,
       {{false, 1, 1, 0, 30, kHSwish}, {true, 7, 1, 3, 0, kHSwish}, {false, 1, 1, 0, 5, kNone}},
       true},
      {"mbconv7 stride 2",
       3,
       11,
       12,
       6,
       {{false, 1, 1, 0, 36, kRelu}, {true, 7, 2, 3, 0, kRelu}, {false, 1, 1, 0, 9, kNone}},
       false},
      {"depthwise first",
       4,
       20,
       20,
       32,
       {{true, 3, 1, 1, 0, kRelu}, {false, 1, 1, 0, 16, kNone}},
       false},
      {"depthwise last, no padding",
       5,
       12,
       9,
       12,
       {{false, 1, 1, 0, 12, kRelu}, {true, 5, 1, 0, 0, kRelu}},
       false},
      {"depthwise alone, wide padding", 3, 6, 6, 16, {{true, 3, 1, 2, 0, kRelu}}, false},
      {"pointwise alone", 6, 10, 10, 20, {{false, 1, 1, 0, 33, kRelu}}, false},
      {"many channels",
       8,
       4,
       4,
       48,
       {{false, 1, 1, 0, 288, kRelu}, {true, 3, 1, 1, 0, kRelu}, {false, 1, 1, 0, 48, kNone}},
       true},
      {"residual block",
       3,
       9,
       8,
       6,
       {{false, 3, 1, 1, 12, kRelu}, {false, 3, 1, 1, 6, kRelu6}},
       true},
      {"pointwise onto itself", 4, 7, 7, 24, {{false, 1, 1, 0, 24, kRelu}}, true},
      {"depthwise onto itself", 4, 12, 9, 24, {{true, 5, 1, 2, 0, kRelu}}, true},
      // Its y are computed again on the way back.
      {"more than is kept",
       8,
       64,
       64,
       8,
       {{false, 1, 1, 0, 192, kRelu}, {true, 3, 1, 1, 0, kRelu}, {false, 1, 1, 0, 8, kNone}},
       true},
      // A gradient of 16 MiB is written past the caches; the last band completes the most rows.
      {"streamed, no padding", 2, 66, 66, 512, {{true, 7, 1, 0, 0, kRelu}}, false},
      {"tall and thin",
       2,
       70,
       3,
       4,
       {{false, 1, 1, 0, 16, kRelu}, {true, 5, 2, 2, 0, kRelu}, {false, 1, 1, 0, 4, kNone}},
       false},
  };
}

void ExpectTwin(const Case& spec, How how) {
  SCOPED_TRACE(spec.name);
  const Outcome fused = Chain(spec).Run(how, 2), twin = Chain(spec).Run(How::kTwin, 2);
  ExpectClose(fused.value, twin.value, 2e-5, "value");
  ExpectClose(fused.running, twin.running, 2e-6, "running statistics");
  for (size_t i = 0; i < twin.gradients.size(); ++i) {
    // Sums that cancel (a filter before batch norm has no gradient along itself) lose digits; an
    // element whose activation is at its kink may take either side.
    ExpectClose(fused.gradients[i], twin.gradients[i], 3e-4, "gradient " + std::to_string(i));
  }
}

TEST(ConvChain, FusedPassesDoAsOperationsOfTheirOwn) {
  for (const Case& spec : Cases()) ExpectTwin(spec, How::kFused);
}

TEST(ConvChain, PlainPassesDoAsOperationsOfTheirOwn) {
  for (const Case& spec : Cases()) ExpectTwin(spec, How::kPlain);
}

TEST(ConvChain, SameBitsForAnyNumberOfThreads) {
  for (const Case& spec : Cases()) {
    SCOPED_TRACE(spec.name);
    const Outcome one = Chain(spec).Run(How::kFused, 1);
    for (int threads : {2, 3, 7}) {
      const Outcome many = Chain(spec).Run(How::kFused, threads);
      EXPECT_EQ(one.value, many.value) << threads;
      EXPECT_EQ(one.running, many.running) << threads;
      for (size_t i = 0; i < one.gradients.size(); ++i) {
        EXPECT_EQ(one.gradients[i], many.gradients[i]) << threads << " threads, gradient " << i;
      }
    }
  }
}

}  // namespace
}  // namespace rhnas::engine
