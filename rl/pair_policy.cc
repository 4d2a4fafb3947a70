#include "rl/pair_policy.h"

#include <algorithm>

#include "engine/check.h"
#include "rl/double_math.h"

namespace rhnas::rl {

PairPolicy::PairPolicy(const std::vector<int>& sizes) : sizes_(sizes) {
  int most = 1;
  for (int size : sizes_) {
    offsets_.push_back(total_);
    total_ += size;
    most = std::max(most, size);
  }
  logits_.assign(static_cast<size_t>(total_ + 1) * static_cast<size_t>(total_), 0);
  gradient_ = logits_;
  probabilities_.resize(static_cast<size_t>(most));
}

void PairPolicy::Head(size_t head, const int* action, const uint8_t* mask) {
  const size_t size = static_cast<size_t>(sizes_[head]);
  const size_t offset = static_cast<size_t>(offsets_[head]);
  double most = -1e300;
  for (size_t c = 0; c < size; ++c) {
    double logit = logits_[offset + c];
    for (size_t j = 0; j < head; ++j) logit += Pair(j, action[j])[offset + c];
    probabilities_[c] = logit;
    if (mask[c] != 0) most = std::max(most, logit);
  }
  double sum = 0;
  for (size_t c = 0; c < size; ++c) {
    probabilities_[c] = mask[c] != 0 ? Exp(probabilities_[c] - most) : 0;
    sum += probabilities_[c];
  }
  // No choice allowed: the first, whatever it leads to.
  if (sum <= 0) probabilities_[0] = sum = 1;
  for (size_t c = 0; c < size; ++c) probabilities_[c] /= sum;
}

void PairPolicy::Sample(PointPicker& picker, int* action, PairBatch* batch) {
  for (size_t head = 0; head < sizes_.size(); ++head) {
    const uint8_t* mask = picker.HeadMask(static_cast<int>(head), action);
    const int size = sizes_[head];
    Head(head, action, mask);
    batch->masks.insert(batch->masks.end(), mask, mask + size);
    double left = static_cast<double>(picker.rng().Uniform());
    int choice = -1;
    for (int c = 0; c < size; ++c) {
      const double p = probabilities_[static_cast<size_t>(c)];
      if (p <= 0) continue;
      choice = c;  // the last one possible takes what rounding leaves
      left -= p;
      if (left < 0) break;
    }
    action[head] = std::max(choice, 0);
  }
  batch->actions.insert(batch->actions.end(), action, action + sizes_.size());
}

void PairPolicy::Append(PointPicker& picker, const int* action, PairBatch* batch) const {
  for (size_t head = 0; head < sizes_.size(); ++head) {
    const uint8_t* mask = picker.HeadMask(static_cast<int>(head), action);
    batch->masks.insert(batch->masks.end(), mask, mask + sizes_[head]);
  }
  batch->actions.insert(batch->actions.end(), action, action + sizes_.size());
}

void PairPolicy::Greedy(PointPicker& picker, int* action) {
  for (size_t head = 0; head < sizes_.size(); ++head) {
    Head(head, action, picker.HeadMask(static_cast<int>(head), action));
    action[head] = static_cast<int>(
        std::max_element(probabilities_.begin(), probabilities_.begin() + sizes_[head]) -
        probabilities_.begin());
  }
}

double PairPolicy::LogProbability(const int* action, const uint8_t* masks) {
  double sum = 0;
  for (size_t head = 0; head < sizes_.size(); ++head) {
    Head(head, action, masks + offsets_[head]);
    sum += Log(std::max(probabilities_[static_cast<size_t>(action[head])], 1e-300));
  }
  return sum;
}

void PairPolicy::Update(const PairBatch& batch, const PairUpdate& update) {
  const size_t heads = sizes_.size(), total = static_cast<size_t>(total_);
  const size_t rows = batch.advantages.size();
  RHNAS_CHECK(batch.actions.size() == rows * heads && batch.masks.size() == rows * total,
              "%zu advantages for %zu choices of %zu heads", rows, batch.actions.size(), heads);
  std::vector<double> before(rows);
  for (size_t row = 0; row < rows; ++row) {
    before[row] = LogProbability(&batch.actions[row * heads], &batch.masks[row * total]);
  }
  for (int epoch = 0; epoch < update.epochs; ++epoch) {
    std::fill(gradient_.begin(), gradient_.end(), 0.0);
    for (size_t row = 0; row < rows; ++row) {
      const int* action = &batch.actions[row * heads];
      const uint8_t* masks = &batch.masks[row * total];
      const double advantage = batch.advantages[row];
      const double ratio =
          epoch == 0 ? 1 : Exp(std::min(LogProbability(action, masks) - before[row], 50.0));
      // Beyond the clip the objective is flat.
      if (advantage > 0 ? ratio > 1 + update.clip : ratio < 1 - update.clip) continue;
      const double weight = ratio * advantage / static_cast<double>(rows);
      for (size_t head = 0; head < heads; ++head) {
        Head(head, action, masks + offsets_[head]);
        for (int c = 0; c < sizes_[head]; ++c) {
          const size_t at = static_cast<size_t>(offsets_[head] + c);
          const double slope =
              weight * ((c == action[head] ? 1 : 0) - probabilities_[static_cast<size_t>(c)]);
          gradient_[at] += slope;
          for (size_t j = 0; j < head; ++j) {
            gradient_[static_cast<size_t>(1 + offsets_[j] + action[j]) * total + at] += slope;
          }
        }
      }
    }
    for (size_t i = 0; i < logits_.size(); ++i) logits_[i] += update.step * gradient_[i];
  }
  for (double& logit : logits_) logit *= 1 - update.decay;
}

void PairPolicy::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.PutVector(prefix + "logits", logits_);
}

void PairPolicy::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  std::vector<double> logits;
  archive.GetVector(prefix + "logits", &logits);
  if (logits.size() == logits_.size()) logits_ = logits;
}

}  // namespace rhnas::rl
