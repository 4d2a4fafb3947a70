// Optimisers against sequences computed in double from the papers' formulas; resume bit for bit;
// clipping; schedules.
#include "engine/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "engine/random.h"

namespace rhnas::engine {
namespace {

constexpr int kSize = 37;  // ragged: whole vectors and a rest on every target
constexpr int kSteps = 25;
constexpr float kRate = 0.05f;

struct Weights {
  std::vector<double> w, first, second;
};

// The gradient of step t at element i; any fixed numbers do.
float GradientAt(int t, int i) {
  return std::sin(static_cast<float>(t * 7 + i)) + 0.1f * static_cast<float>(i % 3);
}

void Fill(Parameter* p) {
  for (int i = 0; i < kSize; ++i) p->value[i] = 0.1f * static_cast<float>(i) - 1;
}

void SetGradient(Parameter* p, int t) {
  for (int i = 0; i < kSize; ++i) p->grad[i] = GradientAt(t, i);
  p->touched = true;
}

// Steps `optimizer` beside `formula(t, g, w, first, second)` and compares the weights.
template <typename F>
void ExpectFollows(Optimizer& optimizer, Parameter* p, F formula) {
  ThreadPool pool(2);
  Fill(p);
  std::vector<double> w(kSize), first(kSize), second(kSize);
  for (int i = 0; i < kSize; ++i) w[static_cast<size_t>(i)] = double{p->value[i]};
  for (int t = 1; t <= kSteps; ++t) {
    SetGradient(p, t);
    optimizer.Step(kRate, pool);
    for (size_t i = 0; i < kSize; ++i) {
      const double g = double{GradientAt(t, static_cast<int>(i))};
      formula(t, g, &w[i], &first[i], &second[i]);
      ASSERT_NEAR(double{p->value[static_cast<int64_t>(i)]}, w[i], 3e-6 * (1 + std::abs(w[i])))
          << "step " << t << " weight " << i;
    }
  }
}

TEST(Optimizers, Sgd) {
  for (bool nesterov : {false, true}) {
    for (bool decay : {false, true}) {
      Parameter p("p", Shape(kSize));
      p.decay = decay;
      SgdOptions options;
      options.nesterov = nesterov;
      options.weight_decay = 0.01f;
      Sgd sgd({&p}, options);
      ExpectFollows(sgd, &p, [&](int, double g, double* w, double* v, double*) {
        if (decay) g += 0.01 * *w;
        *v = 0.9 * *v + g;
        *w -= double{kRate} * (nesterov ? g + 0.9 * *v : *v);
      });
    }
  }
}

TEST(Optimizers, AdamAndAdamW) {
  for (bool decoupled : {false, true}) {
    for (bool decay : {false, true}) {
      Parameter p("p", Shape(kSize));
      p.decay = decay;
      AdamOptions options;
      options.weight_decay = 0.02f;
      options.decoupled = decoupled;
      Adam adam({&p}, options);
      ExpectFollows(adam, &p, [&](int t, double g, double* w, double* m, double* s) {
        if (decay && decoupled) *w -= double{kRate} * 0.02 * *w;
        if (decay && !decoupled) g += 0.02 * *w;
        *m = 0.9 * *m + 0.1 * g;
        *s = 0.999 * *s + 0.001 * g * g;
        const double corrected = *s / (1 - std::pow(0.999, t));
        *w -= double{kRate} * (*m / (1 - std::pow(0.9, t))) / (std::sqrt(corrected) + 1e-8);
      });
    }
  }
}

std::vector<std::unique_ptr<Optimizer>> All(const std::vector<Parameter*>& parameters) {
  std::vector<std::unique_ptr<Optimizer>> all;
  SgdOptions nesterov;
  nesterov.nesterov = true;
  AdamOptions adamw;
  adamw.decoupled = true;
  adamw.weight_decay = 0.1f;
  all.push_back(std::make_unique<Sgd>(parameters, nesterov));
  all.push_back(std::make_unique<Adam>(parameters, AdamOptions()));
  all.push_back(std::make_unique<Adam>(parameters, adamw));
  return all;
}

TEST(Optimizers, UntouchedParametersKeepWeightsAndMoments) {
  ThreadPool pool(1);
  for (size_t kind = 0; kind < 3; ++kind) {
    // `b` sits out steps 2 and 3; it must end where steps 1 and 4 alone lead.
    Parameter a("a", Shape(kSize)), b("b", Shape(kSize)), alone("alone", Shape(kSize));
    auto both = std::move(All({&a, &b})[kind]), single = std::move(All({&alone})[kind]);
    for (Parameter* p : {&a, &b, &alone}) Fill(p);
    for (int t = 1; t <= 4; ++t) {
      both->ZeroGrad();
      SetGradient(&a, t);
      if (t == 1 || t == 4) {
        SetGradient(&b, t);
        SetGradient(&alone, t);
        single->Step(kRate, pool);
      }
      both->Step(kRate, pool);
    }
    for (int i = 0; i < kSize; ++i) {
      EXPECT_EQ(b.value[i], alone.value[i]);
      EXPECT_NE(a.value[i], b.value[i]);
    }
  }
}

TEST(Optimizers, ResumeBitForBit) {
  ThreadPool pool(1);
  const std::string path = testing::TempDir() + "rhnas_optimizer.ckpt";
  for (size_t kind = 0; kind < 3; ++kind) {
    Parameter p("p", Shape(kSize)), q("p", Shape(kSize));
    auto straight = std::move(All({&p})[kind]);
    Fill(&p);
    for (int t = 1; t <= kSteps; ++t) {
      SetGradient(&p, t);
      straight->Step(kRate, pool);
    }
    Fill(&q);
    auto part = std::move(All({&q})[kind]);
    for (int t = 1; t <= kSteps; ++t) {
      if (t == 10) {
        ArchiveWriter writer;
        part->Save(writer, "optimizer/");
        writer.PutBuffer("p", q.value);
        ASSERT_TRUE(writer.Save(path).ok());
        part = std::move(All({&q})[kind]);
        q.value.Fill(0);
        auto reader = ArchiveReader::Open(path);
        ASSERT_TRUE(reader.ok());
        part->Load(*reader, "optimizer/");
        reader->GetBuffer("p", &q.value);
        ASSERT_TRUE(reader->status().ok()) << reader->status().message();
      }
      SetGradient(&q, t);
      part->Step(kRate, pool);
    }
    EXPECT_EQ(std::memcmp(p.value.data(), q.value.data(), kSize * sizeof(float)), 0) << kind;
  }
  std::remove(path.c_str());
  std::remove((path + ".prev").c_str());
}

TEST(ClipGradNorm, ScalesTheJointNorm) {
  Parameter a("a", Shape(2)), b("b", Shape(1)), untouched("c", Shape(1));
  const auto set = [&] {
    a.grad[0] = 3;
    a.grad[1] = 0;
    b.grad[0] = 4;
    untouched.grad[0] = 100;
    a.touched = b.touched = true;
  };
  set();
  EXPECT_EQ(ClipGradNorm({&a, &b, &untouched}, 10), 5);
  EXPECT_EQ(a.grad[0], 3);
  EXPECT_EQ(ClipGradNorm({&a, &b, &untouched}, 1), 5);
  EXPECT_FLOAT_EQ(a.grad[0], 0.6f);
  EXPECT_FLOAT_EQ(b.grad[0], 0.8f);
  EXPECT_EQ(untouched.grad[0], 100);
}

TEST(Schedules, FollowTheirFormulas) {
  Schedule s;
  s.base = 0.4f;
  s.final = 0.1f;
  s.total = 110;
  s.warmup = 10;
  EXPECT_FLOAT_EQ(s.At(0), 0.04f);
  EXPECT_FLOAT_EQ(s.At(9), 0.4f);
  for (int64_t t = 10; t <= 110; ++t) {
    const double want = 0.1 + 0.15 * (1 + std::cos(3.14159265358979 * double(t - 10) / 100));
    EXPECT_NEAR(double{s.At(t)}, want, 1e-6) << t;
  }
  EXPECT_FLOAT_EQ(s.At(1000), 0.1f);
  s.kind = Schedule::Kind::kStep;
  s.milestones = {30, 60};
  EXPECT_FLOAT_EQ(s.At(29), 0.4f);
  EXPECT_FLOAT_EQ(s.At(30), 0.04f);
  EXPECT_FLOAT_EQ(s.At(100), 0.004f);
  s.kind = Schedule::Kind::kConstant;
  EXPECT_FLOAT_EQ(s.At(100), 0.4f);
}

}  // namespace
}  // namespace rhnas::engine
