#include "rl/q_learning.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"

namespace rhnas::rl {

namespace {

bool Allowed(const uint8_t* mask, int i) { return mask == nullptr || mask[i] != 0; }

}  // namespace

int64_t QLearning::Entries(const Environment& environment) {
  const int64_t states = std::max(environment.states(), 1);
  int64_t nodes = 1, entries = 0;
  for (int size : environment.action_sizes()) {
    nodes *= size;
    entries += nodes;
    if (entries > kMaxEntries / states) return kMaxEntries + 1;
  }
  return entries * states;
}

QLearning::QLearning(const AgentOptions& options, const Environment& environment)
    : options_(options), sizes_(environment.action_sizes()) {
  const int64_t entries = Entries(environment);
  RHNAS_CHECK(entries <= kMaxEntries, "a table of more than %lld entries",
              static_cast<long long>(kMaxEntries));
  int offset = 0;
  size_t nodes = 1;
  for (int size : sizes_) {
    offsets_.push_back(offset);
    offset += size;
    head_base_.push_back(state_entries_);
    nodes *= static_cast<size_t>(size);
    state_entries_ += nodes;
  }
  table_.assign(static_cast<size_t>(entries), 0.0);
}

size_t QLearning::Node(int state, int head, const int* action) const {
  size_t path = 0;
  for (int i = 0; i < head; ++i) {
    path =
        path * static_cast<size_t>(sizes_[static_cast<size_t>(i)]) + static_cast<size_t>(action[i]);
  }
  const size_t h = static_cast<size_t>(head);
  return static_cast<size_t>(state) * state_entries_ + head_base_[h] +
         path * static_cast<size_t>(sizes_[h]);
}

double QLearning::BestValue(size_t node, int head, const uint8_t* mask) const {
  double best = 0;
  bool found = false;
  for (int i = 0; i < sizes_[static_cast<size_t>(head)]; ++i) {
    if (!Allowed(mask, i)) continue;
    const double value = table_[node + static_cast<size_t>(i)];
    if (!found || value > best) best = value;
    found = true;
  }
  RHNAS_CHECK(found, "head %d: every choice is masked", head);
  return best;
}

// Epsilon-greedy; ties are broken at random, or an untrained table would never leave its first
// choice.
int QLearning::Choose(size_t node, int head, const uint8_t* mask, engine::Rng& rng) const {
  float epsilon = options_.epsilon;
  if (options_.anneal_steps > 0) {
    const double share = static_cast<double>(steps_) / static_cast<double>(options_.anneal_steps);
    epsilon += static_cast<float>(std::min(share, 1.0)) * (options_.epsilon_final - epsilon);
  }
  const bool explore = rng.Uniform() < epsilon;
  const double best = explore ? 0 : BestValue(node, head, mask);
  auto candidate = [&](int i) {
    return Allowed(mask, i) && (explore || table_[node + static_cast<size_t>(i)] == best);
  };
  const int size = sizes_[static_cast<size_t>(head)];
  uint32_t candidates = 0;
  for (int i = 0; i < size; ++i) candidates += candidate(i) ? 1 : 0;
  RHNAS_CHECK(candidates > 0, "head %d: every one of %d choices is masked", head, size);
  uint32_t left = rng.Below(candidates);
  int chosen = 0;
  for (int i = 0; i < size; ++i) {
    if (!candidate(i)) continue;
    chosen = i;
    if (left-- == 0) break;
  }
  return chosen;
}

// From the last head to the first, so that news reaches the root of the path at once.
void QLearning::Learn(int state, const std::vector<int>& action, const uint8_t* mask,
                      double target) {
  for (int head = static_cast<int>(sizes_.size()) - 1; head >= 0; --head) {
    const size_t h = static_cast<size_t>(head);
    const size_t node = Node(state, head, action.data());
    double& q = table_[node + static_cast<size_t>(action[h])];
    q += static_cast<double>(options_.q_step) * (target - q);
    target = BestValue(node, head, mask != nullptr ? mask + offsets_[h] : nullptr);
  }
}

RoundStats QLearning::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  RHNAS_CHECK(max_steps >= 1, "%lld steps", static_cast<long long>(max_steps));
  RHNAS_CHECK(environment.action_sizes() == sizes_, "the agent was made for %zu heads, found %zu",
              sizes_.size(), environment.action_sizes().size());
  const size_t choices = static_cast<size_t>(offsets_.back() + sizes_.back());
  std::vector<uint8_t> mask(choices), next_mask(choices);
  std::vector<int> action(sizes_.size());
  RoundStats stats;
  while (stats.steps < max_steps && stats.episodes < options_.batch) {
    environment.Reset(rng);
    bool masked = environment.Mask(mask.data()), done = false;
    double episode_return = 0;
    while (!done && stats.steps < max_steps) {
      const int state = environment.state();
      for (size_t head = 0; head < sizes_.size(); ++head) {
        const int h = static_cast<int>(head);
        action[head] = Choose(Node(state, h, action.data()), h,
                              masked ? mask.data() + offsets_[head] : nullptr, rng);
      }
      const StepResult result = environment.Act(action.data(), rng);
      RHNAS_CHECK(std::isfinite(result.reward),
                  "the environment gave the reward %g; rewards must be finite", result.reward);
      ++stats.steps;
      ++steps_;
      episode_return += result.reward;
      done = result.terminal || result.truncated;
      double target = result.reward;
      bool next_masked = false;
      if (!result.terminal) {
        next_masked = environment.Mask(next_mask.data());
        const size_t root = Node(environment.state(), 0, nullptr);
        target += static_cast<double>(options_.gamma) *
                  BestValue(root, 0, next_masked ? next_mask.data() : nullptr);
      }
      Learn(state, action, masked ? mask.data() : nullptr, target);
      mask.swap(next_mask);
      masked = next_masked;
    }
    if (!done) break;  // the budget cut the episode: its return is not known
    if (stats.episodes == 0 || episode_return > stats.best_return) {
      stats.best_return = episode_return;
    }
    ++stats.episodes;
    stats.mean_return += (episode_return - stats.mean_return) / static_cast<double>(stats.episodes);
  }
  return stats;
}

