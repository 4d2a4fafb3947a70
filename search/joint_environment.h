// A joint problem as something to spend evaluations on: counts distinct pairs of network and
// accelerator, remembers the best, and is a one-step rl::Environment whose action is a network (one
// choice a decision), then a design (one index a parameter).
//
// One evaluation is one distinct pair asked, whether or not it can be built; repeats are answered
// from memory, free. An answer is accuracy and cost together; of a design that cannot be built it
// is nothing at all. Costs of a *known* accelerator (one that some evaluated pair was built on, and
// the default) may be looked up for any network: the layer table of the current accelerator that a
// differentiable search has. Of any other accelerator nothing is told without an evaluation.
//
// Reward of a pair that meets floor and limits: r = -log(objective / reference pair's), at least
// kWorstMeeting. Floor missed by s = (floor - accuracy) / floor: kWorstMeeting - 2 s / (s + 0.05),
// graded most finely near the floor; in [kWorstMeeting - 2, kWorstMeeting). Design that cannot be
// built or does not run the network: kWorstMissing - severity / 8, in [kWorstMissing - 1,
// kWorstMissing). Always finite.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/status.h"
#include "rl/environment.h"
#include "search/joint_problem.h"

namespace rhnas::search {

struct JointAnswer {
  bool runs = false;   // built, and the network runs: the rest is known
  bool meets = false;  // accuracy floor and area cap
  double accuracy = 0;
  DesignCost cost;
  double objective = 0;
};

// The best pair changed: the regret curve of a run.
struct JointImprovement {
  int64_t evaluations = 0;  // used when it was found
  JointPair pair;
};

class JointEnvironment : public rl::Environment {
 public:
  static constexpr double kWorstMeeting = -3, kWorstMissing = -5;

  // How rewards and masks treat designs that cannot be built: with `masks` the design's heads are
  // masked (static, and by prefix) and asking whether a design is admissible is free; without, all
  // is learned from penalties.
  // REQUIRES: the problem outlives this.
  explicit JointEnvironment(const JointProblem& problem, bool masks = true);

  const JointProblem& problem() const { return problem_; }
  const JointGoal& goal() const { return problem_.goal(); }
  bool masks() const { return masks_; }

  // One evaluation, unless this pair was asked before. point: of the space, or
  // JointProblem::kDefault.
  const JointAnswer& Ask(const int* network, int64_t point);
  // Whether the pair was asked before.
  bool Asked(const int* network, int64_t point) const;

  // Whether the accelerator's layer table is known, and its known points in order.
  bool Known(int64_t point) const { return known_.count(point) != 0; }
  const std::set<int64_t>& known() const { return known_; }
  // From the table of a known accelerator, free. False: the network does not run on it.
  // REQUIRES: Known(point).
  bool TableCost(const int* network, int64_t point, DesignCost* cost) const;
  bool TableChoices(const int* network, int64_t point, std::vector<DesignCost>* by_choice) const;

  // Whether the point is one of the problem's designs, or the default under the cap.
  bool Allowed(int64_t point) const;

  int64_t evaluations() const { return evaluations_; }
  int64_t buildable() const { return buildable_; }  // evaluations whose design runs the network
  // The best pair that meets the goal so far; the reference pair (known to all, free) until another
  // beats it. meets(): false while none does.
  bool meets() const { return meets_; }
  const JointPair& best() const { return best_; }
  double best_objective() const { return best_objective_; }
  const std::vector<JointImprovement>& improvements() const { return improvements_; }
  // Every pair asked, in order: network, point.
  const std::vector<std::pair<std::vector<int>, int64_t>>& history() const { return history_; }

  // How far a design that cannot be built misses the rules, 0 to 1; 1 where none is missed and the
  // network still does not run.
  double Shortfall(int64_t point) const;

  // Head after head, the last parameter of the space fastest.
  int64_t PointOf(const int* design) const;

  // rl::Environment
  const std::vector<int>& action_sizes() const override { return sizes_; }
  void Reset(engine::Rng& /*rng*/) override {}
  bool Mask(uint8_t* mask) const override;
  bool MaskHead(int head, const int* action, uint8_t* mask) const override;
  bool Admissible(const int* action) const override;
  rl::StepResult Act(const int* action, engine::Rng& rng) override;
  // Logarithms of latency, energy and area relative to the reference pair's, and of 1 / accuracy.
  int metrics() const override { return 4; }
  void Metrics(double* values) const override;
  bool MetricGoal(double* weight, double* limit) const override;

  // The list of pairs; Load asks them again.
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  engine::Status Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  double Reward(const JointAnswer& answer, int64_t point) const;
  void Start();

  const JointProblem& problem_;
  bool masks_;
  int decisions_;
  std::vector<int> sizes_;
  double reference_objective_ = 1;
  std::map<std::pair<std::vector<int>, int64_t>, JointAnswer> memo_;
  std::vector<std::pair<std::vector<int>, int64_t>> history_;
  std::set<int64_t> known_;
  int64_t evaluations_ = 0, buildable_ = 0;
  JointPair best_;
  double best_objective_ = 0;
  bool meets_ = false;
  std::vector<JointImprovement> improvements_;
  double metrics_[4] = {0, 0, 0, 0};
};

}  // namespace rhnas::search
