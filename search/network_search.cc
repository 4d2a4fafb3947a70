#include "search/network_search.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/math.h"

namespace rhnas::search {

namespace {

constexpr int kDescents = 3, kDescentSteps = 24, kDraws = 48;
// Adam (Kingma and Ba 2015) on logits of order one.
constexpr double kRate = 0.4, kDecay = 0.8, kSquareDecay = 0.95;
// Share of a uniform draw in each choice, so that the best network's neighbours are drawn too.
constexpr double kUniform = 0.15;
constexpr double kMultiplierStep = 1.05, kLeastMultiplier = 0.2, kMostMultiplier = 20;

double Exp(double x) { return static_cast<double>(engine::Exp(static_cast<float>(x))); }

// Standard normal distribution function, to 1e-3 (logistic form of Tocher 1963): a weight among
// candidates, of which only the order matters.
double Normal(double z) { return 1 / (1 + Exp(-1.702 * std::clamp(z, -40.0, 40.0))); }

}  // namespace

ChoiceTable::ChoiceTable(const std::vector<int>& sizes, const int* base,
                         const std::vector<DesignCost>& by_choice) {
  size_t at = 0;
  for (size_t d = 0; d < sizes.size(); ++d) {
    RHNAS_CHECK(at + static_cast<size_t>(sizes[d]) <= by_choice.size(), "%zu costs of choices",
                by_choice.size());
    const DesignCost& own = by_choice[at + static_cast<size_t>(base[d])];
    latency_ = static_cast<double>(own.latency_cycles);
    energy_ = own.energy_pj;
    for (int c = 0; c < sizes[d]; ++c, ++at) {
      latency_more_.push_back(static_cast<double>(by_choice[at].latency_cycles) - latency_);
      energy_more_.push_back(by_choice[at].energy_pj - energy_);
    }
  }
}

double ChoiceTable::LogObjective(Objective objective, const double* probability,
                                 double* gradient) const {
  double latency = latency_, energy = energy_;
  for (size_t i = 0; i < latency_more_.size(); ++i) {
    latency += probability[i] * latency_more_[i];
    energy += probability[i] * energy_more_[i];
  }
  // Parts that share work can make the sum of their absences overshoot.
  latency = std::max(latency, 1e-3 * latency_);
  energy = std::max(energy, 1e-3 * energy_);
  const bool with_latency = objective != Objective::kEnergy;
  const bool with_energy = objective != Objective::kLatency;
  if (gradient != nullptr) {
    for (size_t i = 0; i < latency_more_.size(); ++i) {
      gradient[i] = (with_latency ? latency_more_[i] / latency : 0) +
                    (with_energy ? energy_more_[i] / energy : 0);
    }
  }
  return (with_latency ? std::log(latency) : 0) + (with_energy ? std::log(energy) : 0);
}

NetworkSearch::NetworkSearch(const std::vector<int>& sizes, Objective objective,
                             double accuracy_floor, uint64_t seed)
    : sizes_(sizes),
      objective_(objective),
      floor_(accuracy_floor),
      model_(sizes, accuracy_floor, seed) {
  for (int size : sizes) networks_ *= size;
}

void NetworkSearch::Add(const int* network, double accuracy) {
  const std::vector<int> key(network, network + sizes_.size());
  if (!seen_.insert(key).second) return;
  model_.Add(network, accuracy);
  const bool met = accuracy >= floor_;
  if (met) accurate_.push_back(key);
  multiplier_ = std::clamp(met ? multiplier_ / kMultiplierStep : multiplier_ * kMultiplierStep,
                           kLeastMultiplier, kMostMultiplier);
}

void NetworkSearch::Descend(int member, engine::Rng& rng, std::vector<double>* probability) const {
  const size_t n = static_cast<size_t>(model_.choices());
  std::vector<double> logits(n), moment(n), square(n), slope(n);
  for (double& logit : logits) logit = static_cast<double>(rng.Normal());
  probability->assign(n, 0.0);
  double* p = probability->data();
  for (int step = 0;; ++step) {
    for (size_t d = 0; d < sizes_.size(); ++d) {
      const size_t at = static_cast<size_t>(model_.offsets()[d]);
      const size_t size = static_cast<size_t>(sizes_[d]);
      const double most =
          *std::max_element(logits.begin() + static_cast<std::ptrdiff_t>(at),
                            logits.begin() + static_cast<std::ptrdiff_t>(at + size));
      double sum = 0;
      for (size_t c = at; c < at + size; ++c) sum += p[c] = Exp(logits[c] - most);
      for (size_t c = at; c < at + size; ++c) p[c] /= sum;
    }
    if (step == kDescentSteps) return;
    // d/dz of lambda softplus(-z) is -lambda sigmoid(-z).
    const double z = model_.Relaxed(member, p, 0, nullptr);
    const double missed = Normal(-2 * z);
    table_.LogObjective(objective_, p, slope.data());
    model_.Relaxed(member, p, -multiplier_ * missed, slope.data());
    for (size_t d = 0; d < sizes_.size(); ++d) {
      const size_t at = static_cast<size_t>(model_.offsets()[d]);
      const size_t size = static_cast<size_t>(sizes_[d]);
      double mean = 0;
      for (size_t c = at; c < at + size; ++c) mean += p[c] * slope[c];
      for (size_t c = at; c < at + size; ++c) {
        const double g = p[c] * (slope[c] - mean);
        moment[c] = kDecay * moment[c] + (1 - kDecay) * g;
        square[c] = kSquareDecay * square[c] + (1 - kSquareDecay) * g * g;
        logits[c] -= kRate * moment[c] / (std::sqrt(square[c]) + 1e-6);
      }
    }
  }
}

// The first that was not seen from a random one on, the last decision fastest.
std::vector<int> NetworkSearch::AnyUnseen(engine::Rng& rng) const {
  std::vector<int> network;
  for (int size : sizes_) {
    network.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(size))));
  }
  while (seen_.count(network) != 0) {
    for (size_t d = sizes_.size(); d-- > 0;) {
      if (++network[d] < sizes_[d]) break;
      network[d] = 0;
    }
  }
  return network;
}

