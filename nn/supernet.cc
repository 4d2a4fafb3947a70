// The supernet. See supernet.h; the two-path gradient follows Auto-NBA's `proxy_hard`
// (model_search.py, MixedOp) and ProxylessNAS's `two` mode (Cai et al., ICLR 2019, section 3.2.1).
#include "nn/supernet.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/check.h"
#include "engine/math.h"

namespace rhnas::nn {

namespace {

using engine::Parameter;
using engine::Rng;
using engine::Shape;
using engine::Tape;
using engine::Var;

// Streams of the supernet's generator; the architecture starts from zeros and needs none.
enum Stream : uint64_t { kWeights = 1 };

double LogSumExp(const float* logits, const std::vector<int>& active) {
  double top = -INFINITY;
  for (int i : active) top = std::max(top, double{logits[i]});
  double sum = 0;
  for (int i : active) sum += double{engine::Exp(static_cast<float>(double{logits[i]} - top))};
  return top + double{engine::Log(static_cast<float>(sum))};
}

// Candidates by falling logit / scale + noise, ties by index. In double, so that any temperature
// from 1e-6 to 1e6 keeps the noise and the logits apart from overflow and from each other.
std::vector<int> RankCandidates(const float* logits, const float* noise, int count, double scale) {
  std::vector<double> score(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    score[static_cast<size_t>(i)] = double{logits[i]} * scale + double{noise[i]};
  }
  std::vector<int> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return score[static_cast<size_t>(a)] > score[static_cast<size_t>(b)];
  });
  return order;
}

}  // namespace

struct Supernet::Impl {
  struct Node {
    std::vector<std::unique_ptr<Module>> candidates;
    std::unique_ptr<Parameter> logits;  // null: no choice
    std::vector<float> remembered;      // all logits before the step
  };
  Space space;
  std::vector<Node> nodes;

  // Calls fn(node) for each slot with a choice, in order.
  template <typename F>
  void ForEachChoice(F fn) const {
    for (const Node& node : nodes) {
      if (node.logits != nullptr) fn(node);
    }
  }

  void Collect(std::vector<Parameter*>* weights, std::vector<NamedBuffer>* statistics) const {
    for (const Node& node : nodes) {
      for (const auto& candidate : node.candidates) candidate->Collect(weights, statistics);
    }
  }

  void CollectPath(const Genotype& path, std::vector<Parameter*>* weights,
                   std::vector<NamedBuffer>* statistics) const {
    const std::vector<const Block*> blocks = BlocksOf(space, path);
    for (size_t i = 0; i < blocks.size(); ++i) {
      const auto index = static_cast<size_t>(blocks[i] - space.slots[i].candidates.data());
      nodes[i].candidates[index]->Collect(weights, statistics);
    }
  }

  Var Mix(Tape& tape, Var x, const Node& node, ArchGradient kind, float temperature, Rng& rng,
          int active, ArchPass* pass) const;
};

Supernet::Supernet(const Space& space, const Rng& rng) : impl_(std::make_unique<Impl>()) {
  impl_->space = space;
  const Rng weights = rng.Split(kWeights);
  for (size_t i = 0; i < space.slots.size(); ++i) {
    const Slot& slot = space.slots[i];
    const std::string prefix = SlotPrefix(space, static_cast<int>(i));
    Impl::Node node;
    for (size_t j = 0; j < slot.candidates.size(); ++j) {
      const Block& block = slot.candidates[j];
      node.candidates.push_back(MakeModule(slot, block,
                                           slot.searchable() ? prefix + "/" + block.name : prefix,
                                           weights.Split(i).Split(j)));
    }
    if (slot.searchable()) {
      node.logits = std::make_unique<Parameter>("arch/" + prefix,
                                                Shape(static_cast<int>(slot.candidates.size())));
      node.logits->decay = false;
    }
    impl_->nodes.push_back(std::move(node));
  }
}

Supernet::~Supernet() = default;

const Space& Supernet::space() const { return impl_->space; }

Var Supernet::Forward(Tape& tape, Var images, const Genotype& path, bool training) {
  Pass pass;
  pass.training = training;
  return Forward(tape, images, path, pass);
}

Var Supernet::Forward(Tape& tape, Var images, const Genotype& path, const Pass& pass) {
  const std::vector<const Block*> blocks = BlocksOf(impl_->space, path);
  Var x = images;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto index = static_cast<size_t>(blocks[i] - impl_->space.slots[i].candidates.data());
    x = impl_->nodes[i].candidates[index]->Forward(tape, x, pass);
  }
  return x;
}

