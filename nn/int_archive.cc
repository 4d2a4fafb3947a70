// Reading, writing and checking integer networks. See int_archive.h and int_program.h.
#include "nn/int_archive.h"

#include <algorithm>
#include <cstring>

#include "engine/archive.h"
#include "nn/int_program.h"

namespace rhnas::nn {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

constexpr char kKind[] = "rhnas int8 network";
constexpr int kMaxNodes = 100000, kMaxSize = 1 << 24;
// A filter of more taps might overflow a float's integers even in its smallest digits.
constexpr int kMaxTaps = 65535;

// Pointers to a node's numbers, in the order of the file.
std::vector<int*> Numbers(IntNode* node) {
  Node* n = &node->node;
  return {&n->h,
          &n->w,
          &n->c,
          &n->oh,
          &n->ow,
          &n->k,
          &n->r,
          &n->s,
          &n->stride,
          &n->pad,
          &n->groups,
          &node->shift,
          &node->multiplier,
          &node->low,
          &node->high,
          &node->exponent};
}

// The first thing that is wrong with a node's sizes; null: nothing.
const char* WrongSizes(const IntGraph& graph, const IntNode& node, int number) {
  const Node& n = node.node;
  for (int size : {n.h, n.w, n.c, n.oh, n.ow, n.k, n.r, n.s, n.stride, n.groups}) {
    if (size < 1 || size > kMaxSize) return "a size out of range";
  }
  // Each factor is below 2^24 and the product so far below 2^31.
  for (const auto& map : {std::array<int, 3>{n.h, n.w, n.c}, {n.oh, n.ow, n.k}}) {
    const int64_t pixels = int64_t{map[0]} * map[1];
    if (pixels > INT32_MAX || pixels * map[2] > INT32_MAX) return "a map too large";
  }
  const bool pools = n.kind == NodeKind::kMaxPool || n.kind == NodeKind::kAvgPool;
  if (n.pad < 0 || n.pad > kMaxSize) return "a padding out of range";
  if (pools && n.pad >= std::min(n.r, n.s)) return "a padding as wide as its window";
  if ((n.kind == NodeKind::kInput) != (number == 0)) return "an input that is not the first node";
  const bool two = n.kind == NodeKind::kAdd, many = n.kind == NodeKind::kConcat;
  const size_t inputs = n.inputs.size();
  if (number > 0 && (inputs < 1 || (two && inputs != 2) || (!two && !many && inputs != 1))) {
    return "a wrong number of inputs";
  }
  int64_t channels = 0;
  for (int input : n.inputs) {
    if (input < 0 || input >= number) return "an input that is not a node before it";
    const IntNode& from = graph.nodes[static_cast<size_t>(input)];
    if (from.node.oh != n.h || from.node.ow != n.w) return "an input of another size";
    if (two && from.node.k != n.c) return "an input of another size";
    channels += two ? 0 : from.node.k;
    const bool rescales = n.kind == NodeKind::kConv || n.kind == NodeKind::kDense;
    if (!rescales && from.exponent != node.exponent) return "an input of another exponent";
  }
  if (number > 0 && !two && channels != n.c) return "inputs of another number of channels";

  const int64_t high = int64_t{n.h} + 2 * n.pad - n.r, wide = int64_t{n.w} + 2 * n.pad - n.s;
  const bool window =
      n.kind == NodeKind::kConv || n.kind == NodeKind::kMaxPool || n.kind == NodeKind::kAvgPool;
  if (window &&
      (high < 0 || wide < 0 || n.oh != high / n.stride + 1 || n.ow != wide / n.stride + 1)) {
    return "an output of another size than its window gives";
  }
  switch (n.kind) {
    case NodeKind::kConv:
      if (n.c % n.groups != 0 || n.k % n.groups != 0) return "channels that groups do not divide";
      break;
    case NodeKind::kDense:
    case NodeKind::kGlobalAvgPool:
      if (n.oh != 1 || n.ow != 1) return "an output of more than one pixel";
      if (n.kind == NodeKind::kGlobalAvgPool && n.k != n.c) return "other channels than its input";
      break;
    case NodeKind::kSubsample:
      if (n.k < n.c || n.oh != (n.h - 1) / n.stride + 1 || n.ow != (n.w - 1) / n.stride + 1) {
        return "an output of another size than its stride gives";
      }
      break;
    case NodeKind::kShuffle:
      if (n.c % n.groups != 0) return "channels that groups do not divide";
      [[fallthrough]];
    case NodeKind::kInput:
    case NodeKind::kAdd:
    case NodeKind::kConcat:
      if (n.oh != n.h || n.ow != n.w) return "an output of another size than its input";
      [[fallthrough]];
    case NodeKind::kMaxPool:
    case NodeKind::kAvgPool:
      if (n.k != n.c) return "other channels than its input";
      break;
  }
  return nullptr;
}

const char* WrongNumbers(const IntNode& node) {
  const Node& n = node.node;
  const bool weighted = n.kind == NodeKind::kConv || n.kind == NodeKind::kDense;
  if (node.shift < 0 || node.shift > 31) return "a shift outside 0..31";
  if (node.multiplier < 1 || node.multiplier > 127) return "a multiplier outside 1..127";
  if (node.low < -127 || node.high > 127 || node.low > node.high) {
    return "a clip outside -127..127";
  }
  if (node.exponent < -64 || node.exponent > 64) return "an exponent outside -64..64";
  if (!weighted) {
    return node.filter.empty() && node.bias.empty() ? nullptr : "weights that it cannot have";
  }
  const int64_t taps =
      n.kind == NodeKind::kDense ? int64_t{n.h} * n.w * n.c : int64_t{n.r} * n.s * (n.c / n.groups);
  if (int64_t{n.r} * n.s > kMaxTaps || taps > kMaxTaps) return "a filter of more than 65,535 taps";
  if (static_cast<int64_t>(node.filter.size()) != taps * n.k) return "a filter of another size";
  if (static_cast<int64_t>(node.bias.size()) != n.k) return "a bias of another size";
  std::vector<int64_t> most(static_cast<size_t>(n.k));
  for (size_t i = 0; i < node.filter.size(); ++i) {
    most[i % most.size()] += 128 * std::abs(int{node.filter[i]});
  }
  for (size_t k = 0; k < most.size(); ++k) {
    if (most[k] + std::abs(int64_t{node.bias[k]}) > INT32_MAX) return "sums beyond 32 bits";
  }
  return nullptr;
}

}  // namespace

