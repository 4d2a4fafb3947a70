// Network and accelerator in turn, each for the other's current best: RHNAS (arXiv 2106.09180, of
// which only the abstract is public text to us), and by its settings the searches of one side and
// the alternations whose hardware half is differentiable.
//
// Networks: NetworkSearch, with the layer table of the current accelerator, the best known one for
// the current network. Accelerators: an rl::Agent that proposes designs for the current network,
// the best one so far. What an evaluation teaches is used twice: a proposed design is paired with a
// proposed network, which tells the network's accuracy and makes the design's layer table known.
// Where table and accuracy together promise a better pair than any evaluated one, that pair is
// evaluated (claimed) next.
#pragma once

#include <memory>

#include "rl/agent.h"
#include "search/joint_methods.h"
#include "search/network_search.h"

namespace rhnas::search {

struct AlternationOptions {
  bool networks = true, designs = true;
  // Networks on the default accelerator for the first half of the budget, then designs for the best
  // of them; else both from the start.
  bool one_after_the_other = false;
  NetworkSearch::Form form = NetworkSearch::Form::kExpectedImprovement;
  rl::AgentOptions agent;  // of the designs
};

// One step: propose a design for a network.
class DesignView : public rl::Environment {
 public:
  // Called for a design whose layer table is not known yet: spends one evaluation on it, so that it
  // is, if it can be built.
  struct Evaluator {
    virtual ~Evaluator() = default;
    virtual void Evaluate(int64_t point) = 0;
  };
  // observed: the network is told. Of nb201 at 200 evaluations and 10 seeds, rhnas then finds the
  // optimum with 10 instead of 7 (cifar100), 4 instead of 3 (imagenet16); diff-dance, whose learned
  // evaluator takes it as an input, does worse on tiny, so the differentiable rivals go without.
  DesignView(JointEnvironment& joint, Evaluator& evaluator, bool observed);

  // Designs are judged by this network from now on, relative to the default accelerator. False, and
  // nothing changes: it does not run there.
  bool SetNetwork(const std::vector<int>& network);

  const std::vector<int>& action_sizes() const override { return sizes_; }
  // The network judged by, a one for each choice, by which agents notice another one.
  int observation_size() const override { return observation_; }
  void Observe(float* observation) const override;
  void Reset(engine::Rng& /*rng*/) override {}
  bool Mask(uint8_t* mask) const override;
  bool MaskHead(int head, const int* action, uint8_t* mask) const override;
  bool Admissible(const int* action) const override;
  rl::StepResult Act(const int* action, engine::Rng& rng) override;
  int metrics() const override { return 3; }
  void Metrics(double* values) const override;
  bool MetricGoal(double* weight, double* limit) const override;

 private:
  JointEnvironment& joint_;
  Evaluator& evaluator_;
  std::vector<int> sizes_, network_;
  int observation_ = 0;
  DesignCost reference_;
  double metrics_[3] = {0, 0, 0};
};

class Alternation : public JointMethod, private DesignView::Evaluator, private NetworkPricer {
 public:
  // Errors: of rl::MakeAgent.
  static engine::Result<std::unique_ptr<JointMethod>> Make(const AlternationOptions& options,
                                                           const JointMethodOptions& method,
                                                           JointEnvironment& joint,
                                                           engine::ThreadPool& pool);
  void Step(int64_t max_evaluations) override;
  bool Proposal(std::vector<int>* network, int64_t* point) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  Alternation(const AlternationOptions& options, const JointMethodOptions& method,
              JointEnvironment& joint);
  void Evaluate(int64_t point) override;
  bool LogObjective(const int* network, double* log_objective) const override;
  bool SearchesDesigns() const;
  std::vector<int> NextNetwork();
  std::vector<int> LeadingNetwork() const;
  void Learn(const std::vector<int>& network, int64_t point);
  void NetworkTurn();
  void Claim();
  void Follow();

  AlternationOptions options_;
  int64_t budget_;
  JointEnvironment& joint_;
  engine::Rng rng_;
  NetworkSearch networks_;
  DesignView view_;
  std::unique_ptr<rl::Agent> agent_;
  std::vector<int> current_network_;
  int64_t current_point_ = JointProblem::kDefault;
  // The least objective of an accurate network on the current design by its table, claimed or not,
  // since the last Follow.
  double promised_ = 0;
  size_t followed_ = 0;  // known accelerators when Follow last looked at them
  int64_t end_ = 0;      // evaluations that this step may reach
};

}  // namespace rhnas::search
