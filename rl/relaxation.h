// Gumbel-softmax relaxation of the choices of a one-step problem, in the form of Auto-NBA (Fu et
// al., ICML 2021, arXiv 2106.06575; released code, analytical_prediction.py): one logit a choice,
// hard one-hot Gumbel samples, and
//
//   loss = cost(sample) x product over heads of ((1 - p).detach() + p)
//
// where p is the relaxed probability of the sampled choice, softmax((logits + Gumbel) / T): the
// value is the cost, the gradient cost x dp (straight-through). An invalid sample is dropped
// without a gradient. The best sample is kept; the answer of the method itself, the argmax of the
// logits, is submitted at the end of every round.
//
// Three settings. Published: Adam at 1e-7 on logits that start at 1e-3; in its 2,000 steps no logit
// moves by more than 2e-4, so it is random search. Uncentred: the same loss at a rate that moves
// the logits. A cost is positive, so every valid sample pushes its own choices away and invalid
// ones never do: the logits drift to where nothing can be built, at any rate. Tuned: costs less
// their moving average, which the published form does not have and which makes it follow its
// samples as REINFORCE does. The cost here is that of the design relative to the reference's,
// exp(-reward).
#pragma once

#include "engine/optimizer.h"
#include "rl/agent.h"
#include "rl/best_found.h"

namespace rhnas::rl {

struct RelaxationOptions {
  const char* name = "relaxation";
  // Of Adam; 0: 40 / budget, at most 0.3 (the best of five rates on two networks at 129 and 500
  // evaluations, docs/REPRODUCE.md).
  float learning_rate = 0;
  float logit_start = 0;
  // Of the relaxed probabilities: geometric from first to last over the budget (kUnknownBudget
  // samples when none is given). Which choice is sampled does not depend on it.
  float temperature_first = 2, temperature_last = 0.5f;
  bool centred = true;  // subtract the moving average of the costs

  static RelaxationOptions Published();
  static RelaxationOptions Uncentred();
};

// Gradient of the loss with respect to one head's logits: cost times that of the relaxed
// probability of `choice`, p_choice (onehot - p) / T with p = softmax(perturbed / T), where
// `perturbed` are logits plus Gumbel draws. mask: `size` bytes or null. Returns p_choice.
float StraightThroughGradient(const float* perturbed, const uint8_t* mask, int size, int choice,
                              float temperature, float cost, float* gradient);

class Relaxation : public Agent {
 public:
  static constexpr int64_t kUnknownBudget = 500;

  Relaxation(const AgentOptions& options, const RelaxationOptions& relaxation,
             const Environment& environment, engine::ThreadPool& pool);

  const char* name() const override { return relaxation_.name; }
  // Samples with a step after each, then the argmax.
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  std::vector<int> Greedy(const Environment& environment) override {
    return best_.Action(environment);
  }
  std::vector<int> Proposal(const Environment& environment) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

  const float* logits() const { return logits_.value.data(); }

 private:
  void Sample(const uint8_t* mask, engine::Rng& rng);
  void Learn(double reward, const uint8_t* mask, RoundStats* stats);
  StepResult Submit(Environment& environment, engine::Rng& rng, RoundStats* stats);
  int64_t horizon() const { return options_.budget > 0 ? options_.budget : kUnknownBudget; }
  float Temperature() const;

  AgentOptions options_;
  RelaxationOptions relaxation_;
  engine::ThreadPool& pool_;
  HeadLayout layout_;
  engine::Parameter logits_;
  engine::Adam adam_;
  BestFound best_;
  std::vector<float> perturbed_;
  std::vector<int> action_;
  std::vector<int> submitted_;  // the argmax submitted last
  // Sums of the moving average of costs and of its weights.
  double cost_sum_ = 0, cost_weight_ = 0;
  int64_t samples_ = 0;
};

}  // namespace rhnas::rl
