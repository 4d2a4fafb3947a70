// One iteration of the joint search told with its numbers (rhnas search --trace): a weight step,
// the architecture step after it, a round of the accelerator's agent, and what the search makes of
// it. Each line carries the number of its equation in docs/WALKTHROUGH.md and who computes it.
//
// Nothing of it moves the search: what is random is drawn again from copies of the generators, what
// the agent does is watched from outside. Same seed, same bits, told or not.
#pragma once

#include <string>
#include <vector>

#include "engine/random.h"
#include "engine/status.h"
#include "engine/tape.h"
#include "nn/supernet.h"
#include "rl/environment.h"
#include "rl/reinforce.h"
#include "search/slot_costs.h"

namespace rhnas::search {

// Receives the lines, each without its end.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void Line(const std::string& text) = 0;
};

// A heading; a line "(12) what  numbers   [file Function]".
void TraceHeading(TraceSink& sink, const std::string& title);
void TraceLine(TraceSink& sink, int equation, const char* where, const std::string& text);

// The architecture parameters of all searchable slots, at some moment.
using LogitValues = std::vector<std::vector<float>>;
LogitValues ValuesOf(const std::vector<engine::Parameter*>& parameters);
LogitValues GradientsOf(const std::vector<engine::Parameter*>& parameters);

// What an architecture step did, gathered while it happens.
struct ArchTrace {
  engine::Rng rng{0};  // as it was before the pass
  double temperature = 0, lambda = 0, task = 0, cost = 0, loss = 0;
  float gradient_norm = 0, clip = 0, rate = 0;
  LogitValues before, gradient, stepped, after;
  LogitValues probability;  // of the active candidates
};
// costs, scale: what the step used.
void TellArchStep(TraceSink& sink, const nn::Space& space, const nn::ArchPass& pass,
                  const ArchTrace& trace, const SlotCosts& costs, const CostScale& scale);

// An environment that passes everything on and remembers the actions and what came of them.
class WatchedEnvironment : public rl::Environment {
 public:
  explicit WatchedEnvironment(rl::Environment& watched) : watched_(watched) {}
  struct Proposal {
    std::vector<int> action;
    rl::StepResult result;
  };
  const std::vector<Proposal>& proposals() const { return proposals_; }

  const std::vector<int>& action_sizes() const override { return watched_.action_sizes(); }
  int observation_size() const override { return watched_.observation_size(); }
  int states() const override { return watched_.states(); }
  void Reset(engine::Rng& rng) override { watched_.Reset(rng); }
  void Observe(float* observation) const override { watched_.Observe(observation); }
  int state() const override { return watched_.state(); }
  bool Mask(uint8_t* mask) const override { return watched_.Mask(mask); }
  bool MaskHead(int head, const int* action, uint8_t* mask) const override {
    return watched_.MaskHead(head, action, mask);
  }
  bool Admissible(const int* action) const override { return watched_.Admissible(action); }
  rl::StepResult Act(const int* action, engine::Rng& rng) override;
  int metrics() const override { return watched_.metrics(); }
  void Metrics(double* values) const override { watched_.Metrics(values); }
  bool MetricGoal(double* weight, double* limit) const override {
    return watched_.MetricGoal(weight, limit);
  }

 private:
  rl::Environment& watched_;
  std::vector<Proposal> proposals_;
};

// The probabilities of each head of a policy for what it observes; later heads see the greedy
// choices of those before them.
std::vector<std::vector<double>> HeadProbabilities(const rl::Environment& environment,
                                                   rl::Policy& policy, engine::Tape& tape);

}  // namespace rhnas::search
