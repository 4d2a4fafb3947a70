// See fine_tune.h.
#include "nn/fine_tune.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <utility>

#include "engine/check.h"
#include "engine/ops.h"
#include "nn/int_program.h"

namespace rhnas::nn {

namespace {

using engine::Parameter;
using engine::Shape;
using engine::Tape;
using engine::Var;

constexpr int64_t kGrain = 16384;  // values a block

// Without a call into the C library, which floor is where the target has no instruction for it.
// REQUIRES: |x| < 2^31.
float Floor(float x) {
  const int32_t cut = static_cast<int32_t>(x);
  return static_cast<float>(cut - (static_cast<float>(cut) > x ? 1 : 0));
}

float Round(float x) { return Floor(x + 0.5f); }

// The nearest integers, within 127; backward as if it were the identity.
Var RoundThrough(Tape& tape, Parameter& parameter) {
  const Var leaf = tape.Leaf(parameter);
  const Var out = tape.NewValue(parameter.shape, true);
  const int64_t n = parameter.shape.size();
  for (int64_t i = 0; i < n; ++i) {
    tape.mutable_value(out)[i] = Round(std::clamp(parameter.value[i], -127.0f, 127.0f));
  }
  tape.OnBackward(out, [t = &tape, leaf, out, n] {
    bool fresh = false;
    float* dx = t->AccumulateGrad(leaf, &fresh);
    const float* dout = t->grad(out);
    for (int64_t i = 0; i < n; ++i) dx[i] = (fresh ? 0 : dx[i]) + dout[i];
  });
  return out;
}

struct Finish {
  float scale = 1;
  float low = -127, high = 127;
};

// fn(i) for all i, in blocks of a fixed size first, which compilers make vectors of.
template <typename F>
void ForBlocks(int64_t begin, int64_t end, F fn) {
  constexpr int kBlock = 16;
  for (; begin + kBlock <= end; begin += kBlock) {
    for (int i = 0; i < kBlock; ++i) fn(begin + i);
  }
  for (; begin < end; ++begin) fn(begin);
}

// clip(floor(x scale)); backward the slope of x scale where nothing is cut.
Var FinishThrough(Tape& tape, Var x, const Finish& how) {
  const Var out = tape.NewValue(tape.shape(x), true);
  const float* x_value = tape.value(x);
  float* out_value = tape.mutable_value(out);
  tape.pool().ParallelFor(tape.shape(x).size(), kGrain, [=](int64_t begin, int64_t end, int) {
    const float* __restrict from = x_value;
    float* __restrict to = out_value;
    const float scale = how.scale, low = how.low, high = how.high;
    ForBlocks(begin, end, [=](int64_t i) {  // limits are integers: clip first
      float y = from[i] * scale;
      y = y < low ? low : y;
      to[i] = Floor(y > high ? high : y);
    });
  });
  tape.OnBackward(out, [t = &tape, x, out, how] {
    bool fresh = false;
    float* dx_value = t->AccumulateGrad(x, &fresh);
    if (dx_value == nullptr) return;
    const float *y_value = t->value(out), *dout_value = t->grad(out);
    if (fresh) std::fill(dx_value, dx_value + t->shape(out).size(), 0.0f);
    t->pool().ParallelFor(t->shape(out).size(), kGrain, [=](int64_t begin, int64_t end, int) {
      const float* __restrict y = y_value;
      const float* __restrict dout = dout_value;
      float* __restrict dx = dx_value;
      const float scale = how.scale, low = how.low, high = how.high;
      ForBlocks(begin, end, [=](int64_t i) {
        const float above = y[i] > low ? scale : 0.0f;
        dx[i] += dout[i] * (y[i] < high ? above : 0.0f);
      });
    });
  });
  return out;
}

}  // namespace

struct FineTuner::Impl {
  Impl(const IntGraph& g, const InferencePlan& t, std::vector<float> m, std::vector<float> s)
      : graph(g), teacher(t), mean(std::move(m)), stddev(std::move(s)) {
    const engine::Status status = CheckIntGraph(graph);
    RHNAS_CHECK(status.ok(), "%s", status.message().c_str());
    std::vector<Parameter*> all;
    for (const IntNode& node : graph.nodes) {
      filter.emplace_back();
      bias.emplace_back();
      if (node.filter.empty()) continue;
      const Node& n = node.node;
      const bool dense = n.kind == NodeKind::kDense;
      filter.back() = std::make_unique<Parameter>(
          n.name + "/filter",
          dense ? Shape(n.h * n.w * n.c, n.k) : Shape(n.r, n.s, n.c / n.groups, n.k));
      bias.back() = std::make_unique<Parameter>(n.name + "/bias", Shape(n.k));
      for (size_t i = 0; i < node.filter.size(); ++i) {
        filter.back()->value[static_cast<int64_t>(i)] = static_cast<float>(node.filter[i]);
      }
      for (size_t i = 0; i < node.bias.size(); ++i) {
        bias.back()->value[static_cast<int64_t>(i)] =
            static_cast<float>(std::ldexp(double{1} * node.bias[i], -node.shift));
      }
      all.push_back(filter.back().get());
      all.push_back(bias.back().get());
    }
    optimizer = std::make_unique<engine::Adam>(all, engine::AdamOptions());
  }

