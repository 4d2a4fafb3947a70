// CMA-ES on the unit cube, as NAAS searches accelerators (Lin, Yang and Han, "NAAS: neural
// accelerator architecture search", DAC 2021, arXiv 2105.13258): a parameter of k values takes
// value floor(k x), x in [0, 1), and samples that the rules forbid are drawn again until the
// generation is full.
//
// On top of NAAS: the full update of rl/covariance_adaptation.h; a sample whose point is known
// counts with its known reward, without an evaluation; no axis narrows below what still reaches the
// neighbouring values; and a search that proposes nothing new starts again at a random point with a
// larger generation (Auger and Hansen, "A restart CMA evolution strategy with increasing population
// size", CEC 2005).
#pragma once

#include "rl/black_box.h"
#include "rl/covariance_adaptation.h"

namespace rhnas::rl {

struct CmaEsOptions {
  double sigma = 0.4;   // of the unit cube: the tutorial's 0.3, wider since values are few
  double growth = 2;    // of the generation at a restart (Auger and Hansen)
  int stale = 2;        // restart after so many generations in a row without a new point
  double margin = 0.3;  // least deviation of an axis, in widths of a value
};

class CmaEs : public BlackBox {
 public:
  CmaEs(const AgentOptions& options, const Environment& environment, const CmaEsOptions& cma = {});
  const CovarianceAdaptation& core() const { return core_; }

 protected:
  void Ask(PointPicker& picker, int* action) override;
  void Tell(PointPicker& picker, const int* action, const StepResult& result) override;
  void ProblemChanged() override;
  void SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  // Draws x until its point is allowed; else any allowed point and the middle of its cell.
  void Draw(PointPicker& picker, int* action);
  // Takes x_ with its reward into the generation; a full one updates the core.
  void Count(PointPicker& picker, double reward, bool is_new);
  void Restart(PointPicker& picker);

  CmaEsOptions cma_;
  CovarianceAdaptation core_;
  std::vector<double> x_;           // the sample whose result is awaited
  std::vector<double> generation_;  // samples so far, row after row
  std::vector<double> rewards_;
  int new_ = 0, stale_ = 0;  // new points of this generation; generations without one
  bool asked_ = false, begun_ = false;
};

}  // namespace rhnas::rl
