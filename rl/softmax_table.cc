#include "rl/softmax_table.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "rl/double_math.h"
#include "rl/policy_gradient.h"

namespace rhnas::rl {

namespace {

// Probabilities over what the mask allows.
void SoftmaxOf(const double* preferences, const uint8_t* mask, int size,
               std::vector<double>* probabilities) {
  double most = -HUGE_VAL, sum = 0;
  for (int i = 0; i < size; ++i) {
    if (mask[i] != 0) most = std::max(most, preferences[i]);
  }
  probabilities->assign(static_cast<size_t>(size), 0.0);
  for (int i = 0; i < size; ++i) {
    if (mask[i] == 0) continue;
    (*probabilities)[static_cast<size_t>(i)] = Exp(preferences[i] - most);
    sum += (*probabilities)[static_cast<size_t>(i)];
  }
  for (double& p : *probabilities) p /= sum;
}

double EntropyOf(const std::vector<double>& probabilities) {
  double entropy = 0;
  for (double p : probabilities) entropy -= p > 0 ? p * Log(p) : 0;
  return entropy;
}

// Gumbel-max: one draw a choice, allowed or not, as the other policies do.
int Draw(const double* preferences, const uint8_t* mask, int size, engine::Rng& rng) {
  int best = -1;
  double most = 0;
  for (int i = 0; i < size; ++i) {
    const double perturbed = preferences[i] + static_cast<double>(rng.Gumbel());
    if (mask[i] == 0 || (best >= 0 && perturbed <= most)) continue;
    best = i;
    most = perturbed;
  }
  return best;
}

int FirstMost(const double* preferences, const uint8_t* mask, int size) {
  int best = -1;
  for (int i = 0; i < size; ++i) {
    if (mask != nullptr && mask[i] == 0) continue;
    if (best < 0 || preferences[i] > preferences[best]) best = i;
  }
  return best;
}

}  // namespace

SoftmaxTable::SoftmaxTable(const AgentOptions& options, const SoftmaxTableOptions& table,
                           const Environment& environment)
    : options_(options),
      table_options_(table),
      tree_(environment),
      preferences_(tree_.entries(), 0.0),
      values_(static_cast<size_t>(std::max(environment.states(), 1)), 0.0) {}

RoundStats SoftmaxTable::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  RHNAS_CHECK(max_steps >= 1, "%lld steps", static_cast<long long>(max_steps));
  tree_.Check(environment);
  RoundStats stats;
  Play(environment, max_steps, rng, &stats);
  Update(&stats);
  steps_ += stats.steps;
  FinishStats(&stats);
  return stats;
}

void SoftmaxTable::Play(Environment& environment, int64_t max_steps, engine::Rng& rng,
                        RoundStats* stats) {
  rollout_.Clear();
  reached_.clear();
  auto choose = [&](size_t node, int head, const uint8_t* mask) {
    return Draw(preferences_.data() + node, mask, tree_.size(head), rng);
  };
  size_t row = 0;
  double episode_return = 0;
  bool open = false;
  int episodes = 0;
  for (; episodes < options_.batch && static_cast<int64_t>(row) < max_steps; ++row) {
    if (!open) {
      environment.Reset(rng);
      open = true;
      episode_return = 0;
    }
    if (decisions_.size() <= row) decisions_.emplace_back();
    tree_.DecideAdmissible(environment, choose, &decisions_[row]);
    const StepResult result = environment.Act(decisions_[row].action.data(), rng);
    RHNAS_CHECK(std::isfinite(result.reward),
                "the environment gave the reward %g; rewards must be finite", result.reward);
    episode_return += result.reward;
    rollout_.rewards.push_back(result.reward);
    StepEnd end = StepEnd::kGoesOn;
    if (result.terminal) {
      end = StepEnd::kTerminal;
    } else if (result.truncated) {
      end = StepEnd::kTruncated;
    } else if (static_cast<int64_t>(row) + 1 == max_steps) {
      end = StepEnd::kCut;
    }
    rollout_.ends.push_back(end);
    if (end == StepEnd::kTruncated || end == StepEnd::kCut) {
      reached_.push_back(values_[static_cast<size_t>(environment.state())]);
    }
    if (end == StepEnd::kTerminal || end == StepEnd::kTruncated) {
      open = false;
      ++episodes;
      rollout_.returns.push_back(episode_return);
    }
  }
  rollout_.rows = static_cast<int>(row);
  CountReturns(rollout_, stats);
}

