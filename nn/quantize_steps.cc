// See quantize_steps.h.
#include "nn/quantize_steps.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rhnas::nn {

namespace {

using engine::Activation;

constexpr int kSweeps = 6;
constexpr int kMostShift = 20;

// Sets that grow together; the root of a set is its smallest member.
class Sets {
 public:
  explicit Sets(size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0); }
  size_t Find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void Join(size_t a, size_t b) {
    a = Find(a);
    b = Find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent_;
};

bool Weighted(const Node& node) {
  return node.kind == NodeKind::kConv || node.kind == NodeKind::kDense;
}

class Chooser {
 public:
  Chooser(const Graph& graph, const std::vector<NodeRanges>& ranges, const QuantizeOptions& options)
      : graph_(graph), ranges_(ranges), options_(options), maps_(graph.nodes.size()), sets_(0) {
    size_t count = 0;
    for (const Node& node : graph.nodes) {
      first_.push_back(count);
      count += static_cast<size_t>(node.k);
    }
    sets_ = Sets(count);
    range_.assign(count, 0);
    step_.assign(count, 0);
    rigid_.assign(count, false);
  }

  std::vector<NodeSteps> Choose() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) Tie(i);
    if (!options_.equalize) {  // one step a map
      for (size_t i = 0; i < graph_.nodes.size(); ++i) {
        for (int k = 1; k < graph_.nodes[i].k; ++k) sets_.Join(first_[i], At(i, k));
      }
    }
    SetRanges();
    shift_.assign(graph_.nodes.size(), 0);
    for (size_t i = 0; i < step_.size(); ++i) step_[i] = range_[i] / 127;
    SetOutput();
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      FindGains();
      for (size_t i = 0; i < graph_.nodes.size(); ++i) {
        if (Weighted(graph_.nodes[i])) ChooseShift(i);
      }
    }
    return Result();
  }

 private:
  size_t At(size_t node, int channel) const { return first_[node] + static_cast<size_t>(channel); }
  size_t Set(size_t node, int channel) { return sets_.Find(At(node, channel)); }
  double Step(size_t node, int channel) { return step_[Set(node, channel)]; }

  // Channels that a node only copies, adds, averages or compares keep their steps.
  void Tie(size_t i) {
    const Node& node = graph_.nodes[i];
    if (node.kind == NodeKind::kInput || Weighted(node)) return;
    int start = 0;
    for (int input : node.inputs) {
      const auto from = static_cast<size_t>(input);
      maps_.Join(i, from);
      for (int c = 0; c < graph_.nodes[from].k; ++c) {
        int to = c;
        if (node.kind == NodeKind::kConcat) to += start;
        if (node.kind == NodeKind::kShuffle) {
          const int share = node.c / node.groups;
          to = c % share * node.groups + c / share;
        }
        sets_.Join(At(i, to), At(from, c));
      }
      start += graph_.nodes[from].k;
    }
  }

  // Of each set: the largest value of its channels, and whether ReLU6 cuts one of them.
  void SetRanges() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      for (int k = 0; k < node.k; ++k) {
        const double seen = double{ranges_[i].largest[static_cast<size_t>(k)]};
        double& range = range_[Set(i, k)];
        range = std::max(range, seen);
      }
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (node.activation != Activation::kRelu6) continue;
      for (int k = 0; k < node.k; ++k) {
        if (range_[Set(i, k)] == 6) rigid_[Set(i, k)] = true;
      }
    }
    for (size_t i = 0; i < range_.size(); ++i) {
      if (!rigid_[i]) range_[i] *= double{options_.range};
    }
    // A channel that was always 0 may be anything: as fine as the finest of its map.
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      double least = 0;
      for (int k = 0; k < graph_.nodes[i].k; ++k) {
        const double range = range_[Set(i, k)];
        if (range > 0) least = least > 0 ? std::min(least, range) : range;
      }
      for (int k = 0; k < graph_.nodes[i].k; ++k) {
        double& range = range_[Set(i, k)];
        if (range <= 0) range = least > 0 ? least : 1;
      }
    }
  }

  // Outputs are compared with each other: all have one step, a power of two.
  void SetOutput() {
    const auto output = static_cast<size_t>(graph_.output);
    const Node& node = graph_.nodes[output];
    double largest = 0;
    for (int k = 0; k < node.k; ++k) largest = std::max(largest, range_[Set(output, k)]);
    output_exponent_ = static_cast<int>(std::ceil(std::log2(largest / 127)));
    for (int k = 0; k < node.k; ++k) {
      step_[Set(output, k)] = std::ldexp(1.0, output_exponent_);
      rigid_[Set(output, k)] = true;
    }
  }

  // Noise at the output for noise of variance 1 on a channel of a map: by the squares of the
  // weights, from the back.
  void FindGains() {
    gain_.assign(step_.size(), 0);
    const auto output = static_cast<size_t>(graph_.output);
    for (int k = 0; k < graph_.nodes[output].k; ++k) gain_[At(output, k)] = 1;
    for (size_t i = graph_.nodes.size(); i-- > 1;) {
      const Node& node = graph_.nodes[i];
      const auto from = static_cast<size_t>(node.inputs[0]);
      const double part = node.activation == Activation::kNone ? 1 : 0.5;
      if (Weighted(node)) {
        for (size_t j = 0; j < node.filter.size(); ++j) {
          const double weight = double{node.filter[j]};
          gain_[At(from, InputChannel(node, j))] +=
              part * weight * weight * gain_[first_[i] + j % static_cast<size_t>(node.k)];
        }
        continue;
      }
      double share = part;
      if (node.kind == NodeKind::kAvgPool) share /= node.r * node.s;
      if (node.kind == NodeKind::kGlobalAvgPool) share /= node.h * node.w;
      int start = 0;
      for (int input : node.inputs) {
        const auto source = static_cast<size_t>(input);
        for (int c = 0; c < graph_.nodes[source].k; ++c) {
          int to = node.kind == NodeKind::kConcat ? start + c : c;
          if (node.kind == NodeKind::kShuffle) {
            const int channels = node.c / node.groups;
            to = c % channels * node.groups + c / channels;
          }
          gain_[At(source, c)] += share * gain_[At(i, to)];
        }
        start += graph_.nodes[source].k;
      }
    }
  }

  // Largest weight of each row and noise of a weight step of 1, both in steps of the input.
  void FindRows(size_t i, std::vector<double>* largest, std::vector<double>* noise) {
    const Node& node = graph_.nodes[i];
    const auto from = static_cast<size_t>(node.inputs[0]);
    largest->assign(static_cast<size_t>(node.k), 0);
    noise->assign(static_cast<size_t>(node.k), 0);
    std::vector<double> steps, squares;
    for (int c = 0; c < node.c; ++c) {
      steps.push_back(Step(from, c));
      squares.push_back(ranges_[from].mean_square[static_cast<size_t>(c)] /
                        (steps.back() * steps.back()));
    }
    for (size_t j = 0; j < node.filter.size(); ++j) {
      const auto c = static_cast<size_t>(InputChannel(node, j));
      const size_t k = j % static_cast<size_t>(node.k);
      (*largest)[k] = std::max((*largest)[k], std::fabs(double{node.filter[j]}) * steps[c]);
      (*noise)[k] += squares[c];
    }
  }

  void ChooseShift(size_t i) {
    const Node& node = graph_.nodes[i];
    std::vector<double> largest, noise;
    FindRows(i, &largest, &noise);
    rows_.resize(graph_.nodes.size());
    rows_[i] = largest;
    // What the steps would be without this layer's weights, and the noise of others that share
    // them.
    std::vector<double> floor(static_cast<size_t>(node.k)), others(static_cast<size_t>(node.k));
    std::vector<size_t> leader;  // first channel of the same step
    std::vector<int> first(step_.size(), -1);
    for (int k = 0; k < node.k; ++k) {
      const size_t set = Set(i, k);
      if (first[set] < 0) first[set] = k;
      leader.push_back(static_cast<size_t>(first[set]));
      floor[static_cast<size_t>(k)] = range_[set] / 127;
    }
    AddPeers(i, &floor, &others);
    double best = INFINITY;
    std::vector<double> best_step, step(leader.size());
    for (int shift = 0; shift <= kMostShift; ++shift) {
      std::fill(step.begin(), step.end(), 0.0);
      bool fits = true;
      for (size_t k = 0; k < leader.size(); ++k) {
        const double need = std::ldexp(largest[k], shift) / 127;
        double& own = step[leader[k]];
        if (rigid_[Set(i, static_cast<int>(k))]) {
          own = Step(i, static_cast<int>(k));
          fits = fits && (need <= own || shift == 0);
        } else {
          own = std::max({own, floor[k], need});
        }
      }
      const double fine = std::ldexp(1.0, -2 * shift);
      double cost = 0;
      for (size_t k = 0; k < leader.size(); ++k) {
        const double size = step[leader[k]];
        const double gain = gain_[first_[i] + k];
        cost += size * size * ((1 + fine * noise[k]) * gain + others[k]);
      }
      if (!fits || !(cost < best)) continue;
      best = cost;
      best_step = step;
      shift_[i] = shift;
    }
    if (best_step.empty()) return;  // weights too large for doubles; they will be cut
    for (size_t k = 0; k < leader.size(); ++k) {
      step_[Set(i, static_cast<int>(k))] = best_step[leader[k]];
    }
  }

  // Bounds and noise that other layers put on the channels of layer i.
  void AddPeers(size_t i, std::vector<double>* floor, std::vector<double>* others) {
    const Node& node = graph_.nodes[i];
    std::vector<int> channel_of(step_.size(), -1);
    for (int k = 0; k < node.k; ++k) channel_of[Set(i, k)] = k;
    for (size_t peer = 0; peer < graph_.nodes.size(); ++peer) {
      if (peer == i || maps_.Find(peer) != maps_.Find(i)) continue;
      const bool known =
          Weighted(graph_.nodes[peer]) && peer < rows_.size() && !rows_[peer].empty();
      for (int k = 0; k < graph_.nodes[peer].k; ++k) {
        const int mine = channel_of[Set(peer, k)];
        if (mine < 0) continue;
        const auto at = static_cast<size_t>(mine);
        if (Weighted(graph_.nodes[peer])) (*others)[at] += gain_[At(peer, k)];
        if (!known) continue;
        const double need = std::ldexp(rows_[peer][static_cast<size_t>(k)], shift_[peer]) / 127;
        (*floor)[at] = std::max((*floor)[at], need);
      }
    }
  }

  std::vector<NodeSteps> Result() {
    std::vector<int> exponent(graph_.nodes.size(), -64);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      for (int k = 0; k < graph_.nodes[i].k; ++k) {
        int& most = exponent[maps_.Find(i)];
        most = std::max(most, static_cast<int>(std::ceil(std::log2(Step(i, k)))));
      }
    }
    exponent[maps_.Find(static_cast<size_t>(graph_.output))] = output_exponent_;
    std::vector<NodeSteps> steps;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      NodeSteps node;
      for (int k = 0; k < graph_.nodes[i].k; ++k) node.step.push_back(Step(i, k));
      node.exponent = std::clamp(exponent[maps_.Find(i)], -64, 64);
      node.shift = shift_[i];
      steps.push_back(std::move(node));
    }
    return steps;
  }

  const Graph& graph_;
  const std::vector<NodeRanges>& ranges_;
  const QuantizeOptions& options_;
  Sets maps_;  // nodes whose maps have one exponent
  Sets sets_;  // channels (first_[node] + channel) that share a step
  std::vector<size_t> first_;
  std::vector<double> range_, step_;       // of a set, at its root
  std::vector<bool> rigid_;                // a set whose step is given
  std::vector<double> gain_;               // of a channel of a map
  std::vector<int> shift_;                 // of a node
  std::vector<std::vector<double>> rows_;  // largest weights of each row when last looked at
  int output_exponent_ = 0;
};

}  // namespace

std::vector<NodeSteps> ChooseSteps(const Graph& graph, const std::vector<NodeRanges>& ranges,
                                   const QuantizeOptions& options) {
  return Chooser(graph, ranges, options).Choose();
}

}  // namespace rhnas::nn
