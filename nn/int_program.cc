// See int_program.h.
#include "nn/int_program.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "engine/check.h"

namespace rhnas::nn {

namespace {

constexpr int kBatch = 16;  // images that go through the network together

bool Weighted(const Node& node) {
  return node.kind == NodeKind::kConv || node.kind == NodeKind::kDense;
}

bool Averages(const Node& node) {
  return node.kind == NodeKind::kAvgPool || node.kind == NodeKind::kGlobalAvgPool;
}

// The largest sum of an output channel's weight sizes.
double LargestSum(const std::vector<float>& filter, int k) {
  std::vector<double> sum(static_cast<size_t>(k));
  for (size_t i = 0; i < filter.size(); ++i) {
    sum[i % static_cast<size_t>(k)] += double{std::abs(filter[i])};
  }
  return sum.empty() ? 0 : *std::max_element(sum.begin(), sum.end());
}

// clip((y + bias) >> shift), sums wrap. Whole blocks first: a compiler makes vectors of them.
void FinishRow(const int32_t* bias, int k, int shift, int low, int high, float* y) {
  const auto finish = [&](int j) {
    const uint32_t sum = static_cast<uint32_t>(static_cast<int32_t>(y[j]));
    int32_t v = static_cast<int32_t>(sum + static_cast<uint32_t>(bias[j])) >> shift;
    v = v < low ? low : v;
    v = v > high ? high : v;
    y[j] = static_cast<float>(v);
  };
  int j = 0;
  for (; j + 8 <= k; j += 8) {
    for (int i = 0; i < 8; ++i) finish(j + i);
  }
  for (; j < k; ++j) finish(j);
}

void ClipRow(int64_t count, float low, float high, float* y) {
  for (int64_t j = 0; j < count; ++j) {
    const float v = y[j] < low ? low : y[j];
    y[j] = v > high ? high : v;
  }
}

}  // namespace

IntKernel::IntKernel(const IntNode& node) {
  if (!Weighted(node.node)) return;
  const double room = (1 << 24) - 1;  // floats hold every integer up to 2^24
  for (int bits : {8, 4, 2}) {
    digit_bits_ = bits;
    digit_.assign(static_cast<size_t>(8 / bits), std::vector<float>(node.filter.size()));
    for (size_t i = 0; i < node.filter.size(); ++i) {
      int rest = node.filter[i];
      for (size_t d = 0; d < digit_.size(); ++d) {
        // Digits from -half to half - 1; what is left over goes to the last.
        const int half = 1 << (bits - 1);
        const int low = d + 1 == digit_.size() ? rest : ((rest + half) & (2 * half - 1)) - half;
        digit_[d][i] = static_cast<float>(low);
        rest = (rest - low) / (2 * half);
      }
    }
    double most = 0;
    for (const std::vector<float>& digit : digit_) {
      most = std::max(most, LargestSum(digit, node.node.k));
    }
    if (128 * most <= room) return;
  }
  RHNAS_CHECK(false, "%s: a filter of too many taps", node.node.name.c_str());
}

void IntKernel::Run(const IntNode& node, const std::vector<const float*>& inputs,
                    const std::vector<int>& channels, int n, float* out,
                    engine::ThreadPool& pool) const {
  const Node& shape = node.node;
  const int64_t rows = int64_t{n} * shape.oh * shape.ow;
  const int64_t grain = std::max(1, 16384 / shape.k);
  const auto low = static_cast<float>(node.low), high = static_cast<float>(node.high);
  if (!Weighted(shape)) {
    NodeSums(shape, nullptr, inputs, channels, n, out, pool);
    pool.ParallelFor(rows, grain, [&](int64_t begin, int64_t end, int) {
      float* y = out + begin * shape.k;
      const int64_t count = (end - begin) * shape.k;
      if (Averages(shape)) {
        for (int64_t i = 0; i < count; ++i) {
          const int64_t sum = static_cast<int32_t>(y[i]);
          y[i] = static_cast<float>((node.multiplier * sum) >> node.shift);
        }
      }
      ClipRow(count, low, high, y);
    });
    return;
  }
  NodeSums(shape, digit_[0].data(), inputs, channels, n, out, pool);
  if (digit_.size() == 1) {
    pool.ParallelFor(rows, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        FinishRow(node.bias.data(), shape.k, node.shift, node.low, node.high, out + row * shape.k);
      }
    });
    return;
  }
  // The digits' sums together may be too large for a float: added up as integers.
  std::vector<float> sums(static_cast<size_t>(rows * shape.k));
  std::vector<uint32_t> total(sums.size());
  for (size_t i = 0; i < total.size(); ++i) {
    total[i] = static_cast<uint32_t>(static_cast<int32_t>(out[i])) +
               static_cast<uint32_t>(node.bias[i % static_cast<size_t>(shape.k)]);
  }
  for (size_t d = 1; d < digit_.size(); ++d) {
    NodeSums(shape, digit_[d].data(), inputs, channels, n, sums.data(), pool);
    for (size_t i = 0; i < total.size(); ++i) {
      total[i] += static_cast<uint32_t>(static_cast<int32_t>(sums[i]))
                  << (static_cast<int>(d) * digit_bits_);
    }
  }
  for (size_t i = 0; i < total.size(); ++i) {
    out[i] = static_cast<float>(
        std::clamp(static_cast<int32_t>(total[i]) >> node.shift, node.low, node.high));
  }
}