std::vector<int> NetworkSearch::Propose(double best_log_objective, engine::Rng& rng) {
  RHNAS_CHECK(!exhausted(), "all of %zu networks were seen", seen_.size());
  std::vector<double> probability, one_hot(static_cast<size_t>(model_.choices()));
  std::vector<int> drawn(sizes_.size()), best;
  double best_score = 0;
  for (int descent = 0; descent < kDescents; ++descent) {
    Descend(static_cast<int>(rng.Below(AccuracyModel::kMembers)), rng, &probability);
    for (int draw = 0; draw < kDraws; ++draw) {
      std::fill(one_hot.begin(), one_hot.end(), 0.0);
      for (size_t d = 0; d < sizes_.size(); ++d) {
        const size_t at = static_cast<size_t>(model_.offsets()[d]);
        const int size = sizes_[d];
        const double uniform = draw == 0 ? 0 : kUniform;
        double left = static_cast<double>(rng.Uniform());
        int choice = 0, most = 0;
        for (int c = 0; c < size; ++c) {
          const double p = probability[at + static_cast<size_t>(c)];
          if (p > probability[at + static_cast<size_t>(most)]) most = c;
          left -= (1 - uniform) * p + uniform / size;
          if (left >= 0 && c + 1 < size) choice = c + 1;
        }
        drawn[d] = draw == 0 ? most : choice;
        one_hot[at + static_cast<size_t>(drawn[d])] = 1;
      }
      if (seen_.count(drawn) != 0) continue;
      const double log_objective = table_.LogObjective(objective_, one_hot.data(), nullptr);
      const double z = model_.Mean(drawn.data()) / std::sqrt(model_.Variance(drawn.data()));
      const double chance = Normal(z), gain = best_log_objective - log_objective;
      // No gain: the least loss is what is left to learn from, below every gain.
      const double score = gain > 0 ? chance * gain : -1 + chance * Exp(gain) / 2;
      if (best.empty() || score > best_score) {
        best = drawn;
        best_score = score;
      }
    }
  }
  return best.empty() ? AnyUnseen(rng) : best;
}

}  // namespace rhnas::search
