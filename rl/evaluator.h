// Search through a learned evaluator, after DANCE (Choi et al., DAC 2021, arXiv 2009.06237): random
// points first; then, round after round, the evaluator network is trained on every valid point
// evaluated so far, gradients descend through it on relaxed choices (rl/relaxed_descent.h), and the
// argmax of every restart is submitted. What is invalid has no metrics and is absent from training.
// Options: EDD's barrier and HDX's projection for limits of metrics (rl/relaxed_goal.h).
//
// Of an environment that says how its reward follows from its metrics these are learned, else the
// reward. A restart whose argmax was submitted before (or is not admissible) draws from its relaxed
// choices instead, so that no round repeats the last: our addition, in the method's favour.
#pragma once

#include "rl/black_box.h"
#include "rl/evaluator_network.h"
#include "rl/relaxed_descent.h"

namespace rhnas::rl {

struct EvaluatorOptions {
  const char* name = "evaluator";
  EvaluatorNetworkOptions network;
  EvaluatorTraining training;
  DescentOptions descent;
  double barrier_weight = 0, barrier_base = 1;  // EDD's beta and C
  // Share of the budget for random points, and how many there are where no budget is given. Goes on
  // until kFewestRows of them were valid.
  double random_share = 0.25;
  int random_points = 64;

  static EvaluatorOptions Edd();
  static EvaluatorOptions Hdx();
};

class Evaluator : public BlackBox {
 public:
  static constexpr int kFewestRows = 8;

  Evaluator(const AgentOptions& options, const EvaluatorOptions& evaluator,
            const Environment& environment, engine::ThreadPool& pool);

  // The best restart's argmax, in the evaluator's opinion, of the last descent; of masks it obeys
  // only static ones. Empty before the first descent.
  std::vector<int> Proposal(const Environment& environment) override;

  const EvaluatorData& data() const { return data_; }
  engine::Tape& tape() { return tape_; }

 private:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override { next_ = evaluator_.descent.restarts; }
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;
  void Design(PointPicker& picker);

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
  int next_;  // row of the last descent that is submitted next
  bool designed_ = false;
  std::vector<float> observation_;
  std::vector<double> metrics_;
};

}  // namespace rhnas::rl
