#include "rl/points.h"

#include <algorithm>
#include <cmath>

#include "engine/hash.h"
#include "rl/resample.h"

namespace rhnas::rl {

namespace {

// Draws from all heads' choices at once before masks by prefix are followed instead, which favour
// the points of thin branches.
constexpr int kUniformDraws = 256;
// Draws and changes that look for an unseen point before a seen one is taken.
constexpr int kNewDraws = 64;

// The n-th choice that a mask allows, n uniform; -1: none is allowed.
int DrawChoice(int size, const uint8_t* mask, engine::Rng& rng) {
  uint32_t allowed = 0;
  for (int i = 0; i < size; ++i) allowed += mask[i] != 0 ? 1 : 0;
  if (allowed == 0) return -1;
  uint32_t left = rng.Below(allowed);
  for (int i = 0; i < size; ++i) {
    if (mask[i] != 0 && left-- == 0) return i;
  }
  return -1;
}

}  // namespace

uint64_t PointNumber(const std::vector<int>& sizes, const int* action) {
  uint64_t points = 1, point = 0;
  for (size_t head = 0; head < sizes.size(); ++head) {
    const uint64_t size = static_cast<uint64_t>(sizes[head]);
    if (points > (uint64_t{1} << 63) / size) {
      engine::Fnv1a hash;
      for (size_t h = 0; h < sizes.size(); ++h) {
        const int32_t choice = action[h];
        hash.Add(&choice, sizeof choice);
      }
      return hash.value();
    }
    points *= size;
    point = point * size + static_cast<uint64_t>(action[head]);
  }
  return point;
}

size_t SeenPoints::Place(uint64_t point) const {
  return static_cast<size_t>(std::lower_bound(points_.begin(), points_.end(), point) -
                             points_.begin());
}

void SeenPoints::Add(uint64_t point, double reward) {
  const size_t place = Place(point);
  if (place < points_.size() && points_[place] == point) {
    rewards_[place] = reward;
    return;
  }
  points_.insert(points_.begin() + static_cast<std::ptrdiff_t>(place), point);
  rewards_.insert(rewards_.begin() + static_cast<std::ptrdiff_t>(place), reward);
}

bool SeenPoints::Find(uint64_t point, double* reward) const {
  const size_t place = Place(point);
  if (place >= points_.size() || points_[place] != point) return false;
  *reward = rewards_[place];
  return true;
}

bool SeenPoints::Has(uint64_t point) const {
  double reward;
  return Find(point, &reward);
}

void SeenPoints::Clear() {
  points_.clear();
  rewards_.clear();
}

void SeenPoints::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "points", points_);
  archive.PutVector(prefix + "rewards", rewards_);
}

void SeenPoints::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "points", &points_);
  archive.GetVector(prefix + "rewards", &rewards_);
  if (!archive.status().ok() || points_.size() != rewards_.size()) Clear();
}

void PointStore::Add(const int* action, double reward) {
  actions_.insert(actions_.end(), action, action + heads_);
  rewards_.push_back(reward);
}

void PointStore::Remove(int row) {
  const auto first =
      actions_.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * heads_);
  actions_.erase(first, first + static_cast<std::ptrdiff_t>(heads_));
  rewards_.erase(rewards_.begin() + row);
}

void PointStore::Clear() {
  actions_.clear();
  rewards_.clear();
}

int PointStore::Best() const {
  return static_cast<int>(std::max_element(rewards_.begin(), rewards_.end()) - rewards_.begin());
}

void PointStore::KeepBest(int most) {
  std::vector<int> order(rewards_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::sort(order.begin(), order.end(), [this](int a, int b) {
    return reward(a) != reward(b) ? reward(a) > reward(b) : a < b;
  });
  PointStore kept(static_cast<int>(heads_));
  for (size_t i = 0; i < order.size() && kept.size() < most; ++i) {
    kept.Add(action(order[i]), reward(order[i]));
  }
  *this = kept;
}

void PointStore::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "actions", actions_);
  archive.PutVector(prefix + "rewards", rewards_);
}

void PointStore::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  archive.GetVector(prefix + "actions", &actions_);
  archive.GetVector(prefix + "rewards", &rewards_);
  if (!archive.status().ok() || actions_.size() != rewards_.size() * heads_) Clear();
}

PointPicker::PointPicker(const Environment& environment, const SeenPoints& seen, engine::Rng& rng)
    : environment_(environment), seen_(seen), rng_(rng), sizes_(environment.action_sizes()) {
  int total = 0;
  for (int size : sizes_) {
    offsets_.push_back(total);
    total += size;
    most_ = std::max(most_, size);
  }
  head_mask_.assign(static_cast<size_t>(most_), 1);
  static_mask_.resize(static_cast<size_t>(total));
  if (!environment.Mask(static_mask_.data())) static_mask_.clear();
  const std::vector<int> none(sizes_.size());
  prefix_ = !sizes_.empty() && environment.MaskHead(0, none.data(), head_mask_.data());
}

