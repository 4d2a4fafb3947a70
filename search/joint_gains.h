// Where the gain over the default accelerator comes from, at equal accuracy, exactly: what the best
// accelerator gives the reference network, what the best network of at least the reference's
// accuracy gives on the default accelerator, what both give together.
//
// Three references on the default accelerator: the most accurate network; the best one under the
// accuracy floor (what network search on the default gives at its best); a network of the user's.
// Equal accuracy is at least the floor for the first two (where they have it), at least its own for
// the user's; for the most accurate, its own is told as well.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "search/joint_problem.h"

namespace rhnas::search {

struct GainsQuestion {
  Objective objective = Objective::kEdp;
  double accuracy_min = 0;
  double area_max = 0;  // relative to the default's; 0: none
};

// Ratios of the reference's objective on the default accelerator to the best one's: 2 is half.
struct Gains {
  GainsQuestion question;
  double hardware = 1, network = 1, both = 1;
  JointPair best_hardware, best_network, best;  // the pairs that reach them
};

// Empty: no design under the cap runs it, or no network is that accurate. REQUIRES of this and what
// follows: a problem made without an area cap (its valid() is where the hardware is looked for).
std::optional<Gains> SplitGains(const JointProblem& problem, const std::vector<int>& reference,
                                const GainsQuestion& question);

// The network of least objective on the default accelerator with at least this accuracy.
std::optional<JointPair> BestOnDefault(const JointProblem& problem, Objective objective,
                                       double accuracy_min);

// All references (the user's where `own` is not empty), latency and EDP, area caps 1, 2, 4, 12 and
// none.
std::string GainsText(const JointProblem& problem, const std::vector<int>& own);
std::string GainsJson(const JointProblem& problem, const std::vector<int>& own);

}  // namespace rhnas::search
