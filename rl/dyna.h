// Model-based policy optimisation for one-step design problems where an evaluation is dear, after
// DyNA-PPO (Angermueller et al., "Model-based reinforcement learning for biological sequence
// design", ICLR 2020): between two evaluations the policy is trained by proximal policy
// optimisation on what a learned model says of its own proposals, and the model is used only while
// it predicts well what is evaluated next.
//
// Here, in their place of an ensemble of regressors: a Gaussian process of the reward over the
// heads' ordinal choices (rl/gaussian_process.h), which is exact on some hundred points; the
// policy's reward is its expected improvement. Where proposals failed, a second process, of
// validity, multiplies that by the probability that a design can be built. The policy is
// autoregressive, with masks by prefix (rl/pair_policy.h). The best of its proposals is improved
// head by head on the model before it is evaluated, and nothing known is proposed again.
//
// Another observation means another problem (another network): what was learned stays in the model,
// with its age in problems as one more ordinal, whose length scale tells how much of it carries
// over. Cost stays bounded: at most kMostKept evaluations are modelled (those of this problem, the
// best and the latest first), some hundred proposals looked at.
#pragma once

#include "rl/black_box.h"
#include "rl/gaussian_process.h"
#include "rl/pair_policy.h"

namespace rhnas::rl {

struct DynaOptions {
  // The ablation: uniform draws and neighbours alone look for what the model expects most of.
  static DynaOptions WithoutPolicy();

  int first = 8;        // evaluations before the first model, at most:
  int first_share = 4;  // one in so many of the budget
  int rounds = 3;       // policy updates on the model between evaluations; 0: no policy
  int proposals = 24;   // of each round
  int anywhere = 64;    // uniform draws that are looked at as well
  int climbs = 6;       // steps from the best proposal to its best neighbour
  int judged = 16;      // predictions that the model is judged by
  PairUpdate on_model;  // of the policy, by the model's word
  PairUpdate on_truth{1, 0.5, 0.2, 0.0};  // and after each evaluation
};

class Dyna : public BlackBox {
 public:
  static constexpr int kMostKept = 128;
  static constexpr int kMostProblems = 16;

  Dyna(const AgentOptions& options, const Environment& environment, const DynaOptions& dyna = {});

  // The policy's own argmax, head after head under the masks offered; Greedy is the best point
  // found.
  std::vector<int> Proposal(const Environment& environment) override;
  // Whether the model predicted the last evaluations better than the mean of what could be built
  // for the present problem would have.
  bool trusts_model() const;

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  void Forget();  // of the kept one too many
  void Model();
  // What the model expects to gain by evaluating a point of the present problem.
  double Gain(const int* action);
  // Trains the policy on the model; false: it found nothing unseen.
  bool Imagine(PointPicker& picker, int* action);

  DynaOptions dyna_;
  int heads_, first_;
  PairPolicy policy_;
  GaussianProcess reward_, validity_;
  PointStore kept_;  // one more head: problems ago
  std::vector<uint8_t> valid_;
  int learned_at_ = 0;        // evaluations kept when the length scales were learned
  bool some_failed_ = false;  // the model of validity counts
  double target_ = 0;         // best reward of this problem as the model sees it
  bool predicted_ = false;    // the point of the last Ask, with
  double prediction_ = 0;
  std::vector<double> predictions_, outcomes_;  // the last ones, oldest first
  std::vector<int> row_;                        // a point with its age
  PairBatch batch_;
};

}  // namespace rhnas::rl
