// Factorised categorical distributions over multi-discrete actions: one softmax a head over its
// slice of a row of logits; log-probability and entropy are sums over heads. A mask (bytes laid out
// like the logits, 0 forbids) renormalises each head over what is allowed: a forbidden choice has
// probability exactly 0 and its logit gradient exactly 0, and the entropy is that of the
// renormalised distribution (Huang and Ontanon, "A closer look at invalid action masking in policy
// gradient algorithms", 2020).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ops.h"
#include "engine/random.h"

namespace rhnas::rl {

// Where each head lies in a row of logits.
struct HeadLayout {
  explicit HeadLayout(const std::vector<int>& action_sizes);
  std::vector<int> sizes, offsets;
  int total = 0;
  int heads() const { return static_cast<int>(sizes.size()); }
};

// Draws one choice a head by the Gumbel-max trick: argmax of logit + standard Gumbel has the
// softmax probabilities. mask: `total` bytes or null. One draw a choice, allowed or not, so that
// the stream does not depend on the mask.
void SampleAction(const HeadLayout& layout, const float* logits, const uint8_t* mask,
                  engine::Rng& rng, int* action);
// One head of it: logits and mask (or null) of that head alone. rng null: the most probable choice,
// the first among equals. REQUIRES: some choice is allowed.
int ChooseHead(const float* logits, int size, const uint8_t* mask, engine::Rng* rng);
// The most probable choice of each head; the first among equals.
void GreedyAction(const HeadLayout& layout, const float* logits, const uint8_t* mask, int* action);

// What a loss needs to know of actions taken.
struct ActionTerms {
  engine::Var log_prob;  // [rows]
  engine::Var entropy;   // scalar: mean over rows of the sum over heads, nats
};
// logits [rows, total]; masks: rows x total bytes or null; actions: rows x heads.
// REQUIRES: every action allowed by its mask.
ActionTerms EvaluateActions(engine::Tape& tape, const HeadLayout& layout, engine::Var logits,
                            const uint8_t* masks, const int32_t* actions);

}  // namespace rhnas::rl
