// Problems nb201:cifar10, nb201:cifar100, nb201:imagenet16: NAS-Bench-201's 15,625 networks with
// the published test accuracies after 200 epochs (mean over the runs that there are), on the
// designs of a hardware space (vta unless told otherwise). Edges that a cell's output does not see
// do not run (nn/nasbench201.h).
//
// Accuracies: columns arch and c10_, c100_ or in16_test_e200, in percent, of nb201_accuracy.csv.
// Floors unless given: one percentage point below the best published accuracy, so 0.933733 on
// CIFAR-10, 0.725133 on CIFAR-100, 0.463111 on ImageNet16-120.
#pragma once

#include <memory>
#include <string>

#include "engine/status.h"
#include "engine/threads.h"
#include "search/joint_problem.h"

namespace rhnas::search {

// data: "cifar10", "cifar100", "imagenet16".
engine::Result<std::unique_ptr<JointProblem>> MakeNb201Problem(const std::string& data,
                                                               const JointProblemOptions& options,
                                                               engine::ThreadPool& pool);

}  // namespace rhnas::search