const uint8_t* PointPicker::HeadMask(int head, const int* action) {
  const size_t h = static_cast<size_t>(head);
  if (prefix_ && environment_.MaskHead(head, action, head_mask_.data())) return head_mask_.data();
  if (!static_mask_.empty()) return &static_mask_[static_cast<size_t>(offsets_[h])];
  std::fill(head_mask_.begin(), head_mask_.end(), uint8_t{1});
  return head_mask_.data();
}

bool PointPicker::Allowed(const int* action) {
  if (!static_mask_.empty()) {
    for (size_t h = 0; h < sizes_.size(); ++h) {
      if (static_mask_[static_cast<size_t>(offsets_[h] + action[h])] == 0) return false;
    }
  }
  if (!environment_.Admissible(action)) return false;
  for (int h = 0; prefix_ && h < heads(); ++h) {
    if (HeadMask(h, action)[action[h]] == 0) return false;
  }
  return true;
}

bool PointPicker::Draw(int* action) {
  const bool prefix = prefix_;
  const int tries = prefix ? kUniformDraws : kMostRedraws;
  for (int i = 0; i < tries; ++i) {
    for (int h = 0; h < heads(); ++h) {
      const int size = sizes_[static_cast<size_t>(h)];
      const int choice =
          static_mask_.empty()
              ? Below(size)
              : DrawChoice(size,
                           &static_mask_[static_cast<size_t>(offsets_[static_cast<size_t>(h)])],
                           rng_);
      action[h] = std::max(choice, 0);
    }
    if (Allowed(action)) return true;
  }
  if (!prefix) return false;
  for (int i = 0; i < kUniformDraws; ++i) {
    for (int h = 0; h < heads(); ++h) {
      action[h] =
          std::max(DrawChoice(sizes_[static_cast<size_t>(h)], HeadMask(h, action), rng_), 0);
    }
    if (environment_.Admissible(action)) return true;
  }
  return false;
}

bool PointPicker::DrawNew(int* action) {
  for (int i = 0; i < kNewDraws; ++i) {
    if (!Draw(action)) return false;
    if (!Seen(action)) return true;
  }
  return false;
}

bool PointPicker::Mutate(int* action) {
  const std::vector<int> parent(action, action + heads());
  std::vector<int> rows;
  Neighbours(parent.data(), &rows);
  // Each head as likely as another, whatever the number of its choices, as in Real et al.: so a
  // head is drawn first, then one of its points.
  std::vector<int> open;  // first row of each point that is unseen
  std::vector<int> of_head;
  std::vector<int> heads_open;
  const int n = heads();
  for (int row = 0; row < static_cast<int>(rows.size()) / std::max(n, 1); ++row) {
    const int* point = &rows[static_cast<size_t>(row) * static_cast<size_t>(n)];
    if (Seen(point)) continue;
    int head = 0;
    while (point[head] == parent[static_cast<size_t>(head)]) ++head;
    open.push_back(row);
    of_head.push_back(head);
    if (heads_open.empty() || heads_open.back() != head) heads_open.push_back(head);
  }
  if (!open.empty()) {
    const int head = heads_open[static_cast<size_t>(Below(static_cast<int>(heads_open.size())))];
    const int count = static_cast<int>(std::count(of_head.begin(), of_head.end(), head));
    int left = Below(count);
    for (size_t i = 0; i < open.size(); ++i) {
      if (of_head[i] != head || left-- > 0) continue;
      std::copy_n(&rows[static_cast<size_t>(open[i]) * static_cast<size_t>(n)], n, action);
      return true;
    }
  }
  for (int changes = 2; changes <= n; ++changes) {
    for (int i = 0; i < kNewDraws; ++i) {
      std::copy(parent.begin(), parent.end(), action);
      for (int c = 0; c < changes; ++c) {
        const int head = Below(n);
        action[head] = Below(sizes_[static_cast<size_t>(head)]);
      }
      if (Allowed(action) && !Seen(action)) return true;
    }
  }
  return DrawNew(action);
}

void PointPicker::Neighbours(const int* action, std::vector<int>* rows) {
  rows->clear();
  std::vector<int> point(action, action + heads());
  for (size_t h = 0; h < point.size(); ++h) {
    for (int choice = 0; choice < sizes_[h]; ++choice) {
      if (choice == action[h]) continue;
      point[h] = choice;
      if (Allowed(point.data())) rows->insert(rows->end(), point.begin(), point.end());
    }
    point[h] = action[h];
  }
}

void PointPicker::Settle(int* action) {
  if (static_mask_.empty() && !prefix_) return;
  for (int h = 0; h < heads(); ++h) {
    const uint8_t* mask = HeadMask(h, action);
    const int size = sizes_[static_cast<size_t>(h)];
    int nearest = -1;
    for (int choice = 0; choice < size; ++choice) {
      if (mask[choice] == 0) continue;
      if (nearest < 0 || std::abs(choice - action[h]) < std::abs(nearest - action[h])) {
        nearest = choice;
      }
    }
    if (nearest >= 0) action[h] = nearest;
  }
}

}  // namespace rhnas::rl
