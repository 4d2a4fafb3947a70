// The points of a one-step problem as the rivals need them: which were proposed and what came of
// them, rows of them to select from, and drawing or changing one so that the rules allow it.
//
// A point is one choice a head. Masks, static or by prefix, are honoured always; what only
// Environment::Admissible knows is drawn again. Thread rule: one search, one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/random.h"
#include "rl/environment.h"

namespace rhnas::rl {

// Number of a point: exact where the problem has fewer than 2^63, else a 64-bit hash.
uint64_t PointNumber(const std::vector<int>& sizes, const int* action);

// Points already proposed, with their rewards; a sorted array, since searches are short.
class SeenPoints {
 public:
  void Add(uint64_t point, double reward);
  bool Find(uint64_t point, double* reward) const;
  bool Has(uint64_t point) const;
  int64_t size() const { return static_cast<int64_t>(points_.size()); }
  void Clear();
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  size_t Place(uint64_t point) const;
  std::vector<uint64_t> points_;  // ascending
  std::vector<double> rewards_;
};

// Rows of points with rewards, in the order they were added: a population, a set of observations.
class PointStore {
 public:
  explicit PointStore(int heads) : heads_(static_cast<size_t>(heads)) {}
  int size() const { return static_cast<int>(rewards_.size()); }
  const int* action(int row) const { return &actions_[static_cast<size_t>(row) * heads_]; }
  double reward(int row) const { return rewards_[static_cast<size_t>(row)]; }
  const std::vector<double>& rewards() const { return rewards_; }
  void Add(const int* action, double reward);
  void Remove(int row);
  void Clear();
  int Best() const;         // the first of the best; REQUIRES: not empty
  void KeepBest(int most);  // best first; among equals the earlier
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  size_t heads_;
  std::vector<int32_t> actions_;
  std::vector<double> rewards_;
};

// Draws and changes points of one environment in its present state.
class PointPicker {
 public:
  PointPicker(const Environment& environment, const SeenPoints& seen, engine::Rng& rng);

  const Environment& environment() const { return environment_; }
  const std::vector<int>& sizes() const { return sizes_; }
  int heads() const { return static_cast<int>(sizes_.size()); }
  engine::Rng& rng() { return rng_; }
  int Below(int n) { return static_cast<int>(rng_.Below(static_cast<uint32_t>(n))); }

  // Choices of a head under the masks, given the choices before it: sizes()[head] bytes, 0 forbids;
  // valid until the next call. REQUIRES: the choices before it are allowed.
  const uint8_t* HeadMask(int head, const int* action);
  // Whether masks and Admissible allow a whole point. Free of charge.
  bool Allowed(const int* action);
  bool Seen(const int* action) const { return seen_.Has(PointNumber(sizes_, action)); }
  bool SeenReward(const int* action, double* reward) const {
    return seen_.Find(PointNumber(sizes_, action), reward);
  }

  // A random allowed point: uniform over all of them where one draw in some hundred is allowed,
  // else head after head under the masks. False: found none; what stands there obeys the masks.
  bool Draw(int* action);
  // The same, unseen if a few draws find one (else false).
  bool DrawNew(int* action);
  // Changes one head to another choice, so that the point is allowed and unseen; more heads where
  // no such neighbour is found; at last any point. False: nothing new was found.
  bool Mutate(int* action);
  // All allowed points that differ from `action` in one head, seen or not, row after row.
  void Neighbours(const int* action, std::vector<int>* rows);
  // Makes a point obey the masks: each head takes the nearest choice allowed.
  void Settle(int* action);

 private:
  const Environment& environment_;
  const SeenPoints& seen_;
  engine::Rng& rng_;
  const std::vector<int>& sizes_;
  std::vector<int> offsets_;
  std::vector<uint8_t> static_mask_, head_mask_;  // static_mask_ empty: none
  bool prefix_ = false;                           // the environment masks by prefix
  int most_ = 1;                                  // choices of the largest head
};

}  // namespace rhnas::rl
