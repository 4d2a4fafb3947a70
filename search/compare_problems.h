// The problems that methods are compared on.
#pragma once

#include <memory>
#include <string>

#include "rl/agent.h"
#include "search/compare.h"
#include "search/hardware_problem.h"
#include "search/joint_problem.h"

namespace rhnas::search {

// hw:NETWORK. Methods are the agents of rl/agent.h, each with these options but its own name, seed
// and budget. REQUIRES: the problem has its landscape.
std::unique_ptr<CompareProblem> MakeHardwareComparison(
    std::shared_ptr<const HardwareProblem> problem, const rl::AgentOptions& options);

// nb201:DATASET, tiny. Methods are those of search/joint_methods.h. agent: who searches
// accelerators in them, empty: the best; masks: designs that cannot be built are masked, else
// penalised.
std::unique_ptr<CompareProblem> MakeJointComparison(std::shared_ptr<const JointProblem> problem,
                                                    const std::string& agent, bool masks);

}  // namespace rhnas::search
