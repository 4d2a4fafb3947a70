#include "rl/relaxed_choice.h"

#include <cmath>

#include "engine/math.h"

namespace rhnas::rl {

void RelaxChoice(const float* perturbed, const uint8_t* mask, int size, float temperature,
                 float* p) {
  float top = -INFINITY, sum = 0;
  for (int i = 0; i < size; ++i) {
    if ((mask == nullptr || mask[i] != 0) && perturbed[i] > top) top = perturbed[i];
  }
  for (int i = 0; i < size; ++i) {
    p[i] = mask == nullptr || mask[i] != 0 ? engine::Exp((perturbed[i] - top) / temperature) : 0;
    sum += p[i];
  }
  for (int i = 0; i < size; ++i) p[i] /= sum;
}

void RelaxChoiceBackward(const float* p, const float* dp, int size, float temperature,
                         float* dlogits) {
  float inner = 0;
  for (int i = 0; i < size; ++i) inner += p[i] * dp[i];
  for (int i = 0; i < size; ++i) dlogits[i] = p[i] * (dp[i] - inner) / temperature;
}

float StraightThroughGradient(const float* perturbed, const uint8_t* mask, int size, int choice,
                              float temperature, float cost, float* dlogits) {
  RelaxChoice(perturbed, mask, size, temperature, dlogits);
  const float p = dlogits[choice], factor = cost * p / temperature;
  for (int i = 0; i < size; ++i) dlogits[i] *= -factor;
  dlogits[choice] += factor;
  return p;
}

}  // namespace rhnas::rl