  Var Input(Tape& tape, const Batch& batch) const {
    const Var out = tape.NewValue(batch.shape, false);
    float* to = tape.mutable_value(out);
    const auto channels = static_cast<size_t>(batch.shape.last());
    for (int64_t i = 0; i < batch.shape.size(); ++i) {
      const size_t c = static_cast<size_t>(i) % channels;
      const float byte = Round((batch.images[i] * stddev[c] + mean[c]) * 255);
      const auto index = static_cast<size_t>(std::clamp(byte, 0.0f, 255.0f));
      to[i] = static_cast<float>(graph.input_table[c][index]);
    }
    return out;
  }

  Var Sums(Tape& tape, const Node& n, size_t number, const std::vector<Var>& x) const {
    engine::Conv2dOptions conv;
    conv.stride = n.stride;
    conv.pad = n.pad;
    conv.groups = n.groups;
    engine::PoolOptions pool;
    pool.stride = n.stride;
    switch (n.kind) {
      case NodeKind::kInput:
        break;
      case NodeKind::kConv:
        return engine::Conv2d(tape, x[0], RoundThrough(tape, *filter[number]), conv);
      case NodeKind::kDense: {
        const int images = tape.shape(x[0]).dim[0];
        const Var flat = engine::Reshape(tape, x[0], Shape(images, n.h * n.w * n.c));
        const Var sums = engine::Matmul(tape, flat, RoundThrough(tape, *filter[number]));
        return engine::Reshape(tape, sums, Shape(images, 1, 1, n.k));
      }
      case NodeKind::kMaxPool:
        RHNAS_CHECK(n.r == n.s, "%s: a pooling window of %dx%d", n.name.c_str(), n.r, n.s);
        pool.size = n.r;
        pool.pad = n.pad;
        return engine::MaxPool(tape, x[0], pool);
      case NodeKind::kAvgPool:
      case NodeKind::kGlobalAvgPool: {
        const bool global = n.kind == NodeKind::kGlobalAvgPool;
        const Shape shape(global ? n.h : n.r, global ? n.w : n.s, 1, n.k);
        if (global) conv = engine::Conv2dOptions();
        conv.groups = n.k;
        const std::vector<float> ones(static_cast<size_t>(shape.size()), 1.0f);
        return engine::Conv2d(tape, x[0], tape.Constant(shape, ones.data()), conv);
      }
      case NodeKind::kAdd:
        return engine::Add(tape, x[0], x[1]);
      case NodeKind::kConcat:
        return engine::Concat(tape, x.data(), static_cast<int>(x.size()));
      case NodeKind::kShuffle:
        return engine::ChannelShuffle(tape, x[0], n.groups);
      case NodeKind::kSubsample: {
        pool.size = 1;
        const Var sampled = n.stride > 1 ? engine::MaxPool(tape, x[0], pool) : x[0];
        if (n.k == n.c) return sampled;
        Shape shape = tape.shape(sampled);
        shape.dim[3] = n.k - n.c;
        const std::vector<float> zeros(static_cast<size_t>(shape.size()), 0.0f);
        const Var parts[] = {sampled, tape.Constant(shape, zeros.data())};
        return engine::Concat(tape, parts, 2);
      }
    }
    return x[0];
  }

