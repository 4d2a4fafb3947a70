#include "rl/categorical.h"

#include "engine/check.h"

namespace rhnas::rl {

using engine::Var;

HeadLayout::HeadLayout(const std::vector<int>& action_sizes) : sizes(action_sizes) {
  RHNAS_CHECK(!sizes.empty(), "an action needs at least one head, found %zu", sizes.size());
  for (int size : sizes) {
    RHNAS_CHECK(size >= 1, "a head of %d choices", size);
    offsets.push_back(total);
    total += size;
  }
}

int ChooseHead(const float* logits, int size, const uint8_t* mask, engine::Rng* rng) {
  int best = -1;
  float best_value = 0;
  for (int i = 0; i < size; ++i) {
    const float value = rng != nullptr ? logits[i] + rng->Gumbel() : logits[i];
    if (mask != nullptr && mask[i] == 0) continue;
    if (best < 0 || value > best_value) {
      best = i;
      best_value = value;
    }
  }
  RHNAS_CHECK(best >= 0, "every one of %d choices is masked", size);
  return best;
}

namespace {

void Choose(const HeadLayout& layout, const float* logits, const uint8_t* mask, engine::Rng* rng,
            int* action) {
  for (size_t head = 0; head < layout.sizes.size(); ++head) {
    const int at = layout.offsets[head];
    action[head] =
        ChooseHead(logits + at, layout.sizes[head], mask != nullptr ? mask + at : nullptr, rng);
  }
}

}  // namespace

void SampleAction(const HeadLayout& layout, const float* logits, const uint8_t* mask,
                  engine::Rng& rng, int* action) {
  Choose(layout, logits, mask, &rng, action);
}

void GreedyAction(const HeadLayout& layout, const float* logits, const uint8_t* mask, int* action) {
  Choose(layout, logits, mask, nullptr, action);
}

ActionTerms EvaluateActions(engine::Tape& tape, const HeadLayout& layout, Var logits,
                            const uint8_t* masks, const int32_t* actions) {
  const engine::Shape& shape = tape.shape(logits);
  RHNAS_CHECK(shape.last() == layout.total, "logits %s for heads of %d choices in all",
              shape.ToString().c_str(), layout.total);
  const int rows = static_cast<int>(shape.rows()), heads = layout.heads();
  std::vector<int32_t> index, taken(static_cast<size_t>(rows));
  std::vector<uint8_t> head_mask;
  Var log_prob, plogp;
  for (int head = 0; head < heads; ++head) {
    const int size = layout.sizes[static_cast<size_t>(head)];
    const int offset = layout.offsets[static_cast<size_t>(head)];
    index.clear();
    head_mask.clear();
    for (int row = 0; row < rows; ++row) {
      const int begin = row * layout.total + offset;
      for (int i = 0; i < size; ++i) {
        index.push_back(begin + i);
        if (masks != nullptr) head_mask.push_back(masks[begin + i]);
      }
      const int32_t choice = actions[row * heads + head];
      RHNAS_CHECK(choice >= 0 && choice < size && (masks == nullptr || masks[begin + choice] != 0),
                  "row %d head %d: choice %d of %d is not allowed", row, head, choice, size);
      taken[static_cast<size_t>(row)] = choice;
    }
    const uint8_t* mask = masks != nullptr ? head_mask.data() : nullptr;
    const Var slice = engine::Reshape(tape, engine::Gather(tape, logits, index.data(), rows * size),
                                      engine::Shape(rows, size));
    const Var log_p = engine::LogSoftmax(tape, slice, mask, rows);
    // Not exp(log p): softmax is exactly 0 where log-softmax gives a forbidden entry 0.
    const Var p = engine::Softmax(tape, slice, mask, rows);
    const Var picked = engine::Pick(tape, log_p, taken.data());
    const Var head_plogp = engine::Sum(tape, engine::Mul(tape, p, log_p));
    log_prob = head == 0 ? picked : engine::Add(tape, log_prob, picked);
    plogp = head == 0 ? head_plogp : engine::Add(tape, plogp, head_plogp);
  }
  return {log_prob, engine::Scale(tape, plogp, -1.0f / static_cast<float>(rows))};
}

}  // namespace rhnas::rl