int QLearning::GreedyChoice(int state, const uint8_t* mask) const {
  const size_t root = Node(state, 0, nullptr);
  const double best = BestValue(root, 0, mask);
  int choice = 0;
  while (!Allowed(mask, choice) || table_[root + static_cast<size_t>(choice)] != best) ++choice;
  return choice;
}

std::vector<int> QLearning::Greedy(const Environment& environment) {
  RHNAS_CHECK(environment.action_sizes() == sizes_, "the agent was made for %zu heads, found %zu",
              sizes_.size(), environment.action_sizes().size());
  std::vector<uint8_t> mask(static_cast<size_t>(offsets_.back() + sizes_.back()));
  const bool masked = environment.Mask(mask.data());
  std::vector<int> action(sizes_.size());
  for (size_t head = 0; head < sizes_.size(); ++head) {
    const int h = static_cast<int>(head);
    const size_t node = Node(environment.state(), h, action.data());
    const uint8_t* allowed = masked ? mask.data() + offsets_[head] : nullptr;
    const double best = BestValue(node, h, allowed);
    int choice = 0;
    while (!Allowed(allowed, choice) || table_[node + static_cast<size_t>(choice)] != best) {
      ++choice;
    }
    action[head] = choice;
  }
  return action;
}

void QLearning::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "table", table_);
  archive.Put(prefix + "steps", steps_);
}

void QLearning::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetBytes(prefix + "table", table_.data(), table_.size() * sizeof(double));
  archive.Get(prefix + "steps", &steps_);
}

}  // namespace rhnas::rl
