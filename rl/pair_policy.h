// A policy for proposing whole designs in the smallest form that is autoregressive: the logit of a
// choice is a bias plus one number for each choice made before it,
//
//   logit(head i takes c | a) = bias[i][c] + sum over heads j < i of pair[j][a_j][i][c],
//
// the fully visible belief network of Neal (1992) with a softmax over each head's choices. No
// network and no tape: an update costs microseconds, so hundreds of them fit between two
// evaluations. Masks are honoured by prefix where the environment has such, see rl/points.h.
//
// Learns by proximal policy optimisation's clipped objective (Schulman et al. 2017) on one-step
// episodes. Thread rule: one search, one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "rl/points.h"

namespace rhnas::rl {

// Proposals and what became of them; rows of `heads` choices and `choices` mask bytes.
struct PairBatch {
  std::vector<int> actions;
  std::vector<uint8_t> masks;
  std::vector<double> advantages;
  int rows() const { return static_cast<int>(advantages.size()); }
  void Clear() {
    actions.clear();
    masks.clear();
    advantages.clear();
  }
};

struct PairUpdate {
  int epochs = 3;      // passes over the batch
  double step = 0.2;   // of gradient ascent
  double clip = 0.2;   // of the ratio of probabilities, new to old
  double decay = 0.3;  // share of every logit that is forgotten: what was good need not stay so
};

class PairPolicy {
 public:
  explicit PairPolicy(const std::vector<int>& sizes);

  int choices() const { return total_; }  // of all heads
  // Draws a point under the picker's masks and appends point and masks to the batch.
  void Sample(PointPicker& picker, int* action, PairBatch* batch);
  // Appends a point with the masks it would have been drawn under.
  void Append(PointPicker& picker, const int* action, PairBatch* batch) const;
  // The most probable choice, head after head.
  void Greedy(PointPicker& picker, int* action);
  // REQUIRES: as many advantages as rows.
  void Update(const PairBatch& batch, const PairUpdate& update);

  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  // Probabilities of a head's choices given the choices before it, into probabilities_.
  void Head(size_t head, const int* action, const uint8_t* mask);
  double LogProbability(const int* action, const uint8_t* masks);
  double* Pair(size_t head, int choice) {  // a row: logits that this choice adds
    return &logits_[static_cast<size_t>(1 + offsets_[head] + choice) * static_cast<size_t>(total_)];
  }

  std::vector<int> sizes_, offsets_;
  int total_ = 0;
  // Row 0: biases; row 1 + offset + choice: what that choice adds to the logits of later heads.
  std::vector<double> logits_;
  std::vector<double> gradient_, probabilities_;
};

}  // namespace rhnas::rl
