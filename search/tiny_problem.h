// Problem `tiny`: the built-in space tiny (46,656 networks) on vta-small (162 designs), for tests
// and first looks: no data, built in a moment, the optimum known exactly.
//
// Accuracies come from a model fitted to measured ones: shared weights of a supernet trained on the
// embedded data, networks drawn uniformly; a sum over the candidates of the six slots and over the
// pairs of neighbours. bench/bench_tiny_accuracies.cc made it; how well it fits stands in the .cc
// file. Good for telling methods apart, not a statement about any one network.
#pragma once

#include <memory>

#include "engine/status.h"
#include "engine/threads.h"
#include "search/joint_problem.h"

namespace rhnas::search {

engine::Result<std::unique_ptr<JointProblem>> MakeTinyProblem(const JointProblemOptions& options,
                                                              engine::ThreadPool& pool);

}  // namespace rhnas::search