// One slot of an architecture pass.
Var Supernet::Impl::Mix(Tape& tape, Var x, const Node& node, ArchGradient kind, float temperature,
                        Rng& rng, int active, ArchPass* pass) const {
  const int count = static_cast<int>(node.candidates.size());
  std::vector<float> noise(static_cast<size_t>(count));
  for (float& g : noise) g = rng.Gumbel();
  // kProxyHard draws without replacement from softmax(logits / temperature) by Gumbel top-2 (its
  // weights below are free of the temperature); kStraightThrough takes the best of the perturbed
  // logits, and its temperature sharpens the soft weights.
  const bool proxy = kind == ArchGradient::kProxyHard;
  const double scale = proxy ? 1 / double{temperature} : 1;
  std::vector<int> chosen = RankCandidates(node.logits->value.data(), noise.data(), count, scale);
  chosen.resize(static_cast<size_t>(std::min(count, proxy ? 2 : std::max(active, 2))));
  const int kept = static_cast<int>(chosen.size());

  const Var logits = engine::Gather(tape, tape.Leaf(*node.logits), chosen.data(), kept);
  Var probability;
  if (proxy) {
    probability = engine::Softmax(tape, logits);
  } else {
    std::vector<float> kept_noise;
    for (int i : chosen) kept_noise.push_back(noise[static_cast<size_t>(i)]);
    probability = engine::GumbelSoftmax(tape, logits, kept_noise.data(), temperature, false);
  }

  Pass how;
  how.update_running = false;
  how.constant_weights = true;
  // The paths not taken enter the mixture with weight 0: their values are needed, gradients
  // through them are exactly 0, so they read x without a record of it.
  const Var detached = tape.Alias(tape.shape(x), tape.value(x));
  std::vector<Var> values;
  std::vector<float> gate(chosen.size(), 0);
  gate[0] = 1;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const auto index = static_cast<size_t>(chosen[i]);
    values.push_back(node.candidates[index]->Forward(tape, i == 0 ? x : detached, how));
  }
  pass->active.push_back(std::move(chosen));
  pass->probability.push_back(probability);
  return engine::WeightedSum(tape, values.data(), kept, probability, gate.data());
}

ArchPass Supernet::ForwardArch(Tape& tape, Var images, ArchGradient kind, float temperature,
                               Rng& rng, int active) {
  RHNAS_CHECK(temperature > 0 && std::isfinite(temperature), "ForwardArch at temperature %g",
              double{temperature});
  Pass how;
  how.update_running = false;
  how.constant_weights = true;
  ArchPass pass;
  pass.kind = kind;
  Var x = images;
  for (const Impl::Node& node : impl_->nodes) {
    x = node.logits == nullptr ? node.candidates[0]->Forward(tape, x, how)
                               : impl_->Mix(tape, x, node, kind, temperature, rng, active, &pass);
  }
  pass.logits = x;
  return pass;
}

void Supernet::RememberMass(const ArchPass& pass) {
  if (pass.kind != ArchGradient::kProxyHard) return;
  for (Impl::Node& node : impl_->nodes) {
    if (node.logits == nullptr) continue;
    const float* logits = node.logits->value.data();
    node.remembered.assign(logits, logits + node.candidates.size());
  }
}

void Supernet::RestoreMass(const ArchPass& pass) {
  if (pass.kind != ArchGradient::kProxyHard) return;
  size_t i = 0;
  for (Impl::Node& node : impl_->nodes) {
    if (node.logits == nullptr) continue;
    const std::vector<int>& active = pass.active[i++];
    float* logits = node.logits->value.data();
    // The optimiser's momentum moves inactive logits too: a slot's logits are one parameter.
    std::vector<float> before = node.remembered;
    const double offset = LogSumExp(before.data(), active) - LogSumExp(logits, active);
    for (int j : active) {
      before[static_cast<size_t>(j)] = static_cast<float>(double{logits[j]} + offset);
    }
    std::copy(before.begin(), before.end(), logits);
  }
}

Genotype Supernet::Sample(float temperature, Rng& rng) const {
  RHNAS_CHECK(temperature > 0 && std::isfinite(temperature), "Sample at temperature %g",
              double{temperature});
  Genotype genotype;
  impl_->ForEachChoice([&](const Impl::Node& node) {
    const int count = static_cast<int>(node.candidates.size());
    std::vector<float> noise(static_cast<size_t>(count));
    for (float& g : noise) g = rng.Gumbel();
    genotype.choice.push_back(
        RankCandidates(node.logits->value.data(), noise.data(), count, 1 / double{temperature})[0]);
  });
  return genotype;
}

