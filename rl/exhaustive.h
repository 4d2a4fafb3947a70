// Walks all points in order, the last head fastest; where masks are, only what they allow. The
// yardstick of the other rivals: right by construction, if one can wait.
#pragma once

#include "rl/black_box.h"

namespace rhnas::rl {

class Exhaustive : public BlackBox {
 public:
  // A problem of more points than these is refused by MakeAgent: at a microsecond each, a walk of
  // some tens of seconds.
  static constexpr int64_t kMost = int64_t{1} << 24;
  // Whether the environment has at most kMost points, allowed or not.
  static bool Enumerable(const Environment& environment);

  // REQUIRES: Enumerable(environment).
  Exhaustive(const AgentOptions& options, const Environment& environment);
  // Every allowed point was proposed; rounds then repeat the best.
  bool Done() const override { return done_; }

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  // Moves next_ to the first allowed point behind it; at the end says done.
  void Advance(PointPicker& picker);

  std::vector<int32_t> next_;  // the point to propose, when ready_
  bool ready_ = false, done_ = false;
};

}  // namespace rhnas::rl
