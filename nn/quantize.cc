// Post-training quantisation: ranges, steps, then layer by layer the integers, each layer's bias
// set by what the integer layers before it give on the calibration images. See quantize.h.
#include "nn/quantize.h"

#include <algorithm>
#include <cmath>

#include "nn/calibrate.h"
#include "nn/graph_kernels.h"
#include "nn/int_program.h"
#include "nn/quantize_steps.h"

namespace rhnas::nn {

using engine::Status;

namespace {

bool Weighted(const Node& node) {
  return node.kind == NodeKind::kConv || node.kind == NodeKind::kDense;
}

// Memory that the maps of all calibration images may take, in floats a map.
constexpr int64_t kMostFloats = int64_t{1} << 26;

Status CheckGraph(const Graph& graph) {
  if (graph.nodes.empty()) return Status::Error("a network without nodes");
  const auto channels = static_cast<size_t>(graph.input().k);
  if (graph.mean.size() != channels || graph.stddev.size() != channels) {
    return Status::Error("%s: mean and deviation of its images are not known", graph.name.c_str());
  }
  for (const Node& node : graph.nodes) {
    if (node.activation == engine::Activation::kHSwish) {
      return Status::Error(
          "%s: h-swish, which the accelerator cannot compute; networks for int8 "
          "have ReLU or ReLU6",
          node.name.c_str());
    }
    if (!Weighted(node)) continue;
    const int64_t inputs =
        node.kind == NodeKind::kDense ? int64_t{node.h} * node.w * node.c : node.c / node.groups;
    const int64_t taps = int64_t{node.r} * node.s * inputs;
    if (taps > 65535) {
      return Status::Error("%s: a filter of %lld taps; int8 goes up to 65,535", node.name.c_str(),
                           static_cast<long long>(taps));
    }
    if (static_cast<int64_t>(node.filter.size()) != taps * node.k ||
        node.bias.size() != static_cast<size_t>(node.k)) {
      return Status::Error("%s has no weights", node.name.c_str());
    }
    for (const std::vector<float>* values : {&node.filter, &node.bias}) {
      for (float value : *values) {
        if (!std::isfinite(value)) {
          return Status::Error("%s: a weight that is not finite", node.name.c_str());
        }
      }
    }
  }
  return Status::Ok();
}

int8_t Rounded(double x) {
  return static_cast<int8_t>(std::clamp(std::floor(x + 0.5), -127.0, 127.0));
}

void FillInputTable(const Graph& graph, const std::vector<double>& step, IntGraph* result) {
  for (size_t c = 0; c < step.size(); ++c) {
    std::array<int8_t, 256> row;
    for (size_t byte = 0; byte < row.size(); ++byte) {
      const double x =
          (static_cast<double>(byte) / 255 - double{graph.mean[c]}) / double{graph.stddev[c]};
      row[byte] = Rounded(x / step[c]);
    }
    result->input_table.push_back(row);
  }
}

// Weights in steps of their row.
void FillFilter(const Node& node, const std::vector<double>& in, const NodeSteps& out,
                IntNode* to) {
  to->filter.resize(node.filter.size());
  for (size_t j = 0; j < node.filter.size(); ++j) {
    const double step = in[static_cast<size_t>(InputChannel(node, j))];
    const double unit = out.step[j % static_cast<size_t>(node.k)];
    to->filter[j] = Rounded(std::ldexp(double{node.filter[j]} * (step / unit), out.shift));
  }
}

// `missing`: what the integer sums lack on average, in real units.
void FillBias(const Node& node, const std::vector<double>& missing, const NodeSteps& out,
              IntNode* to) {
  const double half = out.shift > 0 ? std::ldexp(1.0, out.shift - 1) : 0;
  // Beyond this every sum is cut anyway, and no sum leaves 32 bits.
  const double most = 1 << 30;
  to->bias.resize(node.bias.size());
  for (size_t k = 0; k < node.bias.size(); ++k) {
    const double real = double{node.bias[k]} + (missing.empty() ? 0 : missing[k]);
    const double bias = std::ldexp(real / out.step[k], out.shift) + half;
    to->bias[k] = static_cast<int32_t>(std::clamp(std::floor(bias + 0.5), -most, most));
  }
}

// Mean of the sums of each output channel over a batch, in real units.
std::vector<double> MeanSums(const IntNode& node, const NodeSteps& steps, MapStore* maps,
                             int number, int n, engine::ThreadPool& pool) {
  const Node& shape = node.node;
  const std::vector<float> filter(node.filter.begin(), node.filter.end());
  float* sums = maps->Begin(number, n);
  const std::vector<const float*>& inputs = maps->Inputs(number);
  NodeSums(shape, filter.data(), inputs, maps->channels(), n, sums, pool);
  std::vector<double> mean(static_cast<size_t>(shape.k));
  const int64_t rows = int64_t{n} * shape.oh * shape.ow;
  for (int64_t row = 0; row < rows; ++row) {
    for (int k = 0; k < shape.k; ++k)
      mean[static_cast<size_t>(k)] += double{sums[row * shape.k + k]};
  }
  for (size_t k = 0; k < mean.size(); ++k) {
    mean[k] = std::ldexp(mean[k] / static_cast<double>(rows) * steps.step[k], -steps.shift);
  }
  return mean;
}

}  // namespace

Average AverageOf(int taps) {
  Average best;
  for (int shift = 0; shift <= 14; ++shift) {
    const int multiplier = static_cast<int>(std::lround(std::ldexp(1.0, shift) / taps));
    if (multiplier >= 1 && multiplier <= 127) best = {multiplier, shift};
  }
  return best;
}

engine::Result<IntGraph> Quantize(const Graph& graph, const uint8_t* images, int n,
                                  const QuantizeOptions& options, engine::ThreadPool& pool) {
  const Status status = CheckGraph(graph);
  if (!status.ok()) return status;
  const std::vector<NodeRanges> ranges = Calibrate(graph, images, n, pool);
  const std::vector<NodeSteps> steps = ChooseSteps(graph, ranges, options);

  IntGraph result;
  result.name = graph.name;
  result.output = graph.output;
  FillInputTable(graph, steps[0].step, &result);
  std::vector<const Node*> nodes;
  int64_t largest = 1;
  for (const Node& node : graph.nodes) {
    nodes.push_back(&node);
    largest = std::max(largest, MapSize(node));
  }
  const int used = static_cast<int>(std::clamp<int64_t>(kMostFloats / largest, 1, n));
  MapStore maps(nodes, graph.output);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const int number = static_cast<int>(i);
    IntNode to;
    to.node = node;
    to.node.filter.clear();
    to.node.bias.clear();
    to.exponent = steps[i].exponent;
    to.low = node.activation == engine::Activation::kNone ? -127 : 0;
    if (node.kind == NodeKind::kAvgPool || node.kind == NodeKind::kGlobalAvgPool) {
      const bool global = node.kind == NodeKind::kGlobalAvgPool;
      const Average average = AverageOf(global ? node.h * node.w : node.r * node.s);
      to.multiplier = average.multiplier;
      to.shift = average.shift;
    }
    if (Weighted(node)) {
      to.shift = steps[i].shift;
      FillFilter(node, steps[static_cast<size_t>(node.inputs[0])].step, steps[i], &to);
      std::vector<double> missing;
      if (options.correct_bias) {
        missing = MeanSums(to, steps[i], &maps, number, used, pool);
        for (size_t k = 0; k < missing.size(); ++k) missing[k] = ranges[i].mean_sum[k] - missing[k];
      }
      FillBias(node, missing, steps[i], &to);
    }
    if (options.correct_bias) {
      float* out = maps.Begin(number, used);
      if (i == 0) {
        result.nodes.push_back(to);
        ReadImages(result, images, used, out);
        result.nodes.pop_back();
      } else {
        const std::vector<const float*>& inputs = maps.Inputs(number);
        IntKernel(to).Run(to, inputs, maps.channels(), used, out, pool);
      }
      maps.Done(number);
    }
    result.nodes.push_back(std::move(to));
  }
  const Status fits = CheckIntGraph(result);
  if (!fits.ok()) return fits;
  return result;
}

}  // namespace rhnas::nn