Status CheckIntGraph(const IntGraph& graph) {
  if (graph.nodes.empty()) return Status::Error("an integer network without nodes");
  const int count = static_cast<int>(graph.nodes.size());
  if (graph.output < 0 || graph.output >= count) {
    return Status::Error("output node %d of %d", graph.output, count);
  }
  for (int i = 0; i < count; ++i) {
    const IntNode& node = graph.nodes[static_cast<size_t>(i)];
    const char* wrong = WrongSizes(graph, node, i);
    if (wrong == nullptr) wrong = WrongNumbers(node);
    if (wrong != nullptr) {
      return Status::Error("integer network, node %d (%s): %s", i, node.node.name.c_str(), wrong);
    }
  }
  const int channels = graph.nodes[0].node.k;
  if (static_cast<int64_t>(graph.input_table.size()) != channels) {
    return Status::Error("integer network: an input table of %d channels for %d",
                         static_cast<int>(graph.input_table.size()), channels);
  }
  return Status::Ok();
}

Status SaveIntGraph(const std::string& path, const IntGraph& graph, const std::string& origin) {
  engine::ArchiveWriter archive;
  archive.PutString("kind", kKind);
  archive.PutString("name", graph.name);
  archive.PutString("origin", origin);
  archive.Put("output", graph.output);
  archive.Put("nodes", static_cast<int>(graph.nodes.size()));
  archive.PutVector("input_table", graph.input_table);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    IntNode node = graph.nodes[i];
    const std::string prefix = Format("node/%d/", static_cast<int>(i));
    std::vector<int> numbers = {static_cast<int>(node.node.kind),
                                static_cast<int>(node.node.activation)};
    for (const int* number : Numbers(&node)) numbers.push_back(*number);
    archive.PutString(prefix + "name", node.node.name);
    archive.PutVector(prefix + "inputs", node.node.inputs);
    archive.PutVector(prefix + "shape", numbers);
    archive.PutVector(prefix + "filter", node.filter);
    archive.PutVector(prefix + "bias", node.bias);
  }
  return archive.Save(path);
}

Result<IntGraph> LoadIntGraph(const std::string& path, std::string* origin) {
  Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(path);
  if (!archive.ok()) return archive.status();
  IntGraph graph;
  std::string kind, made_from;
  int count = 0;
  if (archive->Has("kind")) archive->GetString("kind", &kind);
  if (kind != kKind) {
    return Status::Error(
        "%s: not an int8 network, which rhnas eval RUN --int8 writes as "
        "RUN/int8.weights",
        path.c_str());
  }
  archive->GetString("name", &graph.name);
  archive->GetString("origin", &made_from);
  archive->Get("output", &graph.output);
  archive->Get("nodes", &count);
  archive->GetVector("input_table", &graph.input_table);
  if (count < 1 || count > kMaxNodes) {
    return Status::Error("%s: an integer network of %d nodes", path.c_str(), count);
  }
  for (int i = 0; i < count && archive->status().ok(); ++i) {
    IntNode node;
    const std::string prefix = Format("node/%d/", i);
    std::vector<int> numbers;
    archive->GetString(prefix + "name", &node.node.name);
    archive->GetVector(prefix + "inputs", &node.node.inputs);
    archive->GetVector(prefix + "shape", &numbers);
    archive->GetVector(prefix + "filter", &node.filter);
    archive->GetVector(prefix + "bias", &node.bias);
    const std::vector<int*> to = Numbers(&node);
    if (!archive->status().ok()) break;
    if (numbers.size() != to.size() + 2 || numbers[0] < 0 ||
        numbers[0] > static_cast<int>(NodeKind::kSubsample) || numbers[1] < 0 ||
        numbers[1] > static_cast<int>(engine::Activation::kHSwish)) {
      return Status::Error("%s: node %d is not one that this version knows", path.c_str(), i);
    }
    node.node.kind = static_cast<NodeKind>(numbers[0]);
    node.node.activation = static_cast<engine::Activation>(numbers[1]);
    for (size_t j = 0; j < to.size(); ++j) *to[j] = numbers[j + 2];
    graph.nodes.push_back(std::move(node));
  }
  if (!archive->status().ok()) return archive->status();
  const Status status = CheckIntGraph(graph);
  if (!status.ok()) return Status::Error("%s: %s", path.c_str(), status.message().c_str());
  if (origin != nullptr) *origin = made_from;
  return graph;
}

}  // namespace rhnas::nn
