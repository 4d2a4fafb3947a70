// What a comparison says: a table for people, JSON and CSV for machines, a picture.
#pragma once

#include <string>
#include <vector>

#include "search/compare.h"
#include "search/statistics.h"

namespace rhnas::search {

// One method over all seeds. Regret: objective / optimum - 1.
struct MethodSummary {
  const CompareMethod* method = nullptr;
  double regret_q1 = 0, regret_median = 0, regret_q3 = 0, regret_mean = 0;
  Interval to_best;  // of the difference of median regrets to the best method's, 95 %
  // Median over seeds of the evaluations until the regret was at most 1 %; infinite where half of
  // the seeds did not get there.
  double evaluations_to_1pct = 0;
  int reached_1pct = 0, reached_optimum = 0;  // seeds
  double share_valid = 0;                     // of all evaluations of all seeds
  int64_t proposals = 0, proposals_broken = 0;
  int proposed = 0;             // seeds after which the model proposed something
  int final_broken = 0;         // of them, those whose last proposal cannot be built or run
  std::string final_broken_by;  // "R1 3, R5 3"
  double hypervolume = 0;       // median
  double seconds = 0;           // mean of a run
};
// Best first: by median, then mean regret, then evaluations to 1 %, then as the methods came.
// REQUIRES: comparison.finished().
std::vector<MethodSummary> Summarise(const Comparison& comparison);

std::string ComparisonTable(const Comparison& comparison,
                            const std::vector<MethodSummary>& summaries);
std::string ComparisonJson(const Comparison& comparison,
                           const std::vector<MethodSummary>& summaries);
// A row for each improvement of each run, and one for its end.
std::string ComparisonCsv(const Comparison& comparison);
// Median regret over evaluations, both axes logarithmic, as SVG.
std::string ComparisonSvg(const Comparison& comparison,
                          const std::vector<MethodSummary>& summaries);

}  // namespace rhnas::search
