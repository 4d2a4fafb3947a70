// Gumbel-softmax relaxation of the choices of a one-step problem, in the form of Auto-NBA (Fu et
// al., ICML 2021, arXiv 2106.06575; released code, analytical_prediction.py): one logit a choice,
// hard one-hot Gumbel samples, and
//
//   loss = cost(sample) x product over heads of ((1 - p).detach() + p)
//
// where p is the relaxed probability of the sampled choice (rl/relaxed_choice.h): the value is the
// cost, the gradient cost x dp (straight-through). An invalid sample is dropped without a gradient.
// The best sample is kept; the answer of the method itself, the argmax of the logits, is submitted
// once a batch and as the last of the budget.
//
// Three settings. Published: Adam at 1e-7 on logits that start at 1e-3; in its 2,000 steps no logit
// moves by more than 2e-4, so it is random search. Uncentred: the same loss at a rate that moves
// the logits. A cost is positive, so every valid sample pushes its own choices away and invalid
// ones never do: the logits drift to where nothing can be built, at every rate that was tried.
// Tuned: costs less their moving average, which the published form does not have and which makes it
// follow its samples as REINFORCE does. The cost here is that of the design relative to the
// reference's, exp(-reward).
#pragma once

#include "engine/optimizer.h"
#include "rl/black_box.h"
#include "rl/categorical.h"

namespace rhnas::rl {

struct RelaxationOptions {
  const char* name = "relaxation";
  // Of Adam; 0: 10 / the samples with a gradient that the budget will have at the share so far, at
  // most 0.3: of five rates from 0.003 to 0.3 near the best where invalid samples are met. Behind
  // masks the uncentred form is the better one (docs/REPRODUCE.md).
  float learning_rate = 0;
  float logit_start = 0;
  // Of the relaxed probabilities: geometric from first to last over the budget (500 samples when
  // none is given). Which choice is sampled does not depend on it.
  float temperature_first = 2, temperature_last = 0.5f;
  bool centred = true;  // subtract the moving average of the costs

  static RelaxationOptions Published();
  static RelaxationOptions Uncentred();
};

class Relaxation : public BlackBox {
 public:
  Relaxation(const AgentOptions& options, const RelaxationOptions& relaxation,
             const Environment& environment, engine::ThreadPool& pool);

  // Whatever was seen before: repeated samples have gradients, too.
  bool Done() const override { return false; }
  // The argmax of the logits; of masks only static ones are obeyed.
  std::vector<int> Proposal(const Environment& environment) override;

  const float* logits() const { return logits_.value.data(); }

 private:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;
  void Sample(PointPicker& picker, int* action);

  RelaxationOptions relaxation_;
  int64_t argmax_every_, horizon_;
  engine::ThreadPool& pool_;
  HeadLayout layout_;
  engine::Parameter logits_;
  engine::Adam adam_;
  // Of the last sample; not sampled_: what is told next was the argmax.
  std::vector<float> perturbed_;
  std::vector<uint8_t> masks_;
  bool sampled_ = false;
  // Sums of the moving average of costs and of its weights.
  double cost_sum_ = 0, cost_weight_ = 0;
  int64_t learned_ = 0;  // samples with a gradient
};

}  // namespace rhnas::rl
