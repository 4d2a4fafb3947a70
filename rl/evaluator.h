// Search through a learned evaluator, after DANCE (Choi et al., DAC 2021, arXiv 2009.06237): random
// points first; then, round after round, the evaluator network is trained on every valid point
// evaluated so far, gradients descend through it on relaxed choices (rl/relaxed_descent.h), and the
// argmax of every restart is submitted. What is invalid has no metrics and is absent from training.
// Options: EDD's barrier and HDX's projection for limits of metrics (rl/relaxed_goal.h).
//
// One-step problems. Of an environment that says how its reward follows from its metrics these are
// learned, else the reward. A restart whose argmax was submitted before draws from its relaxed
// choices instead, so that no round repeats the last (our addition, in the method's favour).
#pragma once

#include "rl/agent.h"
#include "rl/best_found.h"
#include "rl/evaluator_network.h"
#include "rl/relaxed_descent.h"

namespace rhnas::rl {

struct EvaluatorOptions {
  const char* name = "evaluator";
  EvaluatorNetworkOptions network;
  EvaluatorTraining training;
  DescentOptions descent;
  double barrier_weight = 0, barrier_base = 50;  // EDD's beta and C
  // Share of the budget for random points, and how many there are where no budget is given. Goes on
  // until kFewestRows of them were valid.
  double random_share = 0.25;
  int random_points = 64;

  static EvaluatorOptions Edd();
  static EvaluatorOptions Hdx();
};

class Evaluator : public Agent {
 public:
  static constexpr int kFewestRows = 8;

  Evaluator(const AgentOptions& options, const EvaluatorOptions& evaluator,
            const Environment& environment, engine::ThreadPool& pool);

  const char* name() const override { return evaluator_.name; }
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  std::vector<int> Greedy(const Environment& environment) override {
    return best_.Action(environment);
  }
  // The best restart's argmax, in the evaluator's opinion, of the last descent.
  std::vector<int> Proposal(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

  const EvaluatorData& data() const { return data_; }
  const engine::Tape& tape() const { return tape_; }

 private:
  // Starts anew where the observation is another one; what was learned of networks stays.
  void Observe(const Environment& environment);
  void Submit(Environment& environment, const int* action, engine::Rng& rng, RoundStats* stats);
  bool Known(const int* action) const;
  // Uniform among what is allowed.
  void Draw(const Environment& environment, const uint8_t* mask, engine::Rng& rng,
            int* action) const;
  void Design(Environment& environment, int64_t most, const uint8_t* mask, engine::Rng& rng,
              RoundStats* stats);

  AgentOptions options_;
  EvaluatorOptions evaluator_;
  HeadLayout layout_;
  bool by_metrics_;
  int outputs_;
  engine::Tape tape_;
  engine::Rng init_;  // before network_: its start is drawn from it
  EvaluatorNetwork network_;
  EvaluatorTrainer trainer_;
  EvaluatorData data_;
  RelaxedDescent descent_;
  BestFound best_;
  std::vector<float> observation_;
  std::vector<uint64_t> known_;  // hashes of the actions submitted for this observation, sorted
  std::vector<int> proposal_;    // empty before the first descent
  std::vector<double> metrics_;
  int64_t steps_ = 0;
};

}  // namespace rhnas::rl