void SoftmaxTable::Update(RoundStats* stats) {
  const size_t rows = static_cast<size_t>(rollout_.rows);
  std::vector<double> before(rows);
  for (size_t row = 0; row < rows; ++row) {
    before[row] = values_[static_cast<size_t>(decisions_[row].state)];
  }
  const double gamma = static_cast<double>(options_.gamma);
  std::vector<double> advantages = table_options_.baseline
                                       ? GeneralizedAdvantages(rollout_, before, reached_, gamma,
                                                               static_cast<double>(options_.lambda))
                                       : ReturnsToGo(rollout_, gamma);
  std::vector<double> returns = advantages;
  for (size_t row = 0; row < rows && table_options_.baseline; ++row) {
    returns[row] += before[row];
    double& value = values_[static_cast<size_t>(decisions_[row].state)];
    value += static_cast<double>(options_.q_step) * (returns[row] - value);
  }
  stats->baseline = MomentsOf(before).mean;
  const double spread = MomentsOf(returns).variance;
  stats->explained_variance = spread > 0 ? 1 - MomentsOf(advantages).variance / spread : 0;
  if (options_.advantage == AdvantageScale::kRanked) {
    RankScores(&advantages);
  } else if (options_.advantage == AdvantageScale::kScaled) {
    Standardize(&advantages);
  }
  double squares = 0, entropy = 0;
  Climb(advantages, static_cast<double>(EntropyWeight(options_, steps_)), &squares, &entropy);
  stats->gradient_norm = std::sqrt(squares);
  stats->entropy = entropy / static_cast<double>(rows);
}

void SoftmaxTable::Climb(const std::vector<double>& advantages, double entropy_weight,
                         double* squares, double* entropy) {
  // Node in the upper bits (kMaxEntries has 23), number of the decision in the lower.
  constexpr int kShift = 40;
  const size_t heads = static_cast<size_t>(tree_.heads());
  std::vector<uint64_t> visits;
  for (size_t row = 0; row < advantages.size(); ++row) {
    const Decision& d = decisions_[row];
    for (size_t head = 0; head < heads; ++head) {
      const uint64_t node = tree_.Node(d.state, static_cast<int>(head), d.action.data());
      visits.push_back(node << kShift | (row * heads + head));
    }
  }
  std::sort(visits.begin(), visits.end());
  auto number = [&](uint64_t visit) {
    return static_cast<size_t>(visit & ((uint64_t{1} << kShift) - 1));
  };
  std::vector<double> probabilities, gradient;
  for (size_t begin = 0, end = 0; begin < visits.size(); begin = end) {
    const uint64_t node = visits[begin] >> kShift;
    const size_t which = number(visits[begin]) % heads;
    const int head = static_cast<int>(which), size = tree_.size(head);
    double* preferences = preferences_.data() + static_cast<size_t>(node);
    gradient.assign(static_cast<size_t>(size), 0.0);
    for (end = begin; end < visits.size() && visits[end] >> kShift == node; ++end) {
      const size_t row = number(visits[end]) / heads;
      const Decision& d = decisions_[row];
      SoftmaxOf(preferences, d.mask.data() + tree_.offset(head), size, &probabilities);
      const double h = EntropyOf(probabilities), advantage = advantages[row];
      *entropy += h;
      for (size_t i = 0; i < gradient.size(); ++i) {
        const double p = probabilities[i];
        const bool taken = static_cast<int>(i) == d.action[which];
        gradient[i] += advantage * ((taken ? 1 : 0) - p);
        if (p > 0) gradient[i] -= entropy_weight * p * (Log(p) + h);
      }
    }
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] /= static_cast<double>(end - begin);
      *squares += gradient[i] * gradient[i];
      preferences[i] += table_options_.step * gradient[i];
    }
  }
}

int SoftmaxTable::GreedyChoice(int state, const uint8_t* mask) const {
  return FirstMost(preferences_.data() + tree_.Node(state, 0, nullptr), mask, tree_.size(0));
}

double SoftmaxTable::Preference(int state, int choice) const {
  return preferences_[tree_.Node(state, 0, nullptr) + static_cast<size_t>(choice)];
}

std::vector<int> SoftmaxTable::Greedy(const Environment& environment) {
  tree_.Check(environment);
  Decision decision;
  tree_.Decide(
      environment,
      [&](size_t node, int head, const uint8_t* mask) {
        return FirstMost(preferences_.data() + node, mask, tree_.size(head));
      },
      &decision);
  return decision.action;
}

void SoftmaxTable::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "preferences", preferences_);
  archive.PutVector(prefix + "values", values_);
  archive.Put(prefix + "steps", steps_);
}

void SoftmaxTable::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetBytes(prefix + "preferences", preferences_.data(),
                   preferences_.size() * sizeof(double));
  archive.GetBytes(prefix + "values", values_.data(), values_.size() * sizeof(double));
  archive.Get(prefix + "steps", &steps_);
}

}  // namespace rhnas::rl
