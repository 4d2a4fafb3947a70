// Cyclic coordinate descent (Luenberger, "Linear and nonlinear programming", section 8.9), on
// discrete parameters: all values of one parameter are tried and the best kept, parameter after
// parameter in a random order, until a whole cycle brings nothing; then again from a random point.
#pragma once

#include "rl/black_box.h"

namespace rhnas::rl {

class CoordinateDescent : public BlackBox {
 public:
  CoordinateDescent(const AgentOptions& options, const Environment& environment);
  int64_t restarts() const { return restarts_; }

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  // The next unseen point of the descent; values known from before count without being proposed.
  // False: the descent ended.
  bool NextOfDescent(PointPicker& picker, int* action);
  void Consider(const int* action, double reward);

  std::vector<int32_t> center_, best_;  // of this line: from where, and the best on it
  std::vector<int32_t> order_;          // of the heads; empty: a descent is to start
  double best_reward_of_line_ = 0;
  bool started_ = false;      // center_ has a reward
  int turn_ = 0, value_ = 0;  // place in order_, next value of that head
  int quiet_ = 0;             // heads since the last gain
  int64_t restarts_ = 0;
};

}  // namespace rhnas::rl
