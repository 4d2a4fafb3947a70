#include "rl/q_learning.h"

namespace rhnas::rl {

const char* QLearning::name() const { return "qlearning"; }

double QLearning::Worth(const double* values, const uint8_t* mask, int size, int /*choice*/) const {
  return BestValue(values, mask, size);
}

}  // namespace rhnas::rl