namespace {

std::vector<const Node*> NodesOf(const IntGraph& graph) {
  std::vector<const Node*> nodes;
  for (const IntNode& node : graph.nodes) nodes.push_back(&node.node);
  return nodes;
}

}  // namespace

IntProgram::IntProgram(IntGraph graph)
    : graph_(std::move(graph)), maps_(NodesOf(graph_), graph_.output) {
  const engine::Status status = CheckIntGraph(graph_);
  RHNAS_CHECK(status.ok(), "%s", status.message().c_str());
  for (const IntNode& node : graph_.nodes) kernels_.emplace_back(node);
}

void ReadImages(const IntGraph& graph, const uint8_t* images, int n, float* out) {
  const size_t channels = graph.input_table.size();
  const int64_t count = MapSize(graph.nodes[0].node) * n;
  size_t channel = 0;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(graph.input_table[channel][images[i]]);
    channel = channel + 1 == channels ? 0 : channel + 1;
  }
}

void IntProgram::RunNode(int number, const uint8_t* images, int n, engine::ThreadPool& pool) {
  const auto i = static_cast<size_t>(number);
  float* out = maps_.Begin(number, n);
  if (number == 0) return ReadImages(graph_, images, n, out);
  const std::vector<const float*>& inputs = maps_.Inputs(number);
  kernels_[i].Run(graph_.nodes[i], inputs, maps_.channels(), n, out, pool);
}

void IntProgram::Run(const uint8_t* images, int n, int8_t* outputs, engine::ThreadPool& pool) {
  const int64_t image_bytes = MapSize(graph_.nodes[0].node);
  const int64_t values = MapSize(graph_.nodes[static_cast<size_t>(graph_.output)].node);
  for (int begin = 0; begin < n; begin += kBatch) {
    const int count = std::min(kBatch, n - begin);
    for (int node = 0; node < static_cast<int>(graph_.nodes.size()); ++node) {
      RunNode(node, images + begin * image_bytes, count, pool);
      maps_.Done(node);
    }
    const float* map = maps_.map(graph_.output);
    for (int64_t i = 0; i < count * values; ++i) {
      outputs[begin * values + i] = static_cast<int8_t>(map[i]);
    }
  }
}

std::vector<std::vector<int8_t>> IntProgram::Maps(const uint8_t* image, engine::ThreadPool& pool) {
  std::vector<std::vector<int8_t>> maps;
  for (int node = 0; node < static_cast<int>(graph_.nodes.size()); ++node) {
    RunNode(node, image, 1, pool);
    const float* map = maps_.map(node);
    std::vector<int8_t> integers;
    const int64_t count = MapSize(graph_.nodes[static_cast<size_t>(node)].node);
    for (int64_t i = 0; i < count; ++i) integers.push_back(static_cast<int8_t>(map[i]));
    maps.push_back(std::move(integers));
  }
  return maps;
}

int ArgMax(const int8_t* outputs, int classes) {
  return static_cast<int>(std::max_element(outputs, outputs + classes) - outputs);
}

}  // namespace rhnas::nn
