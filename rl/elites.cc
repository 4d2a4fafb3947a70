#include "rl/elites.h"

#include <algorithm>

namespace rhnas::rl {

namespace {

// Row `row` of `rows` rows stored one after the other.
template <typename T>
std::vector<T> Row(const std::vector<T>& values, int row, int rows) {
  const ptrdiff_t width = static_cast<ptrdiff_t>(values.size()) / rows;
  return std::vector<T>(values.begin() + row * width, values.begin() + (row + 1) * width);
}

template <typename T>
void Append(const std::vector<T>& values, std::vector<T>* to) {
  to->insert(to->end(), values.begin(), values.end());
}

}  // namespace

void Elites::Add(const Rollout& rollout, int64_t steps) {
  if (capacity_ == 0) return;
  for (int row = 0; row < rollout.rows; ++row) {
    const size_t r = static_cast<size_t>(row);
    const bool starts = row == 0 || rollout.ends[r - 1] != StepEnd::kGoesOn;
    const bool ends =
        rollout.ends[r] == StepEnd::kTerminal || rollout.ends[r] == StepEnd::kTruncated;
    if (!starts || !ends) continue;
    Entry entry;
    entry.reward = rollout.rewards[r];
    entry.steps = steps;
    entry.observation = Row(rollout.observations, row, rollout.rows);
    entry.mask = Row(rollout.masks, row, rollout.rows);
    entry.action = Row(rollout.actions, row, rollout.rows);
    const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& other) {
      return other.action == entry.action && other.observation == entry.observation;
    });
    if (known != entries_.end()) {
      *known = std::move(entry);
    } else {
      entries_.push_back(std::move(entry));
    }
  }
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                [&](const Entry& entry) { return steps - entry.steps > window_; }),
                 entries_.end());
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.reward > b.reward; });
  if (size() > capacity_) entries_.resize(static_cast<size_t>(capacity_));
}

void Elites::AppendTo(Rollout* rollout) const {
  for (const Entry& entry : entries_) {
    Append(entry.observation, &rollout->observations);
    Append(entry.mask, &rollout->masks);
    Append(entry.action, &rollout->actions);
    ++rollout->rows;
  }
}

void Elites::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  std::vector<double> rewards;
  std::vector<int64_t> steps;
  std::vector<float> observations;
  std::vector<uint8_t> masks;
  std::vector<int32_t> actions;
  for (const Entry& entry : entries_) {
    rewards.push_back(entry.reward);
    steps.push_back(entry.steps);
    Append(entry.observation, &observations);
    Append(entry.mask, &masks);
    Append(entry.action, &actions);
  }
  archive.PutVector(prefix + "rewards", rewards);
  archive.PutVector(prefix + "steps", steps);
  archive.PutVector(prefix + "observations", observations);
  archive.PutVector(prefix + "masks", masks);
  archive.PutVector(prefix + "actions", actions);
}

void Elites::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  std::vector<double> rewards;
  std::vector<int64_t> steps;
  std::vector<float> observations;
  std::vector<uint8_t> masks;
  std::vector<int32_t> actions;
  archive.GetVector(prefix + "rewards", &rewards);
  archive.GetVector(prefix + "steps", &steps);
  archive.GetVector(prefix + "observations", &observations);
  archive.GetVector(prefix + "masks", &masks);
  archive.GetVector(prefix + "actions", &actions);
  entries_.clear();
  if (!archive.status().ok() || steps.size() != rewards.size()) return;
  const int rows = static_cast<int>(rewards.size());
  for (int row = 0; row < rows; ++row) {
    Entry entry;
    entry.reward = rewards[static_cast<size_t>(row)];
    entry.steps = steps[static_cast<size_t>(row)];
    entry.observation = Row(observations, row, rows);
    entry.mask = Row(masks, row, rows);
    entry.action = Row(actions, row, rows);
    entries_.push_back(std::move(entry));
  }
}

}  // namespace rhnas::rl