  // The outputs [n, classes] in integers.
  Var Forward(Tape& tape, const Batch& batch) const {
    std::vector<Var> maps;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const IntNode& node = graph.nodes[i];
      std::vector<Var> inputs;
      for (int input : node.node.inputs) inputs.push_back(maps[static_cast<size_t>(input)]);
      if (i == 0) {
        maps.push_back(Input(tape, batch));
        continue;
      }
      Var sums = Sums(tape, node.node, i, inputs);
      if (bias[i] != nullptr) {
        const auto unit = static_cast<float>(std::ldexp(1.0, node.shift));
        sums = engine::AddChannels(tape, sums, engine::Scale(tape, tape.Leaf(*bias[i]), unit));
      }
      const NodeKind kind = node.node.kind;
      const bool copies = kind == NodeKind::kMaxPool || kind == NodeKind::kConcat ||
                          kind == NodeKind::kShuffle || kind == NodeKind::kSubsample;
      if (copies && node.low == -127) {
        maps.push_back(sums);
        continue;
      }
      Finish finish;
      finish.scale = static_cast<float>(std::ldexp(double{1} * node.multiplier, -node.shift));
      finish.low = static_cast<float>(node.low);
      finish.high = static_cast<float>(node.high);
      maps.push_back(FinishThrough(tape, sums, finish));
    }
    const Var result = maps[static_cast<size_t>(graph.output)];
    return engine::Reshape(tape, result, Shape(batch.shape.dim[0], graph.classes()));
  }

  IntGraph graph;
  const InferencePlan& teacher;
  std::vector<float> mean, stddev;
  std::vector<std::unique_ptr<Parameter>> filter, bias;  // of each node, where it has them
  std::unique_ptr<engine::Adam> optimizer;
  std::vector<float> answers;
};

FineTuner::FineTuner(const IntGraph& graph, const InferencePlan& teacher, std::vector<float> mean,
                     std::vector<float> stddev)
    : impl_(std::make_unique<Impl>(graph, teacher, std::move(mean), std::move(stddev))) {}
FineTuner::~FineTuner() = default;

double FineTuner::Step(const Batch& batch, float learning_rate, Tape& tape) {
  Impl& my = *impl_;
  tape.Reset();
  const int images = batch.shape.dim[0], classes = my.graph.classes();
  my.answers.resize(static_cast<size_t>(images) * static_cast<size_t>(classes));
  my.teacher.Run(batch.images, images, my.answers.data(), tape.pool());
  const Var wanted =
      engine::Softmax(tape, tape.Constant(Shape(images, classes), my.answers.data()));
  const int exponent = my.graph.nodes[static_cast<size_t>(my.graph.output)].exponent;
  const Var logits =
      engine::Scale(tape, my.Forward(tape, batch), static_cast<float>(std::ldexp(1.0, exponent)));
  const Var likelihood =
      engine::Sum(tape, engine::Mul(tape, engine::LogSoftmax(tape, logits), wanted));
  const Var loss = engine::Scale(tape, likelihood, -1 / static_cast<float>(images));
  const double result = double{*tape.value(loss)};
  if (!std::isfinite(result)) return result;
  my.optimizer->ZeroGrad();
  tape.Backward(loss);
  if (!std::isfinite(engine::ClipGradNorm(my.optimizer->parameters(), FLT_MAX))) {
    return std::nan("");
  }
  my.optimizer->Step(learning_rate, tape.pool());
  for (const auto& filter : my.filter) {
    if (filter == nullptr) continue;
    for (int64_t i = 0; i < filter->value.size(); ++i) {
      filter->value[i] = std::clamp(filter->value[i], -127.0f, 127.0f);
    }
  }
  return result;
}

IntGraph FineTuner::Result() const {
  IntGraph graph = impl_->graph;
  const double most = 1 << 30;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    IntNode& node = graph.nodes[i];
    for (size_t j = 0; j < node.filter.size(); ++j) {
      node.filter[j] = static_cast<int8_t>(Round(impl_->filter[i]->value[static_cast<int64_t>(j)]));
    }
    for (size_t k = 0; k < node.bias.size(); ++k) {
      const double bias = double{impl_->bias[i]->value[static_cast<int64_t>(k)]};
      node.bias[k] = static_cast<int32_t>(
          std::clamp(std::floor(std::ldexp(bias, node.shift) + 0.5), -most, most));
    }
  }
  return graph;
}

}  // namespace rhnas::nn
