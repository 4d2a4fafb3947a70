// Runs an agent on an environment of one's own: six dials of ten positions, of which two must
// agree.
//   make && c++ -std=c++17 -O2 -I. examples/agent.cc build/librhnas.a -pthread && ./a.out
#include <cstdio>

#include "rl/agent.h"

namespace {

class Dials : public rhnas::rl::Environment {
 public:
  const std::vector<int>& action_sizes() const override { return sizes_; }
  void Reset(rhnas::engine::Rng& /*rng*/) override {}
  rhnas::rl::StepResult Act(const int* dials, rhnas::engine::Rng& /*rng*/) override {
    rhnas::rl::StepResult step;
    step.terminal = true;                 // one proposal, one reward
    step.valid = dials[0] == dials[5];    // what cannot be built ..
    step.reward = step.valid ? 0 : -500;  // .. is below everything that can
    for (int i = 0; i < 6 && step.valid; ++i) step.reward -= (dials[i] - 4) * (dials[i] - 4);
    if (best.empty() || step.reward > best_reward) best.assign(dials, dials + 6);
    if (step.reward > best_reward) best_reward = step.reward;
    return step;
  }
  std::vector<int> best;
  double best_reward = -1000;

 private:
  std::vector<int> sizes_ = std::vector<int>(6, 10);
};

}  // namespace

int main() {
  using namespace rhnas;
  Dials dials;
  engine::ThreadPool pool(1);
  engine::Rng rng(1);
  rl::AgentOptions options;
  options.name = "dyna";  // or any of rl::AgentNames()
  options.budget = 150;   // of the million settings
  const engine::Result<std::unique_ptr<rl::Agent>> agent = rl::MakeAgent(options, dials, pool);
  if (!agent.ok()) return std::puts(agent.status().message().c_str()), 1;
  for (int64_t used = 0; used < options.budget;) {
    used += (*agent)->Round(dials, options.budget - used, rng).steps;
  }
  for (const int dial : dials.best) std::printf("%d ", dial);
  std::printf("reward %g, best possible 0\n", dials.best_reward);
  return dials.best_reward > -20 ? 0 : 1;
}