Genotype Supernet::Argmax() const {
  Genotype genotype;
  impl_->ForEachChoice([&](const Impl::Node& node) {
    const float* logits = node.logits->value.data();
    const auto count = static_cast<std::ptrdiff_t>(node.candidates.size());
    genotype.choice.push_back(static_cast<int>(std::max_element(logits, logits + count) - logits));
  });
  return genotype;
}

std::vector<double> Supernet::Probabilities(int searchable_index) const {
  const std::vector<int> searchable = impl_->space.searchable();
  RHNAS_CHECK(searchable_index >= 0 && searchable_index < static_cast<int>(searchable.size()),
              "searchable slot %d of %d", searchable_index, static_cast<int>(searchable.size()));
  const auto slot = static_cast<size_t>(searchable[static_cast<size_t>(searchable_index)]);
  const Parameter& logits = *impl_->nodes[slot].logits;
  std::vector<int> all(static_cast<size_t>(logits.value.size()));
  std::iota(all.begin(), all.end(), 0);
  const double mass = LogSumExp(logits.value.data(), all);
  std::vector<double> probabilities;
  for (int i : all)
    probabilities.push_back(
        double{engine::Exp(static_cast<float>(double{logits.value[i]} - mass))});
  return probabilities;
}

double Supernet::MeanEntropy() const {
  const int count = static_cast<int>(impl_->space.searchable().size());
  if (count == 0) return 0;
  double total = 0;
  for (int i = 0; i < count; ++i) {
    for (double p : Probabilities(i))
      total -= p > 0 ? p * double{engine::Log(static_cast<float>(p))} : 0;
  }
  return total / count;
}

std::vector<Parameter*> Supernet::weights() {
  std::vector<Parameter*> weights;
  std::vector<NamedBuffer> statistics;
  impl_->Collect(&weights, &statistics);
  return weights;
}

std::vector<Parameter*> Supernet::weights(const Genotype& path) {
  std::vector<Parameter*> weights;
  std::vector<NamedBuffer> statistics;
  impl_->CollectPath(path, &weights, &statistics);
  return weights;
}

std::vector<NamedBuffer> Supernet::statistics(const Genotype& path) {
  std::vector<Parameter*> weights;
  std::vector<NamedBuffer> statistics;
  impl_->CollectPath(path, &weights, &statistics);
  return statistics;
}

std::vector<Parameter*> Supernet::arch() {
  std::vector<Parameter*> logits;
  impl_->ForEachChoice([&](const Impl::Node& node) { logits.push_back(node.logits.get()); });
  return logits;
}

void Supernet::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  std::vector<Parameter*> weights;
  std::vector<NamedBuffer> statistics;
  impl_->Collect(&weights, &statistics);
  impl_->ForEachChoice([&](const Impl::Node& node) { weights.push_back(node.logits.get()); });
  for (const Parameter* weight : weights) archive.PutBuffer(prefix + weight->name, weight->value);
  for (const NamedBuffer& entry : statistics) archive.PutBuffer(prefix + entry.name, *entry.buffer);
}

void Supernet::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  std::vector<Parameter*> weights;
  std::vector<NamedBuffer> statistics;
  impl_->Collect(&weights, &statistics);
  impl_->ForEachChoice([&](const Impl::Node& node) { weights.push_back(node.logits.get()); });
  for (Parameter* weight : weights) archive.GetBuffer(prefix + weight->name, &weight->value);
  for (NamedBuffer& entry : statistics) archive.GetBuffer(prefix + entry.name, entry.buffer);
}

Var ExpectedCost(Tape& tape, const ArchPass& pass, const std::vector<std::vector<double>>& cost,
                 double fixed) {
  RHNAS_CHECK(cost.size() == pass.active.size(), "costs of %d slots for a pass over %d",
              static_cast<int>(cost.size()), static_cast<int>(pass.active.size()));
  Var total = tape.Scalar(static_cast<float>(fixed));
  for (size_t slot = 0; slot < cost.size(); ++slot) {
    std::vector<float> active_cost;
    for (int i : pass.active[slot]) {
      RHNAS_CHECK(i < static_cast<int>(cost[slot].size()), "%d costs for candidate %d of slot %d",
                  static_cast<int>(cost[slot].size()), i, static_cast<int>(slot));
      active_cost.push_back(static_cast<float>(cost[slot][static_cast<size_t>(i)]));
    }
    const Var costs =
        tape.Constant(Shape(static_cast<int>(active_cost.size())), active_cost.data());
    total = engine::Add(tape, total,
                        engine::Sum(tape, engine::Mul(tape, pass.probability[slot], costs)));
  }
  return total;
}

}  // namespace rhnas::nn
