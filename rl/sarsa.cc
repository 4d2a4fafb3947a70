#include "rl/sarsa.h"

namespace rhnas::rl {

const char* Sarsa::name() const { return "sarsa"; }

double Sarsa::Worth(const double* values, const uint8_t* /*mask*/, int /*size*/, int choice) const {
  return values[choice];
}

const char* ExpectedSarsa::name() const { return "expected-sarsa"; }

double ExpectedSarsa::Worth(const double* values, const uint8_t* mask, int size,
                            int /*choice*/) const {
  double sum = 0;
  int allowed = 0;
  for (int i = 0; i < size; ++i) {
    if (mask[i] == 0) continue;
    sum += values[i];
    ++allowed;
  }
  const double epsilon = Epsilon();
  return (1 - epsilon) * BestValue(values, mask, size) + epsilon * sum / allowed;
}

}  // namespace rhnas::rl
