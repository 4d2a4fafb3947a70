// One head's choice made continuous: Gumbel-softmax (Jang, Gu and Poole 2017; Maddison, Mnih and
// Teh 2017), softmax((logits + Gumbel) / T), and its gradients. `perturbed` are logits plus Gumbel
// draws; mask: `size` bytes or null, 0 forbids: a forbidden choice has exactly 0 and no gradient.
#pragma once

#include <cstdint>

namespace rhnas::rl {

// Finite for any temperature > 0. p may be `perturbed`.
void RelaxChoice(const float* perturbed, const uint8_t* mask, int size, float temperature,
                 float* p);

// From the gradient with respect to p to that with respect to the logits, p_i (dp_i - <p, dp>) / T.
// dlogits may be dp.
void RelaxChoiceBackward(const float* p, const float* dp, int size, float temperature,
                         float* dlogits);

// Gradient of cost x ((1 - p).detach() + p) of the sampled choice, whose value is the cost:
// cost p_choice (onehot - p) / T. Returns p_choice.
float StraightThroughGradient(const float* perturbed, const uint8_t* mask, int size, int choice,
                              float temperature, float cost, float* dlogits);

}  // namespace rhnas::rl
