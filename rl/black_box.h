// What the rivals that search the points of a one-step problem have in common: they are asked for
// one point after another and told what it was worth. REQUIRES of the environment: every episode is
// one step (of longer ones, only the first step counts).
//
// A rival's search stands in Ask and Tell; the base keeps what was seen and the best of it, obeys
// masks whatever Ask says, and notices by the observation that the problem is another one now.
#pragma once

#include "rl/agent.h"
#include "rl/points.h"

namespace rhnas::rl {

class BlackBox : public Agent {
 public:
  BlackBox(const char* name, const AgentOptions& options, const Environment& environment);

  const char* name() const override { return name_; }
  // Proposes up to AgentOptions::batch points, one after another.
  RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) override;
  // The best point so far (before the first: the first point that the masks allow).
  std::vector<int> Greedy(const Environment& environment) override;
  // The search found nothing new to propose for some time; rounds then only repeat the best.
  bool Done() const override { return repeats_ >= kMostRepeats; }
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

 protected:
  // Fills the next point to propose.
  virtual void Ask(PointPicker& picker, int* action) = 0;
  // The result of a point, that of the last Ask or the best point proposed anew.
  virtual void Tell(PointPicker& picker, const int* action, const StepResult& result) = 0;
  // Another network: rewards of before may not hold. The best point is proposed anew first.
  virtual void ProblemChanged() {}
  virtual void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const = 0;
  virtual void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) = 0;

  // The best in all, for Ask; REQUIRES: told() > 0.
  const std::vector<int>& best_action() const { return best_action_; }
  double best_reward() const { return best_reward_; }
  int64_t told() const { return told_; }
  // Proposals that the whole search may take; 0: not known.
  int64_t budget() const { return budget_; }

 private:
  // Each proposal has looked for a new point some dozens of times before it repeats one.
  static constexpr int kMostRepeats = 16;
  bool NoteObservation(const Environment& environment);

  const char* name_;
  int64_t batch_, budget_;
  std::vector<float> observation_;
  SeenPoints seen_;
  std::vector<int> best_action_;  // empty before the first
  double best_reward_ = 0;
  int64_t told_ = 0;
  int repeats_ = 0;          // known points in a row
  bool best_again_ = false;  // the best is to be proposed anew
};

}  // namespace rhnas::rl
