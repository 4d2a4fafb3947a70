#include "search/network_search.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/math.h"
#include "rl/double_math.h"

namespace rhnas::search {

namespace {

constexpr int kDescents = 3, kDescentSteps = 24, kDraws = 48;
// Adam (Kingma and Ba 2015) on logits of order one.
constexpr double kRate = 0.4, kDecay = 0.8, kSquareDecay = 0.95;
constexpr int kClimbs = 8;
// Of the one distribution: slow enough for a hundred evaluations to see many networks. Redraws of
// what was seen.
constexpr double kSlowRate = 0.05;
constexpr int kStepsAnEvaluation = 1, kRedraws = 64;
// Share of a uniform draw in each choice, so that the best network's neighbours are drawn too.
constexpr double kUniform = 0.15;
constexpr double kMultiplierStep = 1.05, kLeastMultiplier = 0.2, kMostMultiplier = 20;

double Exp(double x) { return static_cast<double>(engine::Exp(static_cast<float>(x))); }

// Standard normal distribution function, to 9.5e-3 (logistic form of Tocher 1963, scaled by 1.702
// for the least greatest error): a weight among candidates, of which only the order matters.
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
  return (with_latency ? rl::Log(latency) : 0) + (with_energy ? rl::Log(energy) : 0);
}

NetworkSearch::NetworkSearch(const std::vector<int>& sizes, Objective objective,
                             double accuracy_floor, Form form, uint64_t seed)
    : form_(form),
      sizes_(sizes),
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

void NetworkSearch::Descend(int member, engine::Rng& rng, std::vector<double>* probability) {
  logits_.assign(static_cast<size_t>(model_.choices()), 0.0);
  moment_ = square_ = logits_;
  for (double& logit : logits_) logit = static_cast<double>(rng.Normal());
  Steps(member, kDescentSteps, kRate, probability);
}

// Adam steps on the logits; the probabilities they arrive at.
void NetworkSearch::Steps(int member, int steps, double rate, std::vector<double>* probability) {
  std::vector<double> slope(logits_.size());
  probability->assign(logits_.size(), 0.0);
  double* p = probability->data();
  for (int step = 0;; ++step) {
    for (size_t d = 0; d < sizes_.size(); ++d) {
      const size_t at = static_cast<size_t>(model_.offsets()[d]);
      const size_t end = at + static_cast<size_t>(sizes_[d]);
      double most = logits_[at], sum = 0;
      for (size_t c = at; c < end; ++c) most = std::max(most, logits_[c]);
      for (size_t c = at; c < end; ++c) sum += p[c] = Exp(logits_[c] - most);
      for (size_t c = at; c < end; ++c) p[c] /= sum;
    }
    if (step == steps) return;
    // -lambda sigmoid(-3.4 z): the slope of lambda softplus(-3.4 z) / 3.4.
    const double z = model_.Relaxed(member, p, 0, nullptr);
    const double missed = Normal(-2 * z);
    table_.LogObjective(objective_, p, slope.data());
    model_.Relaxed(member, p, -multiplier_ * missed, slope.data());
    for (size_t d = 0; d < sizes_.size(); ++d) {
      const size_t at = static_cast<size_t>(model_.offsets()[d]);
      const size_t end = at + static_cast<size_t>(sizes_[d]);
      double mean = 0;
      for (size_t c = at; c < end; ++c) mean += p[c] * slope[c];
      for (size_t c = at; c < end; ++c) {
        const double g = p[c] * (slope[c] - mean);
        moment_[c] = kDecay * moment_[c] + (1 - kDecay) * g;
        square_[c] = kSquareDecay * square_[c] + (1 - kSquareDecay) * g * g;
        logits_[c] -= rate * moment_[c] / (std::sqrt(square_[c]) + 1e-6);
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

// What is expected of evaluating a network: improvement times the chance that it is accurate
// enough. Where it cannot improve, the least loss is what is left to learn from, below every gain.
double NetworkSearch::Score(const std::vector<int>& network, double best_log_objective,
                            const NetworkPricer& pricer) const {
  double log_objective = 0;
  if (!pricer.LogObjective(network.data(), &log_objective)) return -2;
  const double gain = best_log_objective - log_objective;
  const double chance =
      Normal(model_.Mean(network.data()) / std::sqrt(model_.Variance(network.data())));
  return gain > 0 ? chance * gain : -1 + chance * Exp(gain) / 2;
}

// One choice a decision from the probabilities, mixed with a share of uniform draws; 0 to 1 each.
void NetworkSearch::Draw(const std::vector<double>& probability, double uniform, engine::Rng& rng,
                         std::vector<int>* network) const {
  network->resize(sizes_.size());
  for (size_t d = 0; d < sizes_.size(); ++d) {
    const double* p = probability.data() + model_.offsets()[d];
    const int size = sizes_[d];
    double left = static_cast<double>(rng.Uniform());
    int choice = 0;
    while (choice + 1 < size && (left -= (1 - uniform) * p[choice] + uniform / size) >= 0) ++choice;
    (*network)[d] = choice;
  }
}

std::vector<int> NetworkSearch::Propose(double best_log_objective, const NetworkPricer& pricer,
                                        engine::Rng& rng) {
  RHNAS_CHECK(!exhausted(), "all of %zu networks were seen", seen_.size());
  if (form_ == Form::kOneDistribution) return ProposeFromOne(rng);
  std::vector<double> probability;
  std::vector<int> drawn, best;
  double best_score = 0;
  auto consider = [&](const std::vector<int>& network) {
    if (seen_.count(network) != 0) return;
    const double score = Score(network, best_log_objective, pricer);
    if (!best.empty() && score <= best_score) return;
    best = network;
    best_score = score;
  };
  for (int descent = 0; descent < kDescents; ++descent) {
    Descend(static_cast<int>(rng.Below(AccuracyModel::kMembers)), rng, &probability);
    for (int draw = 0; draw < kDraws; ++draw) {
      Draw(probability, kUniform, rng, &drawn);
      consider(drawn);
    }
  }
  if (best.empty()) return AnyUnseen(rng);
  for (int climb = 0; climb < kClimbs; ++climb) {
    const std::vector<int> from = best;
    for (size_t d = 0; d < sizes_.size(); ++d) {
      drawn = from;
      for (drawn[d] = 0; drawn[d] < sizes_[d]; ++drawn[d]) consider(drawn);
    }
    if (best == from) break;
  }
  return best;
}

// One relaxed distribution that every evaluation moves on, and draws from it (those that were seen
// before are drawn again, which the published searches do not do).
std::vector<int> NetworkSearch::ProposeFromOne(engine::Rng& rng) {
  if (logits_.empty()) {
    logits_.assign(static_cast<size_t>(model_.choices()), 0.0);
    moment_ = square_ = logits_;
  }
  std::vector<double> probability;
  std::vector<int> drawn;
  Steps(AccuracyModel::kMembers, kStepsAnEvaluation, kSlowRate, &probability);
  for (int tries = 0; tries < kRedraws; ++tries) {
    Draw(probability, 0, rng, &drawn);
    if (seen_.count(drawn) == 0) return drawn;
  }
  return AnyUnseen(rng);
}

void NetworkSearch::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "logits", logits_);
  archive.PutVector(prefix + "moment", moment_);
  archive.PutVector(prefix + "square", square_);
}

void NetworkSearch::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "logits", &logits_);
  archive.GetVector(prefix + "moment", &moment_);
  archive.GetVector(prefix + "square", &square_);
  const size_t n = static_cast<size_t>(model_.choices());
  // Of another problem: begin anew.
  if (logits_.size() != n || moment_.size() != n || square_.size() != n) logits_.clear();
}

}  // namespace rhnas::search
